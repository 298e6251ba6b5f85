"""What does the engine need to be told: where the broker is, which folds to run, who listens?"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from models.fold import PartitionFold
from stream.engine.backend import Backend
from stream.engine.pace import CheckpointPace
from stream.engine.topic_list import TOPICS, Topic

#: Interval for lanes whose results people wait for: a checkpoint as soon as something changed, at most 200 a second.
EAGER = 0.005

#: While little happens a checkpoint is made after this share of the interval.
_SOONEST = 0.4

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


class Observer(Protocol):
    """What the engine tells whoever measures it. All calls come from the event loop and must return at once."""

    def checkpointed(self, lane: str, seconds: float, rows: int, outputs: int) -> None:
        """One transaction of a lane is committed; ``seconds`` from its snapshot to the broker's answer."""

    def checkpoint_retried(self, lane: str, reason: str) -> None:
        """A transaction had to be retried, or aborted and written again; ``reason`` is librdkafka's error name."""

    def restored(self, seconds: float, rows: int, partitions: int) -> None:
        """State is back in memory after an assignment."""

    def folded(self, fold: str, topic: str, records: int) -> None:
        """One chunk has been folded."""

    def jumped(self, topic: str, partition: int, lost: int) -> None:
        """The log no longer held ``lost`` offsets that had not been folded (retention, bounded memory, truncation)."""

    def rebalanced(self, generation: int, partitions: int) -> None:
        """The group has a new generation, in which this worker owns so many partitions."""


class SilentObserver:
    """The default: nobody measures."""

    def checkpointed(self, lane: str, seconds: float, rows: int, outputs: int) -> None:
        """Ignore."""

    def checkpoint_retried(self, lane: str, reason: str) -> None:
        """Ignore."""

    def restored(self, seconds: float, rows: int, partitions: int) -> None:
        """Ignore."""

    def folded(self, fold: str, topic: str, records: int) -> None:
        """Ignore."""

    def jumped(self, topic: str, partition: int, lost: int) -> None:
        """Ignore."""

    def rebalanced(self, generation: int, partitions: int) -> None:
        """Ignore."""


def wall_clock() -> int:
    """Milliseconds since the epoch, now."""
    return time.time_ns() // 1_000_000


