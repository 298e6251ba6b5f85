"""What happens in the first minutes of the demonstration: a campaign is launched, its landing page breaks, and is repaired.

It is drawn from chance of its own: all else goes on as it would without.
"""

from dataclasses import replace
from random import Random

from models.simulator.cast import SOURCES
from models.simulator.rhythm import SECOND, poisson
from models.simulator.scene import Scene
from models.simulator.visits import Audience, live_session

CAMPAIGN = "spring-launch"
"""What the campaign is called; the visits it brings are of the source ads."""

LAUNCHED, BROKEN, REPAIRED, OVER = 30, 120, 285, 540
"""Seconds after the demonstration's first moment; then it brings as many visits as other campaigns do."""

SESSIONS = 2.6
"""Visits a second until it is over: a launch. Without an hour of them the next one would hide what comes after."""

_ADS = next(source for source in SOURCES if source.name == "ads")
_SOUND = replace(_ADS, campaigns=(CAMPAIGN,), bounce=0.22)
_DEAD = replace(_SOUND, bounce=1.0)


class Launch:
    """The campaign; :meth:`between` draws its visits."""

    def __init__(self, seed: int, began: int) -> None:
        """``began`` is the demonstration's first moment (epoch ms)."""
        self._random, self._began, self._audience = Random(f"vigie launch {seed}"), began, Audience()

    def between(self, scene: Scene, begin: int, end: int, form_rate: float) -> None:
        """Put the visits of this stretch of time (epoch ms) into the diary."""
        seconds = (begin - self._began) / SECOND
        if not LAUNCHED <= seconds < OVER:
            return
        source = _DEAD if BROKEN <= seconds < REPAIRED else _SOUND
        usual, scene.random = scene.random, self._random
        try:
            for _ in range(poisson(self._random, SESSIONS * (end - begin) / SECOND)):
                at = begin + self._random.randrange(end - begin)
                live_session(scene, self._audience, at, form_rate, source=source, named=1.0)
        finally:
            scene.random = usual
