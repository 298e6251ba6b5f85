"""When is each entity of a partition looked at again, and which of them are open?"""

from models.due_queue import DueQueue


class Agenda:
    """The times at which entities are looked at, and those that are ``open``, in the order in which they became so."""

    def __init__(self) -> None:
        self._due = DueQueue()
        self.open: dict[str, None] = {}

    def put(self, key: str, wake: int) -> None:
        """Look at an open entity at ``wake`` (epoch ms), at a closed one once more at ``-wake``; 0: at neither."""
        if wake > 0:
            self.open[key] = None
        else:
            self.open.pop(key, None)
        if wake:
            self._due.schedule(key, abs(wake))
        else:
            self._due.cancel(key)

    def pop(self, now: int) -> str | None:
        """Return one whose time has come by ``now``; None where there is none."""
        return self._due.pop(now)

    def next_due(self) -> int | None:
        """Return when the first one is to be looked at."""
        return self._due.next_due()
