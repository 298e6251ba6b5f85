"""What is the answer about one open deal, and how does the model learn from what became of it?

The hazard and what corrects it, in one place: P(won), P(closes within 30 days), P10/P50/P90 of the days to close. The same
verbs as everywhere; a *snapshot* is a question with its answer, kept until what became of it has been learnt.
"""

import math
import zlib
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from models.learners.calibration import Calibrator, Residuals
from models.learners.curve import EDGES, Curve, bucket_of
from models.learners.curve import HORIZON as HORIZON
from models.learners.direct import Direct
from models.learners.drift import LATEST, ValueWatch, Watch
from models.learners.experts import BEFORE, HAZARD, WATCHED, WINS, Experts, Opinions, pack, unpack
from models.learners.experts import INSTALMENTS as INSTALMENTS
from models.learners.features import CATEGORIES, DAY_MS, HAZARD_CATEGORIES, HAZARD_NUMBERS, NUMBERS, UNSCORED, Features
from models.learners.hazard import Hazard, HazardQuestion
from models.learners.stretches import Lesson, Rows, lesson_of

#: Snapshots learnt of one deal; the days after one when the next is taken, and the share of questions taken before that.
SNAPSHOTS = 8
SPACING = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0)
DRAWN = 0.15
_STEPS = tuple(bucket_of(days) + 1 for days in INSTALMENTS)
_ENDS = np.array(_STEPS, np.intp) - 1
_BEYOND = len(EDGES)
_ENOUGH = 500  # lessons of the direct model before it is listened to
_FEW = 30  # of the latest closed deals with a value, below which nothing is said of it
_SURE = 3.0  # standard errors
_CHECKS, _EVERY = 8, 50  # after an alarm it is looked for what has changed so often, every so many outcomes
#: Together are learnt at most so many lessons, and a part in so many of what was learnt.
_MOST, _TOGETHER = 16, 64
_SETTLED = 200  # outcomes, before which answers may be off without anything having changed
_KEPT = 0.05  # of what was learnt of a value that has changed


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is expected of an open deal: probabilities, and days from the moment of asking."""

    win: float  # of those that close within 135 days
    within: float  # closes, won or lost, within HORIZON days
    low: float
    median: float
    high: float
    expected: float  # between median and mean, where errors cancel out
    lessons: int  # learnt so far; 0: this is the prior
    curve: Curve
    blended: float  # P(won) before its correction
    opinions: Opinions | None = None  # of which it is the mixture

    def packed(self) -> bytes:
        """Return what is kept of the opinions until they can be judged."""
        return pack(self.opinions, _ENDS) if self.opinions is not None else b""


@dataclass(slots=True)
class Snapshot:
    """A question that was asked at ``at`` (ms), its answer, and how much of what became of it is learnt."""

    at: int
    x: Features
    prediction: Prediction
    learnt: int = 0  # buckets
    instalment: int = 0
    judged: bool = False  # whether HORIZON has been learnt
    history: list[tuple[int, int, Literal["open", "won", "lost"]]] = field(default_factory=list)
    opinions: bytes = b""  # what each expert said, to be judged
    #: Its rows of the hazard and of the scores, once its values have been given theirs: they stay the same.
    places: Rows | None = None
    scored: list[int] | None = None
    binned: tuple[int, Rows] | None = None  # the same with its numbers' bins, and how often these had been looked for anew

    @property
    def due(self) -> int | None:
        """When the next instalment is to be learnt (ms); None when all is."""
        return self.at + round(INSTALMENTS[self.instalment] * DAY_MS) if self.instalment < len(_STEPS) else None


def wants_snapshot(deal: str, at: int, taken: int, last: int) -> bool:
    """Tell whether a question about a deal at ``at`` (ms) is to be learnt from; ``taken`` were before it, the last at ``last``.

    Spaced ones alone would never show what a deal passes through in minutes (on BPI 2012, two stages were asked about 5,000
    times and learnt from never). So some more are drawn, by the deal and the moment: the same ones whenever it is asked.
    """
    if taken == 0 or taken >= SNAPSHOTS:
        return taken == 0
    if at - last >= SPACING[taken] * DAY_MS:
        return True
    return zlib.crc32(f"{deal}:{at}".encode()) < DRAWN * 2**32


class DealModel:
    """The hazard, its calibration, its intervals and its watch."""

    def __init__(
        self, hazard: Hazard | None = None, categories: Sequence[str] | None = None, numbers: Sequence[str] | None = None
    ) -> None:
        """``categories`` and ``numbers`` are what the scores know: the hazard's and more, which come after those."""
        if hazard is None:
            categories, numbers = [f.name for f in CATEGORIES], [f.name for f in NUMBERS]
            hazard = Hazard(categories[:HAZARD_CATEGORIES], numbers[:HAZARD_NUMBERS])
            categories = [name for name in categories if name not in UNSCORED]
        self.hazard = hazard
        #: Won or lost, of those that have closed: sharper than the hazard, but learnt from what closes early. Half the answer.
        self.direct = Direct()
        self.experts = Experts(hazard, tuple(categories or hazard.categories), tuple(numbers or hazard.numbers))
        self.win = Calibrator()
        self.within = Calibrator(steepness=0)
        self.residuals = Residuals()
        self.watch = Watch()
        self._of_hazard, self._of_scores = ValueWatch(), ValueWatch()
        self._latest: deque[tuple[Features, bool]] = deque(maxlen=LATEST)
        self._checks = 0  # for what has changed, still to come after an alarm
        #: Whether lessons are learnt together, as far as they are few beside what is known; :meth:`settle` ends it.
        self.together = False
        self._waiting: list[tuple[HazardQuestion, Rows, Lesson, float]] = []

    def dump(self) -> dict[str, Any]:
        """Return what it has learnt, as a document has it. The watch is not part of it: after a restart it begins anew."""
        self.settle()
        return {
            **self.hazard.dump(),
            "direct": self.direct.dump(),
            "corrections": [self.win.dump(), self.within.dump()],
            **self.residuals.dump(),
            "scores": self.experts.dump(),
        }

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> "DealModel":
        """Go on from what :meth:`dump` gave. Raise ``ValueError`` for what cannot be."""
        hazard, scores = Hazard.load(state), state.get("scores")
        named = () if scores is None else ([str(name) for name in scores[what]] for what in ("categories", "numbers"))
        found = cls(hazard, *named)
        if scores is not None:
            found.experts.load(scores)
        found.direct = Direct.load(state["direct"], hazard.known, len(hazard.numbers))
        for calibrator, correction in zip((found.win, found.within), state["corrections"], strict=True):
            calibrator.load(correction)
        found.residuals = Residuals.load(state["ranks"], state["residuals"])
        return found

    def predict_one(self, x: Features) -> Prediction:
        """Return what is expected of a deal that is open at ``x``."""
        return self.predict_many((x,))[0]

    def predict_many(self, questions: Sequence[Features]) -> list[Prediction]:
        """Return the answers to several questions at once, which costs less than one by one."""
        return [*map(self._prediction, opinions := self.opinions(questions), self.experts.answer(opinions))]

    def _prediction(self, opinions: Opinions, mixed: tuple[Curve, float, float]) -> Prediction:
        curve, blended, soon = mixed
        low, median, high, expected = self.residuals.predict_one(curve)
        win, within = self.win.predict_proba_one(blended), self.within.predict_proba_one(soon)
        return Prediction(win, within, low, median, high, expected, self.hazard.lessons, curve, blended, opinions)

    def opinions(self, questions: Sequence[Features]) -> list[Opinions]:
        """Return what each expert says of deals that are open at these."""
        asked = [self.hazard.encode(x) for x in questions]
        direct = [self.direct.log_odds(one) if self.direct.lessons >= _ENOUGH else None for one in asked]
        return self.experts.ask(self.hazard, asked, [self.experts.bank.encode(x) for x in questions], direct)

    def terms(self, x: Features, said: Prediction | None = None) -> list[tuple[str, float]]:
        """Return what speaks for winning (+) and against (−), as log-odds by feature, largest first: the hazard's and the scores'
        terms, each as far as it is believed. ``said`` is the answer, where it has been given.
        """
        opinions = (said and said.opinions) or self.opinions((x,))[0]
        believed, scores = self.experts.terms(opinions.rows)
        closes = np.add.reduce(opinions.cells[HAZARD])
        found = {name: (1 - believed) * effect for name, effect in self.hazard.terms_asked(opinions.asked, closes)}
        for name, effect in scores:
            found[name] = found.get(name, 0.0) + believed * effect
        return sorted(found.items(), key=lambda term: -abs(term[1]))

    def snapshot_one(self, at: int, x: Features, prediction: Prediction) -> Snapshot:
        """Keep a question and its answer to learn from; the scales see it now."""
        snapshot = Snapshot(at, x, prediction)
        self.answered_one(snapshot, prediction)
        return snapshot

    def answered_one(self, snapshot: Snapshot, prediction: Prediction) -> None:
        """Keep the answer to a question that is to be learnt from; the scales see it now."""
        self.hazard.observe_one(snapshot.x)
        self.experts.bank.observe_one(snapshot.x)
        curve = Curve(prediction.curve.won.copy(), prediction.curve.lost.copy())  # not a part of all that were asked with it
        snapshot.prediction, snapshot.opinions = replace(prediction, opinions=None, curve=curve), prediction.packed()

    def survive_one(self, snapshot: Snapshot) -> None:
        """Learn that a deal is still open when the next instalment of a snapshot is due."""
        part, days, end = snapshot.instalment, INSTALMENTS[snapshot.instalment], _STEPS[snapshot.instalment]
        if (said := unpack(snapshot.opinions)) is not None:
            self.experts.judge(said, part, part + 1, "open")
        snapshot.instalment += 1
        self._learn(snapshot, self._asked(snapshot), end, "open")
        if days >= HORIZON and not snapshot.judged:
            self._judge_within(snapshot, said, False)

    def learn_one(self, snapshot: Snapshot, at: int, outcome: Literal["won", "lost"]) -> None:
        """Learn that a deal has closed at ``at`` (ms)."""
        days = max(at - snapshot.at, 0) / DAY_MS
        end = bucket_of(days)
        asked = self._asked(snapshot)
        if (said := unpack(snapshot.opinions)) is not None:
            part = bisect_right(_STEPS, end)
            self.experts.judge_win(said, outcome == "won")
            if part >= snapshot.instalment:
                whole = part >= len(_STEPS)
                self.experts.judge(said, snapshot.instalment, min(part + 1, len(_STEPS)), "open" if whole else outcome)
        if end >= _BEYOND:
            self._learn(snapshot, asked, _BEYOND, "open")
        elif end >= snapshot.learnt:
            self._learn(snapshot, asked, end + 1, outcome)
        snapshot.instalment = len(_STEPS)
        answer = snapshot.prediction
        if not snapshot.judged:
            self._judge_within(snapshot, said, days <= HORIZON)
        self.win.learn_one(answer.blended, outcome == "won")
        self.direct.learn_one(asked, outcome == "won")
        self.experts.labels += 1
        self.residuals.learn_one(answer.curve, days)

    def _judge_within(self, snapshot: Snapshot, said: Sequence[float] | None, closed: bool) -> None:
        snapshot.judged = True
        if said is None:  # a question of an earlier release
            self.within.learn_one(snapshot.prediction.curve.closes_within(HORIZON), closed)
            return
        self.within.learn_one(self.experts.soon(said), closed)
        self.experts.judge_within(said, closed)

    def watch_one(self, first: Snapshot, outcome: Literal["won", "lost"]) -> bool:
        """Judge a closed deal's first answer (one a deal: ADWIN wants them independent); return whether it has drifted.

        Then what was learnt of the values that are answered wrongly now is forgotten, and of no others: an alarm can also come
        from labels that arrive in an order of their own, and after that there is nothing to learn anew.
        """
        won = outcome == "won"
        self.experts.deals += 1
        self._latest.append((first.x, won))
        kept = unpack(first.opinions)
        drifted = self.watch.update(first.prediction.win if kept is None else kept[WATCHED - len(WINS)], won)
        if self._values_changed(first, kept, won):
            self.watch.alarm()
            drifted = True
        if drifted:
            self._checks = _CHECKS
        elif self._checks and self.watch.seen % _EVERY:
            return False
        if self._checks:
            self._checks -= 1
            self._forget(*self._changed())
        return drifted

    def _values_changed(self, first: Snapshot, kept: Sequence[float] | None, won: bool) -> bool:
        """Forget what was learnt of the values whose own outcomes have changed; return whether there are any."""
        if kept is None or first.places is None or first.scored is None or self.watch.seen < _SETTLED:
            return False
        rows = self._of_hazard.update((row for row in first.places.tolist() if row), kept[BEFORE - len(WINS)], won)
        scored = self._of_scores.update((row for row in first.scored if row), kept[WATCHED - len(WINS)], won)
        if not rows and not scored:
            return False
        self._forget(set(rows), set(scored))
        self._of_hazard.reset()
        self._of_scores.reset()
        return True

    def _forget(self, rows: set[int], scored: set[int]) -> None:
        if rows or scored:
            self.settle()
            places = np.array(sorted(rows), np.intp)
            self.hazard.forget_rows(places, _KEPT)
            self.direct.forget_rows(places)
            self.experts.bank.forget(np.array(sorted(scored), np.intp), _KEPT)
            # What had made answers bolder came from the values as they were; on the others it would go on misleading.
            self.win.unsharpen()

    def _changed(self) -> tuple[set[int], set[int]]:
        """Return the hazard's and the scores' rows whose latest outcomes are beyond chance other than would be said."""
        found: tuple[dict[int, list[float]], dict[int, list[float]]] = ({}, {})
        for one, (_, won) in zip(self.opinions([x for x, _ in self._latest]), self._latest, strict=True):
            both = ((one.asked.rows, one.wins[BEFORE]), (one.rows, one.wins[WATCHED]))
            for (rows, said), sums in zip(both, found, strict=True):
                for row in rows.tolist():
                    of = sums.setdefault(row, [0.0, 0.0, 0.0])
                    of[0] += 1
                    of[1] += won - said
                    of[2] += said * (1 - said)
        hazard, scores = (
            {row for row, (n, gap, variance) in sums.items() if row and n >= _FEW and abs(gap) > _SURE * math.sqrt(variance)}
            for sums in found
        )
        return hazard, scores

    def withdraw_one(self, snapshot: Snapshot) -> None:
        """Take back that a deal had closed: it was reopened."""
        if snapshot.history and snapshot.history[-1][2] != "open":
            self.settle()
            self.hazard.withdraw_one(snapshot.x, snapshot.history.pop())

    def _learn(self, snapshot: Snapshot, asked: HazardQuestion, end: int, outcome: Literal["open", "won", "lost"]) -> None:
        if end > snapshot.learnt:
            lesson = (snapshot.learnt, end, outcome)
            if self.together:
                self._waiting.append((asked, self._scored(snapshot), lesson, self.experts.share))
                if len(self._waiting) > min(self.hazard.lessons // _TOGETHER, _MOST):
                    self.settle()
            else:
                level, told = self.hazard.level[:, snapshot.learnt : end], lesson_of(lesson)
                before = self.hazard.learn_asked(asked, *lesson, told)
                self.experts.learn(self._scored(snapshot), level, before, told[1:], outcome)
            snapshot.history.append(lesson)
            snapshot.learnt = end

    def _asked(self, snapshot: Snapshot) -> HazardQuestion:
        """Return a question as the hazard sees it, each value with a row of its own as far as there is room."""
        if snapshot.places is None:
            snapshot.places = self.hazard.places(snapshot.x, grow=True)
        return HazardQuestion(snapshot.places, self.hazard.z_scores(snapshot.x), self.hazard.known)

    def _scored(self, snapshot: Snapshot) -> Rows:
        """Return the same as the scores see it."""
        bank = self.experts.bank
        if snapshot.scored is None:
            snapshot.scored = bank.places(snapshot.x, grow=True)
        if snapshot.binned is None or snapshot.binned[0] != bank.binnings:
            rows = np.array(snapshot.scored + bank.binned_places(snapshot.x, grow=True), np.intp)
            snapshot.binned = bank.binnings, rows
        return snapshot.binned[1]

    def settle(self) -> None:
        """Learn what waits to be learnt together."""
        if not self._waiting:
            return
        asked, rows, lessons, shares = zip(*self._waiting, strict=True)
        self._waiting.clear()
        level = self.hazard.level
        cells, before = self.hazard.learn_many(asked, lessons)
        self.experts.learn_many(rows, level, before, cells, [outcome for _, _, outcome in lessons], np.array(shares))
