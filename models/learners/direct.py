"""Of the deals that close, which are won? A logistic regression over the same rows and z-scores as the hazard's.

Sharper than the hazard, as it looks at nothing else, but it learns only from what has closed.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from models.learners.finite import finite
from models.learners.hazard import HazardQuestion
from models.learners.stretches import Rows


class Direct:
    """An online logistic regression (AdaGrad): one weight a row of the hazard's categories, one a number, one for all."""

    def __init__(self, rate: float = 0.03) -> None:
        """``rate`` is the step of a weight; a lesson moves none by more than ``rate`` × 3 / √2."""
        self.rate = rate
        self.lessons = 0
        # 4-byte floats: half the document, and more than is known.
        self.weights = np.zeros(1, np.float32)
        self.squares = np.ones(1, np.float32)
        self.tilt = np.zeros(0)
        self.tilt_squares = np.ones(0)

    def dump(self) -> dict[str, Any]:
        """Return what it has learnt, as a document has it."""
        weights = [self.weights, self.squares, self.tilt, self.tilt_squares]
        return {"rate": self.rate, "lessons": self.lessons, "weights": weights}

    @classmethod
    def load(cls, state: Mapping[str, Any], room: int, numbers: int) -> "Direct":
        """Go on from what :meth:`dump` gave, over ``room`` rows at most and so many numbers."""
        found = cls(float(state["rate"]))
        found.lessons = int(state["lessons"])
        weights, squares, tilt, tilt_squares = state["weights"]
        if not len(weights) == len(squares) <= room or not len(tilt) == len(tilt_squares) in (0, numbers + 1):
            raise ValueError(f"{len(weights)} weights for {room} rows")
        found.weights, found.squares = finite(weights, np.float32), finite(squares, np.float32)
        found.tilt, found.tilt_squares = finite(tilt), finite(tilt_squares)
        return found

    def log_odds(self, asked: HazardQuestion) -> float:
        """Return the log-odds of won; 0 before the first lesson."""
        if not self.lessons:
            return 0.0
        self._fit_to(asked)
        return float(np.add.reduce(self.weights.take(asked.rows))) + float(self.tilt @ asked.numbers)

    def learn_one(self, asked: HazardQuestion, won: bool) -> None:
        """Learn that a deal was won or lost."""
        rows, numbers, _ = asked
        self._fit_to(asked)
        wrong = 1 / (1 + math.exp(-min(max(self.log_odds(asked), -30.0), 30.0))) - won
        squares = self.squares.take(rows)
        squares += wrong * wrong
        self.squares[rows] = squares
        self.weights[rows] -= self.rate * wrong / np.sqrt(squares)
        self.weights[0], self.squares[0] = 0.0, 1.0  # what is not known says nothing
        step = wrong * numbers
        self.tilt_squares += step * step
        self.tilt -= self.rate * step / np.sqrt(self.tilt_squares)
        self.lessons += 1

    def forget_rows(self, rows: Rows) -> None:
        """Begin anew with the weights of these rows: the values that have changed."""
        rows = rows[rows < len(self.weights)]
        self.weights[rows], self.squares[rows] = 0.0, 1.0

    def _fit_to(self, asked: HazardQuestion) -> None:
        """Make room for the rows that the hazard has given since."""
        more = asked.room - len(self.weights)
        if more > 0:
            self.weights = np.concatenate((self.weights, np.zeros(more, np.float32)))
            self.squares = np.concatenate((self.squares, np.ones(more, np.float32)))
        if not len(self.tilt):
            self.tilt, self.tilt_squares = np.zeros(len(asked.numbers)), np.ones(len(asked.numbers))
