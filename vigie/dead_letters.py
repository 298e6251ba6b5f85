"""``vigie dead-letters``: see what could not be used, and send it again."""

import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import confluent_kafka
import orjson
import typer

from alert_rules.inert import visible
from models.calendar import iso
from models.events.dead_letter import MOST_REDRIVES, DeadLetter, NotRedrivable
from models.events.refused import Reason, Refused
from stream.engine.options import EngineOptions, wall_clock
from stream.ingest.collect import LETTERS as TRACKER_LETTERS
from stream.ingest.door import LETTERS
from stream.sources.crm import Request, SourceProblem, Unusable, adapter_of, parse_settings
from stream.sources.crm import read as read_webhook
from stream.sources.tracker import read as read_tracker
from vigie.common import Config, console, no_broker, plain, refuse, settings_of
from vigie.lanes import engine_options
from vigie.letters import AnotherRedrive, Redriver, standing
from vigie.remote import here, of_settings

app = typer.Typer(no_args_is_help=True, help="See what could not be used, and send it again.")

_PLAIN: Any = {"style": "yellow", "markup": False, "highlight": False}
Reasons = Annotated[list[str] | None, typer.Option("--reason", help=f"Only these reasons: {', '.join(Reason)}.")]


def _options(config: Any) -> EngineOptions:
    settings = settings_of(config)
    if not settings.kafka.embedded:
        return engine_options(settings, settings.kafka.brokers)
    url = of_settings(settings)
    own = here(url)
    if own is None:
        refuse(
            f"kafka.brokers: found 'embedded', whose dead letters are in the process that has it, and this user runs none here "
            f"at {url} (accepted: start `vigie up`, or a Kafka's address, such as kafka:9092)"
        )
    return engine_options(settings, own.brokers)


def _chosen(options: EngineOptions, reasons: list[str] | None) -> Iterator[DeadLetter]:
    for reason in reasons or ():
        if reason not in list(Reason):
            refuse(f"--reason: found {reason!r}; accepted: {', '.join(Reason)}", 2)
    try:
        for letter in standing(options, lambda text: console.print(text, **_PLAIN)):
            if not reasons or letter.reason in reasons:
                yield letter
    except confluent_kafka.KafkaException as error:
        refuse(no_broker(options.brokers, error))


@app.command("list")
def list_command(
    reason: Reasons = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    config: Config = None,
) -> None:
    """List the dead letters, oldest first: id, when it was refused, reason, detail. One a line, with tabs between.

    Those that were sent again and have not come back are done with, and left out.
    """
    count = 0
    for letter in _chosen(_options(config), reason):
        count += 1
        if as_json:
            print(visible(json.dumps(_told(letter), ensure_ascii=False)))
        else:
            again = f" (sent again {letter.redrives}×)" if letter.redrives else ""
            print(letter.id, iso(letter.first_seen), letter.reason, plain(_one_line(letter.detail)) + again, sep="\t")
    if not as_json:
        console.print(f"{count:,} dead letters" if count else "no dead letters")


@app.command("show")
def show(id: Annotated[str, typer.Argument(help="The id, as listed: topic-partition-offset.")], config: Config = None) -> None:
    """Show one dead letter with the original record."""
    for letter in _chosen(_options(config), None):
        if letter.id == id:
            told = _told(letter)
            told["key"] = _text(letter.key)
            told["value"] = _text(letter.value)
            told["headers"] = [[name, _text(body)] for name, body in letter.headers]
            print(visible(json.dumps(told, indent=2, ensure_ascii=False)))
            return
    refuse(f"no dead letter {id!r} (see: vigie dead-letters list)")


@app.command("redrive")
def redrive(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids, as listed.")] = None,
    reason: Reasons = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    force: Annotated[bool, typer.Option("--force", help=f"Also what has come back {MOST_REDRIVES} times.")] = False,
    config: Config = None,
) -> None:
    """Send dead letters to their topics again (after what was wrong has been put right), each once until it comes back."""
    if not (ids or reason or everything):
        refuse("redrive: say which: ids, --reason or --all", 2)
    options = _options(config)
    wanted, refused = set(ids or ()), 0
    try:
        with Redriver(options) as redriver:
            for letter in _chosen(options, reason):
                if ids and letter.id not in ids:
                    continue
                wanted.discard(letter.id)
                why = _send(letter, redriver, config, force)
                if why:
                    refused += 1
                    console.print(f"{letter.id}: {why}", **_PLAIN)
    except (confluent_kafka.KafkaException, AnotherRedrive) as error:
        refuse(no_broker(options.brokers, error) if isinstance(error, confluent_kafka.KafkaException) else error)
    for missing in sorted(wanted):
        console.print(f"no dead letter {missing!r}", style="red", markup=False)
    console.print(f"{redriver.sent:,} sent again, {refused:,} not")
    if refused or wanted:
        raise typer.Exit(1)


def _send(letter: DeadLetter, redriver: Redriver, config: Any, force: bool) -> str:
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
        events, unusable = door(letter, config)
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


def _webhook(letter: DeadLetter, config: Any) -> ReadAgain:
    """Let the adapter read a webhook request again."""
    settings = settings_of(config)
    name = letter.topic.removeprefix(LETTERS)
    tree = settings.sources.get(name, {})
    headers = {key: (value or b"").decode("utf-8", "replace") for key, value in letter.headers}
    request = Request(headers.pop("method", "POST"), "", headers, letter.value or b"", letter.timestamp)
    source = parse_settings(name, {"timezone": settings.business.timezone, **tree})
    events, unusable, _ = read_webhook(adapter_of(name, tree), request, source, settings.business.business().rates.currencies)
    return list(events), list(unusable)


def _tracker(letter: DeadLetter, config: Any) -> ReadAgain:
    """Read what a tracker sent again."""
    name = letter.topic.removeprefix(TRACKER_LETTERS)
    site = settings_of(config).collect.sites.get(name)
    if site is None:
        raise SourceProblem([f"collect.sites: there is no site {name!r} any more"])
    told = read_tracker(name, site, letter.value or b"", letter.timestamp)
    return list(told.events), list(told.unusable)


#: Who reads again what a door could not use, by how the topics of its letters begin.
_DOORS: dict[str, Callable[[DeadLetter, Any], ReadAgain]] = {LETTERS: _webhook, TRACKER_LETTERS: _tracker}


def _told(letter: DeadLetter) -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads(letter.encode())
    for bulky in ("value", "key", "headers"):
        told.pop(bulky, None)
    return {"id": letter.id, **told}


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _text(body: bytes | None) -> str | None:
    return None if body is None else body.decode("utf-8", "backslashreplace")
