"""How does all that one machine keeps get onto a Kafka, and from a Kafka into a file; and is it the same afterwards?

Onto a Kafka: each log's records in their order, so that what is there is always the beginning of what is to be there, and whoever
was cut off goes on after it; then the folds' rows, with positions as Kafka counts them (it counts from 0, a ledger from where its
log begins). Before anything is written, what is there must be such a beginning; afterwards all of it is read back and compared.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import confluent_kafka

from models.fold import Record, arrival
from stream.engine import topics
from stream.engine.acknowledged import unwritten
from stream.engine.backend import POSITION, Message, Partition
from stream.engine.client_logs import client_logger
from stream.engine.groups import working
from stream.engine.options import EngineOptions, FoldSpec, client_settings, wall_clock
from stream.engine.restore import first_and_last, read_changelogs, read_through, stamped
from stream.ledger.on_ledger import OnLedger
from stream.ledger.schema import OFFSET_BITS, OFFSETS
from stream.ledger.store import LATEST, RECORDS, Ledger, latest_line, record_line

#: Records that are read from the ledger at once, and put into a new one in one transaction.
_BATCH = 5_000
_CALL_SECONDS = 10.0
_NEW = frozenset(
    {
        confluent_kafka.KafkaError.NOT_LEADER_FOR_PARTITION,
        confluent_kafka.KafkaError.UNKNOWN_TOPIC_OR_PART,
        confluent_kafka.KafkaError.LEADER_NOT_AVAILABLE,
    }
)
_WAIT_SECONDS = 60.0

Say = Callable[[str], None]


class MoveRefused(Exception):
    """Nothing was written: what is in the way, and what to do."""


class MoveFailed(Exception):
    """It is not complete; to run it again goes on where it was."""


class Moved(NamedTuple):
    """What has been moved, and found to be equal: records of topics, and rows of state."""

    records: int
    rows: int


class _Plan:
    """All logs of an installation: those of topics, and those of folds' state."""

    def __init__(self, options: EngineOptions, specs: Iterable[FoldSpec]) -> None:
        self.options = options
        self.specs = list(specs)
        changelogs = {options.changelog(spec.name) for spec in self.specs if not spec.replayed}
        every = [
            (topic.name, partition) for topic in topics.declared(options, self.specs) for partition in range(topic.partitions)
        ]
        self.logs: list[Partition] = [key for key in every if key[0] not in changelogs]
        self.changelogs: list[Partition] = [key for key in every if key[0] in changelogs]
        self.compact = {options.physical(topic.name) for topic in options.topics if topic.compact}


def to_kafka(ledger: Ledger, options: EngineOptions, specs: Sequence[FoldSpec], replication: int, say: Say) -> Moved:
    """Put all that a ledger keeps onto the Kafka of ``options``; return once it has been read back and is equal.

    Raises :class:`MoveRefused`, :class:`MoveFailed`, ``ValueError`` for another number of partitions, or ``KafkaException``.
    """
    plan = _Plan(options, specs)
    if len(OnLedger(ledger).create(options, specs)) == len({topic for topic, _ in plan.logs + plan.changelogs}):
        raise MoveRefused(f"{ledger.path}: has no topics that begin with {options.topic_prefix!r} (kafka.topic_prefix)")
    _nobody_works(options)
    topics.create(options, specs, replication=replication)
    if wrong := topics.summary(problem for problem in topics.check(options, specs) if problem.fatal):
        raise MoveRefused("; ".join(wrong))
    say("looking at what is there")
    there = _compared(plan, lambda key: enumerate(_records(ledger, key)), whole=False)
    rows_there = {key: restored.rows | _positions(restored.positions) for key, restored in _rows(plan).items()}
    for key in plan.changelogs:
        expected = _expected(ledger, plan, key)
        if any(expected.get(name) != value for name, value in rows_there[key].items()):
            raise MoveRefused(f"{key[0]}: has the state of another installation; name another kafka.topic_prefix or application")
    producer = _Sender(options)
    records = 0
    for key in plan.logs:
        if count := sum(1 for _ in _records(ledger, key)):
            records += count
            say(f"{options.logical(key[0])}/{key[1]}: {count:,} records")
        for n, record in enumerate(_records(ledger, key)):
            if n >= there[key]:
                producer.send(Message(key[0], record.value, record.key, key[1], record.headers))  # type: ignore[arg-type]
    producer.flush()
    rows = 0
    say("state")
    for key in plan.changelogs:
        expected = _expected(ledger, plan, key)
        rows += len(expected)
        # Positions last: a fold without one has begun nothing.
        for name in sorted(expected, key=lambda name: (name.startswith(POSITION), name)):
            if rows_there[key].get(name) != expected[name]:
                producer.send(Message(key[0], expected[name], name, key[1]))
        producer.flush()
    say("reading it back")
    _compared(plan, lambda key: enumerate(_records(ledger, key)), whole=True)
    for key, restored in _rows(plan).items():
        if restored.rows | _positions(restored.positions) != _expected(ledger, plan, key):
            raise MoveFailed(f"{key[0]}/{key[1]}: what was read back is not what was written")
    return Moved(records, rows)


