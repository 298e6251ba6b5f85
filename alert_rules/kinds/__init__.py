"""The kinds of rules: what a rule can watch. A new one is a file here and a line below (``CONTRIBUTING.md`` has one whole)."""

from collections.abc import Mapping

from alert_rules.kinds.absent import Absent
from alert_rules.kinds.amount import Amount
from alert_rules.kinds.annulled import Annulled
from alert_rules.kinds.anomaly import Anomaly
from alert_rules.kinds.behind import Behind
from alert_rules.kinds.change import Change
from alert_rules.kinds.condition import Condition
from alert_rules.kinds.decided import Decided
from alert_rules.kinds.entity_condition import EntityCondition
from alert_rules.kinds.quiet import Quiet
from alert_rules.kinds.silent import Silent
from alert_rules.kinds.stalled import Stalled
from alert_rules.kinds.target import TargetPace
from alert_rules.kinds.unanswered import Unanswered
from alert_rules.kinds.value import Value
from alert_rules.kinds.win_probability import WinProbability
from alert_rules.kinds.worse import Worse
from alert_rules.records.entity_facts import NUMBERS

#: Of rules on the readings of a KPI. The value itself is what a rule means that names no other.
KPI_KINDS: tuple[type[Condition], ...] = (Value, Change, Anomaly, TargetPace, Absent)
#: Of rules on single deals, leads, senders, tests, objectives, challenges and customers.
ENTITY_KINDS: tuple[type[EntityCondition], ...] = (
    *(Stalled, Unanswered, Amount, Silent, WinProbability),
    *(Decided, Worse, Annulled, Behind, Quiet),
)
#: What is known of an entity besides its attributes: its own numbers, and those that the kinds measure, each with its unit.
_NUMBERS = {
    entity: own | {name: unit for kind in ENTITY_KINDS if kind.ENTITY == entity for name, unit in kind.NUMBERS.items()}
    for entity, own in NUMBERS.items()
}
_KPI_KINDS = {kind.KEY: kind for kind in KPI_KINDS}
_ENTITY_KINDS = {kind.KEY: kind for kind in ENTITY_KINDS}


def kpi_kind(name: str | None) -> type[Condition]:
    """Return a kind of rule on KPIs by its name in a record; of one that nobody knows, what says no more than the measured."""
    return _KPI_KINDS.get(name or "", Condition)


def entity_kind(name: str | None) -> type[EntityCondition]:
    """Return a kind of rule on single deals, leads or senders by its name in a record."""
    return _ENTITY_KINDS.get(name or "", EntityCondition)


def numbers_of(entity: str) -> Mapping[str, str]:
    """Return the numbers that may be known of a deal, lead or sender, each with its unit."""
    return _NUMBERS[entity]
