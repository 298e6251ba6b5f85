"""Does a model still fit? ADWIN over how much worse its answers turn out than they themselves expected."""

import math
from collections import deque

from models.learners.river_parts import ADWIN

#: P(alarm without a change), as ADWIN bounds it.
DELTA = 0.002
#: The latest outcomes, which tell a change for the worse from one for the better.
LATEST = 100


class Watch:
    """Watches the log loss of answers as their outcomes come in, in excess of what the answers themselves expected.

    An answer p expects a loss of its own entropy; in excess of it, the loss of true probabilities is 0 on average whether the
    deals are easy or hard. So a spell of hard deals is no drift, and a smaller drift is seen sooner.
    """

    def __init__(self, delta: float = DELTA) -> None:
        self.detector = ADWIN(delta=delta)
        self.seen = 0
        self.alarms = 0
        self.last_alarm: int | None = None  # the count of outcomes at it
        self._latest: deque[float] = deque(maxlen=LATEST)

    def update(self, said: float, happened: bool) -> bool:
        """Take an outcome and the probability it had been given; return whether the loss has risen for good."""
        self.seen += 1
        given = min(max(said, 0.01), 0.99)
        expected = -given * math.log(given) - (1 - given) * math.log(1 - given)
        excess = -math.log(given if happened else 1 - given) - expected
        self._latest.append(excess)
        self.detector.update(excess)
        # An excess that falls is a change as well, but a model that learns is no news.
        if self.detector.drift_detected and sum(self._latest) / len(self._latest) > float(self.detector.estimation):
            self.alarms += 1
            self.last_alarm = self.seen
            return True
        return False
