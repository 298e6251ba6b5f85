"""How are people taken out of a Kafka, for good, while every figure stays what it is?

With the workers stopped: logs that hold anything of them are written anew after their own end, in one transaction with all
positions and the certificate (``rewriting.py``): it is done, or not begun. Then what lies before is cut off, and
the certificate says when the brokers had let go of it. What was begun is on the topic ``erasures``, with no word of who it is:
whoever comes next, after whatever end, goes on from there.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from confluent_kafka import IsolationLevel, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from models.calendar import iso
from models.privacy.certificate import SALT, TOPIC, WORK, Certificate
from models.privacy.requests import TOPIC as REQUESTS
from models.privacy.requests import ErasureRequest, waiting
from models.privacy.subject import Subject
from stream.engine.backend import Message, Partition
from stream.engine.client_logs import client_logger
from stream.engine.erasing import AskedBy, Erasure, ErasureResult, latest_certificates, record
from stream.engine.groups import working
from stream.engine.kafka_cells import KafkaCells
from stream.engine.log_dirs import Sizes, sizes
from stream.engine.options import EngineOptions
from stream.engine.remembered import Remembered, Work, remembered
from stream.engine.restore import first_and_last, read_through, stamped
from stream.engine.rewriting import SEGMENT, Crossed, Rewriting
from stream.engine.topic_list import MAX_ROW_BYTES
from stream.engine.topic_settings import TopicSettings, retried, waited

_ATTEMPTS = 3
_PATIENCE = 10.0
#: How often a broker looks for what can be deleted, unless it says otherwise, and when it deletes it then (ms).
_INTERVAL, _DELETED = 300_000, 1_000
_FOREVER = str(2**63 - 1)
#: While logs are written anew; those that are kept by key cannot be cut but by age, which is never.
_ALL = {"segment.bytes": str(SEGMENT), "max.message.bytes": str(MAX_ROW_BYTES), "file.delete.delay.ms": str(_DELETED)}
_COMPACT = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
#: Until the bytes are gone, so that nothing else makes a log smaller.
_STILL = {"min.compaction.lag.ms": "86400000", "max.compaction.lag.ms": _FOREVER}
_LATE = ("file.delete.delay.ms", *_STILL)
_STAMP = "message.timestamp.type"
_BY_BROKER, _BY_PRODUCER = "LogAppendTime", "CreateTime"

Say = Callable[[str], None]


class EraseRefused(Exception):
    """Nothing was done: what is in the way, and what to do."""


class KafkaPrivacy:
    """Erases people from a Kafka. Every method blocks; raises ``KafkaException``, ``TimeoutError``, and ``Superseded`` where
    another one has begun the same."""

    def __init__(self, options: EngineOptions, say: Say = lambda _: None) -> None:
        self._options, self._say = options, say
        self._topic = options.physical(TOPIC)
        self._settings = TopicSettings(options)
        self._admin: Any = AdminClient(options.client(), logger=client_logger())
        self._compact = {options.physical(topic.name) for topic in options.topics if topic.compact}

    def certificates(self) -> list[Certificate]:
        """Return all there are, the oldest first."""
        return remembered(self._options).certificates

    def requests(self) -> list[ErasureRequest]:
        """Return what CRMs have asked for and nobody has done yet."""
        log = (self._options.physical(REQUESTS), 0)
        found: list[bytes | None] = []
        bounds = first_and_last(self._options, [log])
        read_through(self._options, bounds, lambda _, message: found.append(message.value()), lambda: False)
        return waiting(found)

    def erase(self, subjects: Sequence[Subject], asked: AskedBy) -> ErasureResult:
        """Erase people, all in one pass; return once the brokers have let go of their last byte. Raises :class:`EraseRefused`.

        Whoever was erased before is erased anew where there is something of them again: others may have written it since.
        """
        if said := working(self._options):
            raise EraseRefused(said)
        cells = KafkaCells(self._options)
        rewriting = Rewriting(self._options, cells)
        self._finish(rewriting)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                events = self._erase(rewriting, cells, subjects, asked)
                break
            except Crossed as error:
                rewriting.abort()
                self._finish(rewriting)
                if attempt == _ATTEMPTS:
                    raise EraseRefused(f"{error}; stop what sends events first") from error
                self._say(f"{error}: once more")
                time.sleep(1)
            except BaseException:
                with contextlib.suppress(Exception):  # it may be what has failed; whoever begins anew ends it
                    rewriting.abort()
                raise
        self._finish(rewriting)
        state = remembered(self._options)
        return ErasureResult(latest_certificates(subjects, state.refusals(), state.certificates), events)

    def finish(self) -> bool:
        """Go on with what was cut off; return whether there was something."""
        if remembered(self._options).work is None:
            return False
        self._finish(Rewriting(self._options, KafkaCells(self._options)))
        return True

    # -- what is written -----------------------------------------------------------------------------------------------

    def _erase(self, rewriting: Rewriting, cells: KafkaCells, subjects: Sequence[Subject], asked: AskedBy) -> list[str]:
        at = self._options.clock()
        state = remembered(self._options)
        if state.salt is None:
            state.salt = secrets.token_hex(32).encode()
            self._note(rewriting, Message(self._topic, state.salt, SALT, 0))
        self._say("looking for all that is known of them")
        erasure = Erasure(self._options, state.refusals(), list(dict.fromkeys(subjects)), cells.scan)
        logs, stamps = self._holding(cells, erasure)
        if logs:
            self._say(f"{len(logs)} logs hold something of them, and are written anew")
            self._rewrite(rewriting, cells, erasure, sorted(logs), stamps, (asked, at, state))
            return erasure.events()
        self._note(rewriting, *self._certified(erasure, asked, at, state, gone=True))
        return []

    def _certified(self, erasure: Erasure, asked: AskedBy, at: int, state: Remembered, *, gone: bool = False) -> list[Message]:
        now = iso(self._options.clock())
        found = erasure.certificates(asked, at, state.certificates)
        return [record(self._options, msgspec.structs.replace(one, gone=now) if gone else one) for one in found]

    def _holding(self, cells: KafkaCells, erasure: Erasure) -> tuple[set[Partition], dict[Partition, int]]:
        """Return the logs with anything of them, also in what was never committed; and the time of each log's first record."""
        logs: set[Partition] = set()
        stamps: dict[Partition, int] = {}

        def take(log: Partition, message: Any) -> None:
            stamps.setdefault(log, max(stamped(message)[0], 0))
            if erasure(cells.of(log, message)) is not None:
                logs.add(log)

        others = [log for log in cells.logs if log[0] != self._topic]
        read_through(self._options, first_and_last(self._options, others), take, lambda: False, committed=False)
        return logs, stamps

    def _rewrite(
        self,
        rewriting: Rewriting,
        cells: KafkaCells,
        erasure: Erasure,
        logs: list[Partition],
        stamps: dict[Partition, int],
        asked: tuple[AskedBy, int, Remembered],
    ) -> None:
        topics = sorted({topic for topic, _ in logs})
        compact = {topic for topic in topics if topic in self._compact or cells.names.changelog(topic)}
        now = {topic: found[_STAMP].value for topic, found in self._settings.read(topics).items()}
        other = {topic: _BY_PRODUCER if now[topic] == _BY_BROKER else _BY_BROKER for topic in topics}
        wanted = {topic: _ALL | (_COMPACT | _STILL if topic in compact else {}) | {_STAMP: other[topic]} for topic in topics}
        work = Work(self._settings.before(wanted), sizes=_listed(sizes(self._options, logs)))
        self._note(rewriting, self._noted(work))
        self._settings.set(wanted)
        positions = rewriting.positions()
        rewriting.begin()
        # Nothing is taken in between: what others write from here on is seen.
        bounds = self._settled(logs)
        rewriting.fill({log: bounds[log][1] for log in logs}, stamps, {topic: other[topic] == _BY_BROKER for topic in topics})
        large = {"segment.bytes", "max.message.bytes"}
        self._settings.set(
            {topic: {_STAMP: _BY_PRODUCER} | {name: work.settings[topic][name] for name in large} for topic in topics}
        )
        begins = rewriting.settle(logs, stamps)
        self._say("writing copies")
        rewriting.copy(bounds, begins, compact, positions, lambda cell: erasure(cell, again=True))
        for message in erasure.gone():
            rewriting.write(message)
        cuts = [(*log, begins[log]) for log in logs]
        for message in (*self._certified(erasure, *asked), self._noted(msgspec.structs.replace(work, cuts=cuts))):
            rewriting.write(message)
        rewriting.commit()

    def _settled(self, logs: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        """Return the bounds of logs once no transaction in them is open."""

        def done() -> bool:
            tps: Any = {TopicPartition(*log): OffsetSpec.latest() for log in logs}
            level = IsolationLevel.READ_COMMITTED
            futures = self._admin.list_offsets(tps, isolation_level=level, request_timeout=_PATIENCE)
            stable = {(tp.topic, tp.partition): future.result().offset for tp, future in futures.items()}
            found.update(first_and_last(self._options, logs))
            return all(stable[log] == found[log][1] for log in logs)

        found: dict[Partition, tuple[int, int]] = {}
        waited(done, 120.0)
        return found

    def _note(self, rewriting: Rewriting, *messages: Message) -> None:
        rewriting.begin()
        for message in messages:
            rewriting.write(message)
        rewriting.commit()

    def _noted(self, work: Work | None) -> Message:
        return Message(self._topic, None if work is None else msgspec.json.encode(work), WORK, 0)

    # -- the last byte -------------------------------------------------------------------------------------------------

    def _finish(self, rewriting: Rewriting) -> None:
        """Cut off what is left of before, set the topics back, and say in the certificates when the last byte was gone."""
        state = remembered(self._options)
        work = state.work
        if work is None:
            return
        if work.cuts:
            logs = [(topic, partition) for topic, partition, _ in work.cuts]
            if work.since == 0:
                work = msgspec.structs.replace(work, copied=_listed(sizes(self._options, logs)), since=self._options.clock())
                self._note(rewriting, self._noted(work))
            self._say("cutting off what was before")
            self._cut(work)
            late = {topic: {name: old[name] for name in _LATE if name in old} for topic, old in work.settings.items()}
            self._settings.set({topic: {n: v for n, v in old.items() if n not in _LATE} for topic, old in work.settings.items()})
            self._say("workers may start again; waiting until the brokers have let go of it")
            self._wait(work, logs)
            self._settings.set(late)
            gone = iso(self._options.clock())
            done = [msgspec.structs.replace(one, gone=gone) for one in state.certificates if one.gone is None]
            self._note(rewriting, *(record(self._options, one) for one in done), self._noted(None))
        else:
            self._settings.set(work.settings)
            self._note(rewriting, self._noted(None))

    def _cut(self, work: Work) -> None:
        def cut() -> None:
            asked = [TopicPartition(topic, partition, offset) for topic, partition, offset in work.cuts]
            for future in self._admin.delete_records(asked, request_timeout=_PATIENCE, operation_timeout=_PATIENCE).values():
                future.result()

        # A worker cannot begin before: of topics that are kept by key it wants no other policy.
        policies = {topic: _COMPACT for topic, old in work.settings.items() if "cleanup.policy" in old}
        self._settings.set(policies)
        retried(cut, KafkaError.POLICY_VIOLATION)

    def _wait(self, work: Work, logs: Sequence[Partition]) -> None:
        """Return once each replica has become smaller by what there was; where nobody says so, once it must have.

        Raises ``TimeoutError`` where it has not. Of a wait that was cut off nobody knows how much has come since: time tells.
        """
        least = 2 * self._interval() + 30_000
        old, largest = _dict(work.sizes), _dict(work.copied)
        latest, grown = dict(largest), dict.fromkeys(largest, 0)
        left = set(old)
        while self._options.clock() < work.since + least:
            now = sizes(self._options, logs)
            if now is None:
                left = set()
            elif old and largest:
                for key, size in now.items():
                    grown[key] = grown.get(key, 0) + max(0, size - latest.get(key, size))
                latest.update(now)
                left = {key for key, was in old.items() if largest.get(key, 0) + grown.get(key, 0) - now.get(key, 0) < was}
                if not left:
                    break
            time.sleep(0.5)
        else:
            if left and latest != largest:
                names = sorted({key[0] for key in left})
                raise TimeoutError(f"the brokers still keep what was before in {', '.join(names)}; run it again")
        time.sleep(2 * _DELETED / 1000)

    def _interval(self) -> int:
        """Return how often brokers look for what can be deleted (ms)."""
        try:
            brokers = self._admin.list_topics(timeout=_PATIENCE).brokers
            asked = [ConfigResource(ResourceType.BROKER, str(broker)) for broker in brokers]
            found = self._admin.describe_configs(asked, request_timeout=_PATIENCE)
            return max(int(future.result()["log.retention.check.interval.ms"].value) for future in found.values())
        except Exception:  # it may not be ours to ask
            return _INTERVAL


def _listed(found: Sizes | None) -> list[tuple[str, int, int, int]] | None:
    return None if found is None else [(*key, size) for key, size in sorted(found.items())]


def _dict(found: list[tuple[str, int, int, int]] | None) -> Sizes:
    return {(topic, partition, broker): size for topic, partition, broker, size in found or ()}
