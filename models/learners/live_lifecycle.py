"""What does an event, or the passing of time, do to one open deal (or lead) of which something is predicted?

It is asked about when it has changed and when it comes of an age, answered anew when its answer has grown old, and judged when it
closes. Each step is done whole or not at all.
"""

from typing import Any, Literal, cast

from models.faults import Faults
from models.fold import Output
from models.learners.acquaintance import ALMOST
from models.learners.evaluation import AGES, REOPENED
from models.learners.features import DAY_MS
from models.learners.live_acquaintances import LiveAcquaintances
from models.learners.live_answers import LiveAnswers
from models.learners.live_questions import LiveQuestions
from models.learners.live_time import LIVE
from models.learners.tracked import Tracked
from models.learners.tracked_entities import REFRESH, TrackedEntities

#: What an entity is not known to have done is not held against it for so long after an event of its past has arrived (ms).
HOLD = 3_600_000


class LiveLifecycle:
    """Takes the entities of one partition through their lives."""

    def __init__(
        self,
        tracked: TrackedEntities,
        questions: LiveQuestions,
        answers: LiveAnswers,
        acquaintances: LiveAcquaintances,
        faults: Faults,
        outputs: list[Output],
    ) -> None:
        self._tracked, self._questions, self._answers = tracked, questions, answers
        self._acquaintances, self._faults, self._outputs = acquaintances, faults, outputs

    # -- events --------------------------------------------------------------------------------------------------------

    def take(self, key: str, event: Any, at: int) -> str:
        """Take an event of an entity; return what became of it. What it raises leaves nothing of it."""
        # The row of an entity that was not touched since the checkpoint costs nothing.
        row, sent = self._tracked.entities.row(key), len(self._outputs)
        try:
            return self._take(key, event, at)
        except Exception:
            self._put_back(key, row, sent)
            raise

    def _put_back(self, key: str, row: bytes | None, sent: int) -> None:
        """Have an entity be again as its row says, and nothing said of it since ``sent`` outputs."""
        del self._outputs[sent:]
        self._tracked.put_back(key, row)

    def _take(self, key: str, event: Any, at: int) -> str:
        known, histories, kind = self._tracked, self._tracked.histories, self._tracked.kind
        tracked = known.entities.get(key)
        fresh = tracked is None
        if tracked is None:
            tracked = known.new()
        story = tracked.story
        before, closed_before = known.status(story)
        facts = kind.facts(event, at)
        if event.__class__ is kind.absorbed:
            added = histories.union(story, facts)
            if not added.fresh:
                return "too_late" if added.late else "duplicate"
        elif not histories.add(story, facts[0]):
            return "duplicate"
        after, closed = known.status(story)
        known.entities.put(key, tracked)
        self._acquaintances.changed(key, tracked, after, closed or at, fresh=fresh)
        if before in ("won", "lost") and (after != before or closed != closed_before):
            self._questions.withdrawn(key, tracked, at)
        if after == "open":
            self._goes_on(key, tracked, at, anew=before != "open")
            return "applied"
        if after in ("won", "lost") and (after != before or closed != closed_before):
            self._questions.closed(key, tracked, closed, cast(Literal["won", "lost"], after))
        tracked.asks = None
        if after == "gone":
            tracked.kept = []
        self._retire(key, tracked)
        return "applied"

    def _goes_on(self, key: str, tracked: Tracked, at: int, *, anew: bool) -> None:
        """An event at ``at`` leaves an entity open, ``anew`` where it was not before."""
        past, now = self._tracked.present(tracked).past, self._tracked.time.now
        if anew:  # new, or reopened: ages that have passed are not made up for
            while tracked.aged < len(AGES) and past.created + AGES[tracked.aged] * DAY_MS <= at:
                tracked.aged += 1
        self._questions.ask(key, tracked, max(at, past.last))
        # History that comes in late has more to say: until it has, silence means nothing.
        if at < now - LIVE:
            tracked.hold = now + HOLD
        self._tracked.schedule(key, tracked, at)
        self._answers.put(key)

    def _retire(self, key: str, tracked: Tracked) -> None:
        """Nothing is expected of the entity any more, unless it is reopened."""
        agenda = self._tracked.agenda
        was_open = key in agenda.open
        tracked.wake = -(self._tracked.time.now + REOPENED) if tracked.kept else 0
        agenda.put(key, tracked.wake)
        self._answers.retract(key, tracked, was_open=was_open)

    # -- time ----------------------------------------------------------------------------------------------------------

    def wake(self, key: str) -> bool:
        """An entity's time has come; return whether it is still there."""
        tracked = self._tracked.entities.get(key)
        if tracked is None:
            return False
        if tracked.wake > 0:
            self._wake_whole(key, tracked, tracked.wake)
        else:  # closed for so long that it will not be reopened
            tracked.wake, tracked.kept = 0, []
            self._tracked.entities.put(key, tracked)
        return True

    def _wake_whole(self, key: str, tracked: Tracked, at: int) -> None:
        entities = self._tracked.entities
        row, sent = entities.row(key), len(self._outputs)
        try:
            self._wake(key, tracked, at)
        except Exception as error:  # a fault of ours: it is looked at again tomorrow, or with its next event
            self._faults.add(f"the wake of {self._tracked.kind.entity} {key}", error)
            self._put_back(key, row, sent)
            found = entities.get(key)
            if found is not None:
                found.wake = max(at, self._tracked.time.now) + REFRESH
                self._tracked.agenda.put(key, found.wake)
                entities.put(key, found)

    def _wake(self, key: str, tracked: Tracked, at: int) -> None:
        if self._tracked.status(tracked.story)[0] != "open":  # asked about when any first fact made it an open one
            self._retire(key, tracked)
            self._tracked.entities.put(key, tracked)
            return
        self._questions.survived(key, tracked, at)
        if tracked.asks is not None and tracked.asks[0] + ALMOST <= at:
            self._questions.ask_waiting(key, tracked)
        past = self._tracked.present(tracked).past
        if tracked.aged < len(AGES) and past.created + AGES[tracked.aged] * DAY_MS <= at:
            tracked.aged += 1
            if at - past.last >= DAY_MS:
                self._questions.ask(key, tracked, at)
        if tracked.said is None or tracked.said[0] + REFRESH <= at:
            self._answers.put(key)
        self._tracked.schedule(key, tracked, at)
        self._tracked.entities.put(key, tracked)
