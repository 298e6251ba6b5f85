"""Which deals are there, open and closed, with what a forecast has to know of each? In columns, so that a thousand are one look.

What is known of each is a :class:`models.deal_outlook.DealOutlook`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from models.deal_outlook import DIMENSIONS, KNOTS, decode
from models.foresight.law import Reals

OPEN, WON, LOST = 1, 2, 3
_STATUS = {"open": OPEN, "won": WON, "lost": LOST}
_NAMES = {code: name for name, code in _STATUS.items()}

Codes = np.ndarray[Any, np.dtype[np.int32]]
Times = np.ndarray[Any, np.dtype[np.int64]]
Kinds = np.ndarray[Any, np.dtype[np.int8]]


class Columns(NamedTuple):
    """All deals, a row each. ``values`` has a column for each dimension: the place in ``names``, -1 where it is not known."""

    status: Kinds
    created: Times
    closed: Times
    amount: Times  # -1: not known
    values: Codes
    asked: Times
    won: np.ndarray[Any, np.dtype[np.float32]]  # P(won) by the knots
    closes: np.ndarray[Any, np.dtype[np.float32]]
    stages: Times  # a bit for each stage it has been in
    stage: Codes
    names: Mapping[str, tuple[str, ...]]


class Book:
    """The deals by id. ``version`` grows with every change."""

    def __init__(self) -> None:
        self.version = 0
        self._row: dict[str, int] = {}
        self._free: list[int] = []
        self._names: dict[str, dict[str, int]] = {name: {} for name in (*DIMENSIONS, "stage")}
        self._make(256)

    def __len__(self) -> int:
        return len(self._row)

    def _make(self, rows: int) -> None:
        self._status, self._stage = np.zeros(rows, np.int8), np.full(rows, -1, np.int32)
        self._created, self._closed, self._amount, self._asked, self._stages = (np.zeros(rows, np.int64) for _ in range(5))
        self._values = np.full((rows, len(DIMENSIONS)), -1, np.int32)
        self._won, self._closes = np.zeros((rows, len(KNOTS)), np.float32), np.zeros((rows, 2), np.float32)

    def _arrays(self) -> tuple[str, ...]:
        return ("_status", "_stage", "_created", "_closed", "_amount", "_asked", "_stages", "_values", "_won", "_closes")

    def put(self, key: str, value: bytes | None) -> None:
        """Take what is known of a deal now; raise ``ValueError`` where it is nothing of the kind, and change nothing."""
        if value is None:
            row = self._row.pop(key, None)
            if row is not None:
                self._status[row] = 0
                self._free.append(row)
                self.version += 1
            return
        try:
            found = decode(value)
        except msgspec.DecodeError as error:
            raise ValueError(f"not an outlook on a deal: {error}") from None
        row = self._row.get(key)
        if row is None:
            row = self._free.pop() if self._free else len(self._row)
            self._row[key] = row
            if row >= len(self._status):
                for name in self._arrays():
                    old = getattr(self, name)
                    setattr(self, name, np.concatenate((old, np.zeros_like(old))))
        self._status[row] = _STATUS[found.status]
        self._created[row], self._closed[row], self._asked[row] = found.created, found.closed, found.asked
        self._amount[row] = -1 if found.amount is None else found.amount
        values = (*found.values, *[None] * len(DIMENSIONS))[: len(DIMENSIONS)]
        self._values[row] = [self._code(name, value) for name, value in zip(DIMENSIONS, values, strict=True)]
        stages = [self._code("stage", stage) for stage in found.stages]
        self._stages[row] = sum({1 << stage for stage in stages if 0 <= stage < 62})
        self._stage[row] = stages[-1] if stages else -1
        if len(found.won) == len(KNOTS):
            self._won[row], self._closes[row] = found.won, found.closes
        else:
            self._won[row], self._closes[row] = 0.0, 0.0
        self.version += 1

    def _code(self, dimension: str, value: str | None) -> int:
        if value is None:
            return -1
        known = self._names[dimension]
        return known.setdefault(value, len(known))

    def columns(self) -> Columns:
        """Return copies of the columns: of what they say now, whatever comes later."""
        rows = np.flatnonzero(self._status)
        return Columns(
            self._status[rows],
            self._created[rows],
            self._closed[rows],
            self._amount[rows],
            self._values[rows],
            self._asked[rows],
            self._won[rows],
            self._closes[rows],
            self._stages[rows],
            self._stage[rows],
            {name: tuple(known) for name, known in self._names.items()},
        )


def won_by(columns: Columns, rows: np.ndarray[Any, np.dtype[np.intp]], now: int, until: int) -> Reals:
    """Return P(won by ``until``) of open deals, as of ``now`` (ms).

    By what was said of each when it was asked: what it was to be by now is off, as it is still open.
    """
    day = 86_400_000
    asked = columns.asked[rows]
    begin = np.maximum(now - asked, 0) / day
    end = np.maximum(until - asked, 0) / day
    knots = np.concatenate(((0.0,), KNOTS))
    won = np.concatenate((np.zeros((len(rows), 1)), columns.won[rows].astype(np.float64)), 1)
    closes = columns.closes[rows].astype(np.float64)
    # Beyond the last knot: the share that was still open goes on closing, and winning, as in the last stretch.
    last, before = KNOTS[-1], KNOTS[-2]
    open_before, open_last = np.maximum(1 - closes[:, 0], 1e-9), np.maximum(1 - closes[:, 1], 0.0)
    ending = np.maximum(open_before - open_last, 0.0)
    leaves = np.minimum(ending / open_before, 0.95)
    winning = np.divide(won[:, -1] - won[:, -2], ending, out=np.zeros(len(rows)), where=ending > 1e-9)
    beyond = np.maximum(end - last, 0.0) / (last - before)
    tail = open_last * np.clip(winning, 0, 1) * (1 - (1 - leaves) ** beyond)
    found = _at(won, knots, np.minimum(end, last)) + tail
    said = _at(won, knots, np.minimum(begin, last))
    gone = said / np.maximum(won[:, -1], 1e-9) * closes[:, 1]  # of those that close, as many have as of those that are won
    chances: Reals = np.clip((found - said) / np.maximum(1 - gone, 0.05), 0.0, 1.0)
    return chances


def _at(curves: Reals, knots: Reals, days: Reals) -> Reals:
    right = np.clip(np.searchsorted(knots, days, "left"), 1, len(knots) - 1)
    rows = np.arange(len(curves))
    low, high = curves[rows, right - 1], curves[rows, right]
    share = (days - knots[right - 1]) / (knots[right] - knots[right - 1])
    found: Reals = low + (high - low) * np.clip(share, 0.0, 1.0)
    return found
