"""How likely is a deal to be won, or lost, in each stretch of the days to come?

A discrete-time competing-risk hazard. Time from the moment of asking is cut into buckets; in each bucket a deal that is still
open is won, is lost, or stays open. Every bucket that passes is a lesson, so open deals teach too, and a label that arrives late
does not bias anything: what is not known yet is not counted yet.

Per category a life table counts, bucket by bucket, how many were at risk, won and lost. Its log-odds, shrunk towards those of
all deals with the weight of ``shrink`` deals, are the inputs of a linear model that is learnt online (AdaGrad), together with
clipped z-scores. On the first day all is prior; with more lessons the tables speak; the weights learn which to listen to.

What the tables say is kept beside the counts, so that an answer is one gathering of rows and one product. It is told against the
*base*, the rates of all deals as they were at the last refresh: at every lesson at first, then each time that a sixteenth more
was learnt, at the latest after 512.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from river import base, stats

from models.learners.curve import EDGES, Curve, Vector

Outcome = Literal["open", "won", "lost"]
#: The buckets that have passed, ``(first, end, outcome of the last one)``.
Lesson = tuple[int, int, Outcome]
Rows = np.ndarray[Any, np.dtype[np.intp]]

_BUCKETS = len(EDGES)
_STEEPEST = 5.0  # what one lesson can say about one weight
_FARTHEST = 4.0  # log-odds by which one table can differ from all deals
#: P(won), P(lost) of a deal in a bucket before anything was learnt, worth 5 deals.
_PRIOR, _PRIOR_WEIGHT = np.array([[0.012], [0.018]]), 5.0
_REFRESH = 512  # lessons, at most, between refreshes of the base


class HazardQuestion(NamedTuple):
    """A question as the arrays see it: the row of each category's value (0: not known), the z-scores and a 1, how many rows."""

    rows: Rows
    numbers: Vector
    room: int


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
        rows: int = 600,
        memory: float = 50_000.0,
    ) -> None:
        self.categories, self.numbers = list(categories), list(numbers)
        self.shrink, self.rate, self.start, self.values, self.rows, self.memory = shrink, rate, start, values, rows, memory
        self.lessons = 0
        self._row: list[dict[str, int]] = [{} for _ in self.categories]  # of a value; 0 is the row of what is not known
        self.known = 1  # rows in use
        self._tables = np.zeros((16, 3, _BUCKETS))
        self._apart = np.zeros((16, 2, _BUCKETS))  # log-odds of won and lost less those of the base
        self._all = np.zeros((3, _BUCKETS))
        self._refresh_at = 0
        self._listen = np.full((2, 1, len(self.categories)), start)
        self._tilt = np.zeros((2, len(self.numbers) + 1))
        self._listen_g = np.ones_like(self._listen)
        self._tilt_g = np.ones_like(self._tilt)
        self._scales = {name: stats.Var() for name in self.numbers}
        self._z: list[tuple[str, float, float]] = []  # a number's mean and 1 / spread
        self._rebase()
        self._rescale()

    def observe_one(self, x: Mapping[str, str | float]) -> None:
        """Let the scales see a snapshot when it is taken; learning must not wait for its label."""
        for name, scale in self._scales.items():
            value = x.get(name)
            if isinstance(value, int | float) and math.isfinite(value):
                if scale.mean.n >= 30:
                    spread = 6 * math.sqrt(scale.get()) + 1e-9
                    value = min(max(value, scale.mean.get() - spread), scale.mean.get() + spread)
                scale.update(max(min(value, 1e9), -1e9))
        self._rescale()

    def encode(self, x: Mapping[str, str | float], *, grow: bool = False) -> HazardQuestion:
        """Return a question as the arrays see it; ``grow`` gives a value never seen a row of its own, as learning does."""
        rows = [known.get(x.get(name, ""), 0) for name, known in zip(self.categories, self._row, strict=True)]  # type: ignore[arg-type]
        if grow and 0 in rows:
            rows = [
                row or self._grow(number, x.get(name, ""))
                for number, (name, row) in enumerate(zip(self.categories, rows, strict=True))
            ]
        numbers = [1.0] * (len(self._z) + 1)
        for number, (name, mean, per_spread) in enumerate(self._z):
            value = x.get(name)
            if isinstance(value, float | int) and value == value:  # not NaN
                z = (value - mean) * per_spread
                numbers[number] = -3.0 if z < -3.0 else 3.0 if z > 3.0 else z
            else:
                numbers[number] = 0.0
        return HazardQuestion(np.array(rows, np.intp), np.array(numbers), self.known)

    def learn_one(self, x: Mapping[str, str | float], y: Lesson) -> None:
        """Learn what became of a deal, asked at ``x``, in buckets ``first`` to before ``end``: open until the last one's outcome.

        Raises:
            ValueError: for a stretch outside the buckets.
        """
        self.learn_asked(self.encode(x, grow=True), *y)

    def learn_asked(self, asked: HazardQuestion, first: int, end: int, outcome: Outcome, told: Vector | None = None) -> Vector:
        """Learn as ``learn_one`` does, from an encoded question; return the log-odds (cause × bucket) from before that."""
        told = lesson_of((first, end, outcome)) if told is None else told
        rows, numbers, _ = asked
        apart = self._apart.take(rows, 0)[:, :, first:end].transpose(1, 0, 2)  # cause × category × bucket
        logits = (self._listen @ apart)[:, 0]
        logits += self._level[:, first:end]
        logits += (self._tilt @ numbers)[:, None]
        wrong = 1 / (1 + np.exp(-within(logits, -12.0, 6.0)))
        wrong -= told[1:]
        if outcome == "won":
            wrong[1, -1] = 0.0  # who was won in a bucket was not at risk of being lost in it
        listen = within(apart @ wrong[:, :, None], -_STEEPEST, _STEEPEST).transpose(0, 2, 1)
        tilt = within(np.add.reduce(wrong, 1)[:, None] * numbers, -_STEEPEST, _STEEPEST)
        self._listen_g += listen * listen
        self._tilt_g += tilt * tilt
        self._listen -= self.rate * listen / np.sqrt(self._listen_g)
        self._tilt -= self.rate * tilt / np.sqrt(self._tilt_g)
        self.lessons += 1
        self._count(rows, first, end, told)
        return logits

    def withdraw_one(self, x: Mapping[str, str | float], y: Lesson) -> None:
        """Take a lesson's counts back (the deal was reopened); the little it moved the weights stays."""
        self._count(self.encode(x).rows, y[0], y[1], -lesson_of(y))
        np.maximum(self._tables, 0.0, out=self._tables)
        np.maximum(self._all, 0.0, out=self._all)
        self._rebase()

    def predict_one(self, x: Mapping[str, str | float]) -> Curve:
        """Return the curve of a deal that is open at ``x``."""
        return self.predict_asked(self.encode(x))

    def predict_asked(self, asked: HazardQuestion) -> Curve:
        """Return the curve of an encoded question."""
        won, lost = 1 / (1 + np.exp(-self.log_odds(asked)))
        stays = 1 - won
        lost *= stays
        stays -= lost
        before = np.empty(_BUCKETS)
        before[0] = 1.0
        np.multiply.accumulate(stays[:-1], out=before[1:])
        won *= before
        lost *= before
        return Curve(won, lost)

    @property
    def level(self) -> Vector:
        """The log-odds (cause × bucket) of all deals."""
        return self._level

    def log_odds(self, asked: HazardQuestion) -> Vector:
        """Return the log-odds of won and of lost in each bucket, of a deal that is open at its beginning."""
        apart = self._apart.take(asked.rows, 0).transpose(1, 0, 2)
        logits: Vector = (self._listen @ apart)[:, 0]
        logits += self._level
        logits += (self._tilt @ asked.numbers)[:, None]
        return within(logits, -12.0, 6.0)

    def table_log_odds(self, row: int) -> Vector:
        """Return the log-odds that the life table of one value alone gives."""
        found: Vector = self._level + self._apart[row]
        return found

    def predict_proba_one(self, x: Mapping[str, str | float]) -> dict[str, float]:
        """Return P(won), P(lost) by the last edge, and P(still open) then."""
        curve = self.predict_one(x)
        won, lost = float(curve.won.sum()), float(curve.lost.sum())
        return {"won": won, "lost": lost, "open": max(1 - won - lost, 0.0)}

    def terms(self, x: Mapping[str, str | float]) -> list[tuple[str, float]]:
        """Return what speaks for winning (+) and against (−), as log-odds by feature, largest first; means over the buckets."""
        asked = self.encode(x)
        curve = self.predict_asked(asked)
        weights = curve.won + curve.lost
        weights = weights / max(float(weights.sum()), 1e-12)
        apart = self._apart[asked.rows] @ weights
        found = list(
            zip(self.categories, (self._listen[0, 0] * apart[:, 0] - self._listen[1, 0] * apart[:, 1]).tolist(), strict=True)
        )
        found += zip(self.numbers, ((self._tilt[0] - self._tilt[1]) * asked.numbers)[:-1].tolist(), strict=True)
        return sorted(found, key=lambda term: -abs(term[1]))

    def forget(self, share: float) -> None:
        """Let all that was counted so far weigh only ``share`` (0 to 1) of what it did, as after a drift."""
        self._tables *= share
        self._all *= share
        self._listen_g = 1 + (self._listen_g - 1) * share
        self._tilt_g = 1 + (self._tilt_g - 1) * share
        self._rebase()

    def forget_rows(self, rows: Rows, share: float) -> None:
        """Let what was counted of these rows alone weigh ``share``: the values that have changed."""
        self._tables[rows] = np.round(self._tables[rows] * share, 2)
        self._apart[rows] = self._told(self._tables[rows], slice(None))
        self._apart[0] = 0.0

    def restore(self, base: Vector, refresh_at: int) -> None:
        """Go on from counts, scales and a base that were set: what follows from them is computed."""
        self._tell_all(base, refresh_at)
        self._rescale()

    def _grow(self, number: int, value: object) -> int:
        """Return the row of a value of a category that has none yet: a new one as long as there is room."""
        if not isinstance(value, str):
            return 0
        known = self._row[number]
        if len(known) >= self.values or self.known > self.rows:
            return 0
        row = known[value] = self.known
        self.known += 1
        if row >= len(self._tables):
            self._tables = np.concatenate((self._tables, np.zeros_like(self._tables)))
            self._apart = np.concatenate((self._apart, np.zeros_like(self._apart)))
        return row

    def _count(self, rows: Rows, first: int, end: int, told: Vector) -> None:
        self._all[:, first:end] += told
        # Values of different features never share a row, so no row is there twice, except 0, which stays empty.
        tables = self._tables[rows, :, first:end]
        tables += told
        self._tables[rows, :, first:end] = tables
        self._tables[0] = 0.0
        if self._all[0, first] > self.memory:
            full = self._all[0] > self.memory
            self._all[:, full] *= 0.5
            self._tables[:, :, full] = np.round(self._tables[:, :, full] * 0.5, 2)  # short in the document
            self._rebase()
        elif self.lessons >= self._refresh_at:
            self._rebase()
        else:
            self._apart[rows, :, first:end] = self._told(tables, slice(first, end))
            self._apart[0] = 0.0

    def _rebase(self) -> None:
        """Take the rates of all deals anew, and tell every table against them."""
        base = (self._all[1:] + _PRIOR_WEIGHT * _PRIOR) / (self._all[0] + _PRIOR_WEIGHT)
        self._tell_all(base, self.lessons + 1 + min(self.lessons // 16, _REFRESH))

    def _tell_all(self, base: Vector, refresh_at: int) -> None:
        self._base, self._refresh_at = base, refresh_at
        self._level = np.log(base / (1 - base))
        self._apart[: self.known] = self._told(self._tables[: self.known], slice(None))
        self._apart[0] = 0.0

    def _told(self, tables: Vector, buckets: slice) -> Vector:
        """Return what tables say of these buckets: log-odds of won and lost, less those of the base."""
        shrunk = tables[:, 1:] + self.shrink * self._base[:, buckets]
        shrunk /= tables[:, :1] + self.shrink
        within(shrunk, 1e-9, 1 - 1e-6)
        apart = np.log(shrunk / (1 - shrunk))
        apart -= self._level[:, buckets]
        return within(apart, -_FARTHEST, _FARTHEST)

    def _rescale(self) -> None:
        self._z = [
            (name, scale.mean.get(), 1 / (math.sqrt(scale.get()) + 1e-9) if scale.mean.n > 1 else 0.0)
            for name, scale in self._scales.items()
        ]


def within(values: Vector, low: float, high: float) -> Vector:
    """Clip in place: np.clip costs twice as much on arrays this small."""
    np.maximum(values, low, out=values)
    return np.minimum(values, high, out=values)


def lesson_of(y: Lesson) -> Vector:
    """Return what a lesson tells of each of its buckets: at risk, won, lost.

    Raises:
        ValueError: for a stretch outside the buckets.
    """
    first, end, outcome = y
    if not 0 <= first < end <= _BUCKETS:
        raise ValueError(f"lesson: found buckets {first} to {end}; accepted: 0 ≤ first < end ≤ {_BUCKETS}")
    told = np.zeros((3, end - first))
    told[0] = 1.0
    if outcome != "open":
        told[1 if outcome == "won" else 2, -1] = 1.0
    return told
