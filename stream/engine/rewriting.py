"""How are logs of a Kafka written anew, each after its own end, so that all before can be cut off?

One transaction writes, for each log, first what fills its last segment, so that the next one begins with nothing old in it; then
copies of what is to stay, in its order, each with the time at which it had arrived; and at last the positions of all folds, as
the copies have them. It is committed whole or not at all. The folds stand still meanwhile, and whoever else writes to these logs
is noticed: what lies between copies would be before a position and never be folded.
"""

import bisect
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import confluent_kafka
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, KafkaException

from models.fold import COPIED
from models.privacy.rewrite import Rewritten
from models.privacy.subject import Cell
from stream.engine.acknowledged import unwritten
from stream.engine.backend import POSITION, Message, Partition, Superseded
from stream.engine.client_logs import client_logger
from stream.engine.fatal import called
from stream.engine.kafka_cells import KafkaCells
from stream.engine.options import EngineOptions
from stream.engine.restore import first_and_last, read_through, stamped
from stream.engine.topic_list import MAX_ROW_BYTES

#: The smallest segment that every Kafka takes, what fills one by so many parts, and how many it takes.
SEGMENT = 1024 * 1024
_PART = 256 * 1024
_PARTS = SEGMENT // _PART + 1
_PATIENCE = 60.0  # seconds
#: The longest transaction that a broker allows by default, and one that every broker allows (ms).
_LONG, _SHORT = 900_000, 60_000
_FENCED = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})
#: Compacted logs that are held in memory together, while the last record of each key is found.
_TOGETHER = 16

#: (changelog, row) → log and offset.
Positions: TypeAlias = dict[tuple[Partition, bytes], tuple[Partition, int]]
#: What a cell is to be; None: as it is.
Change: TypeAlias = Callable[[Cell], Rewritten | None]


class Crossed(Exception):
    """Somebody else has written to a log meanwhile."""


