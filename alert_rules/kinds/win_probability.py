"""By how much has an open deal's probability of being won fallen within some time?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from alert_rules.kinds.entity_condition import NOTHING, EntityCondition, EntityState, Limits, MeasuredEntity, Odds, Where
from alert_rules.kinds.form import DURATION
from alert_rules.kinds.known import Known
from alert_rules.kinds.say import Say
from models.config.reader import TreeReader

#: Probabilities remembered of one deal.
MOST_ODDS = 24


@dataclass(frozen=True, slots=True)
class WinProbability(EntityCondition):
    """``within``: the fall is looked for in so much time (ms)."""

    within: int = 86_400_000

    KEY = "win_probability"
    UNIT = "points"
    TITLE = "Win probability fallen"
    EXAMPLE = "{fallen: 0.3, within: 1d}"
    FORM = {
        "fallen": {"description": "30 points are 0.3", "type": "number", "exclusiveMinimum": 0},
        "within": DURATION,
    }
    THRESHOLD = "fallen"
    NUMBERS = {"win": "ratio", "win_before": "ratio"}

    @classmethod
    def read(cls, reader: TreeReader, found: Mapping[str, Any], where: Where, known: Known) -> Self:
        """Read the time."""
        within = reader.duration(found.get("within", "1d"), "win_probability.within")
        if not within:
            reader.bad("win_probability.within", "found 0 (accepted: a duration, such as 1d)")
        return cls(where, within)

    @classmethod
    def impossible(cls, threshold: float) -> str | None:
        """Return what is wrong with a fall that no probability can have."""
        return None if 0 < threshold < 1 else f"found {threshold:g} (accepted: a fall between 0 and 1; 30 points are 0.3)"

    @property
    def remembers(self) -> int:
        """The time within which the fall is looked for."""
        return self.within

    def _measure(self, thresholds: Sequence[float], state: EntityState, limits: Limits, odds: Odds, now: int) -> MeasuredEntity:
        """Measure the fall from the highest probability that held at any time within the last so much."""
        if not odds:
            return NOTHING
        start, win = now - self.within, odds[-1][1]
        ends = [since for since, _ in odds[1:]]  # each held until the next came
        spans = [(value, end) for (_, value), end in zip(odds[:-1], ends, strict=True) if end > start]
        before, end = max(spans, default=(win, 0))
        return MeasuredEntity(before - win, end + self.within + 1 if spans else None, {"win": win, "win_before": before})

    @classmethod
    def headline(cls, entity: Mapping[str, Any], words: Say) -> str | None:
        """Return ``70 % → 35 %``."""
        before = entity.get("win_before")
        return None if before is None else words.fallen(before, entity["win"])


def remember(odds: list[tuple[int, float]], at: int, win: float, within: int) -> None:
    """Note a new probability, and forget what no fall within so much time can begin at any more.

    A probability that was followed by a higher one matters no longer, and leaves its time to that one: what is kept falls from
    first to last, and only the end of each one's time is ever asked for.
    """
    if odds and at < odds[-1][0]:
        return
    since = at
    while odds and odds[-1][1] <= win:
        since = odds.pop()[0]
    odds.append((since, win))
    while len(odds) > 1 and odds[1][0] <= at - within:
        odds.pop(0)
    while len(odds) > MOST_ODDS:
        del odds[-2]
