"""What do Kafka's clients do, as the engine sees them, while the network and the broker do what they may do?

A request takes a while to be done and a while to be answered. Whoever waits only so long is told to try again, and what was
asked happens all the same: later, or it has happened and the answer was lost. A killed process's requests arrive, too.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import OffsetSpec

from bench.simulate.broker import Broker, Busy, Partition, Refusal
from bench.simulate.loop import PROCESS, pause, wait
from stream.engine.backend import Message
from stream.engine.chunks import Ownership


@dataclass
class Faults:
    """How likely each is, drawn anew for each run: most runs have some kinds only, and those often."""

    slow: float = 0.0  # a request takes seconds
    retry: float = 0.0  # the client says: try again; nothing was asked
    abort: float = 0.0  # the transaction must be aborted
    stuck: float = 0.0  # the call never comes back (librdkafka 5456)
    on: bool = field(default=True, compare=False)


class Network:
    """Between the clients and the broker."""

    def __init__(self, loop: Any, broker: Broker, dice: random.Random, faults: Faults) -> None:
        self.loop = loop
        self.broker = broker
        self.dice = dice
        self.faults = faults
        self.seen: dict[str, int] = {}

    def happens(self, kind: str) -> bool:
        """Whether a fault of a kind happens now."""
        if self.faults.on and self.dice.random() < getattr(self.faults, kind):
            self.seen[kind] = self.seen.get(kind, 0) + 1
            return True
        return False

    def delay(self) -> float:
        """How long a way takes."""
        return self.dice.expovariate(0.4) if self.happens("slow") else self.dice.expovariate(400)

    def send(self, effect: Callable[[], Any]) -> "Request":
        """Have the broker do something."""
        return Request(self, effect)


class Request:
    """Something that the broker is asked. ``answered`` once its answer is here: ``result``, or ``error``."""

    def __init__(self, network: Network, effect: Callable[[], Any]) -> None:
        self.answered = False
        self.result: Any = None
        self.error: Refusal | None = None
        self._network = network
        self._effect = effect
        self._waits: list[Callable[[], None]] = []
        self._later(self._arrive)

    def _later(self, call: Callable[[], None]) -> None:
        self._network.broker._later(self._network.delay(), call)

    def _arrive(self) -> None:
        try:
            self.result = self._effect()
        except Busy:
            self._later(self._arrive)
            return
        except Refusal as error:
            self.error = error
        self._later(self._answer)

    def _answer(self) -> None:
        self.answered = True
        for tell in self._waits:
            tell()

    def tell(self, call: Callable[[], None]) -> None:
        """Call this when it is answered."""
        if self.answered:
            call()
        else:
            self._waits.append(call)


_FATAL = frozenset({"_FENCED"})


def _error(code: str) -> KafkaException:
    fatal = code in _FATAL
    return KafkaException(KafkaError(getattr(KafkaError, code), code, fatal=fatal, txn_requires_abort=not fatal))


def _again() -> KafkaException:
    return KafkaException(KafkaError(KafkaError._TIMED_OUT, "simulated", retriable=True))


class Producer:
    """librdkafka's transactional producer."""

    def __init__(self, network: Network, name: str) -> None:
        self._network = network
        self._broker = network.broker
        self._name = name
        self._epoch = -1
        self._queue: dict[Partition, list[tuple[Message, Any]]] = {}
        self._under_way: list[tuple[Request, list[tuple[Message, Any]]]] = []
        self._asked: dict[str, Request] = {}
        self._fatal: str | None = None

    def _ask(self, what: str, effect: Callable[[], Any], seconds: float) -> Any:
        """Ask once; a call that comes again because it took too long waits for the same answer."""
        if self._fatal is not None:
            raise _error(self._fatal)
        request = self._asked.get(what)
        if request is None:
            if self._network.happens("retry"):
                pause(self._network.delay())
                raise _again()
            request = self._asked[what] = self._network.send(effect)
        if not request.answered:
            wait(seconds, request.tell)
        if not request.answered:
            raise _again()
        del self._asked[what]
        if request.error is not None:
            code = request.error.code
            self._fatal = code if code in _FATAL else None
            raise _error(code)
        return request.result

    def init_transactions(self, seconds: float) -> None:
        """Register."""
        self._epoch = self._ask("init", lambda: self._broker.init(self._name), seconds)

    def begin_transaction(self) -> None:
        """Nothing is asked of the broker."""

    def produce(
        self, topic: str, value: bytes | None, key: bytes, partition: int, done: Any = None, headers: Sequence[Any] = ()
    ) -> None:
        """Queue a record."""
        message = Message(topic, value, key, partition, tuple(headers))
        self._queue.setdefault((topic, partition), []).append((message, done))

    def poll(self, seconds: float) -> int:
        """Wait."""
        pause(seconds)
        return 0

    def _sent(self) -> int:
        queue, self._queue = self._queue, {}
        for written in queue.values():
            messages = [message for message, _ in written]
            effect = self._appending(messages)
            self._under_way.append((self._network.send(effect), written))
        return len(self._under_way)

    def _appending(self, messages: list[Message]) -> Callable[[], int]:
        epoch = self._epoch
        return lambda: self._broker.append(self._name, epoch, messages)

    def flush(self, seconds: float) -> int:
        """Send what is queued, and wait for the answers; return how many requests have none yet."""
        self._sent()
        end = self._network.loop.now + seconds
        for request, _ in list(self._under_way):
            if not request.answered and (left := end - self._network.loop.now) > 0:
                wait(left, request.tell)
        for request, written in [one for one in self._under_way if one[0].answered]:
            self._under_way.remove((request, written))
            if request.error is not None:
                self._fatal = request.error.code
                continue
            for index, (message, done) in enumerate(written):
                if done is not None:
                    done(None, _Delivered(message, request.result - len(written) + index))
        return len(self._under_way)

    def send_offsets_to_transaction(self, offsets: Sequence[Any], meta: bytes, seconds: float) -> None:
        """Hand positions over, with the token."""
        if self._network.happens("stuck"):
            wait(None)
        if self._network.happens("abort"):
            raise _error("REQUEST_TIMED_OUT")
        positions = [(tp.topic, tp.partition, tp.offset) for tp in offsets]
        token, epoch = _token(meta), self._epoch
        self._ask("offsets", lambda: self._broker.offsets(self._name, epoch, positions, token), seconds)

    def commit_transaction(self, seconds: float) -> None:
        """Commit; as librdkafka does, flush before."""
        if self.flush(seconds):
            raise _again()
        if self._network.happens("abort"):
            raise _error("REQUEST_TIMED_OUT")
        epoch = self._epoch
        self._ask("commit", lambda: self._broker.finish(self._name, epoch, True), seconds)

    def abort_transaction(self, seconds: float) -> None:
        """Abort, once what is under way has come to an end. A commit whose answer is missing cannot be aborted any more."""
        self._queue.clear()
        if "commit" in self._asked:
            raise KafkaException(KafkaError(KafkaError._CONFLICT, "a commit is under way"))
        if self.flush(seconds):
            raise _again()
        asked = self._asked.get("offsets")
        if asked is not None:
            if not asked.answered:
                wait(seconds, asked.tell)
            if not asked.answered:
                raise _again()
            del self._asked["offsets"]
        epoch = self._epoch
        self._ask("abort", lambda: self._broker.finish(self._name, epoch, False), seconds)


