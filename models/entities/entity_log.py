"""How does an entity stay exact when its events come twice, late and out of order?

An entity keeps a short log of its own facts in event-time order (ties by event id). What it contributes to the panes is the
result of stepping through that log. A fact that comes in order is one further step; one that comes late takes back what the
log contributed, takes its place, and the log is stepped through again. Both ways lead to the same sums, and merging two
entities is the union of their logs.
"""

from collections.abc import Iterable
from sys import intern
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from models.entities.recent_ids import RecentIds

#: When it happened (ms), event id, kind, and what it says of the entity's attributes (None: cleared).
Entry = tuple[int, str, str, dict[str, Any]]

#: Facts kept one by one; when there are more, the oldest are folded into the base, and later arrivals older than those refused.
#: So it is with entities that are gone, too.
KEPT = 64
FOLDED = 16

#: The sender of an entity whose person has been erased: nothing more is heard of it.
ERASED = "erased"

P = TypeVar("P")
_NONE = msgspec.Raw(b"null")


class Steps(Protocol[P]):
    """How one kind of entity steps through its facts. ``sign`` −1 takes back what +1 has booked."""

    def fresh(self) -> P:
        """Return the present of an entity of which nothing is known."""

    def copy(self, present: P) -> P:
        """Return an independent copy."""

    def step(self, present: P, entry: Entry, sign: int) -> None:
        """Change the present by one fact, not earlier than any before it, and book what that changes in the panes."""

    def unbook(self, present: P, at: int, sign: int) -> None:
        """Take back (+1), or book again (−1), all that the present counts for, when nothing can be stepped through."""

    def void(self, log: list[Entry]) -> bool:
        """Whether the log says that the entity is gone and counts for nothing (deleted, merged away)."""


class EntityLog(Generic[P]):
    """One entity: its log, what was folded away below it (``base``), and the present at its end."""

    __slots__ = ("active", "base", "base_at", "log", "made", "present", "seen", "sender", "void")

    def __init__(
        self, log: list[Entry], base: P | None, base_at: int, seen: RecentIds, active: int = 0, sender: str = "", made: int = 0
    ) -> None:
        self.log = log
        self.base = base
        self.base_at = base_at
        self.seen = seen  # ids of additive events (activities)
        self.active = active  # time of the last of them (ms), 0: none
        self.sender = sender  # CloudEvents source of the fact that arrived last: for links, counts for nothing
        self.made = made  # version of the definitions it is booked under (``models/folds/evolve.py``)
        self.present: P | None = None  # None: not stepped through yet (restored), see LogFolder.present
        self.void = False


class _Row(msgspec.Struct, array_like=True, omit_defaults=True):
    log: list[tuple[int, str, str, dict[str, Any]]]
    base_at: int = 0
    base: msgspec.Raw = _NONE
    seen: dict[int, int] = {}
    sender: str = ""
    active: int = 0
    made: int = 0


class Added(msgspec.Struct, frozen=True):
    """What became of facts that were offered: the new ones, how many were known, how many came too late."""

    fresh: list[Entry]
    known: int
    late: int