class Rewriting:
    """Writes logs anew. Made anew, it ends what another one has left open; that one is told (:class:`Superseded`)."""

    def __init__(self, options: EngineOptions, cells: KafkaCells) -> None:
        self._options, self._cells = options, cells
        self._producer = self._opened()
        self._next: dict[Partition, int] = {}
        self._error: KafkaError | None = None
        self._crossed = ""
        self._by_broker: dict[Partition, bool] = {}

    def _opened(self) -> Any:
        for timeout in (_LONG, _SHORT):
            settings = self._options.client(
                transactional_id=f"{self._options.name}-erase",
                transaction_timeout_ms=timeout,
                compression_type="lz4",
                linger_ms=20,
                message_max_bytes=MAX_ROW_BYTES,
                queue_buffering_max_kbytes=128 * 1024,
            )
            producer: Any = confluent_kafka.Producer(settings, logger=client_logger())
            try:
                producer.init_transactions(_PATIENCE)
            except KafkaException as error:
                if timeout == _SHORT or error.args[0].code() != KafkaError.INVALID_TRANSACTION_TIMEOUT:
                    raise
                continue
            break
        return producer

    # -- the transaction -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin the transaction."""
        self._next, self._error, self._crossed = {}, None, ""
        self._call(self._producer.begin_transaction)

    def commit(self) -> None:
        """Make all of it so. Raises :class:`Crossed` where somebody else has written meanwhile: nothing of it is so then."""
        self.flush()
        self._call(lambda: self._producer.commit_transaction(_PATIENCE))

    def abort(self) -> None:
        """Let nothing of it be so."""
        self._producer.abort_transaction(_PATIENCE)

    def flush(self) -> None:
        """Wait until all that was written is acknowledged; raise :class:`Crossed` or ``KafkaException``."""
        left = self._call(lambda: self._producer.flush(_PATIENCE))
        if self._error is not None or left:
            error = self._error or KafkaError(KafkaError._TIMED_OUT, f"{left} records were not acknowledged")
            if error.code() in _FENCED:
                raise Superseded
            raise KafkaException(error)
        if self._crossed:
            raise Crossed(self._crossed)

    def write(self, message: Message, stamp: int = 0) -> None:
        """Write one record; ``stamp`` is its time (epoch ms), 0: now."""
        topic, value, key, partition, headers = message
        while True:
            try:
                self._call(
                    lambda: self._producer.produce(
                        topic, value, key, partition, self._told, timestamp=stamp, headers=list(headers)
                    )
                )
            except BufferError:
                self._call(lambda: self._producer.poll(0.1))
                continue
            self._call(lambda: self._producer.poll(0))
            return

    def _told(self, error: Any, message: Any) -> None:
        error = unwritten(error, message)
        if error is not None:
            self._error = self._error or error
            return
        log = message.topic(), message.partition()
        self._by_broker[log] = message.timestamp()[0] == TIMESTAMP_LOG_APPEND_TIME
        if log in self._next:
            if message.offset() != self._next[log]:
                self._crossed = self._crossed or f"somebody writes to {log[0]} meanwhile"
            self._next[log] = message.offset() + 1

    def _call(self, call: Callable[[], Any]) -> Any:
        try:
            return called(self._producer, call)
        except KafkaException as error:
            if error.args[0].code() in _FENCED:
                raise Superseded from None
            raise

    # -- its parts -----------------------------------------------------------------------------------------------------

    def fill(self, logs: Mapping[Partition, int], stamps: Mapping[Partition, int], by_broker: Mapping[str, bool]) -> None:
        """Fill the last segment of each log; ``logs`` gives their ends.

        Segments are to be small by now. A broker that has heard of it also stamps records otherwise than before (``by_broker``,
        by topic): only what comes after that counts. ``stamps`` is the time of the first record: a segment is kept by the
        time of what begins it.
        """
        self._next |= logs
        left = dict.fromkeys(logs, _PARTS)
        end = time.monotonic() + _PATIENCE
        while left:
            for topic, partition in left:
                junk = Message(topic, os.urandom(_PART), b"vigie", partition)
                self.write(junk, stamps.get((topic, partition), 0))
            self.flush()
            for log in list(left):
                if self._by_broker[log] == by_broker[log[0]]:
                    left[log] -= 1
                    if not left[log]:
                        del left[log]
            if time.monotonic() > end:
                raise TimeoutError("the brokers did not take other settings of topics")

    def settle(self, logs: Iterable[Partition], stamps: Mapping[Partition, int]) -> dict[Partition, int]:
        """Wait until brokers stamp nothing themselves; return where the next record of each log will be."""
        waiting = list(logs)
        end = time.monotonic() + _PATIENCE
        while waiting:
            for topic, partition in waiting:
                self.write(Message(topic, b"", b"vigie", partition), stamps.get((topic, partition), 0))
            self.flush()
            waiting = [log for log in waiting if self._by_broker[log]]
            if time.monotonic() > end:
                raise TimeoutError("the brokers did not take other settings of topics")
        return {log: self._next[log] for log in logs}

    def copy(
        self,
        bounds: Mapping[Partition, tuple[int, int]],
        begins: Mapping[Partition, int],
        compact: set[str],
        positions: Positions,
        change: Change,
    ) -> None:
        """Copy what the logs have within their bounds, changed, and move all folds' positions in them along.

        ``begins`` says where each log's copies will be, ``compact`` of which topics only the last record of a key is kept.
        """
        moved: dict[tuple[Partition, bytes], int] = {}
        counts: dict[Partition, int] = dict.fromkeys(bounds, 0)
        marks: dict[Partition, list[tuple[int, Partition, bytes]]] = {log: [] for log in bounds}
        for (changelog, row), (log, offset) in positions.items():
            if log in bounds:
                marks[log].append((offset, changelog, row))
        for mark in marks.values():
            mark.sort()

        def put(log: Partition, message: Any) -> None:
            passed = bisect.bisect_right(marks[log], message.offset(), key=lambda mark: mark[0])
            for _, changelog, row in marks[log][:passed]:
                moved[changelog, row] = begins[log] + counts[log]
            del marks[log][:passed]
            counts[log] += 1
            self._put(log, message, change, log[0] not in compact)

        plain = {log: found for log, found in bounds.items() if log[0] not in compact}
        read_through(self._options, plain, put, lambda: False)
        kept = sorted((log for log in bounds if log[0] in compact), key=lambda log: (self._cells.names.changelog(log[0]), log))
        states = [log for log in kept if self._cells.names.changelog(log[0])]
        self._compacted([log for log in kept if log not in states], bounds, put)
        for log in bounds:  # folds that have read it all
            for _, changelog, row in marks[log]:
                moved[changelog, row] = begins[log] + counts[log]
        self._compacted(states, bounds, lambda log, message: None if (log, message.key()) in moved else put(log, message))
        for (changelog, row), offset in moved.items():
            self.write(Message(changelog[0], b"%d" % offset, row, changelog[1]))

    def _compacted(
        self, logs: Sequence[Partition], bounds: Mapping[Partition, tuple[int, int]], put: Callable[[Partition, Any], None]
    ) -> None:
        for start in range(0, len(logs), _TOGETHER):
            some = logs[start : start + _TOGETHER]
            last: dict[Partition, dict[bytes, Any]] = {log: {} for log in some}

            def take(log: Partition, message: Any, last: dict[Partition, dict[bytes, Any]] = last) -> None:
                last[log].pop(message.key(), None)  # so that it is in its new place
                last[log][message.key()] = message

            read_through(self._options, {log: bounds[log] for log in some}, take, lambda: False)
            for log in some:
                for message in last[log].values():
                    if message.value() is not None or not self._cells.names.changelog(log[0]):
                        put(log, message)

    def _put(self, log: Partition, message: Any, change: Change, dated: bool) -> None:
        cell = self._cells.of(log, message)
        new = change(cell)
        stamp, known = stamped(message)
        headers = [*(cell.headers if new is None else new.headers)]
        if dated and known and COPIED not in headers:
            headers.append(COPIED)
        key = message.key() if new is None else new.key or None
        value = message.value() if new is None else new.value
        self.write(Message(log[0], value, key, log[1], headers), max(stamp, 0))  # type: ignore[arg-type]

    def positions(self) -> Positions:
        """Return where all folds are: (changelog, row) → log and offset. To be asked before the transaction begins."""
        options = self._options
        found: Positions = {}

        def take(log: Partition, message: Any) -> None:
            key, value = message.key() or b"", message.value()
            if key.startswith(POSITION):
                topic = options.physical(key[len(POSITION) :].decode())
                if value is None:
                    found.pop((log, key), None)
                else:
                    found[log, key] = (topic, log[1]), int(value)

        states = [log for log in self._cells.logs if self._cells.names.changelog(log[0])]
        read_through(options, first_and_last(options, states), take, lambda: False)
        return found
