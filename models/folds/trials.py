"""What does a lead or deal count for in a test of two variants, on the day it came in?

Only where it has a variant: under the first one it had, and under the pairs of dimensions that the variant is one of. Who was
seen with another variant later counts as such, and for nothing else: which of both made the difference nobody knows.
"""

from typing import NamedTuple

from models.calendar import DAY_MS, MINUTE_MS
from models.measures import BY_NAME, MEASURES, rough
from models.panes.segments import Segments
from models.panes.store import Booking

_DIGITS = 10  # whole days are exact below 1,024
_LONGEST = 1_000


class Trial(NamedTuple):
    """The measures of one fold, by their slots."""

    given: int
    varied: int
    after: int

    @classmethod
    def of(cls, given: str, varied: str, after: str) -> "Trial":
        """Return the slots of measures by name: given one variant, given several, and days until the aim was reached."""
        slots = {m.name: slot for slot, m in enumerate(MEASURES[BY_NAME[given][0]])}
        return cls(slots[given], slots[varied], slots[after])

    def booking(
        self, created: int | None, variant: str | None, reached: int | None, names: tuple[str, ...], segments: Segments,
        *, varied: bool,
    ) -> Booking | None:  # fmt: skip
        """Return the booking; ``reached`` is when the aim was (ms), ``names`` the segments that its creation is booked under."""
        if created is None or variant is None:
            return None
        minute, first = created // MINUTE_MS, segments.name("variant", variant)
        if varied:
            return minute, (first,), ((self.varied, 1),), ()
        pairs = tuple(
            name for name in names if "variant" in name.partition("=")[0].split(".") and not name.startswith("variant=")
        )
        values = () if reached is None else ((self.after, rough(min(_LONGEST, max(0, reached - created) // DAY_MS), _DIGITS)),)
        return minute, (first, *pairs), ((self.given, 1),), values


def seen(first: str | None, now: str | None, varied: bool) -> tuple[str | None, bool]:
    """Return the first variant, and whether there was another, once ``now`` is said of it."""
    return (first or now or None), varied or bool(first and now and now != first)
