"""What does one partition of an entity fold do with a record, and what does it hand over at a checkpoint?

Decode, find the entity, apply, book into the panes; what cannot be used becomes a dead letter. Rows of its state:
``E<id>`` an entity, ``P<grain>:<pane>:<segment>`` a pane, ``S`` the admitted segments, ``O`` values that stay ``other``,
``!`` watermark and definitions (``models/folds/evolve.py``).
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from models.beats import SENDERS, Beats
from models.business import Business
from models.entities.entity_log import Entry, TooLate
from models.entities.store import Entities
from models.events.catalogue import TOPIC_OF, TYPE_OF
from models.events.dead_letter import dead_letter
from models.events.decode import Decode, decoder
from models.events.refused import ERASED_MARK, Reason, Refused
from models.faults import Faults
from models.fold import LARGEST_ROW, Changes, Output, Record, Row
from models.folds.entity_snapshots import DealState, LeadState
from models.folds.evolve import Standing, kept_under, made_of, standing
from models.folds.keepers import KEEPERS
from models.folds.pane_rows import PaneRows
from models.folds.readdressed import readdressed
from models.measures import LOGGED, MEASURES
from models.panes.segments import Segments
from models.panes.store import Panes

#: Topics of each entity fold, named without the installation's prefix.
TOPICS: dict[str, tuple[str, ...]] = {
    "deals": ("deals", "deal-merges"),
    "leads": ("leads", "lead-merges"),
    "engagement": ("engagement",),
    "customers": ("customers",),
    "spend": ("spend",),
}

_RAISED = 50_000  # bytes of entities brought up to other definitions per checkpoint: some 10 ms
_SWEPT = 64  # entities looked over per checkpoint while a sweep is on
_HELD = 10_000  # records that are taken before they are settled, at most


class EntityPartition:
    """One partition of one entity fold (a :class:`models.fold.PartitionFold`)."""

    def __init__(self, fold: str, partition: int, business: Business, home: Callable[[bytes], int] | None = None) -> None:
        """``home`` gives the partition in which an entity lives; records of others are sent there (None: all live here)."""
        self.fold_name = fold
        self._home = home
        self.partition = partition
        self.business = business
        self.watermark = 0
        self.outcomes: Counter[tuple[str, str, str]] = Counter()  # (topic, type, outcome), for metrics
        self.unknown_fields: Counter[tuple[str, str]] = Counter()  # (type, field)
        self._beats = Beats()
        self.delays: deque[int] = deque(maxlen=256)  # arrival minus event time (ms) of one event per call, newest last
        self.faults = Faults()
        self._standing = Standing(made_of(fold, business, 0))
        self._panes = Panes(MEASURES[fold], business)
        self._pane_rows = PaneRows(fold, partition, self._panes)
        self._segments = Segments(business.segment_limit, business.pairs if fold in LOGGED else ())
        self._keeper = KEEPERS[fold](business, self._panes, self._segments)
        self._decoders: dict[str, Decode] = {t: decoder(t, currencies=business.rates.currencies) for t in TOPICS[fold]}
        self._touched = False
        # Taken since the last settling, to be taken again if one of them meets a fault of ours; and what came of them.
        self._since: list[Record] = []
        self._one_by_one = False
        self._letters: list[Output] = []
        self._refused: Counter[tuple[str, str]] = Counter()  # (topic, reason)
        self._unknown: Counter[tuple[str, str]] = Counter()
        # Settled since the last checkpoint.
        self._rows: dict[str, bytes] = {}
        self._outputs: list[Output] = []
        self._swept_day = 0
        self._counts: defaultdict[tuple[type, str], int] = defaultdict(int)

    @property
    def entities(self) -> Entities[Any]:
        """The entities of this partition."""
        return self._keeper.entities

    def story(self, key: str) -> tuple[DealState | LeadState, list[Entry]] | None:
        """Return the present of a deal or lead and the facts behind it, oldest first; None where nothing is known of it."""
        return self._keeper.story(key)

    def glance(self, key: str) -> DealState | LeadState | None:
        """Return the present of a deal or lead to look at; None where nothing is known of it."""
        return self._keeper.glance(key)

    @property
    def panes(self) -> Panes:
        """The sums of this partition."""
        return self._panes

    @property
    def last_event(self) -> dict[str, int]:
        """The time (epoch ms) of each sender's latest event, at most its arrival."""
        return self._beats.heard

    @property
    def overflow(self) -> dict[str, int]:
        """Bookings that went to ``other`` because a dimension has too many values, by dimension."""
        return self._segments.overflow

    # -- the engine's side -------------------------------------------------------------------------------------------

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back. Where it was kept under other definitions, what can be is booked under those of now."""
        put, one = self._keeper.entities.restore, None
        panes: list[tuple[bytes, bytes]] = []
        for key, value in rows:
            kind = key[:1]
            if kind == b"E":
                put(key[1:].decode(), value)
            elif kind == b"P":
                panes.append((key, value))
            elif kind == b"S":
                self._segments.load(orjson.loads(value))
            elif kind == b"O":
                self._segments.load_others(orjson.loads(value))
            elif kind == b"!":
                one = orjson.loads(value)
        if one is not None:
            self._restore_one(one)
        self._pane_rows.restore(panes, self._standing)
        self._keeper.evolve(self._standing)

    def _restore_one(self, one: dict[str, Any]) -> None:
        self.watermark = one["watermark"]
        limit = kept_under(one).get("business.segment_limit", self.business.segment_limit)
        found = standing(self.fold_name, one, self.business, full=self._segments.full(limit))
        self._touched = found.version > one.get("version", 0)
        if self.fold_name in LOGGED and found.generation > one.get("generation", 0):
            self._segments.forget_others()
        self._standing = found

    def fold(self, records: Sequence[Record]) -> None:
        """Apply the records in order, each of them whole or not at all."""
        if not records:
            return
        self._touched = True
        if self.faults.runs_ahead(self.watermark, records[-1].read):
            self._set_back(records[-1].read)
        if not self._one_by_one:
            try:
                self._take(records)
                self._since += records
            except Exception:  # a fault of ours in the middle of one of them: which, and what it left half, is found out
                records = [*self._since, *records]
                self._back()
                self._one_by_one = True
        if self._one_by_one:
            self._take_one_by_one(records)
        elif len(self._since) > _HELD:
            self._settle()

    def _take(self, records: Sequence[Record]) -> None:
        take, counts, decoders, known = self._keeper.take, self._counts, self._decoders, self._keeper.entities.has
        watermark, delay, heard, home = self.watermark, None, self._beats.heard, self._home
        for record in records:
            topic, arrival = record.topic, record.timestamp
            try:
                event, at, unknown = decoders[topic](record.value, record.headers, arrival)
                if known(event.subject) or home is None or home(event.subject.encode()) == self.partition:
                    outcome = take(event, at, arrival)
                else:
                    self._letters.append(readdressed(record, event.subject))
                    outcome = "readdressed"
            except Refused as refused:
                self._refuse(record, refused)
                continue
            except TooLate:
                detail = "older than the facts that are still kept one by one for this entity"
                self._refuse(record, Refused(Reason.TOO_LATE, detail))
                continue
            counts[event.__class__, outcome] += 1
            if unknown:
                for name in unknown:
                    self._unknown[TYPE_OF[event.__class__], name] += 1
            # A sender's clock that runs ahead must not make panes expire: time has come as far as arrival says, at most.
            moment = at if at < arrival else arrival
            if moment > watermark:
                watermark = moment
            delay = arrival - at
            sender = event.source
            if heard.get(sender, 0) < moment and (sender in heard or len(heard) < SENDERS):
                heard[sender] = moment
        self.watermark = watermark
        if delay is not None:
            self.delays.append(delay)

    def _take_one_by_one(self, records: Iterable[Record]) -> None:
        """Apply the records, each settled before the next, so that one which fails leaves nothing behind but its dead letter."""
        for record in records:
            try:
                self._take((record,))
                self._settle()
            except Refused as refused:
                self._back()
                self._refuse(record, refused)
                self._settle()
            except Exception as error:
                self._back()
                self._refuse(record, Refused(Reason.INTERNAL, self.faults.add(record, error)))
                self._settle()

    def _settle(self) -> None:
        """Bring what was taken into rows and sums: from here on it stays. Raises before anything is changed."""
        states = self._keeper.states()
        if self._segments.marking:  # what a sweep has gone over may have got another value since
            for state in self._keeper.entities.dirty.values():
                self._segments.mark(self._keeper.values(state))
        self._rows.update(self._keeper.entities.changes(LARGEST_ROW))
        self._panes.roll(self.watermark)
        self._outputs += [*self._letters, *states, *self._keeper.outputs()]
        self._letters.clear()
        self._since.clear()
        for (kind, outcome), count in self._counts.items():
            name = TYPE_OF[kind]
            self.outcomes[TOPIC_OF[name], name, outcome] += count
        for (topic, reason), count in self._refused.items():
            self.outcomes[topic, "", reason] += count
        self.unknown_fields.update(self._unknown)
        for counted in (self._counts, self._refused, self._unknown):
            counted.clear()

    def _back(self) -> None:
        """Let go of all that was taken since the last settling."""
        self._keeper.entities.back()
        self._keeper.outputs()
        self._panes.back()
        self._letters.clear()
        self._since.clear()
        for counted in (self._counts, self._refused, self._unknown):
            counted.clear()

    def tick(self, now: int) -> None:
        """Nothing here depends on the clock: panes expire by the events' own time."""

    def changes(self) -> Changes:
        """Encode what has changed since the last call."""
        outputs: list[Output] = []
        rows: list[Row] = []
        if self._touched or self.behind:
            self._touched = self._one_by_one = False
            try:
                self._settle()
            except Exception:  # an entity cannot be written: what made it so is found out
                since = list(self._since)
                self._back()
                self._take_one_by_one(since)
            gone = self._sweep()
            self._raise()
            self._settle()  # what letting go of them, and bringing others up, has changed: no record takes that back
            if self._segments.marking and not self._keeper.entities.sweeping:
                self._segments.release(self._panes.segments())
            outputs, self._outputs = self._outputs, []
            rows = [Row(b"E" + key.encode(), value) for key, value in self._rows.items()]
            self._rows = {}
            for key in gone:
                rows.append(Row(b"E" + key.encode(), None))
                told = self._keeper.gone(key)
                if told is not None:
                    outputs.append(told)
            self._pane_rows.changes(self._standing, rows, outputs)
            if self._segments.changed:
                rows.append(Row(b"S", orjson.dumps(self._segments.dump())))
            if self._segments.others_changed:
                rows.append(Row(b"O", orjson.dumps(self._segments.dump_others())))
            rows.append(Row(b"!", self._one()))
            outputs += self._pane_rows.notes(self._standing, self.behind)
            outputs += self._beats.outputs(self.fold_name, self.watermark)
        return Changes(rows, outputs)

    @property
    def waiting(self) -> list[str]:
        """The measures that are not whole while something is behind."""
        return self._standing.waiting

    @property
    def since(self) -> Mapping[str, int]:
        """From when measures are whole (epoch ms), where that is not ever."""
        return self._standing.since

    @property
    def behind(self) -> int:
        """How many entities and panes have still to be looked at, whether they are as the definitions of now have them."""
        return self._keeper.entities.behind + len(self._pane_rows.stale)

    def _raise(self) -> None:
        entities = self._keeper.entities
        entities.raise_some(_RAISED, lambda key, error: self.faults.add(f"bringing up {self.fold_name} {key}", error))
        if not entities.behind:
            self._standing.done()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _set_back(self, now: int) -> None:
        """Time had run ahead: this machine's clock did, or the state was kept when a producer's word was taken for it."""
        self.watermark = now
        self._beats.set_back(now)

    def _refuse(self, record: Record, refused: Refused) -> None:
        if ERASED_MARK in record.headers:
            refused = Refused(Reason.ERASED, "of somebody who was erased: nothing of it is kept")
        letter = dead_letter(record, refused, record.timestamp)
        self._letters.append(Output("dead-letters", letter.id.encode(), letter.encode()))
        self._refused[record.topic, str(refused.reason)] += 1

    def _sweep(self) -> list[str]:
        day = self.watermark // 86_400_000
        entities = self._keeper.entities
        keeper, segments, watermark = self._keeper, self._segments, self.watermark
        if day != self._swept_day and not entities.sweeping and not entities.behind:
            self._swept_day = day
            entities.begin_sweep()
            segments.begin_marks()

        def live(state: Any) -> bool:
            if segments.marking:
                segments.mark(keeper.values(state))
            return keeper.shrink(state, watermark)

        gone = entities.sweep(lambda state: keeper.dead(state, watermark), _SWEPT, live)
        for _, state in gone:
            keeper.let_go(state, watermark)
        return [key for key, _ in gone]

    def _one(self) -> bytes:
        if "business.rates" in self._standing.made_of:
            self._standing.made_of["business.rates"] = self.business.rates.digest(self.watermark)
        return orjson.dumps({"watermark": self.watermark, **self._standing.json()})
