"""What do networks, queues and people do to a clean history?

Every function takes an iterator of events (CloudEvents as dicts, in time order) and gives another one; the same seed and
input give the same output. Each kind of mischief has its own chance, so that switching one on leaves the others as
they were. What :func:`~models.simulator.bad.spoil` adds may be raw bytes: that is why records are dicts or bytes.

Of these only :func:`reopen` and :func:`merge` change what is true. :func:`duplicate`, :func:`disorder` and :func:`delay`
must change no KPI, and bad records must all be refused.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from random import Random

from models.simulator.bad import KINDS, spoil
from models.simulator.diary import Event, iso_time
from models.simulator.rhythm import DAY

Record = Event | bytes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

FAR = 5_000
"""How many records later a duplicate comes, at most."""


@dataclass(frozen=True, slots=True)
class Mischief:
    """How much of what is done to a history; shares are between 0 and 1.

    Attributes:
        seed: what chance depends on.
        duplicates: share of the records that come a second time, up to 5,000 records later.
        disorder: share of the events that change places with others of their UTC day; 1 shuffles whole days.
        late: share of the events that arrive up to ``late_days`` days after they happened.
        late_days: the longest delay, in days.
        reopen: share of the closed deals that are opened again, and closed again some time later.
        merge: share of the deals and leads that are merged into another one created before them.
        bad: records that must be refused, per good one.
        bad_kinds: which kinds of bad records; see ``models.simulator.bad.KINDS``.
    """

    seed: int = 1
    duplicates: float = 0.0
    disorder: float = 0.0
    late: float = 0.0
    late_days: float = 30.0
    reopen: float = 0.0
    merge: float = 0.0
    bad: float = 0.0
    bad_kinds: tuple[str, ...] = tuple(KINDS)

    def __post_init__(self) -> None:
        for field in fields(self):
            share = getattr(self, field.name)
            if isinstance(share, float) and field.name != "late_days" and not 0 <= share <= 1:
                raise ValueError(f"{field.name}: found {share}; a share from 0 to 1 is needed")
        if self.late_days < 0:
            raise ValueError(f"late_days: found {self.late_days}; 0 or more days are needed")
        if unknown := set(self.bad_kinds) - set(KINDS):
            raise ValueError(f"bad_kinds: found {', '.join(sorted(unknown))}; {', '.join(KINDS)} are known")

    def apply(self, events: Iterable[Event]) -> Iterator[Record]:
        """Do all of it, in an order in which each part finds what it needs: new events first, transport faults last."""
        if self.reopen:
            events = reopen(events, self.reopen, self._random("reopen"))
        if self.merge:
            events = merge(events, self.merge, self._random("merge"))
        if self.disorder:
            events = disorder(events, self.disorder, self._random("disorder"))
        if self.late:
            events = delay(events, self.late, self.late_days, self._random("late"))
        records: Iterable[Record] = events
        if self.bad:
            records = spoil(events, self.bad, self._random("bad"), self.bad_kinds)
        if self.duplicates:
            records = duplicate(records, self.duplicates, self._random("duplicates"))
        return iter(records)

    def _random(self, name: str) -> Random:
        return Random(f"vigie {name} {self.seed}")


def when(event: Event) -> int:
    """The event's time in epoch ms."""
    return (datetime.fromisoformat(event["time"]) - _EPOCH) // _MILLISECOND


def duplicate(records: Iterable[Record], share: float, random: Random, far: int = FAR) -> Iterator[Record]:
    """Repeat a ``share`` of the records, unchanged, 1 to ``far`` records later; most within a few dozen."""
    held: list[tuple[int, int, Record]] = []
    for position, record in enumerate(records):
        while held and held[0][0] <= position:
            yield heappop(held)[2]
        yield record
        if random.random() < share:
            gap = 1 + int(far ** random.random())  # log-uniform: as retries do, most come soon
            heappush(held, (position + min(gap, far), position, record))
    while held:
        yield heappop(held)[2]


