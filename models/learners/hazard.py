"""How likely is a deal to be won, or lost, in each stretch of the days to come?

A discrete-time competing-risk hazard. Time from the moment of asking is cut into buckets; in each bucket a deal that is still
open is won, is lost, or stays open. Every bucket that passes is a lesson, so open deals teach too, and a label that arrives late
does not bias anything: what is not known yet is not counted yet.

Per category a life table counts, bucket by bucket, how many were at risk, won and lost. Its log-odds, shrunk towards those of
all deals with the weight of ``shrink`` deals, are the inputs of a linear model that is learnt online (AdaGrad), together with
clipped z-scores. On the first day all is prior; with more lessons the tables speak; the weights learn which to listen to.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from river import base, stats

from models.learners.curve import EDGES, Curve, Vector

Outcome = Literal["open", "won", "lost"]
#: The buckets that have passed, ``(first, end, outcome of the last one)``.
Lesson = tuple[int, int, Outcome]

_BUCKETS = len(EDGES)
_STEEPEST = 5.0  # what one lesson can say about one weight
_FARTHEST = 4.0  # log-odds by which one table can differ from all deals
#: P(won), P(lost) of a deal in a bucket before anything was learnt, worth 5 deals.
_PRIOR, _PRIOR_WEIGHT = np.array([[0.012], [0.018]]), 5.0


class Hazard(base.Estimator):  # type: ignore[misc]
    """An online competing-risk hazard over categories and numbers.

    ``categories`` and ``numbers`` name the features that are used; others are ignored, missing ones are neutral. ``shrink`` is in
    deals; ``rate`` the step of a weight; ``start`` its first value; ``values`` and ``rows`` bound the categories kept (of one
    feature, and in all): what comes after them is neutral. ``memory`` is how many deals a bucket remembers before the older
    ones begin to count half.
    """

    def __init__(
        self,
        categories: Sequence[str] = (),
        numbers: Sequence[str] = (),
        shrink: float = 30.0,
        rate: float = 0.03,
        start: float = 0.15,
        values: int = 160,
        rows: int = 900,
        memory: float = 50_000.0,
    ) -> None:
        self.categories, self.numbers = list(categories), list(numbers)
        self.shrink, self.rate, self.start, self.values, self.rows, self.memory = shrink, rate, start, values, rows, memory
        self.lessons = 0
        self._row: dict[tuple[str, str], int] = {}  # 0 is the row of what is not known
        self._kept = dict.fromkeys(self.categories, 0)
        self._tables = np.zeros((16, 3, _BUCKETS))
        self._all = np.zeros((3, _BUCKETS))
        self._listen = np.full((2, len(self.categories)), start)
        self._tilt = np.zeros((2, len(self.numbers) + 1))
        self._listen_g = np.ones_like(self._listen)
        self._tilt_g = np.ones_like(self._tilt)
        self._scales = {name: stats.Var() for name in self.numbers}

    def observe_one(self, x: Mapping[str, str | float]) -> None:
        """Let the scales see a snapshot when it is taken; learning must not wait for its label."""
        for name, scale in self._scales.items():
            value = x.get(name)
            if isinstance(value, int | float) and math.isfinite(value):
                if scale.mean.n >= 30:
                    spread = 6 * math.sqrt(scale.get()) + 1e-9
                    value = min(max(value, scale.mean.get() - spread), scale.mean.get() + spread)
                scale.update(max(min(value, 1e9), -1e9))

    def learn_one(self, x: Mapping[str, str | float], y: Lesson) -> None:
        """Learn what became of a deal, asked at ``x``, in buckets ``first`` to before ``end``: open until the last one's outcome.

        Raises:
            ValueError: for a stretch outside the buckets.
        """
        first, end, told = self._lesson(y)
        rows = self._rows(x, grow=True)
        logits, apart, numbers = self._logits(rows, x, first, end)
        wrong = 1 / (1 + np.exp(-logits)) - told[1:]
        if y[2] == "won":
            wrong[1, -1] = 0.0  # who was won in a bucket was not at risk of being lost in it
        listen = np.clip(np.einsum("ck,fck->cf", wrong, apart), -_STEEPEST, _STEEPEST)
        tilt = np.clip(wrong.sum(axis=1)[:, None] * numbers, -_STEEPEST, _STEEPEST)
        self._listen_g += listen**2
        self._tilt_g += tilt**2
        self._listen -= self.rate * listen / np.sqrt(self._listen_g)
        self._tilt -= self.rate * tilt / np.sqrt(self._tilt_g)
        self._count(rows, first, end, told)
        self.lessons += 1

    def withdraw_one(self, x: Mapping[str, str | float], y: Lesson) -> None:
        """Take a lesson's counts back (the deal was reopened); the little it moved the weights stays."""
        first, end, told = self._lesson(y)
        self._count(self._rows(x, grow=False), first, end, -told)
        self._tables = np.maximum(self._tables, 0.0)
        self._all = np.maximum(self._all, 0.0)

    def predict_one(self, x: Mapping[str, str | float]) -> Curve:
        """Return the curve of a deal that is open at ``x``."""
        logits, _, _ = self._logits(self._rows(x, grow=False), x, 0, _BUCKETS)
        hazards = 1 / (1 + np.exp(-logits))
        won, lost = hazards[0], hazards[1] * (1 - hazards[0])
        open_before = np.empty(_BUCKETS)
        open_before[0] = 1.0
        np.cumprod(1 - won[:-1] - lost[:-1], out=open_before[1:])
        return Curve(open_before * won, open_before * lost)

    def predict_proba_one(self, x: Mapping[str, str | float]) -> dict[str, float]:
        """Return P(won), P(lost) by the last edge, and P(still open) then."""
        curve = self.predict_one(x)
        won, lost = float(curve.won.sum()), float(curve.lost.sum())
        return {"won": won, "lost": lost, "open": max(1 - won - lost, 0.0)}

    def terms(self, x: Mapping[str, str | float]) -> list[tuple[str, float]]:
        """Return what speaks for winning (+) and against (−), as log-odds by feature, largest first; means over the buckets."""
        curve = self.predict_one(x)
        weights = curve.won + curve.lost
        weights = weights / max(float(weights.sum()), 1e-12)
        _, apart, numbers = self._logits(self._rows(x, grow=False), x, 0, _BUCKETS)
        found = list(
            zip(
                self.categories,
                ((self._listen[0] * (apart[:, 0] @ weights)) - self._listen[1] * (apart[:, 1] @ weights)).tolist(),
                strict=True,
            )
        )
        found += zip(self.numbers, ((self._tilt[0] - self._tilt[1]) * numbers)[:-1].tolist(), strict=True)
        return sorted(found, key=lambda term: -abs(term[1]))

    def forget(self, share: float) -> None:
        """Let all that was counted so far weigh only ``share`` (0 to 1) of what it did, as after a drift."""
        self._tables *= share
        self._all *= share
        self._listen_g = 1 + (self._listen_g - 1) * share
        self._tilt_g = 1 + (self._tilt_g - 1) * share

    def _lesson(self, y: Lesson) -> tuple[int, int, Vector]:
        first, end, outcome = y
        if not 0 <= first < end <= _BUCKETS:
            raise ValueError(f"lesson: found buckets {first} to {end}; accepted: 0 ≤ first < end ≤ {_BUCKETS}")
        told = np.zeros((3, end - first))
        told[0] = 1.0
        if outcome != "open":
            told[1 if outcome == "won" else 2, -1] = 1.0
        return first, end, told

    def _rows(self, x: Mapping[str, str | float], *, grow: bool) -> list[int]:
        rows = []
        for name in self.categories:
            value = x.get(name)
            key = (name, value if isinstance(value, str) else "")
            row = self._row.get(key, 0)
            if row == 0 and grow and self._kept[name] < self.values and len(self._row) < self.rows:
                row = self._row[key] = len(self._row) + 1
                self._kept[name] += 1
                if row >= len(self._tables):
                    self._tables = np.concatenate((self._tables, np.zeros_like(self._tables)))
            rows.append(row)
        return rows

    def _logits(self, rows: list[int], x: Mapping[str, str | float], first: int, end: int) -> tuple[Vector, Vector, Vector]:
        """Return the log-odds of won and lost per bucket, how each table differs from all deals, and the z-scores with a 1."""
        everyone = self._all[:, first:end]
        rates = (everyone[1:] + _PRIOR_WEIGHT * _PRIOR) / (everyone[0] + _PRIOR_WEIGHT)
        level = np.log(rates / (1 - rates))
        tables = self._tables[rows, :, first:end]
        shrunk = (tables[:, 1:] + self.shrink * rates) / (tables[:, :1] + self.shrink)
        np.clip(shrunk, 1e-9, 1 - 1e-6, out=shrunk)
        apart = np.log(shrunk / (1 - shrunk)) - level
        np.clip(apart, -_FARTHEST, _FARTHEST, out=apart)
        numbers = self._numbers(x)
        logits = level + np.einsum("cf,fck->ck", self._listen, apart) + (self._tilt @ numbers)[:, None]
        return np.clip(logits, -12.0, 6.0), apart, numbers

    def _numbers(self, x: Mapping[str, str | float]) -> Vector:
        found = []
        for name, scale in self._scales.items():
            value = x.get(name)
            if isinstance(value, int | float) and not math.isnan(value) and scale.mean.n > 1:
                spread = math.sqrt(scale.get()) + 1e-9
                found.append(min(max((value - scale.mean.get()) / spread, -3.0), 3.0))
            else:
                found.append(0.0)
        found.append(1.0)
        return np.array(found)

    def _count(self, rows: list[int], first: int, end: int, told: Vector) -> None:
        self._all[:, first:end] += told
        # Values of different features never share a row, so no row is there twice, except 0, which stays empty.
        self._tables[rows, :, first:end] += told
        self._tables[0] = 0.0
        full = self._all[0] > self.memory
        if full.any():
            self._all[:, full] *= 0.5
            self._tables[:, :, full] *= 0.5
