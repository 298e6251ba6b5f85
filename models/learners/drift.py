"""Does a model still fit? As a whole, and for each value of what it knows of a deal."""

import math
from collections import deque
from collections.abc import Iterable

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
            self.alarm()
            return True
        return False

    def alarm(self) -> None:
        """Count an alarm."""
        self.alarms += 1
        self.last_alarm = self.seen


#: A change by a standard deviation of an outcome is what is looked for: half of it is taken off each time.
_HALF = 0.5
#: What the sums must reach. Without a change one of them does so once in some four hundred million outcomes of a value (Siegmund
#: 1985: (e^b - b - 1) / (2 k²), k = ½, b = h + 1.166), so that a model of a hundred values is right for a million deals. A change
#: by a standard deviation does after some 36.
_REACHED = 18.0
#: Outcomes with a value before its sums begin: until then nobody has said anything of it that could be wrong.
_FIRST = 30


class ValueWatch:
    """Whether the outcomes of single values have changed against what is said: Page's cumulative sums (1954), up and down.

    The loss of all answers tells of a change when enough of them are wrong; the outcomes of the one value that has changed tell
    much sooner, and which it is.
    """

    def __init__(self) -> None:
        self._sums: dict[int, list[float]] = {}  # row: outcomes, sum up, sum down

    def update(self, rows: Iterable[int], said: float, happened: bool) -> list[int]:
        """Take an outcome and the probability it had been given, of an entity with these values; return which have changed."""
        given = min(max(said, 0.02), 0.98)
        gap = (happened - given) / math.sqrt(given * (1 - given))
        found = []
        for row in rows:
            sums = self._sums.setdefault(row, [0.0, 0.0, 0.0])
            sums[0] += 1
            if sums[0] > _FIRST:
                sums[1] = max(0.0, sums[1] + gap - _HALF)
                sums[2] = max(0.0, sums[2] - gap - _HALF)
                if max(sums[1], sums[2]) >= _REACHED:
                    found.append(row)
        return found

    def reset(self) -> None:
        """Begin anew: something has been forgotten, and others were answered wrongly with it."""
        self._sums.clear()