def disorder(events: Iterable[Event], share: float, random: Random) -> Iterator[Event]:
    """Let a ``share`` of each UTC day's events change places among themselves; memory is one day's events."""
    day = ""
    buffer: list[Event] = []
    for event in events:
        date = _utc_day(event["time"])
        if date != day:
            yield from _shuffled(buffer, share, random)
            day, buffer = date, []
        buffer.append(event)
    yield from _shuffled(buffer, share, random)


def _utc_day(time: str) -> str:
    if time.endswith("Z"):
        return time[:10]
    return datetime.fromisoformat(time).astimezone(UTC).strftime("%Y-%m-%d")


def _shuffled(events: list[Event], share: float, random: Random) -> list[Event]:
    places = [place for place in range(len(events)) if random.random() < share]
    moved = [events[place] for place in places]
    random.shuffle(moved)
    for place, event in zip(places, moved, strict=True):
        events[place] = event
    return events


def delay(events: Iterable[Event], share: float, days: float, random: Random) -> Iterator[Event]:
    """Hold a ``share`` of the events back until others that happened up to ``days`` days later have passed."""
    held: list[tuple[int, int, Event]] = []
    now = 0
    for position, event in enumerate(events):
        at = when(event)
        now = max(now, at)
        while held and held[0][0] <= now:
            yield heappop(held)[2]
        if random.random() < share:
            heappush(held, (at + int(random.random() * days * DAY), position, event))
        else:
            yield event
    while held:
        yield heappop(held)[2]


def reopen(events: Iterable[Event], share: float, random: Random) -> Iterator[Event]:
    """Open a ``share`` of the closed deals again 1 to 20 days after, and close them 3 to 30 days later.

    What would come after the last event is left out: the history ends where it ended.
    """

    def consequences(event: Event, at: int) -> Iterator[tuple[int, Event]]:
        if event["type"] not in ("deal.won", "deal.lost") or random.random() >= share:
            return
        again = at + int((1 + 19 * random.random()) * DAY)
        closed = again + int((3 + 27 * random.random()) * DAY)
        yield again, _also(event, "reopened", "deal.reopened", again, {"stage": "negotiation"})
        if random.random() < 0.5:
            amount = {key: value for key, value in event["data"].items() if key in ("amount", "currency", "owner")}
            yield closed, _also(event, "closed-again", "deal.won", closed, amount)
        else:
            yield closed, _also(event, "closed-again", "deal.lost", closed, {"reason": "no decision"})

    return _woven(events, consequences)


def merge(events: Iterable[Event], share: float, random: Random, reach: int = 300) -> Iterator[Event]:
    """Merge a ``share`` of the deals and leads, within 5 days, into one of the ``reach`` created before them.

    The survivor is always the older one, so no two entities are merged into each other.
    """
    recent: dict[str, list[str]] = {"deal": [], "lead": []}

    def consequences(event: Event, at: int) -> Iterator[tuple[int, Event]]:
        family, _, what = event["type"].partition(".")
        if what != "created" or family not in recent:
            return
        older = recent[family]
        if older and random.random() < share and (survivor := random.choice(older)) != event["subject"]:
            found = at + int((0.1 + 4.9 * random.random()) * DAY)
            yield found, _also(event, "merged", f"{family}.merged", found, {"into": survivor})
        older.append(event["subject"])
        if len(older) > reach:
            del older[0]

    return _woven(events, consequences)


def _woven(events: Iterable[Event], consequences: Callable[[Event, int], Iterator[tuple[int, Event]]]) -> Iterator[Event]:
    """The events and what follows from them, in time order."""
    due: list[tuple[int, int, Event]] = []
    number = 0
    for event in events:
        at = when(event)
        while due and due[0][0] <= at:
            yield heappop(due)[2]
        yield event
        for later, consequence in consequences(event, at):
            number += 1
            heappush(due, (later, number, consequence))


def _also(event: Event, mark: str, kind: str, at: int, data: Event) -> Event:
    return {
        "specversion": "1.0",
        "id": f"{event['id']}~{mark}",
        "source": event["source"],
        "type": kind,
        "time": iso_time(at),
        "subject": event["subject"],
        "data": data,
    }
