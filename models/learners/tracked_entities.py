"""Which entities does a partition of predictions keep, where does each stand, and when is it looked at again?"""

from typing import Any

from models.business import Business
from models.entities.entity_log import EntityLog, LogFolder
from models.entities.store import Entities
from models.learners.acquaintance import ALMOST
from models.learners.agenda import Agenda
from models.learners.evaluation import AGES
from models.learners.features import DAY_MS
from models.learners.live_kinds import KnowSteps, LearnedKind
from models.learners.live_time import LiveTime
from models.learners.tracked import Tracked, TrackedRows

#: An open entity is asked about anew when it was last so long ago (ms), whatever happens.
REFRESH = DAY_MS
_SWEPT = 64


class TrackedEntities:
    """The entities of one kind in one partition, with the logs of their facts. Rows: ``E<id>``."""

    def __init__(self, kind: LearnedKind, business: Business, time: LiveTime) -> None:
        self.kind, self.time, self._keep = kind, time, business.keep_days
        self.histories: LogFolder[Any] = LogFolder(KnowSteps(kind, business), kind.present)
        rows = TrackedRows(kind, self.histories)
        self.entities: Entities[Tracked] = Entities(rows.decode, rows.encode)
        self.agenda = Agenda()

    def restore(self, key: str, row: bytes) -> None:
        """Take a row back. It begins with when time next matters; the rest is not read yet."""
        self.entities.restore(key, row)
        self.agenda.put(key, int(row[1 : row.index(b",")]))

    def new(self) -> Tracked:
        """Return an entity of which nothing is known."""
        return Tracked(self.histories.new())

    def present(self, tracked: Tracked) -> Any:
        """Return where an entity stands."""
        return self.histories.present(tracked.story)

    def past(self, tracked: Tracked) -> Any:
        """Return what the own events of an entity say; None where it is gone or not known."""
        status, _ = self.status(tracked.story)
        return self.present(tracked).past if status not in ("", "gone") else None

    def status(self, story: EntityLog[Any]) -> tuple[str, int]:
        """Return what an entity is (``""`` where nothing is known of it), and when it closed (ms)."""
        if story.void:
            return "gone", 0
        if not story.log and story.base is None:
            return "", 0
        present = self.histories.present(story)
        return present.status, present.closed

    def at(self, tracked: Tracked) -> int:
        """Return the time (ms) of what is said of an entity now: not before its latest event."""
        last: int = self.present(tracked).past.last
        return max(self.time.now, last)

    def schedule(self, key: str, tracked: Tracked, at: int) -> None:
        """Note when time next matters to an open entity."""
        past = self.present(tracked).past
        times = [due for kept in tracked.kept if (due := kept.due) is not None]
        times.append((tracked.said[0] if tracked.said is not None and tracked.said[0] + REFRESH > at else at) + REFRESH)
        if tracked.asks is not None:
            times.append(tracked.asks[0] + ALMOST)
        if tracked.aged < len(AGES):
            times.append(past.created + AGES[tracked.aged] * DAY_MS)
        wake = max(min(times), tracked.hold, 1)
        if wake != tracked.wake or key not in self.agenda.open:
            tracked.wake = wake
            self.agenda.put(key, wake)

    def set_back(self, now: int) -> None:
        """Time had run ahead of ``now``: what was said or was to wait later than that is forgotten."""
        for key in self.agenda.open:
            tracked = self.entities.get(key)
            if tracked is not None and (tracked.wake > now or tracked.hold > now):
                tracked.said, tracked.hold = None, 0
                tracked.points = [point for point in tracked.points if point[0] <= now]
                self.schedule(key, tracked, now)
                self.entities.put(key, tracked)

    def put_back(self, key: str, row: bytes | None) -> None:
        """Have an entity be again as its row says."""
        self.entities.put_back(key, row)
        tracked = self.entities.get(key)
        self.agenda.put(key, 0)
        if tracked is not None:
            self.agenda.put(key, tracked.wake)

    def sweep(self) -> list[str]:
        """Look over some; let go of those that nothing is learnt from any more, and return them."""
        return [key for key, _ in self.entities.sweep(self._dead, _SWEPT)]

    def _dead(self, tracked: Tracked) -> bool:
        last = tracked.story.log[-1][0] if tracked.story.log else tracked.story.base_at
        if tracked.beside is not None:
            last = max(last, *(doings.heard for doings in tracked.beside.doings.values()), 0)
        return tracked.wake <= 0 and last < self.time.watermark - self._keep
