"""Which questions are asked of open entities to learn from, and which lessons follow from what became of these?"""

from typing import Literal

from models.fold import Output
from models.learners import examples
from models.learners.acquaintance import LeadKnown
from models.learners.examples import Example, ExampleWriter
from models.learners.features import SEASON_MS, Features
from models.learners.speaker import Speaker
from models.learners.tracked import Tracked
from models.learners.tracked_entities import TrackedEntities


class LiveQuestions:
    """The questions of one partition; lessons go to its ``outputs``, for the topic ``examples``."""

    def __init__(self, tracked: TrackedEntities, speaker: Speaker, outputs: list[Output], asks: int | None) -> None:
        """``asks`` bounds the questions between two ticks; None: no bound."""
        self._tracked, self._speaker, self._outputs = tracked, speaker, outputs
        self._asks = self._left = asks
        self._names = tracked.kind.names
        self._writer = ExampleWriter(tracked.kind.model, tracked.kind.fingerprint)
        self.skipped = 0  # questions not asked, as there was no time for them
        self.behind = False  # whether records that came long ago are being caught up with

    def tick(self) -> None:
        """Give as many questions their turn as may be asked until the next tick."""
        self._left = self._asks

    @property
    def trusts(self) -> bool:
        """Whether what others tell is of no later than what is asked here: not while a past is caught up with, topic by topic."""
        return not self.behind and self._tracked.time.live

    def features(self, tracked: Tracked, at: int) -> Features:
        """Return what is known of an entity at a time (ms)."""
        past, beside = self._tracked.present(tracked).past, tracked.beside if self.trusts else None
        # The calendar is no feature until two quarters after the first event.
        found: Features = past.features(at, season=at - self._tracked.time.start >= SEASON_MS, beside=beside)
        return found

    # -- asking --------------------------------------------------------------------------------------------------------

    def ask(self, key: str, tracked: Tracked, at: int) -> None:
        """Ask a question that will be learnt from, if it is time for one more of this entity."""
        if tracked.asks is not None or not examples.wanted(key, tracked.kept, at):
            return
        x = self.features(tracked, at)
        if self.trusts and tracked.beside is not None and tracked.beside.waits:
            tracked.asks = at, examples.values(x, self._names)
        else:
            self._ask_now(key, tracked, at, x)

    def ask_waiting(self, key: str, tracked: Tracked) -> None:
        """Ask the question that waits for what others tell, with what they have told by now."""
        if tracked.asks is None:
            return
        (at, values), tracked.asks = tracked.asks, None
        x, beside = examples.features(values, self._names), tracked.beside
        if beside is not None:
            beside.lead = beside.lead or LeadKnown()
            x |= beside.of_deal(at, self._tracked.present(tracked).past.created)
        self._ask_now(key, tracked, at, x)

    def _ask_now(self, key: str, tracked: Tracked, at: int, x: Features) -> None:
        if self._left is not None:
            if self._left <= 0:
                self.skipped += 1
                return
            self._left -= 1
        model, floor = self._speaker.model, self._speaker.floor
        kept = examples.keep(at, examples.values(x, self._names), model.predict_one(x), floor.predict_one(x))
        tracked.kept.append(kept)
        self._send(self._writer.asked(key, len(tracked.kept) - 1, kept))

    # -- lessons -------------------------------------------------------------------------------------------------------

    def survived(self, key: str, tracked: Tracked, at: int) -> None:
        """The entity is open at ``at`` (ms): instalments are due."""
        for number, kept in enumerate(tracked.kept):
            if (due := kept.due) is not None and due <= at:
                self._send(self._writer.survived(key, number, kept))

    def closed(self, key: str, tracked: Tracked, at: int, outcome: Literal["won", "lost"]) -> None:
        """The entity has closed; a question that waits is asked all the same: it is of before."""
        self.ask_waiting(key, tracked)
        for number, kept in enumerate(tracked.kept):
            self._send(self._writer.closed(key, number, kept, at, outcome))

    def withdrawn(self, key: str, tracked: Tracked, at: int) -> None:
        """What was said of the entity's close is taken back."""
        for number, kept in enumerate(tracked.kept):
            self._send(self._writer.withdrawn(key, number, kept, at))

    def _send(self, example: Example) -> None:
        self._outputs.append(Output("examples", example.entity.encode(), examples.encode(example)))
