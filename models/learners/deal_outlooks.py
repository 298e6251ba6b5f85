"""What does a forecast of the period have to know of a deal, open or closed? Said wherever a prediction is."""

from typing import Any

import numpy as np

from models.deal_outlook import DIMENSIONS, KNOTS, DealOutlook, encode, rounded
from models.learners.curve import EDGES, Curve
from models.money import Rates, UnknownRate

_TIMES = np.concatenate(((0.0,), EDGES))
#: Of the stages a deal has been in, at most so many are told.
_STAGES = 32


def deal_outlook(present: Any, rates: Rates, at: int, curve: Curve | None = None) -> bytes | None:
    """Return what is known of a deal; None where it is nobody's. ``curve`` is what was said of an open one at ``at`` (ms)."""
    past, status = present.past, present.status
    if past is None or status not in ("open", "won", "lost"):
        return None
    closed = present.closed if status != "open" else 0
    amount = past.attributes.get("amount")
    if amount is not None:
        try:
            amount = rates.convert(amount, present.currency or present.default_currency, closed or at)
        except UnknownRate:
            amount = None
    won, closes = tuple[float, ...](), (0.0, 0.0)
    if curve is not None:
        won = rounded(np.interp(KNOTS, _TIMES, np.concatenate(((0.0,), np.add.accumulate(curve.won)))))
        closes = tuple(round(min(curve.closes_within(days), 1.0), 5) for days in KNOTS[-2:])  # type: ignore[assignment]
    stages = (*(stage for stage in list(past.visits)[-_STAGES:] if stage != past.stage), *filter(None, (past.stage,)))
    values = tuple(_named(past.attributes.get(name)) for name in DIMENSIONS)
    return encode(DealOutlook(status, past.created, closed, amount, values, stages, at if won else 0, won, closes))


def _named(value: object) -> str | None:
    return str(value) if value else None
