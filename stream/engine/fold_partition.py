"""What is one partition of one fold in this worker's hands, and how does it come back?"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from models.fold import PartitionFold, Record
from models.privacy.subject import EVENTS
from models.sizes import Sizes
from stream.engine.backend import Cancelled, Restored, Screen
from stream.engine.errors import FoldFailed
from stream.engine.on_kafka import backend_of
from stream.engine.options import EngineOptions, FoldSpec

#: Name of the fold and partition.
Key = tuple[str, int]


class FoldPartition:
    """One partition of one fold, in this worker's hands."""

    __slots__ = (
        "again", "arrived", "changelog", "committed", "fold", "next", "partition", "recorded", "screen", "seeking", "sizes",
        "spec", "task",
    )  # fmt: skip

    def __init__(self, spec: FoldSpec, partition: int, changelog: str | None, fold: PartitionFold) -> None:
        self.spec = spec
        self.partition = partition
        self.changelog = changelog
        self.fold = fold
        self.sizes = Sizes(spec.name, partition)
        #: Logical topic → next offset: folded, durable, and as the position row has it.
        self.next: dict[str, int] = {}
        self.committed: dict[str, int] = {}
        self.recorded: dict[str, int] = {}
        #: Logical topic → when the last folded record had arrived (epoch ms); none since the restore: not there.
        self.arrived: dict[str, int] = {}
        #: Keeps out what late events say of people who were erased; None where nobody was, or it is done elsewhere.
        self.screen: Screen | None = None
        self.seeking = False
        #: The ``on_durable`` call that is under way, and whether commits since then ask for one more.
        self.task: asyncio.Task[None] | None = None
        self.again = False


def fold_records(slot: FoldPartition, records: Sequence[Record]) -> None:
    """Fold, and name the place if the fold has a defect (:class:`FoldFailed`)."""
    if slot.screen is not None:
        records = slot.screen(records)
    try:
        slot.fold.fold(slot.sizes.take(records))
    except Exception as error:
        first = records[0]
        where = f"{slot.spec.name} at {first.topic}/{first.partition} from offset {first.offset}"
        raise FoldFailed(f"{where}: fold() raised {error!r}") from error
    slot.arrived[records[-1].topic] = records[-1].timestamp


def restore_slots(
    options: EngineOptions, wanted: Sequence[tuple[FoldSpec, int]], cancelled: Callable[[], bool]
) -> tuple[dict[Key, FoldPartition], int]:
    """New folds with their state, their replayed log, or at the log's beginning; and how many rows that took.

    Blocks: to be called in a thread, so nothing that the loop reads may be touched: see :func:`go_live`. Raises
    :class:`~stream.engine.backend.Cancelled`, :class:`FoldFailed`, or ``KafkaException``.
    """
    slots: dict[Key, FoldPartition] = {}
    screen = backend_of(options).screen(options) if any(EVENTS.keys() & {*spec.topics} for spec, _ in wanted) else None
    for spec, partition in wanted:
        changelog = None if spec.replayed else options.changelog(spec.name)
        slots[spec.name, partition] = slot = FoldPartition(spec, partition, changelog, spec.make(partition))
        slot.screen = screen if EVENTS.keys() & {*spec.topics} else None
    rows = _from_changelogs(options, [slot for slot in slots.values() if not slot.spec.replayed], cancelled)
    rows += _from_the_log(options, [slot for slot in slots.values() if slot.spec.replayed], cancelled)
    _begin_fresh(options, slots.values())
    return slots, rows


def go_live(slots: Iterable[FoldPartition]) -> None:
    """Tell who asked for it that folds are in our hands, and folds that they have read their log to its end: on the loop."""
    for slot in slots:
        if slot.spec.at_hand is not None:
            slot.spec.at_hand(slot.partition, slot.fold)
        live = getattr(slot.fold, "live", None)
        if live is not None:
            live()


def _from_changelogs(options: EngineOptions, slots: list[FoldPartition], cancelled: Callable[[], bool]) -> int:
    found = backend_of(options).read_changelogs(options, [(str(slot.changelog), slot.partition) for slot in slots], cancelled)
    rows = 0
    for slot in slots:
        state = found.pop((str(slot.changelog), slot.partition))
        rows += len(state.rows)
        _fill(slot, state)
        if cancelled():
            raise Cancelled
    return rows


def _fill(slot: FoldPartition, state: Restored) -> None:
    try:
        slot.fold.restore(state.rows.items())
    except Exception as error:
        where = f"{slot.spec.name}/{slot.partition} from {slot.changelog}"
        raise FoldFailed(f"{where}: restore() raised {error!r}") from error
    slot.next = {topic: state.positions[topic] for topic in slot.spec.topics if topic in state.positions}
    slot.committed = dict(slot.next)
    slot.recorded = dict(slot.next)


def _from_the_log(options: EngineOptions, slots: list[FoldPartition], cancelled: Callable[[], bool]) -> int:
    readers: dict[tuple[str, int], list[FoldPartition]] = {}
    for slot in slots:
        for topic in slot.spec.topics:
            readers.setdefault((options.physical(topic), slot.partition), []).append(slot)
    rows = 0

    def fold(key: tuple[str, int], records: list[Record]) -> None:
        nonlocal rows
        rows += len(records)
        for slot in readers[key]:
            fold_records(slot, records)

    for (topic, partition), offset in backend_of(options).replay(options, list(readers), fold, cancelled).items():
        for slot in readers[topic, partition]:
            slot.next[options.logical(topic)] = slot.committed[options.logical(topic)] = offset
    return rows


def _begin_fresh(options: EngineOptions, slots: Iterable[FoldPartition]) -> None:
    """A partition without state begins where the log begins: an explicit offset, never "whatever came first"."""
    fresh = [(slot, topic) for slot in slots for topic in slot.spec.topics if topic not in slot.next]
    bounds = backend_of(options).first_and_last(options, {(options.physical(topic), slot.partition) for slot, topic in fresh})
    for slot, topic in fresh:
        slot.next[topic] = slot.committed[topic] = bounds[options.physical(topic), slot.partition][0]
