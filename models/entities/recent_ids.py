"""Has this additive event been counted already?

Events that only add (a page view, an invoice, an activity) have no state to compare with: the entity remembers their ids, as
64-bit hashes, for the dedup horizon. Time here is arrival: a sender repeats soon after it has sent, whenever the thing happened.
"""

from xxhash import xxh3_64_intdigest

_HOUR_MS = 3_600_000

#: The most ids one entity remembers; past it the oldest go first, as nobody reads ten thousand pages in three days.
MOST = 10_000


class RecentIds:
    """The ids an entity has counted, each with its hour of arrival (hours since the epoch)."""

    __slots__ = ("hours",)

    def __init__(self, hours: dict[int, int]) -> None:
        self.hours = hours

    def add(self, event_id: str, arrival: int, horizon: int) -> bool:
        """Remember an id; return False where it is known. ``arrival`` and ``horizon`` are milliseconds."""
        hours = self.hours
        digest = xxh3_64_intdigest(event_id.encode())
        if digest in hours:
            return False
        hour = arrival // _HOUR_MS
        hours[digest] = hour
        # Once in a while is enough: a few ids too many cost bytes, never a count.
        if len(hours) % 32 == 0:
            floor = hour - horizon // _HOUR_MS - 1
            for old in [d for d, h in hours.items() if h < floor]:
                del hours[old]
            while len(hours) > MOST:
                del hours[next(iter(hours))]
        return True
