"""What is asked and what is learnt in an evaluation, some of it at a time.

All questions of a round are answered together, by the model as it was before the round; then it learns what the round's events
have taught, in their order. So no answer knows anything later than its question, and a round of one is: answer, then learn.
"""

from array import array
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from models.learners.answers import Answers, EvaluatedAnswer
from models.learners.baseline import Baseline
from models.learners.curve import EDGES, Curve
from models.learners.deal_model import DealModel, Prediction, Snapshot
from models.learners.features import Features
from models.learners.giveaways import Giveaways

#: A round has at most so many questions, and a part in so many of those before it.
_MOST, _PART = 64, 64
_ACTS = 4 * _MOST
#: What is said of a question before it is answered.
NOTHING = Prediction(0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0, Curve(np.zeros(len(EDGES)), np.zeros(len(EDGES))), 0.5)


class RivalQuestion(NamedTuple):
    """A question as another model may be asked it: the answer's place and the features it was given."""

    answer: EvaluatedAnswer
    x: Features
    learnt: bool


class _Question(NamedTuple):
    at: int
    deal: str
    aged: bool
    x: Features
    odds: float
    snapshot: Snapshot | None


class _Lesson(NamedTuple):
    """What is to be learnt of a question: that its deal is still open, or how and when it closed."""

    snapshot: Snapshot
    at: int
    outcome: Literal["open", "won", "lost"]
    first: bool  # of its deal


class Rounds:
    """Asks and teaches a model, and the life table beside it."""

    def __init__(self, model: DealModel, horizons: Sequence[float], *, keep_features: bool, together: bool) -> None:
        """``horizons``, ``keep_features`` and ``together`` are those of :class:`models.learners.evaluation.DealEvaluation`."""
        self.model, self.horizons, self.together = model, tuple(horizons), together
        model.together = together
        self.answers = Answers()
        self.within = array("d")
        self.asked: list[RivalQuestion] | None = [] if keep_features else None
        self.drifts: list[int] = []
        self.giveaways = Giveaways()
        self._floor = Baseline() if horizons else None
        if self._floor is not None:
            self._floor.together = together
        self._questions: list[_Question] = []
        self._acts: list[_Lesson | int] = []  # lessons, and places among the questions that are to be learnt from

    def ask(self, at: int, deal: str, aged: bool, x: Features, odds: float, *, learnt: bool) -> Snapshot | None:
        """Have a question answered; return what is to be learnt from, where it is one of those."""
        snapshot = Snapshot(at, x, NOTHING) if learnt else None
        if snapshot is not None:
            self._acts.append(len(self._questions))
        self._questions.append(_Question(at, deal, aged, x, odds, snapshot))
        self._end_if_full()
        return snapshot

    def survive(self, snapshot: Snapshot) -> None:
        """Have the model learn that a deal is still open when an instalment was due."""
        self._take(_Lesson(snapshot, 0, "open", False))

    def close(self, snapshot: Snapshot, at: int, outcome: Literal["won", "lost"], *, first: bool) -> None:
        """Have the model learn that a deal has closed."""
        self._take(_Lesson(snapshot, at, outcome, first))

    def _take(self, lesson: _Lesson) -> None:
        if self._questions:
            self._acts.append(lesson)
            self._end_if_full()
        else:  # nobody waits for an answer from before it
            self._learn(lesson)

    def withdraw(self, snapshot: Snapshot) -> None:
        """Take back what was learnt of a deal's close."""
        self.end()
        if self._floor is not None and snapshot.history and snapshot.history[-1][2] != "open":
            self._floor.withdraw_one(snapshot.x, snapshot.history[-1])
        self.model.withdraw_one(snapshot)

    def _end_if_full(self) -> None:
        most = min(len(self.answers) // _PART, _MOST) if self.together else 0
        if len(self._questions) > most or len(self._acts) > _ACTS:
            self.end()

    def end(self) -> None:
        """Answer what was asked, then learn what there is to learn."""
        questions, acts = self._questions, self._acts
        self._questions, self._acts = [], []
        said = self.model.predict_many([one.x for one in questions]) if questions else []
        tables: dict[object, Curve] = {}
        for one, answer in zip(questions, said, strict=True):
            told = EvaluatedAnswer(
                one.at, one.deal, one.aged, answer.win, answer.within, answer.low, answer.median, answer.high, answer.expected
            )
            self.answers.append(told)
            if self._floor is not None:
                stage = one.x["stage"]
                table = tables.get(stage) or tables.setdefault(stage, self._floor.predict_one(one.x).curve)
                for days in self.horizons:
                    self.within.extend((answer.curve.won_within(days), table.won_within(days), one.odds))
            if self.asked is not None:
                self.asked.append(RivalQuestion(told, one.x, one.snapshot is not None))
        for act in acts:
            if isinstance(act, int):
                snapshot = questions[act].snapshot
                assert snapshot is not None
                self.model.answered_one(snapshot, said[act])
            else:
                self._learn(act)

    def _learn(self, lesson: _Lesson) -> None:
        snapshot, at, outcome, first = lesson
        before = len(snapshot.history)
        if snapshot.due is not None:
            if outcome == "open":
                self.model.survive_one(snapshot)
            else:
                self.model.learn_one(snapshot, at, outcome)
            if self._floor is not None:
                for one in snapshot.history[before:]:
                    self._floor.learn_one(snapshot.x, one)
        if first and outcome != "open":
            self.giveaways.learn_one(snapshot.x, outcome == "won")
            if self.model.watch_one(snapshot, outcome):
                self.drifts.append(at)
