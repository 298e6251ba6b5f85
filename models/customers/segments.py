"""What do we call customers by their scores, and over which time is their worth counted?"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

SCORES = range(1, 6)
Range = tuple[int, int]
_ALL: Range = (1, 5)


class CustomerSegment(NamedTuple):
    """A name for customers whose scores are in these ranges, ends included."""

    name: str
    r: Range = _ALL
    f: Range = _ALL
    m: Range = _ALL

    def holds(self, r: int, f: int, m: int) -> bool:
        """Whether a customer with these scores is of the segment."""
        return all(low <= score <= high for score, (low, high) in zip((r, f, m), self[1:], strict=True))


#: What there is where the settings name no segments.
SEGMENTS = (
    CustomerSegment("champions", (4, 5), (4, 5), (4, 5)),
    CustomerSegment("new", (4, 5), (1, 1)),
    CustomerSegment("loyal", (3, 5), (3, 5)),
    CustomerSegment("promising", (3, 5), (1, 2)),
    CustomerSegment("at risk", (1, 2), (3, 5)),
    CustomerSegment("hibernating", (1, 2), (1, 2)),
)


class Named:
    """Names the 125 combinations of scores: the first segment that holds one has it, and each has one.

    ``table`` is the place in ``names`` of each combination, (1, 1, 1) first and m fastest.
    """

    def __init__(self, segments: Sequence[CustomerSegment] = SEGMENTS) -> None:
        """Raise ``ValueError`` where a combination has no name, or a name no combination."""
        self.names = tuple(one.name for one in segments)
        table = list[int]()
        for r, f, m in product(SCORES, SCORES, SCORES):
            place = next((at for at, one in enumerate(segments) if one.holds(r, f, m)), None)
            if place is None:
                raise ValueError(
                    f"r {r}, f {f}, m {m} are in no segment (accepted: segments that together hold all scores 1 to 5)"
                )
            table.append(place)
        self.table = tuple(table)
        never = [name for place, name in enumerate(self.names) if place not in self.table]
        if never:
            raise ValueError(f"{', '.join(never)}: all that it holds is in segments before it")


class Terms(NamedTuple):
    """Over which time worth is counted (weeks), what a year takes off it (0.1: 10 %), and what is left of a sale (1: all)."""

    horizon: float = 52.0
    discount: float = 0.1
    margin: float = 1.0
