"""What does a rule on single deals or leads watch, and what does it measure of one of them at an instant?

Pure. The measured is held against the rule's ladder; ``due`` is when it may next change by the passing of time alone, so that
whoever watches thousands of deals need not look at them in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from alert_rules.judge.times import TimeInterval
from alert_rules.judge.worktime import reach, worked
from models.calendar import DAY_MS
from models.folds.entity_snapshots import DealState, LeadState
from models.money import UNIT


class Watched(StrEnum):
    """What may be watched of one deal or lead."""

    STALLED = "stalled"  # an open deal's time in its stage, over a quantile of that stage's usual stays
    UNANSWERED = "unanswered"  # how long an open lead has waited for its first contact
    AMOUNT = "amount"  # the amount of an open deal
    SILENT = "silent"  # how many of its busy hours a sender of events has missed
    ODDS = "win_probability"  # by how much an open deal's probability of being won has fallen within some time
    DECIDED = "decided"  # the evidence of a test that has lately been decided
    WORSE = "worse"  # how often a variant is worse by a guard of its test
    ANNULLED = "annulled"  # whether a guard has annulled a challenge
    BEHIND = "behind"  # what an objective lacks of what was due by now
    QUIET = "quiet"  # what a customer has brought in a year that has moved to another segment


#: Which entity each is of, and the unit of what is measured.
ENTITY = {
    Watched.SILENT: "sender",
    Watched.STALLED: "deal",
    Watched.UNANSWERED: "lead",
    Watched.AMOUNT: "deal",
    Watched.ODDS: "deal",
    Watched.DECIDED: "experiment",
    Watched.WORSE: "experiment",
    Watched.ANNULLED: "challenge",
    Watched.BEHIND: "objective",
    Watched.QUIET: "customer",
}
UNIT_OF = {
    Watched.SILENT: "hours",
    Watched.STALLED: "times",
    Watched.UNANSWERED: "seconds",
    Watched.AMOUNT: "money",
    Watched.ODDS: "points",
    Watched.DECIDED: "count",
    Watched.WORSE: "count",
    Watched.ANNULLED: "count",
    Watched.BEHIND: "ratio",
    Watched.QUIET: "money",
}
#: Of these something is so or not so: no threshold of anybody's is held against them.
WHETHER = frozenset({Watched.DECIDED, Watched.WORSE, Watched.ANNULLED})
QUANTILES = ("p50", "p75", "p90", "p95")

#: A week in which no clocks are changed anywhere: 2026-01-05T00:00Z, a Monday.
_A_WEEK = 1_767_571_200_000

EntityState = DealState | LeadState
#: By stage: the quantiles of its stays (ms), in the order of QUANTILES; None where not so many ever leave.
Limits = Mapping[str, Sequence[int | None]]
#: The probabilities of one deal: (since when, what), in the order of time.
Odds = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class EntityCondition:
    """What is watched, of which entities (deals and leads here, senders in ``rhythm.py``). Times are milliseconds."""

    watched: Watched
    where: tuple[tuple[str, frozenset[str]], ...] = ()
    quantile: str = "p90"
    least: int = 0  # stalled: no stage's limit is shorter
    hours: tuple[TimeInterval, ...] = ()  # unanswered: only time in these counts; none: all time
    hours_named: tuple[str, ...] = ()
    within: int = 86_400_000  # win_probability: the fall is looked for in so much time
    left: frozenset[str] = frozenset()  # quiet: the segments (of customers) it was in; none: any
    joined: frozenset[str] = frozenset()  # quiet: those it is in now; none: any

    @property
    def day(self) -> int:
        """How much of its hours a day has in which they fall, milliseconds: a working day."""
        week = [worked(self.hours, _A_WEEK + n * DAY_MS, _A_WEEK + (n + 1) * DAY_MS) for n in range(7)]
        return round(sum(week) / max(1, sum(map(bool, week)))) if self.hours else DAY_MS

    @property
    def entity(self) -> str:
        """What it is about, such as ``deal``."""
        return ENTITY[self.watched]

    def concerns(self, state: EntityState) -> bool:
        """Whether the rule is about this deal or lead at all."""
        return state.status == "open" and all(str(getattr(state, name) or "") in accepted for name, accepted in self.where)


class Measured(NamedTuple):
    """What is measured now (None: nothing to be said), and when time alone may next take it over a threshold, or back."""

    value: float | None
    due: int | None
    numbers: dict[str, float | None]


_NOTHING = Measured(None, None, {})


def crossed(condition: EntityCondition, threshold: float, state: EntityState, limits: Limits, now: int) -> int:
    """Return since when what is measured of one deal or lead has been beyond a threshold, as far as its state says."""
    if isinstance(state, LeadState):
        return reach(condition.hours, state.created or now, int(threshold * 1000)) or now
    match condition.watched:
        case Watched.STALLED:
            limit = _limit(condition, state, limits)
            return now if limit is None else (state.stage_since or now) + int(limit * threshold)
        case Watched.AMOUNT:
            return state.changed
    return now


def measure(
    condition: EntityCondition, thresholds: Sequence[float], state: EntityState, limits: Limits, odds: Odds, now: int
) -> Measured:
    """Return what a rule measures of one deal or lead; ``thresholds`` are its ladder's."""
    if not condition.concerns(state):
        return _NOTHING
    if isinstance(state, LeadState):
        return _unanswered(condition, thresholds, state, now)
    match condition.watched:
        case Watched.STALLED:
            return _stalled(condition, thresholds, state, limits, now)
        case Watched.AMOUNT if state.amount is not None:
            return Measured(state.amount / UNIT, None, {})
        case Watched.ODDS:
            return _fallen(condition, odds, now)
    return _NOTHING


