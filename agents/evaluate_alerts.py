"""Which alerts stand, and what has just happened to them? Connects the rules to the stream of readings."""

from collections.abc import Sequence
from typing import Any

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.judge.explanation import PageLink, no_link
from alert_rules.judge.finding import TOPIC as FINDINGS
from alert_rules.judge.rule import Rule
from alert_rules.judge.transition_record import NOBODY
from models.goals.plan import Playbook
from models.kpis.reading import Reading
from models.kpis.roll_kpis import Stand, Wanted
from models.owners import Owners
from stream.engine.options import FoldSpec
from stream.engine.owned import Owned

NAME = "evaluate-alerts"
#: A lane of its own: an alert must not wait for the entity folds' checkpoint.
LANE = "alerts"


class Evaluator:
    """The rules and, where this worker owns the readings' one partition, the alerts that stand.

    ``link`` gives the address of a deal's or lead's page; ``people`` who is behind an owner's id; ``gap`` for how long (ms)
    readings may stay away before that time counts for nothing; ``playbooks`` what is to be done about alerts.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        link: PageLink = no_link,
        people: Owners = NOBODY,
        *,
        gap: int = 0,
        playbooks: Sequence[Playbook] = (),
    ) -> None:
        self._gap = gap
        self._playbooks = tuple(playbooks)
        self.rules = tuple(rules)
        self._link, self._people = link, people
        self.owned: Owned[EvaluateAlerts] = Owned(NAME, lambda fold: fold.use(self.rules))
        self._empty = EvaluateAlerts(self.rules)

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it."""
        return self.owned.spec(
            lambda partition: EvaluateAlerts(self.rules, self._link, self._people, gap=self._gap, playbooks=self._playbooks),
            topics=("readings", FINDINGS),
            lane=LANE,
            doc="Judge readings and findings by the alert rules and keep the state of every alert.",
        )

    def use(self, rules: Sequence[Rule]) -> None:
        """Take other rules, here and wherever the fold is made anew."""
        self.rules = tuple(rules)
        self._empty = EvaluateAlerts(self.rules)
        self.owned.brief()

    @property
    def wanted(self) -> set[Wanted]:
        """The readings that must be published for the rules, each with what it is to be compared with."""
        return self._empty.wanted

    def stand(self, reading: Reading) -> Stand | None:
        """Return how a reading stands to the rules' thresholds: what alarms is explained (``models/kpis/roll_kpis.py``)."""
        return self._empty.stand(reading)

    def current(self) -> list[dict[str, Any]]:
        """Return the alerts that stand, gravest and oldest first, the first 500: ``GET /api/alerts``."""
        return (self.owned() or self._empty).current()

    def incidents(self) -> set[str]:
        """Return the ids of all the alerts that stand."""
        return (self.owned() or self._empty).incidents()

    def beyond(self) -> dict[tuple[str], int]:
        """Return how many readings began no alert because their rule had enough standing, by (rule,)."""
        return {(rule,): count for rule, count in (self.owned() or self._empty).beyond.items()}

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Return how many alerts stand by (rule, severity, state), zeros included: ``vigie_alerts``."""
        return (self.owned() or self._empty).counts()
