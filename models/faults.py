"""What has a fold to tell its operator that is no record's fault: exceptions of ours, and time that had run ahead?"""

import traceback
from collections import deque
from typing import NamedTuple

from models.fold import AHEAD_OF_CLOCK, Record

#: Told at most between two looks; what is more is counted only.
_KEPT = 16


class Fault(NamedTuple):
    """An exception of ours: where it was met (topic-partition-offset, or a work and an entity), what it was, its trace."""

    where: str
    error: str
    trace: str


class SetBack(NamedTuple):
    """Time that was ahead of the clock, and was set back to it (both epoch ms)."""

    was: int
    now: int


class Faults:
    """The faults of one partition of a fold: counted, and the latest kept, until somebody has told of them."""

    __slots__ = ("fresh", "set_back", "total")

    def __init__(self) -> None:
        self.total = 0
        self.fresh: deque[Fault] = deque(maxlen=_KEPT)
        self.set_back: deque[SetBack] = deque(maxlen=_KEPT)

    def add(self, where: Record | str, error: Exception) -> str:
        """Note an exception; return it as one line."""
        self.total += 1
        said = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        trace = "".join(traceback.format_exception(error))
        if isinstance(where, Record):
            where = f"{where.topic}-{where.partition}-{where.offset}"
        self.fresh.append(Fault(where, said, trace))
        return said

    def runs_ahead(self, time: int, read: int) -> bool:
        """Whether a fold's time must be set back to ``read``, the clock at the latest record's reading (0: not known)."""
        if not read or time <= read + AHEAD_OF_CLOCK:
            return False
        self.set_back.append(SetBack(time, read))
        return True
