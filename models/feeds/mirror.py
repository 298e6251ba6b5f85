"""What of deals, leads and alerts has changed, and is still to be written to another place? (a replayed fold)

It keeps nothing: at each assignment the topics of the presents are read from their beginning, and all of it is to be written
again, over what is there. So the other place is whole after an outage, a move or an erasure, whatever it had missed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from models.fold import Changes, Record


class MirrorChange(NamedTuple):
    """The present of something, as its topic has it; None where it has gone. ``at`` is when that was said (epoch ms)."""

    table: str
    key: str
    body: bytes | None
    at: int


class Mirror:
    """One partition of the topics. ``live`` is told once they have been read to their end."""

    def __init__(self, partition: int, tables: Mapping[str, str], show: Callable[["Mirror"], None]) -> None:
        """``tables`` says which topic is of which table; ``show`` is given this where it is whole."""
        self.partition = partition
        self.tables = tables
        self._show = show
        self._waiting: dict[tuple[str, str], MirrorChange] = {}
        #: Of each table, the keys of all that there is, or has come since; None once the other place has forgotten all others.
        self.first: dict[str, set[str]] | None = None

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """There are no rows: the topics themselves are read."""

    def live(self) -> None:
        """All that there is stands in line: from now on it may be written."""
        self.first = {table: {key for (of, key), change in self._waiting.items() if of == table and change.body is not None}
                      for table in self.tables.values()}  # fmt: skip
        self._show(self)

    def fold(self, records: Sequence[Record]) -> None:
        """Put what has changed in line, in place of what has not been written of the same."""
        for record in records:
            try:
                which = self.tables[record.topic], (record.key or b"").decode()
            except (KeyError, ValueError):
                continue
            self._waiting.pop(which, None)
            self._waiting[which] = MirrorChange(*which, record.value, record.timestamp)
            if self.first is not None and record.value is not None:
                self.first[which[0]].add(which[1])

    def take(self, most: int) -> list[MirrorChange]:
        """Return what has waited longest, so many at most. It waits on until :meth:`done`."""
        return list(islice(self._waiting.values(), most))

    def done(self, changes: Iterable[MirrorChange]) -> None:
        """Let go of what has been written, unless it has changed again meanwhile."""
        for change in changes:
            if self._waiting.get(change[:2]) is change:
                del self._waiting[change[:2]]

    @property
    def waiting(self) -> int:
        """How many changes wait."""
        return len(self._waiting)

    def tick(self, now: int) -> None:
        """Nothing here depends on the clock."""

    def changes(self) -> Changes:
        """Nothing is written on this side."""
        return Changes([], [])