class _Delivered:
    def __init__(self, message: Message, offset: int) -> None:
        self._message = message
        self._offset = offset

    def topic(self) -> str:
        return self._message.topic

    def partition(self) -> int:
        return self._message.partition

    def offset(self) -> int:
        return self._offset


def _token(meta: bytes) -> Ownership:
    """What :func:`stream.engine.checkpoint.group_metadata` has written."""
    generation = int.from_bytes(meta[7:11], "little", signed=True)
    group, member = meta[11:].split(b"\0")[:2]
    return Ownership(generation, member.decode(), group.decode())


class _Read:
    """A record, or the word that a partition has come to its end."""

    def __init__(self, where: Partition, offset: int, message: Message | None, stamp: int) -> None:
        self._where = where
        self._offset = offset
        self._message = message
        self._stamp = stamp

    def topic(self) -> str:
        return self._where[0]

    def partition(self) -> int:
        return self._where[1]

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._message.key if self._message is not None else None

    def value(self) -> bytes | None:
        return self._message.value if self._message is not None else None

    def timestamp(self) -> tuple[int, int]:
        return confluent_kafka.TIMESTAMP_LOG_APPEND_TIME, self._stamp

    def headers(self) -> list[tuple[str, bytes | None]]:
        return list(self._message.headers) if self._message is not None else []

    def error(self) -> KafkaError | None:
        return None if self._message is not None else KafkaError(KafkaError._PARTITION_EOF)


def network_of_process() -> Network:
    """Return the network of the process whose step this is."""
    process: Any = PROCESS.get()
    network: Network = process.network
    return network


class Consumer:
    """librdkafka's consumer, reading what is committed."""

    def __init__(self, settings: Mapping[str, Any], logger: Any = None) -> None:
        assert settings["isolation.level"] == "read_committed" and settings["enable.partition.eof"]
        self._network = network_of_process()
        self._at: dict[Partition, int] = {}
        self._told: dict[Partition, int] = {}

    def assign(self, tps: Sequence[Any]) -> None:
        """Read these from their offsets on."""
        self._at = {(tp.topic, tp.partition): tp.offset for tp in tps}

    def consume(self, most: int, seconds: float) -> list[_Read]:
        """Wait a little; return what has come."""
        pause(self._network.delay())
        found: list[_Read] = []
        for where, at in self._at.items():
            end, records = self._network.broker.logs[where].read(at, self._network.dice.randrange(1, 40))
            found.extend(_Read(where, offset, message, 0) for offset, message in records)
            self._at[where] = end
            if end == self._network.broker.logs[where].stable and self._told.get(where) != end:
                self._told[where] = end
                found.append(_Read(where, end, None, 0))
        if not found:
            pause(seconds)
        return found

    def close(self) -> None:
        """Nothing is open."""


class AdminClient:
    """Tells the bounds of logs."""

    def __init__(self, settings: Mapping[str, Any], logger: Any = None) -> None:
        self._network = network_of_process()

    def list_offsets(self, wanted: Mapping[Any, Any], isolation_level: Any, request_timeout: float) -> dict[Any, Any]:
        """Return futures of first offset or high watermark, whatever is committed."""
        pause(self._network.delay())
        if self._network.happens("retry"):
            raise _again()
        logs = self._network.broker.logs
        return {
            tp: _Known(0 if spec is OffsetSpec.earliest() else logs[tp.topic, tp.partition].end) for tp, spec in wanted.items()
        }


class _Known:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def result(self) -> Any:
        return SimpleNamespace(offset=self._offset)