def from_kafka(ledger: Ledger, options: EngineOptions, specs: Sequence[FoldSpec], say: Say) -> Moved:
    """Put all that a Kafka keeps into a ledger; return once it has been compared. Raises as :func:`to_kafka`.

    The ledger is new, or has what an earlier call brought before it was cut off: its records stay, state is brought anew.
    """
    plan = _Plan(options, specs)
    if wrong := topics.summary(problem for problem in topics.check(options, specs) if problem.fatal):
        raise MoveRefused("; ".join(wrong))
    _nobody_works(options)
    OnLedger(ledger).create(options, specs)
    bounds = _bounds(plan)
    filled = _Filler(ledger, plan, bounds)
    say(f"records, after {filled.count:,} that are here" if filled.count else "records")
    read_through(options, filled.missing, filled.take, lambda: False)
    filled.done()
    say("state")
    rows = 0
    ledger.do(lambda connection: connection.execute("DELETE FROM rows").rowcount)
    for key, restored in _rows(plan).items():
        found = restored.rows | _positions(restored.positions)
        rows += len(found)
        ledger.write([Message(key[0], value, name, key[1]) for name, value in found.items()], []).result()
    say("comparing")
    _compared(plan, lambda key: ((record.offset, record) for record in _records(ledger, key)), whole=True)
    return Moved(filled.count, rows)


def _records(ledger: Ledger, key: Partition) -> Iterator[Record]:
    at, end = ledger.bounds(*key)
    while at < end:
        stretch = ledger.read(*key, at, _BATCH)
        yield from stretch.records
        at = stretch.end


def _positions(positions: dict[str, int]) -> dict[bytes, bytes]:
    return {POSITION + topic.encode(): b"%d" % offset for topic, offset in positions.items()}


def _expected(ledger: Ledger, plan: _Plan, key: Partition) -> dict[bytes, bytes]:
    """Return the rows that a changelog is to have: positions are the number of records before them."""
    found = ledger.rows(*key)
    for name, value in found.items():
        if name.startswith(POSITION):
            topic = plan.options.physical(name[len(POSITION) :].decode())
            found[name] = b"%d" % ledger.count(topic, key[1], int(value))
    return found


def _rows(plan: _Plan) -> dict[Partition, Any]:
    return read_changelogs(plan.options, plan.changelogs, lambda: False)


def _compared(plan: _Plan, source: Callable[[Partition], Iterator[tuple[int, Record]]], *, whole: bool) -> dict[Partition, int]:
    """Compare each log on Kafka with what is to be there (offset, record), ``whole`` or its beginning; return Kafka's ends.

    Raises :class:`MoveRefused` where it is something else, or :class:`MoveFailed` where it was to be whole.
    """
    kind = MoveFailed if whole else MoveRefused
    bounds = _bounds(plan)
    coming = {key: source(key) for key in plan.logs}

    def take(key: Partition, message: Any) -> None:
        for offset, record in coming[key]:
            if offset == message.offset():
                headers = [tuple(header) for header in message.headers() or ()]
                found = message.key() or b"", message.value(), headers
                if found != (record.key or b"", record.value, [tuple(header) for header in record.headers]):
                    break
                return
            if key[0] not in plan.compact:  # there Kafka lets go of what is not the last of its key
                break
        raise kind(
            f"{key[0]}/{key[1]}: offset {message.offset()} is another record; name another kafka.topic_prefix, or a new Kafka"
        )

    read_through(plan.options, bounds, take, lambda: False)
    if whole:
        for key, rest in coming.items():
            if next(rest, None) is not None:
                raise MoveFailed(f"{key[0]}/{key[1]}: there are fewer records than there should be")
    return {key: end for key, (_, end) in bounds.items()}


