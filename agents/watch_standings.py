"""What is worth an alert of how tests, objectives, challenges and customers stand? Connects those rules to the stream of them."""

from collections.abc import Sequence

from alert_rules.judge.rule import Rule
from alert_rules.judge.watch_standings import STANDINGS, WatchStandings
from stream.engine.options import FoldSpec
from stream.engine.owned import Owned

NAME = "watch-standings"
#: With those who watch deals, leads and senders: nobody waits for any by the millisecond.
LANE = "watch"


class StandingWatcher:
    """The rules on standings and, where this worker owns their one partition, what they have found.

    ``hold``: for so long (ms) something must be so before it is said.
    """

    def __init__(self, rules: Sequence[Rule], currency: str, *, hold: int = 0) -> None:
        self._hold = hold
        self.rules = tuple(rules)
        self._currency = currency
        self.owned: Owned[WatchStandings] = Owned(NAME, lambda fold: fold.use(self.rules))

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it."""
        return self.owned.spec(
            lambda partition: WatchStandings(self.rules, self._currency, hold=self._hold),
            topics=(STANDINGS,),
            lane=LANE,
            doc="Hold tests, objectives, challenges and customers against the rules on them.",
        )

    def use(self, rules: Sequence[Rule]) -> None:
        """Take other rules."""
        self.rules = tuple(rules)
        self.owned.brief()
