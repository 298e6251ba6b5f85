"""What does a forecast of the period have to know of a deal? As the predictions say it, on ``deal-outlooks``, keyed by the deal.

Of a deal: when it came, when it closed and how, its amount in the business currency (1/10,000), what it is told by, and, while it
is open, how likely it is to be won within so many days from when that was asked. It travels as a JSON array; no value: it counts
for nothing any more.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

TOPIC = "deal-outlooks"
#: By what a forecast is told.
DIMENSIONS = ("team", "owner", "product", "region", "source")
#: Days from the moment of asking by which P(won) is told; after the last one the hazard of the stretch before it goes on.
KNOTS = (0.25, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 18.0, 22.0, 26.0, 30.0, 35.0, 40.0, 50.0, 60.0, 75.0, 90.0, 110.0, 135.0)
_ROUND = 5


class DealOutlook(msgspec.Struct, array_like=True, frozen=True, omit_defaults=True):
    """What is known of one deal. Times are ms; ``amount`` None: not known; ``won`` is P(won) by each of :data:`KNOTS`."""

    status: Literal["open", "won", "lost"]
    created: int
    closed: int = 0
    amount: int | None = None
    values: tuple[str | None, ...] = ()  # of the DIMENSIONS
    stages: tuple[str, ...] = ()  # it has been in, the present one last
    asked: int = 0
    won: tuple[float, ...] = ()
    closes: tuple[float, float] = (0.0, 0.0)  # P(closed, won or lost) by the last two knots


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(DealOutlook).decode


def rounded(values: Iterable[float]) -> tuple[float, ...]:
    """Return probabilities as they travel."""
    return tuple(round(float(value), _ROUND) for value in values)