def _bounds(plan: _Plan) -> dict[Partition, tuple[int, int]]:
    """Return where Kafka's logs begin and end; topics that have just been made take a moment to be known to all brokers."""
    end = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            return first_and_last(plan.options, plan.logs)
        except confluent_kafka.KafkaException as error:
            if error.args[0].code() not in _NEW or time.monotonic() > end:
                raise
            time.sleep(0.5)


def _nobody_works(options: EngineOptions) -> None:
    if said := working(options):
        raise MoveRefused(said)


class _Sender:
    """Writes records in their order, without gaps, whatever happens."""

    def __init__(self, options: EngineOptions) -> None:
        settings = client_settings(
            enable_idempotence=True,
            enable_gapless_guarantee=True,
            acks="all",
            linger_ms=20,
            compression_type="lz4",
            message_max_bytes=8 * 1024 * 1024,
        )
        self._producer = confluent_kafka.Producer(options.client() | settings, logger=client_logger())
        self._error = ""

    def _told(self, error: Any, message: Any) -> None:
        error = unwritten(error, message)
        if error is not None and not self._error:
            self._error = f"{message.topic()}/{message.partition()}: {error.str()}"

    def send(self, message: Message) -> None:
        """Hand one record over; raise :class:`MoveFailed` where one before it could not be written."""
        while True:
            if self._error:
                raise MoveFailed(self._error)
            try:
                topic, value, key, partition, headers = message
                self._producer.produce(topic, value, key, partition, self._told, headers=list(headers))
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.1)

    def flush(self) -> None:
        """Wait until all is written."""
        if left := self._producer.flush(_WAIT_SECONDS):
            raise MoveFailed(f"{left} records were not acknowledged within {_WAIT_SECONDS:.0f} s")
        if self._error:
            raise MoveFailed(self._error)


class _Filler:
    """Puts Kafka's records into a ledger, each at its offset: those of a log in their order, so the last one says what is here.

    ``missing`` says what is not here yet, as bounds of logs.
    """

    def __init__(self, ledger: Ledger, plan: _Plan, bounds: dict[Partition, tuple[int, int]]) -> None:
        self._ledger = ledger
        self._plan = plan
        self._bounds = bounds
        self._records: list[Any] = []
        self._latest: list[Any] = []
        self.count, self.missing = ledger.do(self._here)

    def _here(self, connection: sqlite3.Connection) -> tuple[int, dict[Partition, tuple[int, int]]]:
        count, missing = 0, {}
        for key, (first, end) in self._bounds.items():
            table = "latest" if key[0] in self._plan.compact else "records"
            begin, stop = self._ledger.place(*key, 0), self._ledger.place(*key, OFFSETS)
            # Kafka may have let go of some since.
            connection.execute(f"DELETE FROM {table} WHERE place >= ? AND place < ?", (begin, self._ledger.place(*key, first)))
            query = f"SELECT count(*), max(place) FROM {table} WHERE place BETWEEN ? AND ?"
            here, last = connection.execute(query, (begin, stop)).fetchone()
            at = max(first, last - begin + 1) if here else first
            if at > end:
                raise MoveRefused(
                    f"{self._ledger.path}: has more of {key[0]}/{key[1]} than is there, so it is of another Kafka; remove it"
                )
            count += here
            missing[key] = at, end
        return count, missing

    def take(self, key: Partition, message: Any) -> None:
        """Take one record."""
        self.count += 1
        at = arrival(*stamped(message), wall_clock())
        place = self._ledger.place(*key, message.offset())
        if key[0] in self._plan.compact:
            log = self._ledger.place(*key, 0) >> OFFSET_BITS
            self._latest.append(latest_line(place, log, at, message.key(), message.value()))
        else:
            self._records.append(record_line(place, at, message.key(), message.value(), message.headers() or ()))
        if len(self._records) + len(self._latest) >= _BATCH:
            self._write()

    def _write(self) -> None:
        records, latest = self._records, self._latest
        self._records, self._latest = [], []

        def insert(connection: Any) -> None:
            connection.executemany(RECORDS.format("(?, ?, ?, ?, ?, ?)"), records)
            connection.executemany(LATEST.format("(?, ?, ?, ?, ?, ?)"), latest)

        self._ledger.do(insert)

    def done(self) -> None:
        """Write what is left, and where the logs begin and end."""
        self._write()
        self._ledger.set_bounds(self._bounds)
