"""What is to be expected of each open deal (or lead) of one partition, and which lessons follow from what became of it?

A fold beside that of the KPIs, over the same events. Each entity keeps its log (so that duplicates, disorder and merges do no
harm), at most eight questions with their answers, and what was last said of it. A question is asked of the model of
the latest release when an event or an age calls for it; lessons leave as examples, in the transaction of the rows.

Time is the wall clock while events arrive as they happen. While they come from the past (a backfill, a replay) it is the latest
event's, so that history is gone through at its own pace and nothing is taken for silence that has merely not arrived yet.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, cast

import orjson

from models.business import Business
from models.calendar import iso
from models.deal_outlook import TOPIC as OUTLOOKS
from models.entities.entity_log import EntityLog, LogFolder, TooLate
from models.entities.store import Entities
from models.events.dead_letter import dead_letter
from models.events.decode import Decode, decoder
from models.events.refused import Reason, Refused
from models.faults import Faults
from models.fold import LARGEST_ROW, Changes, Output, Record, Row
from models.learners import examples
from models.learners.acquaintance import ALMOST, LeadKnown, Told, read_told
from models.learners.agenda import Agenda
from models.learners.baseline import Baseline
from models.learners.curve import Curve
from models.learners.deal_model import DealModel, Prediction
from models.learners.deal_outlooks import deal_outlook
from models.learners.evaluation import AGES, REOPENED
from models.learners.examples import ExampleWriter
from models.learners.expected_amounts import ExpectedAmounts
from models.learners.features import DAY_MS, SEASON_MS, Features
from models.learners.live_acquaintances import TOPIC as ACQUAINTANCES
from models.learners.live_acquaintances import LiveAcquaintances
from models.learners.live_kinds import KnowSteps, LearnedKind
from models.learners.snapshot import SnapshotRefused
from models.learners.speaker import Speaker
from models.learners.tracked import Tracked, TrackedRows, remember

#: An open entity is asked about anew when it was last so long ago (ms), whatever happens.
REFRESH = DAY_MS
#: Events that are later than this on arrival are history: time is then theirs, not the clock's.
LIVE = DAY_MS
#: What an entity is not known to have done is not held against it for so long after an event of its past has arrived (ms).
HOLD = 3_600_000
#: Records that came so long (ms) before they are read are caught up with: what others tell may be of later than they are.
BEHIND = 600_000
#: Deals of before outlooks were kept that are told of in one go.
_TOLD = 2_000
#: Entities whose time has come that are looked at in one go, where the work is bounded.
_WOKEN = 2_000
_SWEPT = 64
#: Entities that are answered together.
_TOGETHER = 64
_MODEL_ROW = b"M"


class PredictPartition:
    """One partition of ``predict-deals`` or ``predict-leads`` (a :class:`models.fold.PartitionFold`).

    Rows: ``E<id>`` an entity, ``V<id>`` a visitor, ``M`` the latest release, ``S`` the admitted segments,
    ``P<grain>:<pane>:<segment>`` a pane, ``!`` the times. Only deals count in panes: the open amounts, each times its P(won) as
    last said.
    """

    def __init__(
        self,
        kind: LearnedKind,
        partition: int,
        business: Business,
        home: Callable[[bytes], int] | None = None,
        *,
        asks: int | None = None,
        objected: frozenset[str] = frozenset(),
    ) -> None:
        """``home`` gives an entity's partition (None: all live here); ``asks`` bounds questions and answers between two ticks.

        Of who has ``objected`` (ids) nothing is kept, predicted or learnt; what was is let go of.
        """
        self.kind = kind
        self.partition = partition
        self.time = 0
        self.start = 0  # the first event's time: the calendar is no feature until two quarters after it
        self.outcomes: Counter[str] = Counter()
        self.predicted = 0  # answers given
        self.skipped = 0  # questions not asked, as there was no time for them
        self.speaker = Speaker(kind)
        self.refused = ""  # why the last release could not be used
        self.faults = Faults()
        self._home = home
        self._objected = objected
        self._let_go: list[str] = []  # who has objected since, with rows and a prediction
        # Half for questions that are learnt from, half for answers: neither may keep the other from having its turn.
        self._asks = None if asks is None else max(asks // 2, 1)
        self._questions = self._left = self._asks
        self._watermark = self._arrival = 0
        self._names = kind.names
        self._example_writer = ExampleWriter(kind.model, kind.fingerprint)
        self._histories: LogFolder[Any] = LogFolder(KnowSteps(kind, business), kind.present)
        rows = TrackedRows(kind, self._histories)
        self.entities: Entities[Tracked] = Entities(rows.decode, rows.encode)
        topics = (*kind.topics, *kind.beside)
        self._decoders: dict[str, Decode] = {t: decoder(t, currencies=business.rates.currencies) for t in topics}
        self.acquaintances = LiveAcquaintances(business, self.entities, self._past)
        self._behind = False
        self._keep = business.keep_days
        self._rates = business.rates
        self._amounts = ExpectedAmounts(business)
        self._agenda = Agenda()
        self._stale: dict[str, None] = {}  # to be answered anew and published at the next checkpoint
        self._refreshing: list[str] = []
        self._untold: list[str] = []  # deals of before outlooks were kept, still to be told of
        self._outputs: list[Output] = []
        self._release_row: bytes | None = None
        self._touched = False
        self._swept_day = 0

    # -- the engine's side ---------------------------------------------------------------------------------------------

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back."""
        behind, told = False, self.kind.model == "deal"
        for key, value in rows:
            kind = key[:1]
            if kind == b"E":
                name = key[1:].decode()
                if name in self._objected:
                    self._let_go.append(name)
                    continue
                self.entities.restore(name, value)
                self._agenda.put(name, int(value[1 : value.index(b",")]))
            elif kind == _MODEL_ROW:
                self._take_release(value, restored=True)
            elif self.acquaintances.restore(kind, key[1:].decode(errors="replace"), value):
                continue
            elif kind == b"!":
                self.time, self.start, self._watermark, self._arrival, behind, *more = orjson.loads(value)
                told = told and bool(more and more[0])
            else:
                self._amounts.restore(kind, key, value)
        if not told and self.kind.model == "deal":  # rows of before outlooks were kept, or of an upgrade that was cut short
            self._untold = [key for key, _ in self.entities.rows]
        if behind:  # who was still to be answered is not written one by one
            self._refreshing = list(self._agenda.open)

    def fold(self, records: Sequence[Record]) -> None:
        """Apply the records in order, each of them whole or not at all.

        What cannot be used is counted; its dead letter is made by the KPIs' fold, but for a fault of this one's own.
        """
        # A replay's clock is the events' own, which may be a day ahead.
        latest = max(self.time - DAY_MS, self._watermark, self._arrival)
        if records and self.faults.runs_ahead(latest, records[-1].read):
            self._set_back(records[-1].read)
        for record in records:
            self._touched = True
            if record.topic == "model-snapshots":
                if record.key == self.kind.model.encode():
                    self._take_release(record.value)
                continue
            self._behind = bool(record.read) and record.read - record.timestamp > BEHIND
            try:
                if record.topic == ACQUAINTANCES:
                    self.outcomes[self._hear(record)] += 1
                    continue
                event, at, _ = self._decoders[record.topic](record.value, record.headers, record.timestamp)
                key = event.subject
                if key in self._objected:
                    self.outcomes["objected"] += 1
                    continue
                if not self.entities.has(key) and self._home is not None and self._home(key.encode()) != self.partition:
                    self.outcomes["readdressed"] += 1  # the KPIs' fold sends it on, and it comes by where it belongs
                    continue
                self._pass_to(at, record.timestamp)
                if record.topic in self.kind.beside:
                    self.outcomes[self._visit(key, event, at, record.timestamp)] += 1
                    continue
                self.start = self.start or min(at, record.timestamp)
                self.outcomes[self._take_whole(key, event, at)] += 1
            except Refused as refused:
                self.outcomes[str(refused.reason)] += 1
            except TooLate:
                self.outcomes["too_late"] += 1
            except Exception as error:  # a fault of ours must not stop the worker
                self.outcomes[str(Reason.INTERNAL)] += 1
                why = f"{self.kind.fold}: {self.faults.add(record, error)}"
                letter = dead_letter(record, Refused(Reason.INTERNAL, why), record.timestamp)
                self._outputs.append(Output("dead-letters", letter.id.encode(), letter.encode()))

    def _pass_to(self, at: int, arrival: int) -> None:
        """Let time pass to an event's."""
        self._arrival = max(self._arrival, arrival)
        moment = min(at, arrival)
        if moment > self._watermark:
            self._watermark = moment
            self._pass(max(self.time, moment) if self._is_live() else moment)

    def _set_back(self, now: int) -> None:
        """Time had run ahead (see :class:`models.folds.partition.EntityPartition`): open entities are asked about anew."""
        self.time, self._watermark, self._arrival = min(self.time, now), min(self._watermark, now), min(self._arrival, now)
        self.start = min(self.start, now)
        self._refreshing = list(self._agenda.open)
        for key in self._agenda.open:
            tracked = self.entities.get(key)
            if tracked is not None and (tracked.wake > now or tracked.hold > now):
                tracked.said, tracked.hold = None, 0
                tracked.points = [point for point in tracked.points if point[0] <= now]
                self._schedule(key, tracked, now)
                self.entities.put(key, tracked)

    def tick(self, now: int) -> None:
        """Let time pass: entities come of age, instalments fall due, answers grow old."""
        self._questions = self._left = self._asks
        # A clock that is behind the arrival of what was folded is that of a replay, which is to be believed.
        if self._arrival and (now < self._arrival or self._is_live()):
            self._pass(now)
        if self._refreshing:
            count = len(self._refreshing) if self._left is None else max(self._left // 4, 1)
            for key in self._refreshing[-count:]:
                if key in self._agenda.open:
                    self._stale[key] = None
            del self._refreshing[-count:]

    def changes(self) -> Changes:
        """Answer what waits to be answered; encode what has changed since the last call."""
        self._answer_stale()
        self._tell_untold()
        self._outputs += self.acquaintances.outputs()
        rows: list[Row] = []
        outputs, self._outputs = self._outputs, []
        if self._release_row is not None:
            rows.append(Row(_MODEL_ROW, self._release_row))
            self._release_row = None
        for key in self._let_go:
            rows.append(Row(b"E" + key.encode(), None))
            outputs.append(Output(self.kind.predictions, key.encode(), None))
        self._let_go = []
        if self._touched:
            self._touched = False
            rows += [Row(b"E" + key.encode(), value) for key, value in self._entity_rows()]
            for key in self._sweep():
                rows.append(Row(b"E" + key.encode(), None))
                self._tell(key, None, self.time)
            rows += self.acquaintances.sweep(self._watermark)
            booked, told = self._amounts.changes(self.time, self.partition)
            rows += booked
            outputs += told
            outputs += self._outputs  # of what was swept
            self._outputs = []
            rows += self.acquaintances.rows()
            times = (self.time, self.start, self._watermark, self._arrival, self.waiting() > 0, not self._untold)
            rows.append(Row(b"!", orjson.dumps(times)))
        return Changes(rows, outputs)

    def _entity_rows(self) -> list[tuple[str, bytes]]:
        try:
            return self.entities.changes(LARGEST_ROW)
        except Refused:
            self.outcomes[str(Reason.TOO_LARGE)] += len(self.entities.put_back_larger(LARGEST_ROW))
            return self.entities.changes()

    def follow(self, model: DealModel, floor: Baseline) -> None:
        """Ask this model from now on, without a release: who learns and who asks are in one hand."""
        self.speaker.model, self.speaker.floor = model, floor

    def lessons(self) -> list[bytes]:
        """Return the examples since the last call, instead of :meth:`changes`: nothing is answered, no row is kept."""
        found = [output.value for output in self._outputs if output.topic == "examples" and output.value is not None]
        self._outputs = [output for output in self._outputs if output.topic == ACQUAINTANCES]
        self._stale.clear()
        return found

    def tellings(self) -> list[Output]:
        """Return what is to be told to others since the last call, instead of :meth:`changes`."""
        found = [output for output in self._outputs if output.topic == ACQUAINTANCES] + self.acquaintances.outputs()
        self._outputs = [output for output in self._outputs if output.topic != ACQUAINTANCES]
        return found

    # -- what others may ask -------------------------------------------------------------------------------------------

    @property
    def open(self) -> int:
        """How many entities are open here."""
        return len(self._agenda.open)

    def waiting(self) -> int:
        """How many open entities wait to be answered anew."""
        return len(self._stale) + len(self._refreshing)

    def next_wake(self) -> int | None:
        """When time next matters here (ms)."""
        return self._agenda.next_due()

    def answer(self, key: str) -> dict[str, Any] | None:
        """Return what is expected of an open entity now, explained; None where it is not open, or not known here."""
        if key not in self._agenda.open or (tracked := self.entities.get(key)) is None:
            return None
        at = self._at(tracked)
        x = self._x(tracked, at)
        found, _ = self._document(key, tracked, at, x, self.speaker.speaking.predict_one(x))
        return {**found, "at": iso(found["at"])}

    def answers(self) -> Iterator[dict[str, Any]]:
        """Yield what is expected of each open entity now."""
        for key in sorted(self._agenda.open):
            found = self.answer(key)
            if found is not None:
                yield found

    # -- time ----------------------------------------------------------------------------------------------------------

    def _is_live(self) -> bool:
        return self._arrival - self._watermark <= LIVE

    def _at(self, tracked: Tracked) -> int:
        last: int = self._histories.present(tracked.story).past.last
        return max(self.time, last)

    def _pass(self, now: int) -> None:
        """Let time pass to ``now``: lessons of what is still open, questions at ages."""
        if now <= self.time:
            return
        self.time = now
        woken = 0
        while (key := self._agenda.pop(now - 1)) is not None:
            tracked = self.entities.get(key)
            if tracked is None:
                continue
            if tracked.wake > 0:
                self._wake_whole(key, tracked, tracked.wake)
            else:  # closed for so long that it will not be reopened
                tracked.wake, tracked.kept = 0, []
                self.entities.put(key, tracked)
            self._touched = True
            woken += 1
            if self._asks is not None and woken >= _WOKEN:
                return  # the rest at the next tick

    def _wake_whole(self, key: str, tracked: Tracked, at: int) -> None:
        row, sent = self.entities.row(key), len(self._outputs)
        try:
            self._wake(key, tracked, at)
        except Exception as error:  # a fault of ours: it is looked at again tomorrow, or with its next event
            self.faults.add(f"the wake of {self.kind.entity} {key}", error)
            self._put_back(key, row, sent)
            found = self.entities.get(key)
            if found is not None:
                found.wake = max(at, self.time) + REFRESH
                self._agenda.put(key, found.wake)
                self.entities.put(key, found)

    def _wake(self, key: str, tracked: Tracked, at: int) -> None:
        if self._status(tracked.story)[0] != "open":  # asked about when any first fact made it an open one
            self._retire(key, tracked)
            self.entities.put(key, tracked)
            return
        for number, kept in enumerate(tracked.kept):
            if (due := kept.due) is not None and due <= at:
                self._send(self._example_writer.survived(key, number, kept))
        if tracked.asks is not None and tracked.asks[0] + ALMOST <= at:
            self._ask_waiting(key, tracked)
        past = self._histories.present(tracked.story).past
        if tracked.aged < len(AGES) and past.created + AGES[tracked.aged] * DAY_MS <= at:
            tracked.aged += 1
            if at - past.last >= DAY_MS:
                self._ask(key, tracked, at)
        if tracked.said is None or tracked.said[0] + REFRESH <= at:
            self._stale[key] = None
        self._schedule(key, tracked, at)
        self.entities.put(key, tracked)

    def _schedule(self, key: str, tracked: Tracked, at: int) -> None:
        """Note when time next matters to an open entity."""
        past = self._histories.present(tracked.story).past
        times = [due for kept in tracked.kept if (due := kept.due) is not None]
        times.append((tracked.said[0] if tracked.said is not None and tracked.said[0] + REFRESH > at else at) + REFRESH)
        if tracked.asks is not None:
            times.append(tracked.asks[0] + ALMOST)
        if tracked.aged < len(AGES):
            times.append(past.created + AGES[tracked.aged] * DAY_MS)
        wake = max(min(times), tracked.hold, 1)
        if wake != tracked.wake or key not in self._agenda.open:
            tracked.wake = wake
            self._agenda.put(key, wake)

    # -- events --------------------------------------------------------------------------------------------------------

    def _take_whole(self, key: str, event: Any, at: int) -> str:
        # The row of an entity that was not touched since the checkpoint costs nothing.
        row, sent = self.entities.row(key), len(self._outputs)
        try:
            return self._take(key, event, at)
        except Exception:
            self._put_back(key, row, sent)
            raise

    def _put_back(self, key: str, row: bytes | None, sent: int) -> None:
        """Have an entity be again as its row says, and nothing said of it since ``sent`` outputs."""
        del self._outputs[sent:]
        self.entities.put_back(key, row)
        tracked = self.entities.get(key)
        self._agenda.put(key, 0)
        if tracked is not None:
            self._agenda.put(key, tracked.wake)

    def _take(self, key: str, event: Any, at: int) -> str:
        tracked = self.entities.get(key)
        fresh = tracked is None
        if tracked is None:
            tracked = Tracked(self._histories.new())
        story = tracked.story
        before, closed_before = self._status(story)
        facts = self.kind.facts(event, at)
        if event.__class__ is self.kind.absorbed:
            added = self._histories.union(story, facts)
            if not added.fresh:
                return "too_late" if added.late else "duplicate"
        elif not self._histories.add(story, facts[0]):
            return "duplicate"
        after, closed = self._status(story)
        self.entities.put(key, tracked)
        self._acquaint(key, tracked, after, closed or at, fresh=fresh)
        if before in ("won", "lost") and (after != before or closed != closed_before):
            for number, kept in enumerate(tracked.kept):
                self._send(self._example_writer.withdrawn(key, number, kept, at))
        if after == "open":
            past = self._histories.present(story).past
            if before != "open":  # new, or reopened: ages that have passed are not made up for
                while tracked.aged < len(AGES) and past.created + AGES[tracked.aged] * DAY_MS <= at:
                    tracked.aged += 1
            self._ask(key, tracked, max(at, past.last))
            # History that comes in late has more to say: until it has, silence means nothing.
            if at < self.time - LIVE:
                tracked.hold = self.time + HOLD
            self._schedule(key, tracked, at)
            self._stale[key] = None
            return "applied"
        if after in ("won", "lost") and (after != before or closed != closed_before):
            outcome = cast(Literal["won", "lost"], after)
            self._ask_waiting(key, tracked)
            for number, kept in enumerate(tracked.kept):
                self._send(self._example_writer.closed(key, number, kept, closed, outcome))
        tracked.asks = None
        if after == "gone":
            tracked.kept = []
        self._retire(key, tracked)
        return "applied"

    def _status(self, story: EntityLog[Any]) -> tuple[str, int]:
        if story.void:
            return "gone", 0
        if not story.log and story.base is None:
            return "", 0
        present = self._histories.present(story)
        return present.status, present.closed

    def _retire(self, key: str, tracked: Tracked) -> None:
        """Nothing is expected of the entity any more: what was said of it is taken from the topic."""
        tracked.wake = -(self.time + REOPENED) if tracked.kept else 0
        self._stale.pop(key, None)
        was_open = key in self._agenda.open
        self._agenda.put(key, tracked.wake)
        if was_open or tracked.said is not None:
            self._outputs.append(Output(self.kind.predictions, key.encode(), None))
        tracked.said, tracked.points = None, []
        self._amounts.book(tracked, None, self.time)
        self._tell(key, tracked, self.time)

    def _tell(self, key: str, tracked: Tracked | None, at: int, curve: Curve | None = None) -> None:
        """Say what a forecast has to know of a deal: nothing, where it counts for nothing any more."""
        if self.kind.model != "deal":
            return
        there = tracked is not None and not tracked.story.void and (tracked.story.log or tracked.story.base is not None)
        present = self._histories.present(tracked.story) if tracked is not None and there else None
        outlook = None if present is None else deal_outlook(present, self._rates, at, curve)
        self._outputs.append(Output(OUTLOOKS, key.encode(), outlook))

    def _tell_untold(self) -> None:
        """Tell of deals that were here before outlooks were kept, some at a time."""
        if not self._untold:
            return
        for key in self._untold[-_TOLD:]:
            if key in self._agenda.open:
                self._stale[key] = None
            elif (tracked := self.entities.get(key)) is not None:
                self._tell(key, tracked, self.time)
        del self._untold[-_TOLD:]
        self._touched = True

    # -- questions -----------------------------------------------------------------------------------------------------

    def _afford(self) -> bool:
        if self._left is None:
            return True
        self._left -= 1
        return self._left >= 0

    def _ask(self, key: str, tracked: Tracked, at: int) -> None:
        """Ask a question that will be learnt from, if it is time for one more of this entity."""
        if tracked.asks is not None or not examples.wanted(key, tracked.kept, at):
            return
        x = self._x(tracked, at)
        if self._trusts and tracked.beside is not None and tracked.beside.waits:
            tracked.asks = at, examples.values(x, self._names)
        else:
            self._ask_now(key, tracked, at, x)

    def _ask_waiting(self, key: str, tracked: Tracked) -> None:
        """Ask the question that waits for what others tell, with what they have told by now."""
        if tracked.asks is None:
            return
        (at, values), tracked.asks = tracked.asks, None
        x, beside = examples.features(values, self._names), tracked.beside
        if beside is not None:
            beside.lead = beside.lead or LeadKnown()
            x |= beside.of_deal(at, self._histories.present(tracked.story).past.created)
        self._ask_now(key, tracked, at, x)

    def _ask_now(self, key: str, tracked: Tracked, at: int, x: Features) -> None:
        if self._questions is not None:
            if self._questions <= 0:
                self.skipped += 1
                return
            self._questions -= 1
        kept = examples.keep(
            at, examples.values(x, self._names), self.speaker.model.predict_one(x), self.speaker.floor.predict_one(x)
        )
        tracked.kept.append(kept)
        self._send(self._example_writer.asked(key, len(tracked.kept) - 1, kept))

    def _x(self, tracked: Tracked, at: int) -> Features:
        past = self._histories.present(tracked.story).past
        beside = tracked.beside if self._trusts else None
        found: Features = past.features(at, season=at - self.start >= SEASON_MS, beside=beside)
        return found

    # -- acquaintances -------------------------------------------------------------------------------------------------

    @property
    def _trusts(self) -> bool:
        """Whether what others tell is of no later than what is asked here: not while a past is caught up with, topic by topic."""
        return not self._behind and self._is_live()

    def _past(self, tracked: Tracked) -> Any:
        status, _ = self._status(tracked.story)
        return self._histories.present(tracked.story).past if status not in ("", "gone") else None

    def _acquaint(self, key: str, tracked: Tracked, status: str, at: int, *, fresh: bool) -> None:
        """Tell an entity's acquaintances of it, and ask them."""
        if self.kind.beside:  # a lead
            if fresh:
                self.acquaintances.own(key)
            self.acquaintances.lead_changed(key)
        elif status == "open":
            self.acquaintances.deal_open(key, tracked, self._histories.present(tracked.story).past.attributes, at)

    def _visit(self, key: str, event: Any, at: int, arrival: int) -> str:
        if event.data.lead_id in self._objected:
            return "objected"
        outcome, changed = self.acquaintances.visit(key, event, at, arrival)
        if changed and key in self._agenda.open:
            self._stale[key] = None
        return outcome

    def _hear(self, record: Record) -> str:
        """Take what somebody in another partition has told."""
        told, key = read_told(record.value or b""), (record.key or b"").decode()
        if (told.to == "lead") != bool(self.kind.beside):
            return "others"
        if key in self._objected:
            return "objected"
        self._pass_to(told.at, record.timestamp)
        return self._hear_of(key, told)

    def _hear_of(self, key: str, told: Told) -> str:
        tracked = self.entities.get(key)
        if self.kind.beside:
            tracked = tracked or Tracked(self._histories.new())
            self.acquaintances.told_lead(tracked, key, told)
        elif tracked is None or not self.acquaintances.told_deal(tracked, told):
            return "not_asked"
        elif tracked.asks is not None and tracked.beside is not None and not tracked.beside.waits:
            self._ask_waiting(key, tracked)
            self._schedule(key, tracked, self._at(tracked))
        self.entities.put(key, tracked)
        if key in self._agenda.open:
            self._stale[key] = None
        return "applied"

    def _send(self, example: examples.Example) -> None:
        self._outputs.append(Output("examples", example.entity.encode(), examples.encode(example)))
        self._touched = True

    def _answer_stale(self) -> None:
        """Publish what is expected of the entities that have changed, as far as there is time."""
        affords = True
        while affords and self._stale:
            asked: list[tuple[str, Tracked, int, Features]] = []
            for key in list(islice(self._stale, _TOGETHER)):
                if not (affords := self._afford()):
                    break
                del self._stale[key]
                tracked = self.entities.get(key)
                if tracked is not None and key in self._agenda.open:
                    try:
                        asked.append((key, tracked, at := self._at(tracked), self._x(tracked, at)))
                    except Exception as error:
                        self._not_answered(key, error)
            for (key, tracked, at, x), said in zip(asked, self.speaker.say([x for *_, x in asked]), strict=True):
                try:
                    self._answer(key, tracked, at, x, said or self.speaker.speaking.predict_one(x))
                except Exception as error:
                    self._not_answered(key, error)

    def _not_answered(self, key: str, error: Exception) -> None:
        """Note a fault of ours: what was last said of the entity stands."""
        self.faults.add(f"the answer on {self.kind.entity} {key}", error)

    def _answer(self, key: str, tracked: Tracked, at: int, x: Features, said: Prediction) -> None:
        document, win = self._document(key, tracked, at, x, said)
        body = b"%b" % orjson.dumps(document)  # copied: as it comes it would hold some 4 KB
        level = None
        if self.kind.model == "deal":
            level = self._amounts.level(self._histories.present(tracked.story), at, win, proven=bool(document["proven"]))
        # From here on nothing fails.
        self._outputs.append(Output(self.kind.predictions, key.encode(), body))
        self._tell(key, tracked, at, said.curve)
        tracked.said = at, win
        remember(tracked.points, at, win)
        self._amounts.book(tracked, level, at)
        self._schedule(key, tracked, at)
        self.entities.put(key, tracked)
        self._touched = True
        self.predicted += 1

    def _document(self, key: str, tracked: Tracked, at: int, x: Features, said: Prediction) -> tuple[dict[str, Any], float]:
        attributes = self._histories.present(tracked.story).past.attributes
        whose = {name: attributes[name] for name in ("owner", "team") if attributes.get(name)}  # who may see it
        found = self.speaker.document(key, at, x, said, whose, tracked.points)
        return found, float(found["win"])

    # -- the model -----------------------------------------------------------------------------------------------------

    def _take_release(self, value: bytes | None, *, restored: bool = False) -> None:
        if value is None:
            return
        try:
            knows_more = self.speaker.take(value, restored=restored)
        except SnapshotRefused as refused:
            # The model that answered so far goes on; the one who learns begins anew and sends another.
            self.refused = str(refused)
            self.outcomes["model_refused"] += 1
            return
        self.refused = ""
        if not restored:
            self._release_row = value
        if knows_more:
            self._refreshing = list(self._agenda.open)
            self._touched = True

    # -- letting go ------------------------------------------------------------------------------------------------------

    def _sweep(self) -> list[str]:
        day = self._watermark // DAY_MS
        if day != self._swept_day:
            self._swept_day = day
            self.entities.begin_sweep()
            self._amounts.begin_sweep()
            self.acquaintances.begin_sweep()
        return [key for key, _ in self.entities.sweep(self._dead, _SWEPT)]

    def _dead(self, tracked: Tracked) -> bool:
        last = tracked.story.log[-1][0] if tracked.story.log else tracked.story.base_at
        if tracked.beside is not None:
            last = max(last, *(doings.heard for doings in tracked.beside.doings.values()), 0)
        return tracked.wake <= 0 and last < self._watermark - self._keep
