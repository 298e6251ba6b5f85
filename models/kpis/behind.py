"""Which deals and leads does a figure count, each with what it counts for, and how many would a plainer definition count?

An entity's facts are stepped through once more, apart from all others, with what books the figures themselves: what it books in
the stretch of time and the segment of a reading is what it counts for there. So the list adds up to the reading, but for what was
folded away of an entity with many facts (its older stays in stages), and for activities, which are not kept one by one.

Beside it stands what CRMs commonly do (:data:`NAIVE`), of the same facts.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
import orjson

from models.business import Business
from models.calendar import MINUTE_MS
from models.entities.entity_log import EntityLog, LogFolder
from models.folds import deals, leads
from models.folds.entity_snapshots import DealState, LeadState, deal_state, lead_state
from models.kpis.asks import Ask, stretch
from models.measures import BY_NAME, FROM_PRESENT, LOGGED, MEASURES, UNLOGGED
from models.panes.segments import Segments
from models.panes.store import TOTAL, Booking, Panes
from models.panes.windows import Window

#: A sum, or single values with their counts.
Number = int | Counter[int]
Numbers = Mapping[Ask, Number]

CREATED, TODAY, TWICE = "created_date_cohort", "currency_of_today", "reopened_counted_twice"
#: The plainer definitions, in words.
NAIVE = {
    CREATED: "those created in the window, whatever became of them up to the reading's instant",
    TODAY: "amounts at the exchange rate of the reading's instant, not of the day that the definition names",
    TWICE: "a deal that was closed, reopened and closed again counts at each of its closes",
}
_STEPS: dict[str, tuple[type[deals.DealSteps] | type[leads.LeadSteps], type]] = {
    "deals": (deals.DealSteps, deals.Deal),
    "leads": (leads.LeadSteps, leads.Lead),
}
_CLOSED = (deals.WON, deals.LOST)


class CountedEntity(NamedTuple):
    """A deal or lead that a figure counts: its present, since when it counts (epoch ms), and for what."""

    state: DealState | LeadState
    at: int
    numbers: Numbers


class KnownEntity(NamedTuple):
    """What is known of one, counted or not; ``gone`` says how it went, where it did."""

    one: CountedEntity
    gone: str


class Sums:
    """What a number of entities count for together."""

    def __init__(self) -> None:
        self.numbers: dict[Ask, Number] = {}
        self.others: list[str] = []  # ids of entities that count for something else than by our definition

    def add(self, numbers: Numbers) -> None:
        """Add what one counts for."""
        for ask, number in numbers.items():
            kept = self.numbers.get(ask)
            if kept is None:
                self.numbers[ask] = number if isinstance(number, int) else number.copy()
            elif isinstance(kept, Counter) and isinstance(number, Counter):
                kept.update(number)
            elif isinstance(kept, int) and isinstance(number, int):
                self.numbers[ask] = kept + number

    def some(self) -> dict[Ask, Number]:
        """Return what does not come to nothing."""
        return {ask: n for ask, n in self.numbers.items() if (any(n.values()) if isinstance(n, Counter) else n)}


class FigureQuestion(NamedTuple):
    """What is asked of the entities: which numbers, over which window, at which instant (epoch ms)."""

    asks: Sequence[Ask]
    window: Window
    at: int

    @property
    def folds(self) -> list[str]:
        """The folds whose entities can be told one by one, of those that keep what is asked."""
        return sorted({ask.fold for ask in self.asks} & LOGGED)


def listed(ask: Ask) -> bool:
    """Whether what is asked can be told entity by entity."""
    return ask.fold in LOGGED and ask.name not in UNLOGGED


class EntitiesBehind:
    """The entities of one partition of a fold (``deals`` or ``leads``), from the rows that it has written."""

    def __init__(self, fold: str, business: Business, question: FigureQuestion, rows: Mapping[bytes, bytes]) -> None:
        self._fold, self._rows = fold, rows
        self._calendar, self._base = business.calendar, business.currency
        segments = Segments(business.segment_limit, business.pairs)
        if (kept := rows.get(b"S")) is not None:
            segments.load(orjson.loads(kept))
        if (kept := rows.get(b"O")) is not None:
            segments.load_others(orjson.loads(kept))
        self._panes = Panes(MEASURES[fold], business)
        steps, present = _STEPS[fold]
        self._steps: Any = steps(business, self._panes, segments)
        self._folder: LogFolder[Any] = LogFolder(self._steps, present)
        today = replace(business, rates=business.rates.frozen(question.at))
        self._today: LogFolder[Any] = LogFolder(steps(today, self._panes, segments), present)
        self._closes = frozenset(stage for stage, kind in business.stage_kinds.items() if kind in _CLOSED)
        self._start, self._end = question.window.bounds(question.at, business.calendar)[0], question.at
        lags = {ask: getattr(business, ask.more, 0) if ask.how == "lagged" else 0 for ask in question.asks}
        #: By what is booked where: who asks, and from and to when.
        self._asked: defaultdict[tuple[str, str], list[tuple[Ask, int, int]]] = defaultdict(list)
        for ask in question.asks:
            if ask.fold == fold and listed(ask):
                found = (ask, *stretch(ask, question.window, question.at, business.calendar, lags[ask]))
                for name in (ask.name, BY_NAME[ask.name][1].entries) if ask.how == "seen" else (ask.name,):
                    self._asked[name, ask.segment].append(found)
        # How long deals stay in a stage is kept by the stage: in total that is the stays in all of them.
        self._stages = ("stage_lengths", TOTAL) in self._asked
        self._segments = frozenset(segment for _, segment in self._asked)
        self._from_present = all(name in FROM_PRESENT for name, _ in self._asked)
        #: What each plainer definition comes to.
        self.naive: dict[str, Sums] = {name: Sums() for name in NAIVE} if self._plain(question) else {}
        self.damaged = 0  # rows that are none

    def _plain(self, question: FigureQuestion) -> bool:
        return any(ask.how in ("flow", "values") and listed(ask) for ask in question.asks)

    def __iter__(self) -> Iterator[CountedEntity]:
        """Yield those that count for something."""
        for key, row in self._rows.items():
            if key[:1] == b"E":
                try:
                    found = self._one(key[1:].decode(), self._folder.decode(row))
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    self.damaged += 1
                    continue
                if found is not None:
                    yield found

    def known(self, ids: Container[str]) -> Iterator[KnownEntity]:
        """Yield what is known of these, whether they count or not."""
        for key, row in self._rows.items():
            id = key[1:].decode(errors="replace")
            if key[:1] == b"E" and id in ids:
                story = self._folder.decode(row)
                gone = _gone(story.log) if story.void else ""
                found = None if gone else self._one(id, story)
                if found is None and (story.log or story.base is not None):
                    found = CountedEntity(self._state(id, story), 0, {})
                if found is not None:
                    yield KnownEntity(found, gone)

    def _one(self, key: str, story: EntityLog[Any]) -> CountedEntity | None:
        if story.void or not (story.log or story.base is not None):
            return None
        bookings = self._booked(story, self._folder)
        numbers, first = self._numbers(bookings)
        if self.naive:
            self._compare(key, story, bookings, numbers)
        if not numbers:
            return None
        return CountedEntity(self._state(key, story), first, numbers)

    def _state(self, key: str, story: EntityLog[Any]) -> DealState | LeadState:
        latest, present = story.log[-1][0] if story.log else story.base_at, self._folder.present(story)
        if self._fold == "deals":
            return deal_state(key, present, latest, story.active, story.sender)
        return lead_state(key, present, latest, story.sender)

    def _booked(self, story: EntityLog[Any], folder: LogFolder[Any]) -> list[tuple[int, str, str, Number]]:
        """Return (minute, segment, measure, number) of all that an entity has booked in the segments that are asked for."""
        if story.base is not None:
            # The base's row knows measures by their places in the list of its time.
            self._steps.renew(story.base, story.base_at, revalue=False)
        if self._from_present:  # half the work, where nothing is asked of what an entity did on its way
            present = story.present = folder.walk(story, 0)
            self._steps.unbook(present, story.log[-1][0] if story.log else story.base_at, -1)
        else:
            story.present = folder.walk(story, 1)
            if story.base is not None:
                self._steps.unbook(story.base, story.base_at, -1)
        wanted = self._segments.__contains__
        if self._stages:
            return list(self._panes.drain(lambda segment: wanted(segment) or segment.startswith("stage=")))
        return list(self._panes.drain(wanted))

    def _numbers(self, bookings: Iterable[tuple[int, str, str, Number]]) -> tuple[dict[Ask, Number], int]:
        """Return what is asked for of an entity's bookings, where that is not 0, and when the first of it was."""
        sums, first = Sums(), 1 << 62
        stays: defaultdict[Ask, dict[tuple[int, str], list[int]]] = defaultdict(dict)
        for minute, segment, name, number in bookings:
            at = minute * MINUTE_MS
            staged = self._stages and name in ("stage_lengths", "stage_entered")
            for ask, start, end in self._asked.get((name, segment), ()):
                if start <= at < end and not (staged and ask.how == "seen"):
                    first = min(first, at)
                    if ask.how == "seen":
                        self._stay(stays[ask].setdefault((minute, segment), [0, 0]), at, number)
                    else:
                        sums.add({ask: number})
            if staged and segment != TOTAL:
                for ask, start, end in self._asked[name, TOTAL]:
                    if ask.how == "seen" and start <= at < end:
                        first = min(first, at)
                        self._stay(stays[ask].setdefault((minute, segment), [0, 0]), at, number)
        for ask, found in stays.items():
            # Those that have not ended are there; of those that have, those that ended in the window or later were.
            if seen := sum(begun - ended for begun, ended in found.values()):
                sums.add({ask: seen})
        return sums.some(), first

    def _stay(self, stay: list[int], at: int, number: Number) -> None:
        if isinstance(number, int):
            stay[0] += number
        else:
            stay[1] += sum(count for length, count in number.items() if at + length < self._start)

    def _compare(
        self, key: str, story: EntityLog[Any], bookings: list[tuple[int, str, str, Number]], numbers: dict[Ask, Number]
    ) -> None:
        """Add what the plainer definitions make of an entity."""
        present, log = story.present, story.log
        for name, found in (
            (CREATED, self._cohort(present, bookings)),
            (TODAY, self._at_todays_rate(story, numbers)),
            (TWICE, self._closed_twice(story, numbers) if self._fold == "deals" and len(log) > 1 else numbers),
        ):
            sums = self.naive[name]
            # What is asked otherwise (a level, a moved window) is the same by every definition.
            same = {ask: number for ask, number in numbers.items() if ask.how not in ("flow", "values")}
            sums.add({**found, **same})
            if {**found, **same} != numbers:
                sums.others.append(key)
        story.present = present

    def _cohort(self, present: Any, bookings: list[tuple[int, str, str, Number]]) -> dict[Ask, Number]:
        if present.created is None or not self._start <= present.created < self._end:
            return {}
        sums = Sums()
        for minute, segment, name, number in bookings:
            if minute * MINUTE_MS < self._end:
                sums.add({ask: number for ask, _, _ in self._asked.get((name, segment), ()) if ask.how in ("flow", "values")})
        return sums.some()

    def _at_todays_rate(self, story: EntityLog[Any], numbers: dict[Ask, Number]) -> dict[Ask, Number]:
        attributes = self._folder.present(story).attributes
        currency = attributes.get("currency") or attributes.get("default_currency")
        if self._fold != "deals" or currency in (None, self._base) or story.base is not None:
            return numbers
        return self._numbers(self._booked(story, self._today))[0]

    def _closed_twice(self, story: EntityLog[Any], numbers: dict[Ask, Number]) -> dict[Ask, Number]:
        """Return what a deal would count for if no reopening took a close back."""
        kinds = [entry[2] for entry in story.log]
        closed = next((place for place, entry in enumerate(story.log) if self._closing(entry)), None)
        if closed is None or not {deals.REOPENED, deals.STAGE} & set(kinds[closed + 1 :]):
            return numbers
        present = self._steps.fresh() if story.base is None else self._steps.copy(story.base)
        gone: list[Booking] = []
        for entry in story.log:
            before = present.status, present.close, present.loss
            self._steps.step(present, entry, 0)
            if before[0] in _CLOSED and present.status not in _CLOSED:
                gone += [booking for booking in before[1:] if booking is not None]
        if not gone:
            return numbers
        for booking in gone:
            self._panes.book(booking, 1)
        sums = Sums()
        sums.add(numbers)
        sums.add(self._numbers(self._panes.drain(self._segments.__contains__))[0])
        return sums.numbers

    def _closing(self, entry: tuple[int, str, str, dict[str, Any]]) -> bool:
        return entry[2] in _CLOSED or entry[3].get("stage") in self._closes


def _gone(log: Iterable[tuple[int, str, str, dict[str, Any]]]) -> str:
    """Return how an entity went: the earliest merge stands, else it was deleted."""
    for _, _, kind, said in log:
        if kind == deals.MERGED:
            return f"merged into {said['into']}"
    return "deleted"
