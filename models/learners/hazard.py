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
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from river import base, stats

from models.learners import life_tables
from models.learners.curve import EDGES, Curve, Vector
from models.learners.finite import all_finite, finite
from models.learners.stretches import Lesson, Outcome, Rows, Stretches, lesson_of, stretches

_BUCKETS = len(EDGES)
_STEEPEST = 5.0  # what one lesson can say about one weight
_FARTHEST = 4.0  # log-odds by which one table can differ from all deals
#: P(won), P(lost) of a deal in a bucket before anything was learnt, worth 5 deals.
_PRIOR, _PRIOR_WEIGHT = np.array([[0.012], [0.018]]), 5.0
_REFRESH = 512  # lessons, at most, between refreshes of the base
_EMPTY, _NONE = repeat(""), repeat(0)


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
        return HazardQuestion(self.places(x, grow=grow), self.z_scores(x), self.known)

    def places(self, x: Mapping[str, str | float], *, grow: bool = False) -> Rows:
        """Return the row of each category's value. With ``grow`` they are the same ever after."""
        rows = [*map(dict.get, self._row, map(x.get, self.categories, _EMPTY), _NONE)]  # type: ignore[arg-type]
        if grow and 0 in rows:
            rows = [
                row or self._grow(number, x.get(name, ""))
                for number, (name, row) in enumerate(zip(self.categories, rows, strict=True))
            ]
        return np.array(rows, np.intp)

    def z_scores(self, x: Mapping[str, str | float]) -> Vector:
        """Return the z-scores of its numbers within ±3, 0 where one is not known, and a 1."""
        numbers = [1.0] * (len(self._z) + 1)
        for number, (name, mean, per_spread) in enumerate(self._z):
            value = x.get(name)
            if isinstance(value, float | int) and value == value:  # not NaN
                z = (value - mean) * per_spread
                numbers[number] = -3.0 if z < -3.0 else 3.0 if z > 3.0 else z
            else:
                numbers[number] = 0.0
        return np.array(numbers)

    def learn_one(self, x: Mapping[str, str | float], y: Lesson) -> None:
        """Learn what became of a deal, asked at ``x``, in buckets ``first`` to before ``end``: open until the last one's outcome.

        Raises:
            ValueError: for a stretch outside the buckets.
        """
        asked = self.encode(x, grow=True)
        if self.rate:
            self.learn_asked(asked, *y)
        else:  # no weight moves: a life table
            self.lessons += 1
            self._count(asked.rows, y[0], y[1], lesson_of(y))

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

    def learn_many(self, asked: Sequence[HazardQuestion], lessons: Sequence[Lesson]) -> tuple[Stretches, Vector]:
        """Learn several lessons in one go, each told against the weights before all of them.

        Return their cells, and the log-odds in these (cause × cell) from before that.
        """
        of, bucket, starts, told, won = cells = stretches(lessons)
        rows, numbers = np.array([one.rows for one in asked])[of], np.array([one.numbers for one in asked])
        places = rows * (2 * _BUCKETS) + bucket[:, None]
        apart = self._apart.reshape(-1).take((places, places + _BUCKETS))  # cause × cell × category
        logits: Vector = (apart @ self._listen.reshape(2, -1, 1))[:, :, 0]
        logits += self._level[:, bucket]
        logits += (self._tilt @ numbers.T)[:, of]
        wrong = chances(within(logits.copy(), -12.0, 6.0))
        wrong -= told
        wrong[1, won] = 0.0
        apart *= wrong[:, :, None]
        listen = within(np.add.reduceat(apart, starts, 1), -_STEEPEST, _STEEPEST)
        tilt = within(np.add.reduceat(wrong, starts, 1)[:, :, None] * numbers, -_STEEPEST, _STEEPEST)
        seen, tilted = (g + np.add.accumulate(s * s, 1) for g, s in ((self._listen_g, listen), (self._tilt_g[:, None], tilt)))
        self._listen -= self.rate * np.add.reduce(listen / np.sqrt(seen), 1, keepdims=True)
        self._tilt -= self.rate * np.add.reduce(tilt / np.sqrt(tilted), 1)
        self._listen_g, self._tilt_g = seen[:, -1:], tilted[:, -1]
        self.lessons += len(asked)
        self._count_many(rows, cells)
        return cells, logits

    def count_many(self, x: Sequence[Mapping[str, str | float]], lessons: Sequence[Lesson]) -> None:
        """Count several lessons in one go, as a life table does: no weight moves."""
        cells = stretches(lessons)
        self.lessons += len(x)
        self._count_many(np.array([self.places(one, grow=True) for one in x])[cells.of], cells)

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
        won, lost = chances(self.log_odds((asked,))[0])
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

    def log_odds(self, asked: Sequence[HazardQuestion]) -> Vector:
        """Return of each question the log-odds of won and of lost in each bucket, of a deal that is open at its beginning."""
        apart = self._apart.take([one.rows for one in asked], 0).transpose(0, 2, 1, 3)
        logits: Vector = (self._listen @ apart)[:, :, 0]
        logits += self._level
        logits += (np.array([one.numbers for one in asked]) @ self._tilt.T)[:, :, None]
        return within(logits, -12.0, 6.0)

    def table_log_odds(self, rows: Sequence[int]) -> Vector:
        """Return of each of these values the log-odds that its life table alone gives."""
        found: Vector = self._apart.take(rows, 0)
        found += self._level
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
        return sorted(self.terms_asked(asked, curve.won + curve.lost), key=lambda term: -abs(term[1]))

    def terms_asked(self, asked: HazardQuestion, closes: Vector) -> list[tuple[str, float]]:
        """Return the terms of an encoded question in the features' order; ``closes`` is its P(closes) by bucket."""
        apart = self._apart.take(asked.rows, 0) @ (closes / max(float(np.add.reduce(closes)), 1e-12))
        apart *= self._listen[:, 0].T
        found = list(zip(self.categories, (apart[:, 0] - apart[:, 1]).tolist(), strict=True))
        found += zip(self.numbers, ((self._tilt[0] - self._tilt[1]) * asked.numbers).tolist(), strict=False)
        return found

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

    def dump(self) -> dict[str, Any]:
        """Return what it has counted and learnt, as a document has it."""
        return {
            "settings": {name: getattr(self, name) for name in ("shrink", "rate", "start", "values", "rows", "memory")},
            "categories": list(self.categories),
            "numbers": list(self.numbers),
            "lessons": self.lessons,
            "values": self._row,
            "tables": [life_tables.pack(self._tables[row]) for row in range(1, self.known)],
            "all": life_tables.pack(self._all),
            "base": [self._base.tolist(), self._refresh_at],
            "weights": [self._listen.tolist(), self._tilt.tolist(), self._listen_g.tolist(), self._tilt_g.tolist()],
            "scales": {name: [scale.mean.n, scale.mean._mean, scale._S] for name, scale in self._scales.items()},
        }

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> "Hazard":
        """Go on from what :meth:`dump` gave: what follows from it is computed. Raise ``ValueError`` for what cannot be."""
        found = cls(state["categories"], state["numbers"], **state["settings"])
        found.lessons = int(state["lessons"])
        found._row = [{str(value): int(row) for value, row in known.items()} for known in state["values"]]
        found.known = 1 + len(state["tables"])
        rows = sorted(row for known in found._row for row in known.values())
        if len(found._row) != len(found.categories) or rows != list(range(1, found.known)):
            raise ValueError(f"{len(state['tables'])} tables, and not one for each value")
        size = 16
        while size < found.known:
            size *= 2
        found._tables, found._apart = np.zeros((size, 3, _BUCKETS)), np.zeros((size, 2, _BUCKETS))
        for row, lines in enumerate(state["tables"], 1):
            found._tables[row] = life_tables.unpack(lines)
        found._all = life_tables.unpack(state["all"])
        for name, weights in zip(("_listen", "_tilt", "_listen_g", "_tilt_g"), state["weights"], strict=True):
            setattr(found, name, finite(weights, float, getattr(found, name).shape))
        for name, (n, mean, squares) in state["scales"].items():
            all_finite("a scale", n, mean, squares)
            scale = found._scales[name] = stats.Var()
            scale.mean.n, scale.mean._mean, scale._S = n, mean, squares
        base, refresh_at = state["base"]
        found._tell_all(finite(base, float, found._base.shape), int(refresh_at))
        found._rescale()
        return found

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
            self._halve()
        elif self.lessons >= self._refresh_at:
            self._rebase()
        else:
            self._apart[rows, :, first:end] = self._told(tables, slice(first, end))
            self._apart[0] = 0.0

    def _count_many(self, rows: Rows, cells: Stretches) -> None:
        """Count the cells of several lessons; ``rows`` are those of each cell."""
        flat, places = self._tables.reshape(-1), rows * (3 * _BUCKETS) + cells.bucket[:, None]
        np.add.at(self._all[0], cells.bucket, 1.0)
        np.add.at(flat, places, 1.0)
        for cause in (0, 1):
            ends = np.flatnonzero(cells.told[cause])
            np.add.at(self._all[1 + cause], cells.bucket[ends], 1.0)
            np.add.at(flat, places[ends] + (1 + cause) * _BUCKETS, 1.0)
        self._tables[0] = 0.0
        if self._all[0].max() > self.memory:
            self._halve()
        elif self.lessons >= self._refresh_at:
            self._rebase()
        else:
            tables = flat.take((places, places + _BUCKETS, places + 2 * _BUCKETS)).transpose(2, 0, 1)
            places = rows * (2 * _BUCKETS) + cells.bucket[:, None]
            self._apart.reshape(-1)[np.array((places, places + _BUCKETS))] = self._told(tables, cells.bucket).transpose(1, 2, 0)
            self._apart[0] = 0.0

    def _halve(self) -> None:
        full = self._all[0] > self.memory
        self._all[:, full] *= 0.5
        self._tables[:, :, full] = np.round(self._tables[:, :, full] * 0.5, 2)  # short in the document
        self._rebase()

    def _rebase(self) -> None:
        """Take the rates of all deals anew, and tell every table against them."""
        base = (self._all[1:] + _PRIOR_WEIGHT * _PRIOR) / (self._all[0] + _PRIOR_WEIGHT)
        self._tell_all(base, self.lessons + 1 + min(self.lessons // 16, _REFRESH))

    def _tell_all(self, base: Vector, refresh_at: int) -> None:
        self._base, self._refresh_at = base, refresh_at
        self._level = np.log(base / (1 - base))
        self._apart[: self.known] = self._told(self._tables[: self.known], slice(None))
        self._apart[0] = 0.0

    def _told(self, tables: Vector, buckets: slice | Rows) -> Vector:
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


def chances(log_odds: Vector) -> Vector:
    """Turn log-odds into probabilities, in place."""
    np.negative(log_odds, log_odds)
    np.exp(log_odds, log_odds)
    log_odds += 1
    return np.reciprocal(log_odds, log_odds)
