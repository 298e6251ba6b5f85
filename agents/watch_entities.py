"""Which open deals and leads are beyond what their rules allow? Connects those rules to the stream of entities."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from alert_rules.rule import Rule
from alert_rules.watch import LIMITS, PREDICTIONS, WatchEntities
from models.folds.entity_snapshots import DEAL_STATES, LEAD_STATES
from stream.engine.options import FoldSpec

NAME = "watch-entities"
#: A lane of its own: it holds up neither the KPIs nor the alerts on them.
LANE = "watch"


class Watcher:
    """The rules on single deals and leads, and the partitions of them that are in this worker's hands.

    ``owned`` gives those partitions' folds. ``settle``: for so long (ms) nothing begins where there is no state yet; a replay,
    whose clock is that of the events, need not wait.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        currency: str,
        owned: Callable[[], Iterable[WatchEntities]] = lambda: (),
        *,
        settle: int = 0,
    ) -> None:
        self._settle = settle
        self.rules = tuple(rules)
        self.currency = currency
        self.owned = owned

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it."""
        return FoldSpec(
            name=NAME,
            topics=(DEAL_STATES, LEAD_STATES, PREDICTIONS, LIMITS),
            make=lambda partition: WatchEntities(self.rules, self.currency, settle=self._settle),
            lane=LANE,
            doc="Hold each open deal and lead against the rules on single ones, and say what is beyond them.",
        )

    def use(self, rules: Sequence[Rule]) -> None:
        """Take other rules."""
        self.rules = tuple(rules)
        for fold in self.owned():
            fold.use(self.rules)

    def old(self) -> dict[tuple[str], int]:
        """Return how many findings were not said because they were old when they were first heard of, by (rule,)."""
        found: Counter[tuple[str]] = Counter()
        for fold in self.owned():
            found.update({(rule,): count for rule, count in fold.old.items()})
        return dict(found)

    def beyond(self) -> dict[tuple[str], int]:
        """Return how many findings were not said because their rule had enough standing, by (rule,)."""
        found: Counter[tuple[str]] = Counter()
        for fold in self.owned():
            found.update({(rule,): count for rule, count in fold.beyond.items()})
        return dict(found)
