"""How long has an open deal been in its stage, against a quantile of that stage's usual stays?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from alert_rules.kinds.entity_condition import (
    NOTHING,
    QUANTILES,
    EntityCondition,
    EntityState,
    Limits,
    MeasuredEntity,
    Odds,
    Where,
)
from alert_rules.kinds.form import DURATION
from alert_rules.kinds.known import Known
from alert_rules.kinds.say import Say
from models.config.reader import TreeReader
from models.folds.entity_snapshots import DealState


@dataclass(frozen=True, slots=True)
class Stalled(EntityCondition):
    """``least``: no stage's limit is shorter (ms)."""

    quantile: str = "p90"
    least: int = 0

    KEY = "stalled"
    UNIT = "times"
    TITLE = "Deal stalled"
    EXAMPLE = "{beyond: p90}"
    FORM = {"beyond": {"enum": list(QUANTILES), "default": "p90"}, "at_least": DURATION}
    NUMBERS = {"stage_age": "seconds", "usual": "seconds"}
    TESTED = frozenset({"limits"})

    @classmethod
    def read(cls, reader: TreeReader, found: Mapping[str, Any], where: Where, known: Known) -> Self:
        """Read the quantile and the least limit."""
        quantile = reader.choice(found, "beyond", "stalled.", QUANTILES, "p90")
        return cls(where, quantile, reader.duration(found.get("at_least", 0), "stalled.at_least"))

    def _measure(self, thresholds: Sequence[float], state: EntityState, limits: Limits, odds: Odds, now: int) -> MeasuredEntity:
        limit = self._limit(state, limits)
        since = state.stage_since if isinstance(state, DealState) else None
        if limit is None or since is None:
            return NOTHING
        age = now - since
        ahead = [since + int(limit * t) + 1 for t in thresholds if age <= limit * t]
        return MeasuredEntity(age / limit, min(ahead, default=None), {"stage_age": age / 1000, "usual": limit / 1000})

    def crossed(self, threshold: float, state: EntityState, limits: Limits, now: int) -> int:
        """Return when its time in the stage went over the limit."""
        limit = self._limit(state, limits)
        since = state.stage_since if isinstance(state, DealState) else None
        return now if limit is None else (since or now) + int(limit * threshold)

    def _limit(self, state: EntityState, limits: Limits) -> int | None:
        """Return how long (ms) a deal may stay in its stage; None where nobody knows what is usual there."""
        stage = limits.get(state.stage or "") if isinstance(state, DealState) else None
        usual = None if stage is None else stage[QUANTILES.index(self.quantile)]
        return None if usual is None else max(usual, self.least, 1)

    @classmethod
    def headline(cls, entity: Mapping[str, Any], words: Say) -> str | None:
        """Return ``12 d in legal``."""
        age = entity.get("stage_age")
        return None if age is None else words.lasting(age * 1000, str(entity.get("stage")))
