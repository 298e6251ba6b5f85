"""Which senders are alive, as far as one partition can tell?"""

import msgspec

from models.calendar import MINUTE_MS
from models.fold import Output

#: Where it is said that a sender is alive: once a minute at most, per sender and partition.
BEATS = "beats"
#: Senders whose last event is remembered.
SENDERS = 1000


class Beat(msgspec.Struct, frozen=True):
    """A sender had an event ``at`` a time (epoch ms; the event's own, at most its arrival) on a topic of this kind."""

    at: int
    topic: str


class Beats:
    """The senders of one partition of a fold. ``heard``: the time of each one's latest event, at most its arrival."""

    __slots__ = ("_beaten", "_minute", "heard")

    def __init__(self) -> None:
        self.heard: dict[str, int] = {}
        self._beaten: dict[str, int] = {}  # sender -> minute of the last beat
        self._minute = -1

    def set_back(self, now: int) -> None:
        """Time had run ahead of ``now``: nobody was heard later."""
        self.heard = {sender: min(at, now) for sender, at in self.heard.items()}
        self._beaten.clear()

    def outputs(self, topic: str, watermark: int) -> list[Output]:
        """Return a beat of each sender that was heard in a later minute than it was told of last."""
        minute = watermark // MINUTE_MS
        if minute == self._minute and len(self._beaten) == len(self.heard):
            return []
        self._minute = minute
        found: list[Output] = []
        for sender, at in self.heard.items():
            seen = min(at, watermark)
            if seen // MINUTE_MS > self._beaten.get(sender, -1):
                self._beaten[sender] = seen // MINUTE_MS
                found.append(Output(BEATS, sender.encode(), msgspec.json.encode(Beat(seen, topic))))
        return found
