"""How long do deals usually stay in each stage? What those who watch single deals must know of all of them."""

from collections.abc import Iterator

from models.calendar import Grain
from models.kpis.survival import Stay, quantiles
from models.panes.view import View
from models.panes.windows import Span, Window

QUANTILES = (0.5, 0.75, 0.9, 0.95)
#: Below so many stays that ended nobody knows what is usual.
LEAST = 20
#: The stays are watched for so much time.
WINDOW = Window.parse("90d")
#: So far back deals have entered (days); for the last of them it is known to the hour, and before to the day.
_ENTERED, _BY_THE_HOUR = 750, 30
_MADE_OF = frozenset({"stage_entered", "stage_lengths"})
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
    if not _MADE_OF.isdisjoint(view.behind):
        return None
    found: Stays = {}
    for stage in view.segments("stage", frozenset(("deals",))):
        stays = list(_stays(view, stage, at))
        if sum(stay.number for stay in stays if stay.left) >= LEAST:
            found[stage] = quantiles(stays, QUANTILES)
    return found


def _stays(view: View, stage: str, at: int) -> Iterator[Stay]:
    calendar = view.calendar
    start, _ = WINDOW.bounds(at, calendar)
    today = calendar.day(at)
    whole = max(view.since.get(name, 0) for name in _MADE_OF)
    hours = calendar.hour(calendar.day_start(today - _BY_THE_HOUR))
    spans = Span(Grain.DAY, today - _ENTERED, today - _BY_THE_HOUR), Span(Grain.HOUR, hours, calendar.hour(at) + 1)
    for entered, cells in view.each("deals", f"stage={stage}", spans):
        if entered < whole:
            continue
        since = max(0, start - entered)
        lengths = cells.values.get("stage_lengths", {})
        for length, count in lengths.items():
            if entered + length >= start:
                yield Stay(since, max(length, since + 1) if since else length, True, count)
        there = cells.numbers.get("stage_entered", 0) - sum(lengths.values())
        if there > 0:
            yield Stay(since, max(at - entered, since), False, there)


def is_news(before: Stays, now: Stays) -> bool:
    """Whether the quantiles have changed enough to be told."""
    return before.keys() != now.keys() or any(
        _moved(a, b) for stage, values in now.items() for a, b in zip(before[stage], values, strict=True)
    )


def _moved(a: int | None, b: int | None) -> bool:
    if a is None or b is None:
        return a is not b
    return abs(a - b) > NEWS * max(a, b)
