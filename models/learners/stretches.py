"""What is a lesson? The buckets of time that have passed; those of several lessons one after the other are learnt in one go."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from models.learners.curve import EDGES, Vector

Outcome = Literal["open", "won", "lost"]
#: The buckets that have passed, ``(first, end, outcome of the last one)``.
Lesson = tuple[int, int, Outcome]
Rows = np.ndarray[Any, np.dtype[np.intp]]
_BUCKETS = len(EDGES)


class Stretches(NamedTuple):
    """One cell for each bucket of each lesson: which lesson, which bucket, where each lesson's begin, and what became of it."""

    of: Rows
    bucket: Rows
    starts: Rows
    told: Vector  # won and lost (cause × cell)
    #: The cells in which a deal was won: it was not at risk of being lost there.
    won: Rows


def stretches(lessons: Sequence[Lesson]) -> Stretches:
    """Return the cells of some lessons, each of which has at least one bucket."""
    first, end = (np.array([lesson[number] for lesson in lessons], np.intp) for number in (0, 1))
    lengths = end - first
    ends = np.add.accumulate(lengths)
    starts = ends - lengths
    of = np.repeat(np.arange(len(lessons)), lengths)
    told = np.zeros((2, len(of)))
    won, lost = (
        np.array([last for last, lesson in zip(ends.tolist(), lessons, strict=True) if lesson[2] == outcome], np.intp) - 1
        for outcome in ("won", "lost")
    )
    told[0, won] = told[1, lost] = 1.0
    return Stretches(of, np.arange(len(of)) - (starts - first)[of], starts, told, won)


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
