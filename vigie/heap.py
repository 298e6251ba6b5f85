"""How does memory that nobody uses any more go back to the system?

What is read at once, such as a history or a restored state, leaves gaps all over the heap, which glibc keeps for later: a fifth
of what the demonstration holds. It is asked to give them back each time that the process has grown by so much, so seldom
(it takes some 50 ms, in which others wait for memory), and never while nothing grows.
"""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

#: Growth after which it is worth the time, bytes.
STEP = 64 << 20


def resident() -> int:
    """Return the bytes that this process has in memory; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def give_back() -> None:
    """Let glibc give all whole pages back that are free. Elsewhere nothing is done."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Heap:
    """Gives back after each :data:`STEP` of growth beyond what was needed last."""

    def __init__(self, size: Callable[[], int] = resident, act: Callable[[], None] = give_back) -> None:
        self._size, self._act = size, act
        self._needed = size()

    def due(self) -> bool:
        """Return whether it has grown so much."""
        return self._size() >= self._needed + STEP

    def give_back(self) -> None:
        """Give back, and note what is needed."""
        self._act()
        self._needed = self._size()
