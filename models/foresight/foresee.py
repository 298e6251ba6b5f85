"""The fold that keeps what forecasts are made of and what they said, and the work that makes them, away from it.

One partition: ``deal-outlooks`` (all deals) and ``forecasts`` (what was said before, its own words). Both are read anew at each
assignment, so there are no rows. Forecasts take up to a second: they are made of a :class:`Job`, a copy of what is known, by
whoever has a thread to spare, and given back to :meth:`Foresee.take`. What it puts on record leaves in one transaction with
nothing else; a record has one key, so that what is said twice is kept once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import msgspec

from models import deal_outlook
from models.business import Business
from models.calendar import MINUTE_MS
from models.events.dead_letter import dead_letter
from models.events.refused import Reason, Refused
from models.fold import Changes, Output, Record
from models.foresight import kept
from models.foresight.book import Book, Columns
from models.foresight.deals_at import ForecastSpan
from models.foresight.kept import Said, Slice
from models.foresight.outlook import DRAWS, Outlook, Segment, outlook
from models.foresight.readings import readings
from models.foresight.scenario import BASE, Scenario
from models.foresight.yardsticks import earlier, yardsticks
from models.kpis.reading import Reading
from models.money import UNIT
from models.targets import Targets

#: A reading that has not changed is said again after so long (ms), and a forecast made anew as time passes.
HEARTBEAT, AGE = 5_000, MINUTE_MS
#: How often it is looked at whether a history is still coming in (ms), and by how much the deals then grow.
_SETTLES, _GROWS = 60_000, 1.02
#: Slices that go on record are made some at a time, so that who asks waits for one of them at most.
_OWED = 2
KPI = "revenue"


class Asked(NamedTuple):
    """One forecast: a slice under a scenario."""

    slice: Slice
    scenario: Scenario = BASE


@dataclass(frozen=True)
class Made:
    """What a job has made: outlooks by what was asked, records, the yardsticks of the total by period."""

    version: int
    at: int
    outlooks: Mapping[Asked, Outlook]
    records: Sequence[tuple[str, Said]]
    gone: Sequence[str]
    points: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)


class Job:
    """What is known at a moment, and what is to be made of it. To be run in any thread."""

    def __init__(
        self,
        columns: Columns,
        records: Mapping[str, Said],
        business: Business,
        targets: Targets,
        now: int,
        version: int,
        asked: Collection[Asked],
        owed: Collection[Slice],
        draws: int = DRAWS,
    ) -> None:
        self._columns, self._records, self._business, self._targets = columns, records, business, targets
        self.now, self.version, self._draws = now, version, draws
        self._asked, self._owed = list(asked), list(owed)

    def run(self) -> Made:
        """Make the forecasts."""
        made: dict[Asked, Outlook] = {}
        records: list[tuple[str, Said]] = []
        points: dict[str, tuple[int | None, ...]] = {}
        calendar = self._business.calendar
        came = kept.revised(self._records, self._columns, self.now)
        known = {**self._records, **dict(came)}  # a period that is just over has been told of too
        for where in dict.fromkeys((*(one.slice for one in self._asked), *self._owed)):
            span = ForecastSpan(*kept.bounds(where.period, self.now, calendar), self.now)
            past, before = kept.past(known.values(), where), earlier(where.period, span, calendar)
            for scenario in dict.fromkeys((BASE, *(one.scenario for one in self._asked if one.slice == where))):
                found = outlook(self._columns, span, calendar, where.by, past, scenario, earlier=before, draws=self._draws)
                made[Asked(where, scenario)] = found
            measured = yardsticks(self._columns, span, where.period, calendar, where.by)
            points[where.period] = measured(made[Asked(where)].segments[0])
            if where in self._owed:
                aim = lambda segment, where=where, span=span: self.target(where, segment, span)  # noqa: E731
                records += kept.on_record(made[Asked(where)], where, calendar, measured, aim)
        return Made(self.version, self.now, made, [*records, *came], kept.expired(self._records, self.now), points)

    def target(self, where: Slice, segment: Segment, span: ForecastSpan) -> int | None:
        """Return the target of a segment, None where there is none."""
        return target_of(self._targets, where, segment.value, span.start, self._business)


def target_of(targets: Targets, where: Slice, value: str | None, start: int, business: Business) -> int | None:
    """Return the target of a period and segment (1/10,000), None where there is none."""
    name = "total" if value is None else f"{where.by}={value}"
    found = targets.find(KPI, where.period, name, business.calendar.day(start))
    return None if found is None else round(found * UNIT)


class Foresee:
    """See the module (a :class:`models.fold.PartitionFold`, replayed)."""

    def __init__(
        self,
        business: Business,
        targets: Targets | None = None,
        wanted: Iterable[tuple[str, str, str | None]] = (),
        *,
        speaks: bool = True,
        alone: bool = False,
    ) -> None:
        """``wanted`` names the readings that rules wait for (KPI, period, dimension). ``speaks`` False: one that only shows.

        ``alone``: nobody takes its jobs, so that it does them itself as time passes: a replay, of which nobody waits.
        """
        self.business, self._speaks, self._alone = business, speaks, alone
        self.book, self.records = Book(), dict[str, Said]()
        self.live_ = False
        self.refused = 0
        self.made: Made | None = None
        self._outlooks: dict[Asked, tuple[Made, Outlook]] = {}
        self._targets, self._wanted = targets or Targets(), frozenset(wanted)
        self._now = self._told_at = 0
        self._asked: dict[Asked, int] = {}
        self._outputs: list[Output] = []
        self._settled, self._looked, self._deals = False, 0, 0

    def use(self, wanted: Iterable[tuple[str, str, str | None]], targets: Targets) -> None:
        """Take other rules and targets."""
        self._wanted, self._targets, self.made = frozenset(wanted), targets, None

    @property
    def targets(self) -> Targets:
        """The targets in force."""
        return self._targets

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """There are no rows: the topics are the state."""

    def live(self) -> None:
        """The topics have been read to their ends: from now on it is whole."""
        self.live_ = True

    def fold(self, records: Sequence[Record]) -> None:
        """Take deals, and what was said before; what is damaged becomes a dead letter."""
        for record in records:
            key = (record.key or b"").decode(errors="replace")
            try:
                if record.topic == deal_outlook.TOPIC:
                    self.book.put(key, record.value)
                elif record.value is None:
                    self.records.pop(key, None)
                else:
                    self.records[key] = kept.decode(record.value)
            except ValueError as error:  # msgspec's are among them
                self.refused += 1
                if self._speaks:
                    refused = Refused(Reason.INVALID_DATA, f"{record.topic}: {error}")
                    letter = dead_letter(record, refused, self._now or record.timestamp)
                    self._outputs.append(Output("dead-letters", letter.id.encode(), letter.encode()))

    def tick(self, now: int) -> None:
        """Let time pass."""
        self._now = now
        if now - self._looked >= _SETTLES or now < self._looked:
            self._settled = self._looked > 0 and len(self.book) <= self._deals * _GROWS + 5
            self._looked, self._deals = now, len(self.book)
        if self._alone and self.live_:
            self._settled = True
            while (job := self.job(now)) is not None:
                self.take(job.run())

    def ask(self, asked: Asked, now: int) -> Outlook | None:
        """Return the last outlook of this kind, and have it made anew as long as somebody asks; None before there is one."""
        self._asked[asked] = now
        found = self._outlooks.get(asked)
        return None if found is None else found[1]

    def behind(self, asked: Asked, now: int) -> bool:
        """Whether an outlook is older than what is known."""
        found = self._outlooks.get(asked)
        return found is None or found[0].version != self.book.version or not 0 <= now - found[0].at < AGE

    def job(self, now: int) -> Job | None:
        """Return what is to be made now; None where all that is wanted is as new as what is known."""
        if not self.live_:
            return None
        self._asked = {one: at for one, at in self._asked.items() if 0 <= now - at < 3 * AGE}
        due = kept.owed(self.records, now, self.business.calendar) if self._speaks and self._settled and len(self.book) else []
        standing = [Asked(Slice(period)) for period in kept.PERIODS]
        standing += [Asked(Slice(period, by)) for _, period, by in sorted(self._wanted, key=str) if by is not None]
        asked = [one for one in dict.fromkeys((*self._asked, *standing)) if self.behind(one, now)]
        if not (asked or due) or (self._alone and not due):
            return None
        return Job(
            self.book.columns(), dict(self.records), self.business, self._targets, now, self.book.version, asked, due[:_OWED]
        )

    def take(self, made: Made) -> None:
        """Take what a job has made: show it, and put on record what is to be."""
        self.made = made
        self._outlooks = {one: found for one, found in self._outlooks.items() if one in self._asked or one.scenario == BASE}
        for asked, found in made.outlooks.items():
            self._outlooks[asked] = made, found
        if not self._speaks:
            return
        for key, said in made.records:
            self.records[key] = said
            self._outputs.append(Output(kept.TOPIC, key.encode(), kept.encode(said)))
        for key in made.gone:
            self.records.pop(key, None)
            self._outputs.append(Output(kept.TOPIC, key.encode(), None))
        self._told_at = 0

    def outlooks(self) -> Mapping[Asked, Outlook]:
        """Return the latest outlooks."""
        return {asked: found for asked, (_, found) in self._outlooks.items()}

    def on_record(self) -> list[bytes]:
        """Return what is on record, in the order of its keys, as JSON objects."""
        records = (record for _, record in sorted(self.records.items()) if record.quantiles)
        return [msgspec.json.encode(msgspec.structs.asdict(record)) for record in records]

    def figures(self) -> dict[tuple[str, str], float]:
        """Return the totals' latest figures by (period, which), in units of money; a target's probability where one is set."""
        found: dict[tuple[str, str], float] = {}
        for period in kept.PERIODS:
            known = self._outlooks.get(Asked(Slice(period)))
            if known is None:
                continue
            total, span = known[1].segments[0], known[1].span
            found |= {(period, name): total.quantile(share) / UNIT for name, share in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9))}
            found |= {(period, name): value / UNIT for name, value in (("mean", total.mean), ("won", float(total.won)))}
            aim = target_of(self._targets, Slice(period), None, span.start, self.business)
            if aim is not None:
                found[period, "target_probability"] = total.at_least(aim)
        return found

    def changes(self) -> Changes:
        """Return what goes on record, and the readings that rules wait for: as they change, and a heartbeat later again."""
        outputs, self._outputs = self._outputs, []
        if self._speaks and self._wanted and self.made is not None and self._now - self._told_at >= HEARTBEAT:
            self._told_at = self._now
            outputs += [Output("readings", one.key.encode(), one.encode()) for one in self.readings()]
        return Changes([], outputs)

    def _target(self, where: Slice, segment: Segment, of: Outlook) -> int | None:
        return target_of(self._targets, where, segment.value, of.span.start, self.business)

    def readings(self) -> list[Reading]:
        """Return the readings that rules wait for, of the latest outlooks."""
        found: list[Reading] = []
        for kpi, period, by in sorted(self._wanted, key=str):
            known = self._outlooks.get(Asked(Slice(period, by)))
            if known is not None:
                aim = partial(self._target, Slice(period, by))
                found += readings(kpi, period, by, known[1], aim, self._now, self.business.currency)
        return found
