"""How sure is a reading of what it measures: with which probability does it truly lie beyond a step?"""

from alert_rules.judge.observation import Observation
from alert_rules.judge.posterior import change_of_count, change_of_share, of_interval, probability
from alert_rules.judge.rule import KpiRule, LadderStep, Rule, Statistic
from alert_rules.kinds.condition import against, cases_of
from models.kpis.reading import Reading


def certainty(rule: Rule, step: LadderStep, seen: Observation) -> float | None:
    """Return the probability that what is measured truly lies beyond a step, None where that cannot be told."""
    return _certainty(rule, step, seen) if isinstance(rule, KpiRule) and isinstance(seen, Reading) else None


def _certainty(rule: KpiRule, step: LadderStep, reading: Reading) -> float | None:
    try:
        match rule.statistic:
            case Statistic.BETA:
                return probability(rule.direction, step.threshold, *_counts(reading.numerator, reading.denominator))
            case Statistic.NORMAL:
                if reading.value is None or reading.low is None or reading.high is None:
                    return None
                return of_interval(rule.direction, step.threshold, reading.value, reading.low, reading.high)
            case Statistic.POISSON:
                past = against(reading, rule.condition.versus)
                now, before = _counts(reading.value, past.get("value"))
                return change_of_count(rule.direction, step.threshold, now, before)
            case Statistic.BETAS:
                past = against(reading, rule.condition.versus)
                share, earlier = _counts(reading.numerator, reading.denominator), _counts(past.get("numerator"), cases_of(past))
                return change_of_share(rule.direction, step.threshold, share, earlier)
    except ValueError:  # counts that a late correction has left inconsistent for a moment
        return None


def _counts(hits: float | None, cases: float | None) -> tuple[float, float]:
    if hits is None or cases is None:
        raise ValueError("no counts")
    return hits, cases


def surely(rule: Rule, step: LadderStep, seen: Observation) -> bool:
    """Whether what is seen is as sure of the breach as the rule asks for."""
    return rule.sure is None or (certainty(rule, step, seen) or 0.0) >= rule.sure
