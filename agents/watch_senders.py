"""Which senders of events have gone silent? Connects the rules on senders to the stream of their beats."""

from collections.abc import Sequence

from alert_rules.rhythm import WatchSenders
from alert_rules.rule import Rule
from models.beats import BEATS
from models.calendar import Calendar
from stream.engine.options import FoldSpec
from stream.engine.owned import Owned

NAME = "watch-senders"
#: With those who watch deals and leads: nobody waits for either by the millisecond.
LANE = "watch"


class SenderWatcher:
    """The rules on senders and, where this worker owns the beats' one partition, the senders' rhythms.

    ``settle``: for so long (ms) after the start nobody is
    found silent; a replay, whose clock is that of the events, need not wait.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        calendar: Calendar,
        *,
        settle: int = 0,
    ) -> None:
        self._settle = settle
        self.rules = tuple(rules)
        self.calendar = calendar
        self.owned: Owned[WatchSenders] = Owned(NAME, lambda fold: fold.use(self.rules))

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it."""
        return self.owned.spec(
            lambda partition: WatchSenders(self.rules, self.calendar, settle=self._settle),
            topics=(BEATS,),
            lane=LANE,
            doc="Learn the hours in which each sender of events usually sends, and say who misses them.",
        )

    def use(self, rules: Sequence[Rule]) -> None:
        """Take other rules."""
        self.rules = tuple(rules)
        self.owned.brief()
