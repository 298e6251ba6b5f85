"""What does a rule judge, and what does it measure of it: a KPI's reading, or a finding about a single deal, lead or sender?"""

from typing import TypeAlias

from alert_rules.judge.finding import EntityFinding
from alert_rules.judge.rule import KpiRule, Rule
from models.kpis.reading import Reading

Observation: TypeAlias = Reading | EntityFinding


def measure(rule: Rule, seen: Observation, min_samples: float | None = None) -> float | None:
    """Return the number that the rule's thresholds are for, None where there is none; ``min_samples`` other than the rule's."""
    match rule, seen:
        case KpiRule(), Reading():
            return rule.condition.measured(seen, rule.min_samples if min_samples is None else min_samples)
        case _, EntityFinding():
            return seen.value
    raise TypeError(f"the rule {rule.id} does not judge a {type(seen).__name__}")
