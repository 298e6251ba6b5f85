"""Does a model still fit? ADWIN over the log loss of its answers."""

import math

from river import drift

#: P(alarm without a change), as ADWIN bounds it.
DELTA = 0.002


class Watch:
    """Watches the log loss of answers as their outcomes come in."""

    def __init__(self, delta: float = DELTA) -> None:
        self.detector = drift.ADWIN(delta=delta)
        self.seen = 0
        self.alarms = 0
        self.last_alarm: int | None = None  # the count of outcomes at it

    def update(self, said: float, happened: bool) -> bool:
        """Take an outcome and the probability it had been given; return whether the loss has risen for good."""
        self.seen += 1
        before = float(self.detector.estimation)
        self.detector.update(-math.log(min(max(said if happened else 1 - said, 0.01), 1.0)))
        # A loss that falls is a change as well, but a model that learns is no news.
        if self.detector.drift_detected and float(self.detector.estimation) > before:
            self.alarms += 1
            self.last_alarm = self.seen
            return True
        return False
