"""Who is asked beside the hazard, and who is believed? The experts whose mixture is the answer.

Five say when a deal closes and how: the life table of its stage, the hazard, additive scores on the rates of all deals with a
long memory and with a short one, and additive scores on top of the hazard (what it has missed). Six say which of the deals that
close are won. Each has a weight that follows how well it did by what it had said when the question was asked.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from operator import mul
from typing import Any, NamedTuple

import numpy as np

from models.learners.bank import Bank, Rows
from models.learners.calibration import logit
from models.learners.curve import EDGES, HORIZON, Curve, Vector, bucket_of, curves
from models.learners.hazard import Hazard, HazardQuestion, chances, within
from models.learners.mixture import Mixture
from models.learners.stretches import Outcome, Stretches

CURVES = ("stage", "hazard", "scores", "recent scores", "hazard and scores")
HAZARD = 1  # its place among them
WINS = ("curve", "hazard and direct", "scores", "recent scores", "curve and scores", "stage")
#: Which of these is the hazard's with the direct model, and which is watched for a drift: the one that remembers.
BEFORE, WATCHED = 1, 2
#: Won and lost in a bucket, the same with a short memory, the same on top of the hazard; won of those that close, the same with a
#: short memory.
_HEADS, _WIN = 8, 6
#: Of how many deals with a value the short memory knows.
_RECENT = 250
#: Whoever had given less than this to what happened is held to have given this: one odd event says little of who is right.
_LEAST = 1e-3
_KEEPS_ALL = np.ones(_HEADS)
_FORGETS = np.array([0.0, 0.0, 1 / _RECENT, 1 / _RECENT, 0.0, 0.0, 0.0, 1 / _RECENT])
#: After how many days what has become of a question is learnt, as long as its deal is open.
INSTALMENTS = (1.0, 4.0, 10.0, 18.0, HORIZON, 60.0, 90.0, 135.0)
_BUCKETS, _PARTS = len(EDGES), len(INSTALMENTS)
_SOON, _SOON_PART = bucket_of(HORIZON) + 1, INSTALMENTS.index(HORIZON)
#: Numbers that are kept of the opinions on a question.
SIZE = len(CURVES) * 2 * _PARTS + len(WINS)


class Opinions(NamedTuple):
    """What each expert says of a question: P(won) and P(lost) by bucket (expert × cause × bucket), and P(won | closes).

    ``asked`` and ``rows`` are the question as the hazard and the scores see it.
    """

    cells: Vector
    wins: tuple[float, ...]
    asked: HazardQuestion
    rows: Rows


class Experts:
    """The scores, and the weights of all."""

    def __init__(self, hazard: Hazard, categories: tuple[str, ...], numbers: tuple[str, ...]) -> None:
        self.bank = Bank(categories, numbers, _HEADS)
        self.curves = Mixture((1.0,) * len(CURVES))
        self.wins = Mixture((1.0,) * len(WINS))
        #: Of who says whether it closes within HORIZON: the weights of ``curves`` follow in which bucket what closed did, which
        #: is another question, and one whose answers come in flocks.
        self.within = Mixture((1.0,) * len(CURVES))
        self.deals = self.labels = 0  # closed deals, and the questions about them
        self._stage = hazard.categories.index("stage") if "stage" in hazard.categories else -1

    @property
    def share(self) -> float:
        """What a question counts, as several of one deal have one outcome: deals by questions so far."""
        return (self.deals + 1) / (self.labels + 1) if self.labels > self.deals else 1.0

    def dump(self) -> dict[str, Any]:
        """Return the scores and the weights, as a document has them."""
        found = self.bank.dump()
        found["lessons"] += [self.deals, self.labels]
        return found | {"weights": [mixture.dump() for mixture in (self.curves, self.wins, self.within)]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`dump` gave of the same features."""
        *lessons, self.deals, self.labels = map(int, state["lessons"])
        self.bank.load({**state, "lessons": lessons})
        weights = state["weights"]
        if len(weights) == 2:  # of the release before, whose curves said what closes within the horizon as well
            weights = [*weights, weights[0]]
        for mixture, found in zip((self.curves, self.wins, self.within), weights, strict=True):
            mixture.load(found)

    def ask(
        self, hazard: Hazard, asked: Sequence[HazardQuestion], rows: Sequence[Rows], direct: Sequence[float | None]
    ) -> list[Opinions]:
        """Return the opinions on some questions; ``direct`` are the log-odds of the direct model, None where it is not asked."""
        scores, spread = self.bank.scores(rows)
        logits = np.empty((len(asked), len(CURVES), 2, _BUCKETS))
        logits[:, 0] = hazard.table_log_odds([int(one.rows[self._stage]) if self._stage >= 0 else 0 for one in asked])
        logits[:, 1] = logits[:, 4] = hazard.log_odds(asked)
        logits[:, 2:4] = hazard.level
        logits[:, 2:] += scores[:, :_WIN].reshape(-1, 3, 2, 1)
        cells = chances(within(logits, -12.0, 6.0))
        won, lost = cells[:, :, 0], cells[:, :, 1]
        stays = 1 - won
        lost *= stays
        stays -= lost
        cells[..., 1:] *= np.multiply.accumulate(stays, 2)[:, :, None, :-1]
        sums = np.add.reduce(cells, 3)
        mixed = (np.array(self.curves.weights) @ sums).tolist()
        found = zip(sums.tolist(), mixed, scores[:, _WIN:].tolist(), spread[:, _WIN:].tolist(), direct, strict=True)
        wins = [_wins(*one) for one in found]
        return [Opinions(*one) for one in zip(cells, wins, asked, rows, strict=True)]

    def answer(self, opinions: Sequence[Opinions]) -> list[tuple[Curve, float, float]]:
        """Return of each the mixed curve, whose wins are as many as the mixed P(won | closes) says, that, and P(closes within
        HORIZON).
        """
        cells = np.array([one.cells for one in opinions])
        within = np.add.reduce(cells[..., :_SOON], (2, 3)) @ self.within.weights
        both = (np.array(self.curves.weights) @ cells.reshape(len(opinions), len(CURVES), -1)).reshape(-1, 2, _BUCKETS)
        weights = self.wins.weights
        mixed = [sum(map(mul, weights, one.wins)) for one in opinions]
        for scales, win, (wins, losses) in zip(both, mixed, np.add.reduce(both, 2).tolist(), strict=True):
            scales *= ((win * (wins + losses) / max(wins, 1e-12),), ((1 - win) * (wins + losses) / max(losses, 1e-12),))
        return list(zip(curves(both), mixed, within.tolist(), strict=True))

    def terms(self, rows: Rows) -> tuple[float, list[tuple[str, float]]]:
        """Return how far the scores are believed (0 to 1), and what each feature adds to the log-odds of winning."""
        bank = self.bank
        names = (*bank.categories, *bank.numbers)
        weights = self.wins.weights
        believed = weights[2] + weights[3] + weights[4]
        adds = bank.mean.take(rows[1:], 0)[:, _WIN].tolist()
        return believed, [(names[of], add) for of, add in zip(bank.feature.take(rows[1:]).tolist(), adds, strict=True)]

    def learn(self, rows: Rows, level: Vector, hazard: Vector, told: Vector, outcome: Outcome) -> None:
        """Learn a stretch of buckets: ``level`` and ``hazard`` are all deals' and the hazard's log-odds there, from before it.

        ``told`` is what became of it (cause × bucket): open until the outcome of the last.
        """
        scores, _ = self.bank.score(rows)
        logits = np.empty((3, *level.shape))
        logits[:2], logits[2] = level, hazard
        logits += scores[:_WIN].reshape(3, 2, 1)
        said = 1 / (1 + np.exp(-within(logits, -12.0, 6.0)))
        bend = said * (1 - said)
        wrong = told - said
        if outcome == "won":  # who was won in a bucket was not at risk of being lost in it
            wrong[:, 1, -1] = bend[:, 1, -1] = 0.0
        share, keeps = self.share, _KEEPS_ALL
        slope, curve = np.zeros(_HEADS), np.zeros(_HEADS)
        slope[:_WIN], curve[:_WIN] = np.add.reduce(wrong, 2).ravel(), np.add.reduce(bend, 2).ravel()
        if outcome != "open":
            chances = np.array([_chance(float(score)) for score in scores[_WIN:]])
            slope[_WIN:], curve[_WIN:] = (outcome == "won") - chances, chances * (1 - chances)
            keeps = 1 - _FORGETS * share
        self.bank.learn(rows, slope * share, curve * share, keeps)

    def learn_many(
        self, rows: Sequence[Rows], level: Vector, hazard: Vector, cells: Stretches, outcomes: Sequence[Outcome], share: Vector
    ) -> None:
        """Learn several stretches in one go: as :meth:`learn`, by cell; ``share`` is of each lesson what it counts."""
        scores, _ = self.bank.scores(rows)
        logits = np.empty((3, *hazard.shape))
        logits[:2], logits[2] = level[:, cells.bucket], hazard
        logits += scores[:, :_WIN].reshape(-1, 3, 2).transpose(1, 2, 0)[:, :, cells.of]
        said = chances(within(logits, -12.0, 6.0))
        bend, wrong = said * (1 - said), cells.told - said
        wrong[:, 1, cells.won] = bend[:, 1, cells.won] = 0.0
        slope, curve, keeps = np.zeros(scores.shape), np.zeros(scores.shape), np.ones(scores.shape)
        for sums, of in ((slope, wrong), (curve, bend)):
            sums[:, :_WIN] = np.add.reduceat(of, cells.starts, 2).transpose(2, 0, 1).reshape(-1, _WIN)
        closed = np.flatnonzero([outcome != "open" for outcome in outcomes])
        if len(closed):
            given = chances(within(scores[closed, _WIN:].astype(float), -30.0, 30.0))
            won = np.array([[outcomes[number] == "won"] for number in closed.tolist()], np.float64)
            slope[closed, _WIN:], curve[closed, _WIN:] = won - given, given * (1 - given)
            keeps[closed] = 1 - _FORGETS * share[closed, None]
        self.bank.learn_many(rows, slope * share[:, None], curve * share[:, None], keeps)

    def judge(self, said: Sequence[float], first: int, end: int, outcome: Outcome) -> None:
        """Let the weights follow what became of instalments ``first`` to before ``end``: open until the outcome of the last.

        ``said`` is what :func:`unpack` gives of the question.
        """
        chances = []
        for won in range(0, len(CURVES) * 2 * _PARTS, 2 * _PARTS):
            lost = won + _PARTS
            open_at = 1 - said[won + first - 1] - said[lost + first - 1] if first else 1.0
            if outcome == "open":
                chance = 1 - said[won + end - 1] - said[lost + end - 1]
            else:
                of = won if outcome == "won" else lost
                chance = said[of + end - 1] - (said[of + end - 2] if end > 1 else 0.0)
            chances.append(max(chance / max(open_at, 1e-6), _LEAST))
        self.curves.learn_one(chances, self.share)

    def soon(self, said: Sequence[float]) -> float:
        """Return P(closes within HORIZON) of a question by what each had said."""
        return math.fsum(map(mul, self.within.weights, _within(said)))

    def judge_within(self, said: Sequence[float], closed: bool) -> None:
        """Let the weights of who says whether a deal closes within HORIZON follow whether it did."""
        self.within.learn_one([max(chance if closed else 1 - chance, _LEAST) for chance in _within(said)], self.share)

    def judge_win(self, said: Sequence[float], won: bool) -> None:
        """Let the weights of who says which deals are won follow an outcome."""
        self.wins.learn_one([max(win if won else 1 - win, _LEAST) for win in said[-len(WINS) :]], self.share)


