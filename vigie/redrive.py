"""Which of the dead letters are meant, and what becomes of each that is sent again, with the settings of now?"""

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import orjson

from models.events.dead_letter import DeadLetter, NotRedrivable
from models.events.refused import Reason, Refused
from stream.config.settings import Settings
from stream.engine.options import EngineOptions, wall_clock
from stream.ingest.collect import LETTERS as TRACKER_LETTERS
from stream.ingest.door import LETTERS
from stream.sources.crm import Request, SourceProblem, Unusable, adapter_of, parse_settings
from stream.sources.crm import read as read_webhook
from stream.sources.tracker import read as read_tracker
from vigie.letters import Redriver, standing


class RedriveReport(NamedTuple):
    """How many letters were sent again, why others were not (by id), and which of those named there are not."""

    sent: int
    refused: dict[str, str]
    missing: list[str]


def chosen(options: EngineOptions, reasons: Collection[str], damaged: Callable[[str], None]) -> Iterator[DeadLetter]:
    """Yield the letters that stand, oldest first: of these reasons, or all; ``damaged`` is told of what is no letter.

    Raise ``ValueError`` for a reason that is none, ``KafkaException`` where the broker does not answer.
    """
    for reason in reasons:
        if reason not in list(Reason):
            raise ValueError(f"reason: found {reason!r:.80} (accepted: {', '.join(Reason)})")
    return (letter for letter in standing(options, damaged) if not reasons or letter.reason in reasons)


def redrive(
    options: EngineOptions,
    settings: Settings,
    ids: Collection[str],
    reasons: Collection[str],
    *,
    force: bool,
    damaged: Callable[[str], None],
) -> RedriveReport:
    """Send letters to their topics again, each once until it comes back: of these ids (none: all), and of these reasons.

    Raise what :func:`chosen` raises, and :class:`vigie.letters.AnotherRedrive`.
    """
    missing, refused = set(ids), {}
    with Redriver(options) as redriver:
        for letter in chosen(options, reasons, damaged):
            if ids and letter.id not in ids:
                continue
            missing.discard(letter.id)
            if why := _send(letter, redriver, settings, force):
                refused[letter.id] = why
    return RedriveReport(redriver.sent, refused, sorted(missing))


def _send(letter: DeadLetter, redriver: Redriver, settings: Settings, force: bool) -> str:
    """Send one letter again; return why it was not, or what of it was not."""
    door = next((read_again for begin, read_again in _DOORS.items() if letter.topic.startswith(begin)), None)
    try:
        again = letter.redrive(force=force)
    except NotRedrivable as error:
        return str(error).removeprefix(f"{letter.id}: ")
    if door is None:
        redriver.send(again.topic, again.key or b"", again.value, again.headers)
        redriver.done(letter)
        return ""
    try:
        events, unusable = door(letter, settings)
    except SourceProblem as error:
        return str(error)
    # What was taken when the request came, perhaps longer ago than ids are remembered, is not sent a second time.
    fresh = [event for event in events if not letter.had(event["id"])]
    for event in fresh:
        redriver.publish(orjson.dumps(event))
    if not unusable:
        redriver.done(letter)
        return ""
    if fresh:
        left = letter.left((event["id"] for event in fresh), Refused(unusable[0].reason, unusable[0].detail), wall_clock())
        redriver.send("dead-letters", left.id.encode(), left.encode())
    return f"still {unusable[0].reason}: {unusable[0].detail}"


#: What a request says with the settings of now: events, and what still cannot be used.
ReadAgain = tuple[list[dict[str, Any]], list[Unusable]]


def _webhook(letter: DeadLetter, settings: Settings) -> ReadAgain:
    """Let the adapter read a webhook request again."""
    name = letter.topic.removeprefix(LETTERS)
    tree = settings.sources.get(name, {})
    headers = {key: (value or b"").decode("utf-8", "replace") for key, value in letter.headers}
    request = Request(headers.pop("method", "POST"), "", headers, letter.value or b"", letter.timestamp)
    source = parse_settings(name, {"timezone": settings.business.timezone, **tree})
    events, unusable, _ = read_webhook(adapter_of(name, tree), request, source, settings.business.business().rates.currencies)
    return list(events), list(unusable)


def _tracker(letter: DeadLetter, settings: Settings) -> ReadAgain:
    """Read what a tracker sent again."""
    name = letter.topic.removeprefix(TRACKER_LETTERS)
    site = settings.collect.sites.get(name)
    if site is None:
        raise SourceProblem([f"collect.sites: there is no site {name!r} any more"])
    told = read_tracker(name, site, letter.value or b"", letter.timestamp)
    return list(told.events), list(told.unusable)


#: Who reads again what a door could not use, by how the topics of its letters begin.
_DOORS: dict[str, Callable[[DeadLetter, Settings], ReadAgain]] = {LETTERS: _webhook, TRACKER_LETTERS: _tracker}


def letter_entry(letter: DeadLetter) -> dict[str, Any]:
    """Return a letter as it is listed: its id and all but the record."""
    tree: dict[str, Any] = orjson.loads(letter.encode())
    for bulky in ("value", "key", "headers"):
        tree.pop(bulky, None)
    return {"id": letter.id, **tree, "redrives": letter.redrives}


def shown(letter: DeadLetter) -> dict[str, Any]:
    """Return a letter with the original record, as text."""
    headers = [[name, _text(body)] for name, body in letter.headers]
    return letter_entry(letter) | {"key": _text(letter.key), "value": _text(letter.value), "headers": headers}


def _text(body: bytes | None) -> str | None:
    return None if body is None else body.decode("utf-8", "backslashreplace")
