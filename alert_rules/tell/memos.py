"""What have receivers given back for their incidents (where the message is), to be given to them with the next one?"""

from collections.abc import Mapping
from typing import Any

import orjson

from alert_rules.tell.delivery import Delivery
from models.calendar import DAY_MS, HOUR_MS
from models.fold import Row

#: How the names of their rows begin.
PREFIX = "#memo|"
#: A memo is kept so long after its last use, milliseconds, and of so many incidents.
MEMO_KEPT = 30 * DAY_MS
MEMOS = 10_000


class Memos:
    """The memos by receiver and incident, the oldest first."""

    def __init__(self) -> None:
        self._memos: dict[str, tuple[str, int]] = {}  # by row: what was given back, and when
        self._changed: set[str] = set()
        self._forgetting = 0  # when they are looked through next

    def restore(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        """Take rows back, by name."""
        memos = {name: (str(tree["memo"]), int(tree["at"])) for name, tree in found.items()}
        self._memos = dict(sorted(memos.items(), key=lambda item: (item[1][1], item[0])))

    def get(self, delivery: Delivery) -> str | None:
        """Return what the receiver gave back for this incident before."""
        found = self._memos.get(_row(delivery))
        return None if found is None else found[0]

    def remember(self, delivery: Delivery, memo: str, now: int) -> None:
        """Keep what a receiver has given back; of too many the oldest goes."""
        row = _row(delivery)
        self._memos.pop(row, None)
        self._memos[row] = (memo, now)
        self._changed.add(row)
        if len(self._memos) > MEMOS:
            self._forget(next(iter(self._memos)))

    def tick(self, now: int) -> None:
        """Forget, once an hour, what nobody asks for any more."""
        if now >= self._forgetting:
            self._forgetting = now + HOUR_MS
            for row in [row for row, (_, at) in self._memos.items() if now - at > MEMO_KEPT]:
                self._forget(row)

    def _forget(self, row: str) -> None:
        del self._memos[row]
        self._changed.add(row)

    def rows(self) -> list[Row]:
        """Return the rows that have changed since the last call."""
        found = [(row, self._memos.get(row)) for row in sorted(self._changed)]
        self._changed.clear()
        return [
            Row(row.encode(), None if memo is None else orjson.dumps({"memo": memo[0], "at": memo[1]})) for row, memo in found
        ]


def _row(delivery: Delivery) -> str:
    return f"{PREFIX}{delivery.receiver}|{delivery.incident}"
