"""The live loop in one hand: predictors and the learner, joined by lists in place of topics."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from models.business import Business
from models.calendar import iso
from models.fold import Output, Record
from models.learners.evaluation import DealFact
from models.learners.live_kinds import DEALS, LearnedKind
from models.learners.live_learn import LearnModels
from models.learners.live_predict import PredictPartition
from models.panes.view import View

BEGIN = 1_767_225_600_000  # 2026-01-01


def event(number: int, fact: DealFact, entity: str = "deal") -> bytes:
    """A history's fact as the CRM would send it."""
    data = dict(fact.data)
    if "amount" in data:
        data["amount"] = str(data["amount"] / 10_000)
    found = {
        "specversion": "1.0",
        "id": f"e{number:06}",
        "source": "test",
        "type": fact.kind if "." in fact.kind else f"{entity}.{fact.kind}",
        "time": iso(BEGIN + fact.at),
        "subject": fact.deal,
        "data": data,
    }
    return orjson.dumps(found)


class Loop:
    """All partitions of one kind and the learner; every output is where it belongs before the next step."""

    def __init__(
        self,
        partitions: int = 1,
        interval: int = 0,
        kind: LearnedKind = DEALS,
        business: Business | None = None,
        asks: int | None = None,
        start: Mapping[str, bytes] | None = None,
    ) -> None:
        self.kind, self.business, self.asks = kind, business or Business(), asks
        self.partitions, self.interval, self.start = partitions, interval, start
        self.home: Callable[[bytes], int] = lambda key: sum(key) % partitions
        self.predictors = [self._predictor(number) for number in range(partitions)]
        self.learner = LearnModels(partitions, interval, start)
        self.rows: dict[str, dict[bytes, bytes]] = {}
        self.topics: dict[tuple[str, int], list[tuple[bytes, bytes | None]]] = {}
        self.predictions: dict[str, Any] = {}
        self.now = 0
        self.view = View(self.business)

    def _predictor(self, number: int) -> PredictPartition:
        return PredictPartition(self.kind, number, self.business, self.home, asks=self.asks)

    def record(self, topic: str, partition: int, key: bytes, value: bytes | None, arrival: int) -> Record:
        log = self.topics.setdefault((topic, partition), [])
        log.append((key, value))
        return Record(topic, partition, len(log) - 1, arrival, key, value, ())

    def send(self, value: bytes, arrival: int, *, key: str | None = None) -> None:
        """Fold one event where it belongs."""
        subject = (key or orjson.loads(value)["subject"]).encode()
        partition = self.home(subject)
        self.predictors[partition].fold([self.record(self.kind.topics[0], partition, subject, value, arrival)])
        self.settle()

    def tick(self, now: int) -> None:
        """Let time pass for everybody."""
        self.now = now
        for predictor in self.predictors:
            predictor.tick(now)
        self.learner.tick(now)
        self.settle()

    def through(self, now: int) -> None:
        """Let time pass instalment by instalment, so that each lesson is in the next question."""
        while (wake := min((w for p in self.predictors if (w := p.next_wake()) is not None), default=now)) < now:
            self.tick(wake + 1)
        self.tick(now)

    def settle(self) -> None:
        """Checkpoint everybody until nobody has anything to say."""
        while True:
            outputs: list[Output] = []
            for name, fold in self.folds():
                changes = fold.changes()
                rows = self.rows.setdefault(name, {})
                for row in changes.rows:
                    if row.value is None:
                        rows.pop(row.key, None)
                    else:
                        rows[row.key] = row.value
                outputs += changes.outputs
            if not outputs:
                return
            for output in outputs:
                self._deliver(output)
            if self.interval == 0:
                self.learner.tick(self.now)

    def _deliver(self, output: Output) -> None:
        topic, key, value, partition, _ = output
        record = self.record(topic, partition or 0, key, value, self.now)
        if topic == "examples":
            self.learner.fold([record])
        elif topic == "model-snapshots":
            assert partition is not None
            self.predictors[partition].fold([record])
        elif topic == "panes":
            self.view.put(key, value)
        elif topic == self.kind.predictions:
            self.predictions[key.decode()] = None if value is None else orjson.loads(value)

    def folds(self) -> Iterator[tuple[str, Any]]:
        yield "learn", self.learner
        for number, predictor in enumerate(self.predictors):
            yield f"predict-{number}", predictor

    def restart(self) -> None:
        """Everybody comes back from the rows of the last checkpoint."""
        self.predictors = [self._predictor(number) for number in range(self.partitions)]
        self.learner = LearnModels(self.partitions, self.interval, self.start)
        for name, fold in self.folds():
            fold.restore(list(self.rows.get(name, {}).items()))

    def run(self, facts: Iterable[DealFact]) -> "Loop":
        """Play a history, each event at its own time, as a replay does: the clock is the latest event's."""
        for number, fact in enumerate(facts):
            at = BEGIN + fact.at
            if at > self.now:
                self.through(at)
            self.send(event(number, fact), at)
        return self

    def examples(self) -> list[dict[str, Any]]:
        return [orjson.loads(value or b"") for _, value in self.topics.get(("examples", 0), [])]