class LogFolder(Generic[P]):
    """The logs of one partition's entities and the panes they book into."""

    __slots__ = ("_decode_row", "_present_type", "_steps", "version")

    def __init__(self, steps: Steps[P], present_type: type[P]) -> None:
        self._steps = steps
        self._present_type = present_type
        self._decode_row = msgspec.json.Decoder(_Row).decode
        self.version = 0  # of the definitions in force, which new entities are booked under

    def decode(self, row: bytes) -> EntityLog[P]:
        """Return an entity from its row."""
        kept = self._decode_row(row)
        base = msgspec.json.decode(kept.base, type=self._present_type) if kept.base_at else None
        story: EntityLog[P] = EntityLog(
            kept.log, base, kept.base_at, RecentIds(kept.seen), kept.active, intern(kept.sender), kept.made
        )
        story.void = self._steps.void(kept.log)
        return story

    def encode(self, story: EntityLog[P]) -> bytes:
        """Return the row of an entity."""
        base = _NONE if story.base is None else msgspec.Raw(msgspec.json.encode(story.base))
        return msgspec.json.encode(_Row(story.log, story.base_at, base, story.seen.hours, story.sender, story.active, story.made))

    def new(self) -> EntityLog[P]:
        """Return an entity of which nothing is known."""
        return EntityLog([], None, 0, RecentIds({}), made=self.version)

    def present(self, story: EntityLog[P]) -> P:
        """Return the entity's present, stepping through the log (booking nothing) where it was restored."""
        present = story.present
        if present is None:
            present = story.present = self.walk(story, 0)
        return present

    def add(self, story: EntityLog[P], entry: Entry) -> bool:
        """Take one fact in; return whether it was new. Raise :class:`TooLate` below the base."""
        log = story.log
        marks = entry[2] in _MARKS
        if not marks and not story.void and (not log or (entry[0], entry[1]) > log[-1][:2]) and entry[0] > story.base_at:
            event_id = entry[1]
            for known in log:
                if known[1] == event_id:
                    break
            else:
                self._steps.step(self.present(story), entry, 1)
                log.append(entry)
                if len(log) > KEPT:
                    self._fold_away(story)
                return True
        added = self.union(story, (entry,))
        if added.late:
            raise TooLate
        return bool(added.fresh)

    def union(self, story: EntityLog[P], entries: Iterable[Entry]) -> Added:
        """Take facts in wherever they belong: take back what the log booked, insert, and step through it again."""
        log = list(story.log)
        index = {known[1]: position for position, known in enumerate(log)}
        fresh: list[Entry] = []
        known_count = late = 0
        for entry in entries:
            position = index.get(entry[1])
            if position is not None:
                # The same id again: with another content, the later by time, then by content, stands; whichever came first.
                if _weight(entry) <= _weight(log[position]):
                    known_count += 1
                    continue
                log[position] = entry
            elif story.base is not None and entry[0] <= story.base_at:
                late += 1
                continue
            else:
                index[entry[1]] = len(log)
                log.append(entry)
            fresh.append(entry)
        if fresh:
            log.sort(key=_order)
            if not story.void:
                self.walk(story, -1)
            story.log = log
            was_void, story.void = story.void, self._steps.void(log)
            if story.base is not None and was_void != story.void:
                self._steps.unbook(story.base, story.base_at, 1 if story.void else -1)
            story.present = self.walk(story, 0 if story.void else 1)
            # What has just gone may still hand over each of its facts to the one it was merged into.
            while len(story.log) > KEPT and (was_void or not story.void):
                self._fold_away(story)
        return Added(fresh, known_count, late)

    def walk(self, story: EntityLog[P], sign: int) -> P:
        """Step through what is known of an entity and book it: take back what it books with ``sign`` −1, nothing with 0."""
        present = self._steps.fresh() if story.base is None else self._steps.copy(story.base)
        for entry in story.log:
            self._steps.step(present, entry, sign)
        return present

    def _fold_away(self, story: EntityLog[P]) -> None:
        """Fold the oldest facts into the base. They stay booked; they can no longer be taken back one by one.

        What says that the entity is gone stays in the log: the first merge, and the last deletion that nothing has undone.
        """
        base = self._steps.fresh() if story.base is None else story.base
        oldest = story.log[:FOLDED]
        for entry in oldest:
            self._steps.step(base, entry, 0)
        marks = [entry for entry in oldest if entry[2] == MERGED][:1]
        deletions = [number for number, entry in enumerate(oldest) if entry[2] == DELETED]
        if deletions and self._steps.void(oldest[deletions[-1] :]):
            marks.append(oldest[deletions[-1]])
        story.base = base
        story.base_at = oldest[-1][0]
        story.log = sorted(marks, key=_order) + story.log[FOLDED:]


class TooLate(Exception):
    """The fact is older than all that the entity still keeps one by one."""


#: Kinds that make an entity count for nothing.
MERGED, DELETED = "merged", "deleted"
_MARKS = frozenset({MERGED, DELETED})


def _order(entry: Entry) -> tuple[int, str]:
    return entry[:2]


def _weight(entry: Entry) -> tuple[int, int, str, str]:
    # The one that says more before the one that says less: an export's bare fact must not take a webhook's details away.
    return entry[0], len(entry[3]), entry[2], repr(sorted(entry[3].items()))