def _within(said: Sequence[float]) -> list[float]:
    """Return P(closes within HORIZON) as each had said it."""
    return [said[won + _SOON_PART] + said[won + _PARTS + _SOON_PART] for won in range(0, len(CURVES) * 2 * _PARTS, 2 * _PARTS)]


def pack(opinions: Opinions, ends: Rows) -> bytes:
    """Return what is kept of opinions until they can be judged: P(won), P(lost) by each instalment, and P(won | closes)."""
    sums = np.add.accumulate(opinions.cells, 2)[:, :, ends]
    return np.concatenate((sums.ravel(), opinions.wins)).astype("<f4").tobytes()


def unpack(kept: bytes) -> tuple[float, ...] | None:
    """Return what :func:`pack` kept; None where nothing was, as of a question of an earlier release.

    Raises:
        ValueError: where it is not that.
    """
    if not kept:
        return None
    if len(kept) != 4 * SIZE:
        raise ValueError(f"opinions: found {len(kept)} bytes, accepted are {4 * SIZE}")
    return struct.unpack(f"<{SIZE}f", kept)


def _wins(
    sums: list[list[float]], mixed: list[float], scores: list[float], spread: list[float], direct: float | None
) -> tuple[float, ...]:
    """Return P(won | closes) as each says it: ``sums`` are P(won) and P(lost) by expert, ``mixed`` those of the mixture."""
    alone = [won / max(won + lost, 1e-12) for won, lost in sums[:2]]
    curve, today = mixed[0] / max(mixed[0] + mixed[1], 1e-12), alone[1]
    if direct is not None:
        today = _chance((logit(today) + min(max(direct, -6.0), 6.0)) / 2)
    # What is not sure is nearer to one half: the mean over what the scores may be (MacKay's approximation).
    score, recent = (of / math.sqrt(1 + math.pi / 8 * apart) for of, apart in zip(scores, spread, strict=True))
    return curve, today, _chance(score), _chance(recent), _chance((logit(curve) + score) / 2), alone[0]


def _chance(log_odds: float) -> float:
    return 1 / (1 + math.exp(-min(max(log_odds, -30.0), 30.0)))
