"""What does each value of each feature add, and how far is it to be believed? Additive scores with shrinkage by evidence.

Every value has, for each *head* (something that is predicted), a mean and a variance: what it adds to the log-odds. A lesson
moves the values that were there in proportion to their variances (a Kalman step of Bayesian logistic regression with a diagonal
covariance): what is little known moves far, what is well known hardly. There is no step to choose. How much the values of one
feature can differ (the variance before any evidence) is estimated from what they turned out to add (MacKay's fixed point), so
a feature that says nothing is shrunk away, and one that carries much is soon believed. Numbers enter by quantile bins.
"""

import math
import zlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.learners.curve import Vector
from models.learners.features import BESIDE
from models.learners.finite import finite
from models.learners.quantiles import BINS, Quantiles

Rows = np.ndarray[Any, np.dtype[np.intp]]

#: Before anything is known all features of the entity's own together explain so much (variance of log-odds), each as much as any
#: other; that counts as so many values of each.
_ALL, _FIRST_WEIGHT = 1.0, 2.0
#: What is known beside an entity's own events explains so much of what a feature of its own does: an installation that tells
#: little of it is not to pay for it.
_BESIDE = 0.3
_LEAST, _MOST = 1e-4, 4.0
_HASHED = 32  # rows that the values of one feature share when there is no room left
_REFRESH = 512
#: Half the document of 8-byte floats, and more than is known.
DTYPE = np.float32


