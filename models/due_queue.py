"""Whose turn is next? Names, each with the one time at which it is due.

A heap whose entries are forgotten where they lie: a name that is scheduled anew, or cancelled, leaves its old entry behind,
which is passed over when it comes up. There are never more than twice as many of them as names (and some): then the heap is
made anew.
"""

import heapq

#: So many forgotten entries are of no matter.
_SPARE = 64


class DueQueue:
    """Names by when they are due (any unit). Of those due at once, the lower ``order`` goes first, then the name."""

    __slots__ = ("_due", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._due: dict[str, tuple[int, int]] = {}

    def schedule(self, name: str, due: int, order: int = 0) -> None:
        """Have a name be due at a time, whenever it was due before. One that is due then already keeps its place."""
        known = self._due.get(name)
        if known is not None and known[0] == due:
            return
        self._due[name] = (due, order)
        heapq.heappush(self._heap, (due, order, name))
        if len(self._heap) > 2 * len(self._due) + _SPARE:
            self._heap = [(due, order, name) for name, (due, order) in self._due.items()]
            heapq.heapify(self._heap)

    def cancel(self, name: str) -> None:
        """Have a name not be due any more."""
        self._due.pop(name, None)

    def due_of(self, name: str) -> int | None:
        """Return when a name is due, None where it is not."""
        found = self._due.get(name)
        return None if found is None else found[0]

    def next_due(self) -> int | None:
        """Return when the next one is due, None where nobody is."""
        self._clean()
        return self._heap[0][0] if self._heap else None

    def pop(self, now: int) -> str | None:
        """Take out the first one that is due at ``now``, None where nobody is."""
        self._clean()
        if not self._heap or self._heap[0][0] > now:
            return None
        name = heapq.heappop(self._heap)[2]
        del self._due[name]
        return name

    def _clean(self) -> None:
        """Drop the entries at the top that are forgotten."""
        heap, due = self._heap, self._due
        while heap and due.get(heap[0][2]) != heap[0][:2]:
            heapq.heappop(heap)

    def clear(self) -> None:
        """Have nobody be due."""
        self._heap.clear()
        self._due.clear()

    def __len__(self) -> int:
        return len(self._due)

    @property
    def entries(self) -> int:
        """How many entries are held, the forgotten ones with them."""
        return len(self._heap)
