"""Which open deals and leads are beyond what their rules allow? Connects those rules to the stream of entities."""

from collections import Counter
from collections.abc import Sequence

from alert_rules.rule import Rule
from alert_rules.watch import LIMITS, PREDICTIONS, WatchEntities
from models.folds.entity_snapshots import DEAL_STATES, LEAD_STATES
from stream.engine.options import FoldSpec
from stream.engine.owned import Owned

NAME = "watch-entities"
#: A lane of its own: it holds up neither the KPIs nor the alerts on them.
LANE = "watch"


class Watcher:
    """The rules on single deals and leads, and the partitions of them that are in this worker's hands.

    ``settle``: for so long (ms) nothing begins where there is no state yet; a replay, whose clock is that of the events, need
    not wait.
    """

    def __init__(self, rules: Sequence[Rule], currency: str, *, settle: int = 0) -> None:
        self.rules = tuple(rules)
        self.currency = currency
        self.owned: Owned[WatchEntities] = Owned(NAME, lambda fold: fold.use(self.rules))
        self._settle = settle

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it."""
        return self.owned.spec(
            lambda partition: WatchEntities(self.rules, self.currency, settle=self._settle),
            topics=(DEAL_STATES, LEAD_STATES, PREDICTIONS, LIMITS),
            lane=LANE,
            doc="Hold each open deal and lead against the rules on single ones, and say what is beyond them.",
        )

    def use(self, rules: Sequence[Rule]) -> None:
        """Take other rules."""
        self.rules = tuple(rules)
        self.owned.brief()

    def old(self) -> dict[tuple[str], int]:
        """Return how many findings were not said because they were old when they were first heard of, by (rule,)."""
        return _by_rule(sum((fold.old for fold in self.owned), Counter[str]()))

    def beyond(self) -> dict[tuple[str], int]:
        """Return how many findings were not said because their rule had enough standing, by (rule,)."""
        return _by_rule(sum((fold.beyond for fold in self.owned), Counter[str]()))


def _by_rule(counts: Counter[str]) -> dict[tuple[str], int]:
    return {(rule,): count for rule, count in counts.items()}
