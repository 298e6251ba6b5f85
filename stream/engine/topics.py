"""Does the broker have the topics as they must be, and which partition is a key's?"""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import confluent_kafka
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from stream.engine.client_logs import client_logger
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.topic_list import DAY, MAX_ROW_BYTES, STAMPED_BY_BROKER

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Physical:
    """A topic as the broker should have it."""

    name: str
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one topic: found and accepted, and whether the engine can run with it."""

    topic: str
    what: str
    fatal: bool

    def __str__(self) -> str:
        return f"topic {self.topic}: {self.what}"


def summary(problems: Iterable[Problem]) -> list[str]:
    """What is wrong, the topics that lack the same thing in one sentence."""
    alike: dict[str, list[str]] = {}
    for problem in problems:
        kind = problem.what
        if kind.startswith("missing"):
            kind = "missing (run: vigie topics create)"
        elif "partitions;" in kind:
            kind += " (kafka.partitions; see: vigie doctor)"
        alike.setdefault(kind, []).append(problem.topic)
    return [f"topic{'s' * (len(topics) > 1)} {', '.join(topics)}: {what}" for what, topics in alike.items()]


def partition_for(key: bytes, partitions: int) -> int:
    """The partition of a key: murmur2, as Java's producers and Kafka Connect do by default.

    One rule for all who write to a partitioned topic: an entity in two partitions would be two entities.
    librdkafka producers do the same with ``"partitioner": "murmur2"``.
    """
    return 0 if partitions == 1 else confluent_kafka.murmur2(key, partitions)


def declared(options: EngineOptions, specs: Iterable[FoldSpec] = ()) -> list[Physical]:
    """All topics the broker must have: the declared ones and the changelogs of the folds given."""
    found = []
    for topic in options.topics:
        config = {"cleanup.policy": "compact" if topic.compact else "delete", "max.message.bytes": str(MAX_ROW_BYTES)}
        config |= topic.config
        if not topic.compact:
            config["retention.ms"] = str(-1 if topic.retention is None else topic.retention)
            config |= STAMPED_BY_BROKER
        found.append(Physical(options.physical(topic.name), options.partitions_of(topic.name), config))
    for spec in specs:
        if not spec.replayed:
            partitions = options.partitions_of(spec.topics[0])
            config = {"cleanup.policy": "compact", "max.message.bytes": str(MAX_ROW_BYTES), **spec.changelog}
            found.append(Physical(options.changelog(spec.name), partitions, config))
    return found


def create(options: EngineOptions, specs: Iterable[FoldSpec] = (), *, replication: int = -1) -> list[str]:
    """Create what is missing on a real Kafka; names of the created. ``replication`` −1 = the broker's default.

    Existing topics are left as they are: :func:`check` says what is wrong with them.
    Raises :class:`confluent_kafka.KafkaException` when the broker refuses or can't be reached within 10 s.
    """
    admin = AdminClient(options.client(), logger=client_logger())
    there = admin.list_topics(timeout=10).topics
    missing = [topic for topic in declared(options, specs) if topic.name not in there]
    if not missing:
        return []
    news = [
        NewTopic(topic.name, num_partitions=topic.partitions, replication_factor=replication, config=dict(topic.config))
        for topic in missing
    ]
    for name, future in admin.create_topics(news, operation_timeout=10).items():
        try:
            future.result()
        except confluent_kafka.KafkaException as error:
            if error.args[0].code() != confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS:
                raise
            log.info("topic %s: another process has just created it", name)
    return [topic.name for topic in missing]


def check(
    options: EngineOptions, specs: Iterable[FoldSpec] = (), *, timeout: float = 10, written: Collection[str] | None = None
) -> list[Problem]:
    """What is wrong with the broker's topics; empty when all is well.

    For somebody who only writes, ``written`` names the topics: are they there, with their partitions? Who writes need not
    be allowed to see more.

    Raises :class:`confluent_kafka.KafkaException` when no broker answers within ``timeout`` seconds.
    """
    admin = AdminClient(options.client(socket_connection_setup_timeout_ms=int(timeout * 1000)), logger=client_logger())
    there = admin.list_topics(timeout=timeout).topics
    problems = []
    present = []
    mine = None if written is None else {options.physical(name) for name in written}
    for topic in declared(options, specs):
        if mine is not None and topic.name not in mine:
            continue
        if topic.name not in there or there[topic.name].error is not None:
            accepted = f"{topic.partitions} partition{'s' * (topic.partitions > 1)}"
            problems.append(Problem(topic.name, f"missing; accepted: {accepted} (run: vigie topics create)", True))
            continue
        found = len(there[topic.name].partitions)
        if found != topic.partitions:
            what = f"found {found} partitions; accepted: {topic.partitions}"
            problems.append(Problem(topic.name, what, True))
        present.append(topic)
    if not options.embedded and mine is None:
        problems.extend(_check_policies(admin, present, timeout))
    return problems


def _check_policies(admin: AdminClient, topics: list[Physical], timeout: float) -> list[Problem]:
    """Compaction and retention that lose data, or keep it for ever."""
    problems = []
    resources = {ConfigResource(ResourceType.TOPIC, topic.name): topic for topic in topics}
    if not resources:
        return []
    for resource, future in admin.describe_configs(list(resources), request_timeout=timeout).items():
        topic = resources[resource]
        found = future.result()
        policy = found["cleanup.policy"].value
        wanted = topic.config["cleanup.policy"]
        if policy != wanted:
            # A changelog or pane topic that deletes by age forgets state; one that is not compacted only grows.
            losing = wanted == "compact" and "delete" in policy
            problems.append(Problem(topic.name, f"cleanup.policy: found {policy}; accepted: {wanted}", losing))
        if "retention.ms" in topic.config and policy == "delete":
            kept, needed = int(found["retention.ms"].value), int(topic.config["retention.ms"])
            if kept != -1 and (needed == -1 or kept < needed):
                what = f"retention.ms: found {kept} ({kept / DAY:.1f} d); advised: {needed} or more"
                problems.append(Problem(topic.name, what, False))
        taken, least = int(found["max.message.bytes"].value), int(topic.config["max.message.bytes"])
        if taken < least:
            problems.append(Problem(topic.name, f"max.message.bytes: found {taken}; advised: {least} or more", False))
        stamp, asked = found["message.timestamp.type"].value, topic.config.get("message.timestamp.type")
        if asked is not None and stamp != asked:
            # Nothing is counted wrongly: the reader's clock stands for the arrival. But retention goes by the producers' clocks.
            problems.append(Problem(topic.name, f"message.timestamp.type: found {stamp}; advised: {asked}", False))
    return problems