def client_settings(**more: object) -> dict[str, object]:
    """Return settings of a librdkafka client, named with ``_`` for ``.``."""
    return {key.replace("_", "."): value for key, value in more.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldSpec:
    """One fold: what it reads, how one partition of it is made, and how it is checkpointed.

    ``make(partition)`` gives a fresh, empty fold. Its state lives in the changelog ``<application>-<name>-changelog``,
    unless ``replayed``: then it has none, and reads its topics from their beginning at every assignment (compacted
    topics of bounded size).

    Beyond :class:`~models.fold.PartitionFold` a fold may have two methods, both called on the event loop, both
    without arguments: ``live()``, once it has caught up with the log as it stood when the partition was assigned
    (before the first ``tick`` and ``changes``); and ``durable()``, right after a commit and before the next
    ``changes()``: all that ``changes`` has returned so far is on the broker.

    One with work of its own left says so in the attribute ``behind`` (not 0): the next checkpoint is then made at the lane's
    interval, whether or not records come.

    ``on_durable(partition, fold)`` is awaited after such a commit, and once after a restore. One call at a time per
    partition; commits that come meanwhile lead to one more call; it is cancelled when the partition is taken away.

    Folds with the same ``lane`` share one checkpoint loop and one transaction.

    ``told`` are the topics whose positions the group is told of (default: all of them): where two folds in different lanes
    read one topic, lag tools should see that of the one that people wait for.

    ``at_hand(partition, fold)`` is called on the event loop once a restored fold is in this worker's hands, before ``live()``.

    ``changelog`` adds to that topic's configuration, where it is to be created.
    """

    name: str
    topics: tuple[str, ...]
    make: Callable[[int], PartitionFold]
    lane: str = "state"
    replayed: bool = False
    on_durable: Callable[[int, PartitionFold], Awaitable[None]] | None = None
    doc: str = ""
    changelog: Mapping[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    at_hand: Callable[[int, Any], object] | None = None

    def __post_init__(self) -> None:
        for what, text in (("name", self.name), ("lane", self.lane)):
            if not _NAME.fullmatch(text):
                raise ValueError(f"FoldSpec.{what}: found {text!r}; accepted: 1 to 100 of A-Z a-z 0-9 . _ -")
        if not self.topics:
            raise ValueError(f"FoldSpec {self.name}: topics: found none; accepted: at least one")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Everything the engine is told once, at its start. Times are in seconds.

    ``application`` names the consumer group and the changelogs, ``instance`` this worker: stable over its restarts and
    unique among the running ones, because a new worker with the same name ends its predecessor's open transaction.
    Where folds are shared out among groups, ``role`` is added to the group's name (the changelogs' stay), and ``base_topics`` are
    those that the group without a role reads: a member of it that reads others is a worker from before, which runs everything.
    ``lane_intervals`` gives lanes another interval than ``checkpoint_interval``; while much is left to fold it grows up to
    ``longest_interval`` (:meth:`pace`). ``security`` has librdkafka's names
    (``security.protocol``, ``sasl.mechanism``, ``sasl.username``, ``sasl.password``, ``ssl.ca.location``,
    ``ssl.certificate.location``, ``ssl.key.location``, ``ssl.key.password``) and holds for every client.
    ``backend`` keeps records and state where it is not Kafka (a ledger in this process). ``clock`` gives ``now`` for ticks: the
    wall clock live, the watermark in a replay. ``embedded`` says that the brokers are an
    :class:`~stream.engine.embedded.EmbeddedBroker`, which knows no topic configuration. ``minimise`` is what an event that is
    published here is to be before it is written.
    """

    brokers: str
    application: str = "vigie"
    instance: str = "0"
    role: str = ""
    base_topics: frozenset[str] = frozenset()
    topic_prefix: str = ""
    partitions: int = 8
    topics: tuple[Topic, ...] = TOPICS
    checkpoint_interval: float = 0.25
    longest_interval: float = 2.0
    lane_intervals: Mapping[str, float] = field(default_factory=dict)
    tick_interval: float = 1.0
    session_timeout: float = 10.0
    heartbeat_interval: float = 1.0
    rebalance_timeout: float = 10.0
    transaction_timeout: float = 10.0
    fetch_wait: float = 0.02
    security: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], int] = wall_clock
    observer: Observer = field(default_factory=SilentObserver)
    embedded: bool = False
    backend: Backend | None = None
    minimise: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        for what, text in (("application", self.application), ("instance", self.instance)):
            if not _NAME.fullmatch(text):
                raise ValueError(f"EngineOptions.{what}: found {text!r}; accepted: 1 to 100 of A-Z a-z 0-9 . _ -")
        if self.partitions < 1:
            raise ValueError(f"EngineOptions.partitions: found {self.partitions}; accepted: 1 or more")

    @property
    def name(self) -> str:
        """The installation's name: of the group without a role, and before the changelogs'."""
        return self.topic_prefix + self.application

    @property
    def group(self) -> str:
        """The consumer group's name."""
        return f"{self.name}-{self.role}" if self.role else self.name

    def physical(self, topic: str) -> str:
        """The broker's name of a logical topic."""
        return self.topic_prefix + topic

    def logical(self, topic: str) -> str:
        """The logical name of a broker's topic."""
        return topic.removeprefix(self.topic_prefix)

    def changelog(self, fold: str) -> str:
        """The broker's name of a fold's changelog."""
        return f"{self.name}-{fold}-changelog"

    def partitions_of(self, topic: str) -> int:
        """How many partitions a logical topic is declared with."""
        for declared in self.topics:
            if declared.name == topic:
                return self.partitions if declared.partitioned else 1
        raise ValueError(f"topic {topic!r} is not declared; declared: {', '.join(t.name for t in self.topics)}")

    def pace(self, lane: str) -> CheckpointPace:
        """The least time between the starts of two checkpoints of a lane, which changes with what there is to do.

        One with an interval of its own is never sooner; one that is eager waits at most as long as the others do usually.
        """
        usual = self.lane_intervals.get(lane, self.checkpoint_interval)
        shortest = usual if lane in self.lane_intervals else usual * _SOONEST
        longest = self.checkpoint_interval if usual < self.checkpoint_interval else max(usual, self.longest_interval)
        return CheckpointPace(shortest, usual, longest)

    def client(self, **more: object) -> dict[str, object]:
        """Settings of a librdkafka client: brokers, security, and ``more`` with ``_`` for ``.``."""
        return {
            "bootstrap.servers": self.brokers,
            **self.security,
            **client_settings(**more),
        }