class Bank:
    """Scores over categories and binned numbers; see the module. Row 0 stands for what is not known and adds nothing."""

    def __init__(
        self, categories: Sequence[str], numbers: Sequence[str], heads: int, *, values: int = 400, rows: int = 1_200
    ) -> None:
        """``values`` and ``rows`` bound what has a row of its own, of one feature and in all."""
        self.categories, self.numbers, self.heads = list(categories), list(numbers), heads
        self.values, self.rows = values, rows
        features = len(self.categories) + len(self.numbers) + 1
        self.known: list[dict[str, int]] = [{} for _ in self.categories]  # the row of each value
        self.bins = [Quantiles() for _ in self.numbers]
        self.binned = [[0] * BINS for _ in self.numbers]  # the row of each bin
        self.binnings = 0  # so many times the edges of a number's bins were looked for anew
        self.feature = np.zeros(64, np.intp)  # of each row
        # Means, what is known beyond the first variances (as precisions), these, and the variances that follow.
        self.mean, self.evidence, self.precision, self.variance = (np.zeros((64, heads), DTYPE) for _ in range(4))
        shares = np.array([_BESIDE if name in BESIDE else 1.0 for name in (*self.categories, *self.numbers)])
        self._start = (shares * (_ALL / max(int(np.count_nonzero(shares == 1)), 1)))[:, None]
        self.first = np.ones((features, heads), DTYPE)  # of the level, which is row 1, it stays that
        self.first[:-1] = self._start
        self.used = 1
        self.lessons = 0
        self.refresh_at = 32
        self._add(features - 1)

    def observe_one(self, x: Mapping[str, str | float]) -> None:
        """Let the bins see a question when it is asked."""
        for name, bins in zip(self.numbers, self.bins, strict=True):
            value = x.get(name)
            if isinstance(value, float | int) and math.isfinite(value):
                self.binnings += bins.learn_one(value)

    def encode(self, x: Mapping[str, str | float], *, grow: bool = False) -> Rows:
        """Return the rows of a question's values; ``grow`` gives new ones a row, as learning does."""
        return np.array(self.places(x, grow=grow) + self.binned_places(x, grow=grow), np.intp)

    def places(self, x: Mapping[str, str | float], *, grow: bool = False) -> list[int]:
        """Return the rows of its categories' values. With ``grow`` they are the same ever after."""
        found = [1]
        values = [*map(x.get, self.categories)]
        for place, row in enumerate(map(dict.get, self.known, values)):  # type: ignore[arg-type]
            if row:
                found.append(row)
            elif (value := values[place]) and value.__class__ is str:
                found.append(self._row(place, value) if grow else self._shared(place, value))
        return found

    def binned_places(self, x: Mapping[str, str | float], *, grow: bool = False) -> list[int]:
        """Return the rows of its numbers' bins as they are now."""
        found = []
        for place, (value, bins) in enumerate(zip(map(x.get, self.numbers), self.bins, strict=True)):
            if bins.edges and value.__class__ is float and -math.inf < value < math.inf:
                number = bisect_right(bins.edges, value)
                row = self.binned[place][number]
                if not row and grow:
                    row = self.binned[place][number] = self._add(len(self.categories) + place)
                found.append(row)
        return found

    def score(self, rows: Rows) -> tuple[Vector, Vector]:
        """Return of each head what the values add, and the variance of that."""
        return np.add.reduce(self.mean.take(rows, 0), 0), np.add.reduce(self.variance.take(rows, 0), 0)

    def scores(self, asked: Sequence[Rows]) -> tuple[Vector, Vector]:
        """Return the same of several questions."""
        rows = np.zeros((len(asked), max(map(len, asked))), np.intp)
        for row, one in zip(rows, asked, strict=True):
            row[: len(one)] = one
        return np.add.reduce(self.mean.take(rows, 0), 1), np.add.reduce(self.variance.take(rows, 0), 1)

    def learn(self, rows: Rows, slope: Vector, curve: Vector, keeps: Vector) -> None:
        """Take a lesson: of each head the slope of the log-likelihood in its score, and (minus) its curvature; 0: none.

        ``keeps`` is the share of what was known of these values that still counts: 1 of a head that forgets nothing.
        """
        variance = self.variance.take(rows, 0)
        scale = 1 + curve * np.add.reduce(variance, 0)
        mean = self.mean.take(rows, 0)
        mean += variance * (slope / scale)
        evidence = self.evidence.take(rows, 0)
        evidence *= keeps
        evidence += curve / (scale - curve * variance)
        self.mean[rows] = mean
        self.evidence[rows] = evidence
        evidence += self.precision.take(rows, 0)
        self.variance[rows] = 1 / evidence
        self.mean[0] = self.evidence[0] = self.variance[0] = 0.0  # what has no row says nothing
        self.lessons += 1
        if self.lessons >= self.refresh_at:
            self.refresh()

    def learn_many(self, asked: Sequence[Rows], slope: Vector, curve: Vector, keeps: Vector) -> None:
        """Take several lessons (lesson × head) in one go, each told against the scores before all of them.

        What they add to what is known of a value is added up, and its mean moves by all with the variance from after that.
        """
        lengths = [*map(len, asked)]
        rows, of = np.concatenate(asked), np.repeat(np.arange(len(asked)), lengths)
        variance = self.variance.take(rows, 0)
        starts = np.add.accumulate([0, *lengths[:-1]])
        # Of each value in each lesson: the curvature beside what the lesson's other values may be.
        rest = 1 + (curve * np.add.reduceat(variance, starts))[of] - curve[of] * variance
        places = (rows[:, None] * self.heads + np.arange(self.heads)).ravel()
        adds, pulls = np.zeros_like(self.mean), np.zeros_like(self.mean)
        np.add.at(adds.reshape(-1), places, (curve[of] / rest).astype(DTYPE).ravel())
        np.add.at(pulls.reshape(-1), places, (slope[of] / rest).astype(DTYPE).ravel())
        met = np.unique(rows)
        pulls, adds, evidence = pulls[met], adds[met], self.evidence[met]
        self.mean[met] += pulls / (self.precision[met] + evidence + adds)
        for number in np.flatnonzero((keeps < 1).any(1)).tolist():
            self.evidence[asked[number]] *= keeps[number]
        self.evidence[met] += adds
        self.variance[met] = 1 / (self.evidence[met] + self.precision[met])
        self.mean[0] = self.evidence[0] = self.variance[0] = 0.0
        self.lessons += len(asked)
        if self.lessons >= self.refresh_at:
            self.refresh()

    def refresh(self) -> None:
        """Estimate anew how much the values of each feature differ, and shrink all of them by that."""
        self.refresh_at = self.lessons + 1 + min(self.lessons // 16, _REFRESH)
        used = slice(1, self.used)
        of, evidence, precision = self.feature[used], self.evidence[used], self.precision[used]
        pull = self.mean[used] * (evidence + precision)
        squares, count = np.zeros(self.first.shape), np.zeros(self.first.shape)
        np.add.at(squares, of, self.mean[used] ** 2)
        np.add.at(count, of, evidence / (evidence + precision))
        self.first[:-1] = (squares[:-1] + _FIRST_WEIGHT * self._start) / (count[:-1] + _FIRST_WEIGHT)
        np.clip(self.first, _LEAST, _MOST, out=self.first)
        self._weigh()
        self.mean[used] = pull * self.variance[used]

    def dump(self) -> dict[str, Any]:
        """Return what is known of each row, from row 1 on, as a document has it."""
        used = slice(1, self.used)
        return {
            "categories": self.categories,
            "numbers": self.numbers,
            "bounds": [self.values, self.rows],
            "lessons": [self.lessons, self.refresh_at],
            "values": self.known,
            "bins": [[*bins.dump(), rows] for bins, rows in zip(self.bins, self.binned, strict=True)],
            "feature": self.feature[used].tolist(),
            "first": self.first,
            "evidence": self.evidence[used],
            "mean": self.mean[used],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`dump` gave of the same features, or of some of them: of the others nothing is known yet."""
        self.values, self.rows = (int(bound) for bound in state["bounds"])
        self.lessons, self.refresh_at = (int(count) for count in state["lessons"])
        places, number_places = _places(state["categories"], self.categories), _places(state["numbers"], self.numbers)
        of = np.array([*places, *(len(self.categories) + place for place in number_places), len(self.first) - 1], np.intp)
        feature = np.array(state["feature"], np.intp)
        self.known = [{} for _ in self.categories]
        for place, known in zip(places, state["values"], strict=True):
            self.known[place] = {str(value): int(row) for value, row in known.items()}
        self.bins, self.binned = [Quantiles() for _ in self.numbers], [[0] * BINS for _ in self.numbers]
        for place, (*bins, found) in zip(number_places, state["bins"], strict=True):
            self.bins[place], self.binned[place] = Quantiles.load(bins), [int(row) for row in found]
        rows = [row for known in self.known for row in known.values()] + [row for found in self.binned for row in found if row]
        if any(len(r) != BINS for r in self.binned) or sorted(rows) != list(range(2, len(feature) + 1)):
            raise ValueError(f"{len(feature)} rows of scores, and not one for each value")
        first = finite(state["first"], DTYPE, (len(of), self.heads))
        evidence, mean = (finite(state[name], DTYPE, (len(feature), self.heads)) for name in ("evidence", "mean"))
        self.used = 1 + len(feature)
        size = 64
        while size < self.used:
            size *= 2
        used = slice(1, self.used)
        self.feature = np.zeros(size, np.intp)
        self.evidence, self.mean, self.precision, self.variance = (np.zeros((size, self.heads), DTYPE) for _ in range(4))
        self.first[of] = first
        self.feature[used], self.evidence[used], self.mean[used] = of[feature], evidence, mean
        self._weigh()

    def forget(self, rows: Rows, share: float) -> None:
        """Let what is known of these rows weigh ``share`` of what it did."""
        rows = rows[rows > 1]
        pull = self.mean[rows] * (self.evidence[rows] + self.precision[rows]) * share
        self.evidence[rows] *= share
        self._weigh()
        self.mean[rows] = pull * self.variance[rows]

    def _weigh(self) -> None:
        used = slice(1, self.used)
        self.precision[used] = 1 / self.first[self.feature[used]]
        self.variance[used] = 1 / (self.evidence[used] + self.precision[used])

    def _shared(self, place: int, value: str) -> int:
        known = self.known[place]
        if len(known) < self.values and self.used < self.rows:
            return 0
        return known.get(f"#{zlib.crc32(value.encode()) % _HASHED}", 0)

    def _row(self, place: int, value: str) -> int:
        """Return the row of a value that has none: a new one, or where there is no room one that it shares."""
        known = self.known[place]
        if len(known) >= self.values or self.used >= self.rows:
            value = f"#{zlib.crc32(value.encode()) % _HASHED}"
            if value in known:
                return known[value]
        row = known[value] = self._add(place)
        return row

    def _add(self, feature: int) -> int:
        row = self.used
        self.used += 1
        if row >= len(self.feature):
            self.feature = np.concatenate((self.feature, np.zeros_like(self.feature)))
            self.mean, self.evidence, self.precision, self.variance = (
                np.concatenate((old, np.zeros_like(old))) for old in (self.mean, self.evidence, self.precision, self.variance)
            )
        self.feature[row] = feature
        self.precision[row] = 1 / self.first[feature]
        self.variance[row] = 1 / self.precision[row]
        return row


def _places(names: Sequence[Any], now: Sequence[str]) -> list[int]:
    """Return where the features of a document are among those of now.

    Raises:
        ValueError: for one that is not there any more, or there twice.
    """
    if not {*names} <= {*now} or len({*names}) != len(names):
        raise ValueError(
            f"features: found {', '.join(sorted({*names} - {*now})) or 'one twice'}; accepted: {', '.join(now)}"[:300]
        )
    return [now.index(name) for name in names]
