"""What have the panes become, and which of the readings that somebody waits for have changed?

The fold behind ``roll-kpis``: the topic ``panes`` in, the :class:`~models.panes.view.View` kept up to date, ``readings`` out.
It has no state of its own: the topic is compacted, and is read from its beginning at every assignment.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol, TypeAlias

import orjson

from models.calendar import MINUTE_MS
from models.events.dead_letter import dead_letter
from models.events.refused import Reason, Refused
from models.fold import Changes, Output, Record
from models.kpis.catalogue import Catalogue
from models.kpis.earlier import Compared
from models.kpis.entry import Kpi
from models.kpis.explain import explain, reads
from models.kpis.highlights import TOPIC, Highlights
from models.kpis.reading import Reading
from models.kpis.stays import Stays, is_news, usual_stays
from models.panes.store import TOTAL
from models.panes.view import View
from models.panes.windows import Window
from models.targets import Target, Targets

#: So many sums are read for explanations in one go (some 20 µs each), so that a storm of alarms does not hold up the readings.
MOST_READ = 2_000

#: Where objectives that were set come from, and where it is told how they, tests and challenges stand; of so many in one go.
OBJECTIVES, STANDINGS, MOST_STANDINGS = "objectives", "standings", 5


class Plans(Protocol):
    """What people want to reach together, and what they try out (``models/goals/standings.py``)."""

    def put(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the topic ``objectives``; raise ``ValueError`` where it is none."""

    def targets(self) -> list[Target]:
        """Return the quotas that these objectives set."""

    def names(self) -> list[str]:
        """Return the keys of all there are."""

    def say(self, name: str, view: View, at: int) -> bytes | None:
        """Return how one stands (JSON), None where there is no such one any more."""


#: How a reading stands to the thresholds of those who wait for it, one by one; None: nowhere near any.
Stand: TypeAlias = tuple[int, ...]
CLEAR, UNCLEAR, BREACHED = 0, 1, 2
Alarm: TypeAlias = Callable[[Reading], Stand | None]

#: A reading that has not changed is said again after so long (ms): rules count time by the readings they are given.
HEARTBEAT = 5_000


class Wanted(NamedTuple):
    """A KPI, a window, a dimension (None: the total), and what its readings are to be compared with (``kpis/earlier.py``)."""

    kpi: str
    window: str
    by: str | None = None
    against: frozenset[str] = frozenset()


#: What is wanted; the first three fields alone want nothing to compare with.
Name: TypeAlias = Wanted | tuple[str, str, str | None]


class _Watch(NamedTuple):
    kpi: Kpi
    window: Window
    by: str  # a dimension, or `total`
    against: frozenset[str]


