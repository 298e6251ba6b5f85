"""How large is an open deal?"""

from collections.abc import Sequence
from dataclasses import dataclass

from alert_rules.kinds.entity_condition import NOTHING, EntityCondition, EntityState, Limits, MeasuredEntity, Odds
from models.folds.entity_snapshots import DealState
from models.money import UNIT


@dataclass(frozen=True, slots=True)
class Amount(EntityCondition):
    """The amount."""

    KEY = "amount"
    UNIT = "money"
    TITLE = "Large deal"
    EXAMPLE = "{above: 100000}"
    FORM = {"above": {"type": "number", "exclusiveMinimum": 0}}
    THRESHOLD = "above"

    def _measure(self, thresholds: Sequence[float], state: EntityState, limits: Limits, odds: Odds, now: int) -> MeasuredEntity:
        amount = state.amount if isinstance(state, DealState) else None
        return NOTHING if amount is None else MeasuredEntity(amount / UNIT, None, {})

    def crossed(self, threshold: float, state: EntityState, limits: Limits, now: int) -> int:
        """Return when the deal was changed last."""
        return state.changed
