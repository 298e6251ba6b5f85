"""What is to be expected of each open deal (or lead) of one partition, and which lessons follow from what became of it?

A fold beside that of the KPIs, over the same events. Each entity keeps its log (so that duplicates, disorder and merges do no
harm), at most eight questions with their answers, and what was last said of it (``tracked_entities.py``). A question is asked of
the model of the latest release when an event or an age calls for it (``live_lifecycle.py``, ``live_questions.py``); lessons leave
as examples, in the transaction of the rows. Who has changed, or was answered long ago, is answered anew (``live_answers.py``).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import orjson

from models.business import Business
from models.entities.entity_log import TooLate
from models.entities.store import Entities
from models.events.dead_letter import dead_letter
from models.events.decode import Decode, decoder
from models.events.refused import Reason, Refused
from models.faults import Faults
from models.fold import LARGEST_ROW, Changes, Output, Record, Row
from models.learners.acquaintance import read_told
from models.learners.baseline import Baseline
from models.learners.deal_model import DealModel
from models.learners.expected_amounts import ExpectedAmounts
from models.learners.features import DAY_MS
from models.learners.live_acquaintances import TOPIC as ACQUAINTANCES
from models.learners.live_acquaintances import LiveAcquaintances
from models.learners.live_answers import LiveAnswers
from models.learners.live_kinds import LearnedKind
from models.learners.live_lifecycle import LiveLifecycle
from models.learners.live_outlooks import LiveOutlooks
from models.learners.live_questions import LiveQuestions
from models.learners.live_time import LiveTime
from models.learners.snapshot import SnapshotRefused
from models.learners.speaker import Speaker
from models.learners.tracked import Tracked
from models.learners.tracked_entities import TrackedEntities

#: Records that came so long (ms) before they are read are caught up with: what others tell may be of later than they are.
BEHIND = 600_000
#: Entities whose time has come that are looked at in one go, where the work is bounded.
_WOKEN = 2_000
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
        self.outcomes: Counter[str] = Counter()
        self.speaker = Speaker(kind)
        self.refused = ""  # why the last release could not be used
        self.faults = Faults()
        self._home = home
        self._objected = objected
        self._let_go: list[str] = []  # who has objected since, with rows and a prediction
        self._bounded = asks is not None
        # Half for questions that are learnt from, half for answers: neither may keep the other from having its turn.
        half = None if asks is None else max(asks // 2, 1)
        topics = (*kind.topics, *kind.beside)
        self._decoders: dict[str, Decode] = {t: decoder(t, currencies=business.rates.currencies) for t in topics}
        self._outputs: list[Output] = []  # all parts append to it
        self._release_row: bytes | None = None
        self._touched = False
        self._swept_day = 0
        self._time = LiveTime()
        self._tracked = TrackedEntities(kind, business, self._time)
        self._questions = LiveQuestions(self._tracked, self.speaker, self._outputs, half)
        self.acquaintances = LiveAcquaintances(business, self._tracked, self._questions)
        self._amounts = ExpectedAmounts(business)
        self._outlooks = LiveOutlooks(business, self._tracked, self._outputs)
        self._answers = LiveAnswers(
            self._tracked, self._questions, self.speaker, self._amounts, self._outlooks, self.faults, self._outputs, half
        )
        self._lifecycle = LiveLifecycle(
            self._tracked, self._questions, self._answers, self.acquaintances, self.faults, self._outputs
        )

    # -- the engine's side ---------------------------------------------------------------------------------------------

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back."""
        behind, told = False, True
        for key, value in rows:
            kind = key[:1]
            if kind == b"E":
                name = key[1:].decode()
                if name in self._objected:
                    self._let_go.append(name)
                else:
                    self._tracked.restore(name, value)
            elif kind == _MODEL_ROW:
                self._take_release(value, restored=True)
            elif self.acquaintances.restore(kind, key[1:].decode(errors="replace"), value):
                continue
            elif kind == b"!":
                *times, behind, told = [*orjson.loads(value), False][:6]  # whether outlooks are told of came later
                self._time.restore(*times)
            else:
                self._amounts.restore(kind, key, value)
        if not told:  # rows of before outlooks were kept, or of an upgrade that was cut short
            self._outlooks.tell_all()
        if behind:  # who was still to be answered is not written one by one
            self._answers.refresh_all()

    def fold(self, records: Sequence[Record]) -> None:
        """Apply the records in order, each of them whole or not at all.

        What cannot be used is counted; its dead letter is made by the KPIs' fold, but for a fault of this one's own.
        """
        if records and self.faults.runs_ahead(self._time.latest, records[-1].read):
            self._set_back(records[-1].read)
        for record in records:
            self._touched = True
            if record.topic == "model-snapshots":
                if record.key == self.kind.model.encode():
                    self._take_release(record.value)
                continue
            self._questions.behind = bool(record.read) and record.read - record.timestamp > BEHIND
            try:
                self.outcomes[self._take(record)] += 1
            except Refused as refused:
                self.outcomes[str(refused.reason)] += 1
            except TooLate:
                self.outcomes["too_late"] += 1
            except Exception as error:  # a fault of ours must not stop the worker
                self.outcomes[str(Reason.INTERNAL)] += 1
                why = f"{self.kind.fold}: {self.faults.add(record, error)}"
                letter = dead_letter(record, Refused(Reason.INTERNAL, why), record.timestamp)
                self._outputs.append(Output("dead-letters", letter.id.encode(), letter.encode()))

    def _take(self, record: Record) -> str:
        """Take an event, or what somebody in another partition has told; return what became of it."""
        if record.topic == ACQUAINTANCES:
            return self._hear(record)
        event, at, _ = self._decoders[record.topic](record.value, record.headers, record.timestamp)
        key = event.subject
        if key in self._objected:
            return "objected"
        if not self.entities.has(key) and self._home is not None and self._home(key.encode()) != self.partition:
            return "readdressed"  # the KPIs' fold sends it on, and it comes by where it belongs
        self._pass(self._time.after(at, record.timestamp))
        if record.topic in self.kind.beside:
            return self._visit(key, event, at, record.timestamp)
        self._time.start = self._time.start or min(at, record.timestamp)
        return self._lifecycle.take(key, event, at)

    def _hear(self, record: Record) -> str:
        told, key = read_told(record.value or b""), (record.key or b"").decode()
        if not self.acquaintances.is_mine(told):
            return "others"
        if key in self._objected:
            return "objected"
        self._pass(self._time.after(told.at, record.timestamp))
        outcome = self.acquaintances.hear(key, told)
        if outcome == "applied":
            self._answers.put(key)
        return outcome

    def _visit(self, key: str, event: Any, at: int, arrival: int) -> str:
        if event.data.lead_id in self._objected:
            return "objected"
        outcome, changed = self.acquaintances.visit(key, event, at, arrival)
        if changed:
            self._answers.put(key)
        return outcome

    def _set_back(self, now: int) -> None:
        """Time had run ahead (see :class:`models.folds.partition.EntityPartition`): open entities are asked about anew."""
        self._time.set_back(now)
        self._answers.refresh_all()
        self._tracked.set_back(now)

    def _pass(self, now: int) -> None:
        """Let time pass to ``now``: lessons of what is still open, questions at ages."""
        if now <= self._time.now:
            return
        self._time.now = now
        woken = 0
        while (key := self._tracked.agenda.pop(now - 1)) is not None:
            if not self._lifecycle.wake(key):
                continue
            self._touched = True
            woken += 1
            if self._bounded and woken >= _WOKEN:
                return  # the rest at the next tick

    def tick(self, now: int) -> None:
        """Let time pass: entities come of age, instalments fall due, answers grow old."""
        self._questions.tick()
        if self._time.believes(now):
            self._pass(now)
        self._answers.tick()

    def changes(self) -> Changes:
        """Answer what waits to be answered; encode what has changed since the last call."""
        answered = self._answers.answer_stale()
        told = self._outlooks.tell_untold(self._answers.put)
        self._touched = self._touched or answered or told
        self._outputs += self.acquaintances.outputs()
        rows: list[Row] = []
        outputs = self._take_outputs()
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
                self._outlooks.tell(key, None, self.time)
            rows += self.acquaintances.sweep(self._time.watermark)
            booked, told_of = self._amounts.changes(self.time, self.partition)
            rows += booked
            outputs += told_of
            outputs += self._take_outputs()  # of what was swept
            rows += self.acquaintances.rows()
            rows.append(Row(b"!", orjson.dumps((*self._time.row(), self.waiting() > 0, not self._outlooks.untold))))
        return Changes(rows, outputs)

    def _take_outputs(self) -> list[Output]:
        """Return what is to be sent since this was last called."""
        found = self._outputs.copy()
        self._outputs.clear()
        return found

    def _entity_rows(self) -> list[tuple[str, bytes]]:
        try:
            return self.entities.changes(LARGEST_ROW)
        except Refused:
            self.outcomes[str(Reason.TOO_LARGE)] += len(self.entities.put_back_larger(LARGEST_ROW))
            return self.entities.changes()

    def _sweep(self) -> list[str]:
        day = self._time.watermark // DAY_MS
        if day != self._swept_day:
            self._swept_day = day
            self.entities.begin_sweep()
            self._amounts.begin_sweep()
            self.acquaintances.begin_sweep()
        return self._tracked.sweep()

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
            self._answers.refresh_all()

    # -- who learns and who asks in one hand ---------------------------------------------------------------------------

    def follow(self, model: DealModel, floor: Baseline) -> None:
        """Ask this model from now on, without a release."""
        self.speaker.model, self.speaker.floor = model, floor

    def lessons(self) -> list[bytes]:
        """Return the examples since the last call, instead of :meth:`changes`: nothing is answered, no row is kept."""
        found = [output.value for output in self._outputs if output.topic == "examples" and output.value is not None]
        self._outputs[:] = [output for output in self._outputs if output.topic == ACQUAINTANCES]
        self._answers.drop_all()
        return found

    def tellings(self) -> list[Output]:
        """Return what is to be told to others since the last call, instead of :meth:`changes`."""
        found = [output for output in self._outputs if output.topic == ACQUAINTANCES] + self.acquaintances.outputs()
        self._outputs[:] = [output for output in self._outputs if output.topic != ACQUAINTANCES]
        return found

    # -- what others may ask -------------------------------------------------------------------------------------------

    @property
    def entities(self) -> Entities[Tracked]:
        """The entities of this partition."""
        return self._tracked.entities

    @property
    def time(self) -> int:
        """What time it is here (epoch ms)."""
        return self._time.now

    @property
    def open(self) -> int:
        """How many entities are open here."""
        return len(self._tracked.agenda.open)

    @property
    def predicted(self) -> int:
        """How many answers were given."""
        return self._answers.predicted

    @property
    def skipped(self) -> int:
        """How many questions were not asked, as there was no time for them."""
        return self._questions.skipped

    def waiting(self) -> int:
        """How many open entities wait to be answered anew."""
        return self._answers.waiting

    def next_wake(self) -> int | None:
        """When time next matters here (ms)."""
        return self._tracked.agenda.next_due()

    def answer(self, key: str) -> dict[str, Any] | None:
        """Return what is expected of an open entity now, explained; None where it is not open, or not known here."""
        return self._answers.answer(key)

    def answers(self) -> Iterator[dict[str, Any]]:
        """Yield what is expected of each open entity now."""
        return self._answers.answers()