class RollKpis:
    """The one partition of panes, merged into a view that others read too."""

    def __init__(
        self,
        view: View,
        catalogue: Catalogue,
        wanted: Iterable[Name] = (),
        *,
        clock: Callable[[], int] | None = None,
        heartbeat: int = HEARTBEAT,
        paced: bool = False,
        targets: Targets | None = None,
        partitions: int = 0,
        alarm: Alarm | None = None,
        plans: Plans | None = None,
    ) -> None:
        """Begin anew: the view is emptied.

        ``wanted`` names the readings to publish; raise :class:`~models.kpis.catalogue.NotInCatalogue` or
        :class:`~models.panes.windows.WindowError` for those there are not. ``clock`` gives the time of a reading made between two
        ticks (default: that of the last tick). ``targets`` are the quotas for those who want readings compared with them.
        ``partitions`` is how many partitions of entities hear, on ``limits``, how long deals usually stay in a stage.
        ``paced``: readings are made only when time has moved on, whatever has changed meanwhile, so that a history read twice
        gives the same ones. ``alarm`` says which readings somebody may have to be told of: these are explained. How ``plans``
        stand is told once a minute, where that has changed.
        """
        self.view = view
        self.highlights = Highlights()
        self.plans = plans
        self._standing: list[str] = []  # whose turn is still to come
        self._stands: dict[str, bytes] = {}
        self.refused = 0  # records that could not be used, since the start
        self._catalogue = catalogue
        self._clock = clock
        self._heartbeat = heartbeat
        self._paced = paced
        self._alarm = alarm
        self._stood: dict[str, tuple[Stand, int]] = {}  # key of a reading that alarms -> how it stood, and when it was explained
        self._made_at = 0
        self._now = 0
        self._live = False
        self._touched: set[tuple[str, str]] = set()
        self._due = False  # whether all readings are to be made anew
        self._made_minute = -1
        self._sent: dict[str, tuple[int, object]] = {}  # key -> when, and what was said
        self._outputs: list[Output] = []
        self._watches: list[_Watch] = []
        self._targets = Targets()
        self._compared: dict[str, Compared] = {}
        self._partitions = partitions
        self._stays: Stays | None = None
        self.watch(wanted, targets)
        view.clear()

    def watch(self, wanted: Iterable[Name], targets: Targets | None = None) -> None:
        """Replace the set of readings to publish, and the targets; readings that nobody wants any more are taken back."""
        together: dict[tuple[str, str, str], frozenset[str]] = {}
        for name in wanted:
            kpi, window, by, against = Wanted(*name)
            place = (kpi, window, by or TOTAL)
            together[place] = together.get(place, frozenset()) | against
        self._watches = [
            _Watch(self._catalogue.get(kpi), Window.parse(window), by, against)
            for (kpi, window, by), against in sorted(together.items())
        ]
        self._declared = Targets() if targets is None else targets
        self._use_targets()
        self.view.version += 1
        self._compared.clear()
        self._due = True

    def _use_targets(self) -> None:
        """Take the quotas of the settings, and of the objectives that were set since."""
        mine = self.plans.targets() if self.plans is not None else []
        self._targets = self.view.targets = self._declared.beside(mine) if mine else self._declared

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """There are no rows: the topic itself is the state."""

    def live(self) -> None:
        """The topic has been read to the end it had at assignment: from now on what the view says is true, and is said."""
        self._live = self.view.live = True
        self._due = True

    def fold(self, records: Sequence[Record]) -> None:
        """Put the partial sums into the view; a record that is none becomes a dead letter."""
        put, touched = self.view.put, self._touched
        for record in records:
            try:
                if record.topic == TOPIC:
                    self.highlights.put(record.key or b"", record.value)
                    continue
                if record.topic == OBJECTIVES:
                    self._objective(record)
                    continue
                changed = put(record.key or b"", record.value)
            except ValueError as error:
                self.refused += 1
                refused = Refused(Reason.INVALID_DATA, f"{record.topic}: {error}")
                letter = dead_letter(record, refused, self._now or record.timestamp)
                self._outputs.append(Output("dead-letters", letter.id.encode(), letter.encode()))
                continue
            if changed is not None:
                touched.add(changed)

    def _objective(self, record: Record) -> None:
        if self.plans is None:
            return
        try:
            self.plans.put(record.key or b"", record.value)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an objective: {error!r}") from error
        self._use_targets()
        self.view.version += 1
        self._compared.clear()
        self._due = True

    def tick(self, now: int) -> None:
        """Let time pass (epoch ms): what has left its window is out of the next readings."""
        self._now = now
        self.view.advance(now)
        if now // MINUTE_MS != self._made_minute or any(now - when >= self._heartbeat for when, _ in self._sent.values()):
            self._due = True

    def changes(self) -> Changes:
        """Return the readings that have changed, or were last said a heartbeat ago. There are no rows."""
        outputs, self._outputs = self._outputs, []
        if self._live and self._now and (self._now > self._made_at if self._paced else self._due or self._touched):
            outputs += self._readings()
            outputs += self._told()
        return Changes([], outputs)

    def _told(self) -> Iterator[Output]:
        """Tell how tests, objectives and challenges stand: of some at a time, so that they hold up no reading."""
        if self.plans is None or self._alarm is None:  # who only answers (`vigie web`) tells nobody
            return
        most = len(self._standing) if self._paced else MOST_STANDINGS
        turn, self._standing = self._standing[:most], self._standing[most:]
        for name in turn:
            value = self.plans.say(name, self.view, self._made_at)
            if value != self._stands.get(name):
                yield Output(STANDINGS, name.encode(), value)
                if value is None:
                    self._stands.pop(name, None)
                else:
                    self._stands[name] = value

    def _readings(self) -> Iterator[Output]:
        at = max(self._now, self._clock()) if self._clock else self._now
        self._made_at = at
        everything = self._due or at // MINUTE_MS != self._made_minute
        touched, self._touched = self._touched, set()
        if self._partitions and at // MINUTE_MS != self._made_minute:
            yield from self._limits(at)
        if self.plans is not None and at // MINUTE_MS != self._made_minute:
            names = self.plans.names()
            self._standing = [*names, *sorted(self._stands.keys() - set(names))]
        self._due, self._made_minute = False, at // MINUTE_MS
        seen: set[str] = set()
        left = MOST_READ
        for watch in self._watches:
            for segment in self._segments(watch, None if everything else touched):
                reading = self._reading(watch, segment, at)
                seen.add(reading.key)
                said = _said(reading)
                when, before = self._sent.get(reading.key, (0, None))
                if said != before or at - when >= self._heartbeat:
                    self._sent[reading.key] = (at, said)
                    if self._alarm is not None:
                        reading, cost = self._explained(self._alarm, watch, reading, left)
                        left -= cost
                    yield Output("readings", reading.key.encode(), reading.encode())
        if everything:
            for key in self._sent.keys() - seen:
                del self._sent[key]
                self._compared.pop(key, None)
                self._stood.pop(key, None)
                yield Output("readings", key.encode(), None)

    def _limits(self, at: int) -> Iterator[Output]:
        """Tell every partition how long deals usually stay in a stage: once a minute at most, and where it is news."""
        stays = usual_stays(self.view, at)
        if stays is not None and (self._stays is None or is_news(self._stays, stays)):
            self._stays = stays
            value = orjson.dumps({"at": at, "stages": stays})
            for partition in range(self._partitions):
                yield Output("limits", b"stages", value, partition)

    def _reading(self, watch: _Watch, segment: str, at: int) -> Reading:
        kpi, catalogue, view = watch.kpi, self._catalogue, self.view
        reading = catalogue.reading(kpi, view, watch.window, segment, at)
        if not watch.against:
            return reading
        compared = self._compared.get(reading.key)
        if compared is None:
            compared = self._compared[reading.key] = Compared(watch.against)
        against = compared.against(
            reading,
            watch.window,
            view.calendar,
            lambda window, end: catalogue.reading(kpi, view, window, segment, end),
            self._targets,
            view.began(kpi.formula.folds),
        )
        return replace(reading, against=against)

    def _explained(self, alarm: Alarm, watch: _Watch, reading: Reading, left: int) -> tuple[Reading, int]:
        """Return the reading, with what explains it where that is due, and how much has been read for it."""
        key, stand = reading.key, alarm(reading)
        before, when = self._stood.get(key, (None, 0))
        if before is None and (stand is None or BREACHED not in stand):
            return reading, 0
        if stand == before and reading.at - when < self._heartbeat:
            return reading, 0
        cost = reads(self.view, watch.kpi, reading)
        if cost > left:
            return reading, 0  # so many alarms at once: the others have their turn at the next reading
        if stand is None:
            del self._stood[key]
        else:
            self._stood[key] = (stand, reading.at)
        because = explain(self._catalogue, self.view, watch.kpi, watch.window, reading, self.highlights)
        return replace(reading, because=because), cost

    def _segments(self, watch: _Watch, touched: set[tuple[str, str]] | None) -> list[str]:
        folds = watch.kpi.formula.folds
        if touched is None:
            if watch.by == TOTAL:
                return [TOTAL]
            return [f"{watch.by}={value}" for value in self.view.segments(watch.by, folds)]
        prefix = f"{watch.by}="
        return sorted({s for fold, s in touched if fold in folds and (s == watch.by or s.startswith(prefix))})


def _said(reading: Reading) -> object:
    """What makes two readings of one key the same, but for their time."""
    numbers = (
        reading.value,
        reading.numerator,
        reading.denominator,
        reading.low,
        reading.high,
        reading.sample,
        reading.why,
        reading.since,
        reading.proven,
    )
    if reading.against is None:
        return numbers
    # Of what time alone moves (a target's share) the next minute's reading tells.
    return *numbers, {name: (past.get("value"), past.get("at")) for name, past in reading.against.items()}
