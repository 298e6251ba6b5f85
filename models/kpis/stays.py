"""How long do deals usually stay: in each stage, or until they are closed?

Lengths are kept where something began (``stage_lengths`` at the entry, ``deal_lengths`` at the creation), beside the count of
what began there: the difference is still there. So one can say, for any window, how long everything had been there that was
seen in it.
"""

from collections.abc import Iterator, Mapping

from models.calendar import MINUTE_MS, Grain
from models.kpis.survival import Stay, curve, first, quantiles
from models.measures import BY_NAME
from models.panes.store import TOTAL
from models.panes.view import View
from models.panes.windows import Span, Window

QUANTILES = (0.5, 0.75, 0.9, 0.95)
#: Below so many stays that ended nobody knows what is usual.
LEAST = 20
#: The stays are watched for so much time.
WINDOW = Window.parse("90d")
#: So far back things have begun (days); for the last of them it is known to the hour, and before to the day.
_BEGUN, _BY_THE_HOUR = 750, 30
_STAGES = "stage_lengths"
#: Of more stages, which somebody has made up, only those with the most stays are told: it is one record.
MOST_STAGES = 1_000
#: A quantile that has moved by less is not news: whoever hears of it looks at all deals of the stage again.
NEWS = 0.05

#: By stage: the time (ms) within which each share of QUANTILES leaves; None where not so many leave in any time that was seen.
Stays = dict[str, list[int | None]]


def usual_stays(view: View, at: int) -> Stays | None:
    """Return, by stage, within what time how many leave, as seen in the 90 business days before an instant.

    None while that is still being counted from the facts that are kept. Entries from before it is whole are left out: of those
    that have left since, some would look as if they were still there.

    Deals that are still in the stage count with the time they have been there (``survival.py``). Entries are known by the pane:
    they count as if at its beginning.
    """
    if not view.behind.keys().isdisjoint((_STAGES, BY_NAME[_STAGES][1].entries)):
        return None
    start, _ = WINDOW.bounds(at, view.calendar)
    found: Stays = {}
    ended: dict[str, int] = {}
    for stage in view.segments("stage", frozenset(("deals",))):
        stays = list(stays_of(view, _STAGES, f"stage={stage}", start, at))
        ended[stage] = sum(stay.number for stay in stays if stay.left)
        if ended[stage] >= LEAST:
            found[stage] = quantiles(stays, QUANTILES)
    return {stage: found[stage] for stage in sorted(found, key=lambda stage: (-ended[stage], stage))[:MOST_STAGES]}


def left_within(view: View, lengths: str, segment: str, start: int, at: int, share: float) -> int | None:
    """Return the time (ms) within which such a share leaves, as seen in [start, at); None where not so many do.

    ``at`` is taken to the end of its minute. The curve is kept for as long as nothing of the segment changes.
    """
    end = -(-at // MINUTE_MS) * MINUTE_MS
    found: list[tuple[int, float]] = view.remembered(
        BY_NAME[lengths][0], segment, (lengths, start, end), lambda: curve(stays_of(view, lengths, segment, start, end))
    )
    return first(found, share)


def stays_of(view: View, lengths: str, segment: str, start: int, at: int) -> Iterator[Stay]:
    """Yield the stays that were seen in [start, at): by a measure of lengths, in a segment."""
    fold, measure = BY_NAME[lengths]
    entries, calendar = measure.entries, view.calendar
    today = calendar.day(at - 1)  # what begins at the instant itself, such as midnight, is not of the window
    whole = max(view.since.get(name, 0) for name in (lengths, entries))
    spans: tuple[Span, ...] = (Span(Grain.DAY, today - _BEGUN, today + 1),)
    if measure.finest is not Grain.DAY:
        hours = calendar.hour(calendar.day_start(today - _BY_THE_HOUR))
        spans = Span(Grain.DAY, today - _BEGUN, today - _BY_THE_HOUR), Span(Grain.HOUR, hours, calendar.hour(at - 1) + 1)
    # How long deals stay in a stage is kept by the stage: in total that is the stays in all of them.
    every = lengths == _STAGES and segment == TOTAL
    names = [f"stage={stage}" for stage in view.segments("stage", frozenset((fold,)))] if every else [segment]
    for name in names:
        for begun, ended, there in _begun(view, name, lengths, spans):
            if begun < whole:
                continue
            since = max(0, start - begun)
            for length, count in ended.items():
                if begun + length >= start:
                    yield Stay(since, max(length, since + 1) if since else length, True, count)
            if there > 0:
                yield Stay(since, max(at - begun, since), False, there)


def _begun(view: View, segment: str, lengths: str, spans: tuple[Span, ...]) -> list[tuple[int, Mapping[int, int], int]]:
    """Return of each pane its beginning (ms), the lengths of what began in it and has ended, and how much of it has not."""
    fold, measure = BY_NAME[lengths]

    def read() -> list[tuple[int, Mapping[int, int], int]]:
        found = list[tuple[int, Mapping[int, int], int]]()
        for begun, cells in view.each(fold, segment, spans):
            ended = cells.values.get(lengths, {})
            found.append((begun, ended, cells.numbers.get(measure.entries, 0) - sum(ended.values())))
        return found

    begun: list[tuple[int, Mapping[int, int], int]] = view.remembered(fold, segment, (lengths, spans), read)
    return begun


def is_news(before: Stays, now: Stays) -> bool:
    """Whether the quantiles have changed enough to be told."""
    return before.keys() != now.keys() or any(
        _moved(a, b) for stage, values in now.items() for a, b in zip(before[stage], values, strict=True)
    )


def _moved(a: int | None, b: int | None) -> bool:
    if a is None or b is None:
        return a is not b
    return abs(a - b) > NEWS * max(a, b)
