"""What time is it in a partition of predictions: the clock's, or the latest event's?

Time is the wall clock while events arrive as they happen. While they come from the past (a backfill, a replay) it is the latest
event's, so that history is gone through at its own pace and nothing is taken for silence that has merely not arrived yet.
"""

from models.learners.features import DAY_MS

#: Events that are later than this on arrival are history: time is then theirs, not the clock's.
LIVE = DAY_MS


class LiveTime:
    """``now``, the first event's time (``start``), the latest one's (``watermark``) and the latest ``arrival``, in epoch ms."""

    __slots__ = ("arrival", "now", "start", "watermark")

    def __init__(self) -> None:
        self.now = self.start = self.watermark = self.arrival = 0

    @property
    def live(self) -> bool:
        """Whether events arrive as they happen."""
        return self.arrival - self.watermark <= LIVE

    @property
    def latest(self) -> int:
        """The latest time that anything told. A replay's clock is the events' own, which may be a day ahead."""
        return max(self.now - DAY_MS, self.watermark, self.arrival)

    def after(self, at: int, arrival: int) -> int:
        """Return what time it is to be after an event; it is for the caller to let it pass."""
        self.arrival = max(self.arrival, arrival)
        moment = min(at, arrival)
        if moment <= self.watermark:
            return self.now
        self.watermark = moment
        return max(self.now, moment) if self.live else moment

    def believes(self, clock: int) -> bool:
        """Whether time is the clock's. One that is behind the arrival of what was folded is that of a replay: it is."""
        return bool(self.arrival) and (clock < self.arrival or self.live)

    def set_back(self, clock: int) -> None:
        """Have no time be later than the clock's."""
        self.now, self.start = min(self.now, clock), min(self.start, clock)
        self.watermark, self.arrival = min(self.watermark, clock), min(self.arrival, clock)

    def row(self) -> tuple[int, int, int, int]:
        """Return what is kept of it."""
        return self.now, self.start, self.watermark, self.arrival

    def restore(self, now: int, start: int, watermark: int, arrival: int) -> None:
        """Take it back."""
        self.now, self.start, self.watermark, self.arrival = now, start, watermark, arrival
