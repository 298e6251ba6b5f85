"""What was said of which period, when, and what came of it? One record a forecast, on the compacted topic ``forecasts``.

The total is put on record once a business day, segments when a quarter of their period more is over. Once the period has ended
the same record says what came, again where late events change that. Money is 1/10,000 of the business currency.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from models.calendar import DAY_MS, Calendar
from models.deal_outlook import DIMENSIONS
from models.foresight.blend import Past
from models.foresight.book import WON, Columns
from models.foresight.outlook import Outlook, Segment
from models.panes.windows import Window

TOPIC = "forecasts"
PERIODS = ("month", "quarter", "year")
TOTAL = "total"
#: Segments of a dimension that are put on record: those of which most is expected.
SEGMENTS = 50
#: What came is looked at so long after a period's end (ms), and a record kept.
REVISED, KEPT = 35 * DAY_MS, 3 * 366 * DAY_MS
_QUARTERS = 4


class Said(msgspec.Struct, array_like=True, omit_defaults=True, frozen=True):
    """A forecast on record, and what came of it. ``by`` is ``total`` or a dimension; ``day`` the business day's ordinal."""

    period: str
    start: int
    end: int
    by: str
    value: str
    day: int
    at: int
    quantiles: tuple[int, ...]  # at SHARES
    mean: int
    won_deals: int  # by then
    pipeline: float
    rate: float
    said: float
    known: int
    yardsticks: tuple[int | None, ...]
    target: int | None = None
    p_target: float | None = None
    actual: int | None = None
    actual_deals: int = 0  # won in the rest of the period

    @property
    def key(self) -> str:
        """Under which it is kept: there is one a day."""
        return f"{self.period}|{self.start}|{self.day}|{self.by}|{self.value}"

    @property
    def phase(self) -> float:
        """The share of the period that was over."""
        return min(max((self.at - self.start) / (self.end - self.start), 0.0), 1.0)


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Said).decode


Rows = np.ndarray[Any, np.dtype[Any]]


class Slice(NamedTuple):
    """Which forecast: of a period, in total (None) or by a dimension."""

    period: str
    by: str | None = None


def bounds(period: str, now: int, calendar: Calendar) -> tuple[int, int]:
    """Return [start, end) of the period that it is at ``now`` (ms)."""
    return Window.parse(period).period(now + 1, calendar)


def owed(records: Mapping[str, Said], now: int, calendar: Calendar) -> list[Slice]:
    """Return what is to be put on record now."""
    found: list[Slice] = []
    day = calendar.day(now)
    for period in PERIODS:
        start, end = bounds(period, now, calendar)
        if f"{period}|{start}|{day}|{TOTAL}|" not in records:
            found.append(Slice(period))
        quarter = int(_QUARTERS * (now - start) / (end - start))
        mark = f"{period}|{start}|#{quarter}"
        found += [Slice(period, by) for by in DIMENSIONS if f"{mark}|{by}|" not in records]
    return found


def on_record(
    outlook: Outlook,
    where: Slice,
    calendar: Calendar,
    yardsticks: Callable[[Segment], tuple[int | None, ...]],
    target: Callable[[Segment], int | None],
) -> list[tuple[str, Said]]:
    """Return the records of an outlook, by key: the total, or the segments of which most is expected."""
    span = outlook.span
    day, by = calendar.day(span.now), where.by or TOTAL
    quarter = int(_QUARTERS * (span.now - span.start) / (span.end - span.start))
    segments = outlook.segments[:1] if where.by is None else sorted(outlook.segments[1:], key=lambda one: -one.mean)[:SEGMENTS]
    found = []
    for segment in segments:
        aim = target(segment)
        said = Said(
            where.period, span.start, span.end, by, segment.value or "", day, span.now,
            tuple(round(one) for one in segment.quantiles), round(segment.mean), segment.won_deals,
            round(segment.pipeline, 3), round(segment.rate, 3), round(segment.said, 3), outlook.known, yardsticks(segment),
            aim, None if aim is None else round(segment.at_least(aim), 5),
        )  # fmt: skip
        found.append((said.key, said))
    if where.by is not None:  # that this quarter's are on record, also where there is no segment at all
        nothing = Said(where.period, span.start, span.end, by, "", day, span.now, (), 0, 0, 0.0, 0.0, 0.0, 0, ())
        found.append((f"{where.period}|{span.start}|#{quarter}|{by}|", nothing))
    return found


def revised(records: Mapping[str, Said], columns: Columns, now: int) -> list[tuple[str, Said]]:
    """Return the records of periods that are over of which other than was known has come."""
    due = [(key, one) for key, one in records.items() if one.quantiles and one.end <= now and _wanted(one, now)]
    found: list[tuple[str, Said]] = []
    sums: dict[tuple[int, int, str], tuple[Rows, Rows, Rows]] = {}
    won = np.flatnonzero(columns.status == WON)
    closed = columns.closed[won]
    for key, one in due:
        place = (one.start, one.end, one.by)
        if place not in sums:
            inside = won[(closed >= one.start) & (closed < one.end)]
            codes = columns.values[inside, DIMENSIONS.index(one.by)] if one.by != TOTAL else np.zeros(len(inside), np.int32)
            sums[place] = inside, codes, np.where(columns.amount[inside] == -1, 0, columns.amount[inside])
        inside, codes, amounts = sums[place]
        if one.by != TOTAL:
            names = columns.names[one.by]
            mine = codes == (names.index(one.value) if one.value in names else -2)
            inside, amounts = inside[mine], amounts[mine]
        actual, deals = int(amounts.sum()), int((columns.closed[inside] >= one.at).sum())
        if (one.actual, one.actual_deals) != (actual, deals):
            found.append((key, msgspec.structs.replace(one, actual=actual, actual_deals=deals)))
    return found


def _wanted(one: Said, now: int) -> bool:
    return one.actual is None or now < one.end + REVISED


def expired(records: Mapping[str, Said], now: int) -> list[str]:
    """Return the keys of records that are not kept any longer."""
    return [key for key, one in records.items() if one.end + KEPT < now]


def past(records: Iterable[Said], where: Slice) -> list[Past]:
    """Return the forecasts of a kind of period that have come due: the total's, with how far its segments were off."""
    apart: dict[tuple[int, int], list[float]] = {}
    totals: list[Said] = []
    for one in records:
        if one.period != where.period or one.actual is None or not one.quantiles:
            continue
        if one.by == TOTAL:
            totals.append(one)
        elif one.by == where.by:
            sums = apart.setdefault((one.start, one.day), [0.0, 0.0])
            sums[0] += (one.actual_deals - one.said) ** 2 - one.said
            sums[1] += one.said**2
    return [
        Past(
            one.start, one.phase, one.pipeline, one.rate, one.said, float(one.actual_deals),
            tuple(apart.get((one.start, one.day), (0.0, 0.0))), float(one.known), one.day,  # type: ignore[arg-type]
        )
        for one in totals if one.known
    ]  # fmt: skip


def series(records: Sequence[Said], by: str, value: str) -> list[Said]:
    """Return the records of one segment that have come due, by period and day."""
    mine = (one for one in records if one.by == by and one.value == value and one.actual is not None and one.quantiles)
    return sorted(mine, key=lambda one: (one.start, one.day))