def _stalled(condition: EntityCondition, thresholds: Sequence[float], deal: DealState, limits: Limits, now: int) -> Measured:
    limit = _limit(condition, deal, limits)
    if limit is None or deal.stage_since is None:
        return _NOTHING
    age = now - deal.stage_since
    ahead = [deal.stage_since + int(limit * t) + 1 for t in thresholds if age <= limit * t]
    return Measured(age / limit, min(ahead, default=None), {"stage_age": age / 1000, "usual": limit / 1000})


def _limit(condition: EntityCondition, deal: DealState, limits: Limits) -> int | None:
    """Return how long (ms) a deal may stay in its stage; None where nobody knows what is usual there."""
    stage = limits.get(deal.stage or "")
    usual = None if stage is None else stage[QUANTILES.index(condition.quantile)]
    return None if usual is None else max(usual, condition.least, 1)


def _unanswered(condition: EntityCondition, thresholds: Sequence[float], lead: LeadState, now: int) -> Measured:
    if lead.contacted is not None or lead.created is None:
        return _NOTHING
    waited = worked(condition.hours, lead.created, now)
    ahead = [due for t in thresholds if waited <= t * 1000 and (due := reach(condition.hours, lead.created, int(t * 1000) + 1))]
    return Measured(waited / 1000, min(ahead, default=None), {"waited": waited / 1000, "began": lead.created / 1000})


def _fallen(condition: EntityCondition, odds: Odds, now: int) -> Measured:
    """Measure the fall from the highest probability that held at any time within the last so much."""
    if not odds:
        return _NOTHING
    start, win = now - condition.within, odds[-1][1]
    ends = [since for since, _ in odds[1:]]  # each held until the next came
    held = [(value, end) for (_, value), end in zip(odds[:-1], ends, strict=True) if end > start]
    before, end = max(held, default=(win, 0))
    return Measured(before - win, end + condition.within + 1 if held else None, {"win": win, "win_before": before})


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


#: Probabilities remembered of one deal.
MOST_ODDS = 24
