"""What does a forecast have to know of the deals of one partition?"""

from collections.abc import Callable

from models.business import Business
from models.deal_outlook import TOPIC
from models.fold import Output
from models.learners.curve import Curve
from models.learners.deal_outlooks import deal_outlook
from models.learners.tracked import Tracked
from models.learners.tracked_entities import TrackedEntities

#: Deals of before outlooks were kept that are told of in one go.
_TOLD = 2_000


class LiveOutlooks:
    """The outlooks of one partition's deals, which go to its ``outputs``. Of leads there are none."""

    def __init__(self, business: Business, tracked: TrackedEntities, outputs: list[Output]) -> None:
        self._rates, self._tracked, self._outputs = business.rates, tracked, outputs
        self._deals = tracked.kind.model == "deal"
        self.untold: list[str] = []  # deals of before outlooks were kept, still to be told of

    def tell_all(self) -> None:
        """Have all deals be told of, some at a time: their rows are of before outlooks were kept."""
        if self._deals:
            self.untold = [key for key, _ in self._tracked.entities.rows]

    def tell(self, key: str, tracked: Tracked | None, at: int, curve: Curve | None = None) -> None:
        """Say what a forecast has to know of a deal: nothing, where it counts for nothing any more."""
        if not self._deals:
            return
        there = tracked is not None and not tracked.story.void and (tracked.story.log or tracked.story.base is not None)
        present = self._tracked.present(tracked) if tracked is not None and there else None
        outlook = None if present is None else deal_outlook(present, self._rates, at, curve)
        self._outputs.append(Output(TOPIC, key.encode(), outlook))

    def tell_untold(self, answer: Callable[[str], object]) -> bool:
        """Tell of some of those that are still to be told of; return whether there were any.

        ``answer`` has one that is open be answered anew, and told of with its answer.
        """
        if not self.untold:
            return False
        for key in self.untold[-_TOLD:]:
            if key in self._tracked.agenda.open:
                answer(key)
            elif (tracked := self._tracked.entities.get(key)) is not None:
                self.tell(key, tracked, self._tracked.time.now)
        del self.untold[-_TOLD:]
        return True
