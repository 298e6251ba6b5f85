"""What is kept of one open deal (or lead) by who predicts, and how is it a row?"""

from typing import Any

import msgspec

from models.entities.entity_log import EntityLog, LogFolder
from models.learners import examples
from models.learners.acquaintance import Beside
from models.learners.examples import KeptQuestion, Values
from models.learners.features import DAY_MS
from models.learners.live_kinds import LearnedKind

#: Points of an entity's short history, how far apart (ms), and how long they are kept.
POINTS, POINT_MS, POINT_KEPT = 24, 3_600_000, 8 * DAY_MS

_encode = msgspec.json.Encoder().encode

#: What an open deal counts for in the panes: its segments, and the numbers.
Level = tuple[tuple[str, ...], tuple[tuple[int, int], ...]]

#: A question that waits for what others tell: when (ms), and what the entity's own events said then.
Asks = tuple[int, Values]


class _Row(msgspec.Struct, array_like=True, omit_defaults=True):
    #: When time next matters to the entity (ms), negative where it is closed, 0: never. First, so that a restore need not
    #: read the rest.
    wake: int
    story: msgspec.Raw
    features: str = ""  # under which the questions are to be read
    kept: list[KeptQuestion] = []
    aged: int = 0  # how many of the AGES have passed
    said: tuple[int, float] | None = None  # when it was last answered (ms), and P(won)
    points: list[tuple[int, float]] = []
    hold: int = 0  # before then silence means nothing (ms)
    level: Level | None = None
    beside: Beside | None = None
    asks: Asks | None = None


class Tracked:
    """One entity as this fold keeps it."""

    __slots__ = ("aged", "asks", "beside", "hold", "kept", "level", "points", "said", "story", "wake")

    def __init__(self, story: EntityLog[Any]) -> None:
        self.story = story
        self.wake = 0
        self.kept: list[KeptQuestion] = []
        self.aged = 0
        self.said: tuple[int, float] | None = None
        self.points: list[tuple[int, float]] = []
        self.hold = 0
        self.level: Level | None = None
        self.beside: Beside | None = None
        self.asks: Asks | None = None


class TrackedRows:
    """The rows of one kind's entities; questions of a release with other features teach nothing any more."""

    def __init__(self, kind: LearnedKind, histories: LogFolder[Any]) -> None:
        self._kind, self._histories = kind, histories
        self._read = msgspec.json.Decoder(_Row).decode

    def decode(self, row: bytes) -> Tracked:
        """Return an entity from its row."""
        found = self._read(row)
        tracked = Tracked(self._histories.decode(bytes(found.story)))
        tracked.wake, tracked.aged = found.wake, found.aged
        names, now = self._kind.names_of(found.features), self._kind.names
        if names is now:
            tracked.kept = found.kept
        elif names is not None:
            tracked.kept = [examples.widened(kept, names, now) for kept in found.kept]
        # Questions of a release with features that are no more teach nothing any more.
        tracked.said, tracked.points, tracked.hold = found.said, found.points, found.hold
        tracked.level, tracked.beside = found.level, found.beside
        tracked.asks = found.asks if names is now else None
        return tracked

    def encode(self, tracked: Tracked) -> bytes:
        """Return the row of an entity."""
        story = msgspec.Raw(self._histories.encode(tracked.story))
        return _encode(
            _Row(
                tracked.wake,
                story,
                self._kind.fingerprint,
                tracked.kept,
                tracked.aged,
                tracked.said,
                tracked.points,
                tracked.hold,
                tracked.level,
                tracked.beside,
                tracked.asks,
            )
        )


def remember(points: list[tuple[int, float]], at: int, win: float) -> None:
    """Add a point to an entity's short history: one an hour at most, the latest always."""
    if len(points) > 1 and at - points[-2][0] < POINT_MS:
        points[-1] = at, win
    else:
        points.append((at, win))
    while len(points) > POINTS or points[0][0] < at - POINT_KEPT:
        del points[0]
