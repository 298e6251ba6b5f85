"""What does the doctor ask a Kafka: does it answer, are the topics right, who folds, how far behind, what was refused?"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from agents.roll_kpis import NAME as ROLL
from models.calendar import iso
from models.events.dead_letter import DeadLetter
from stream.config.settings import Settings
from stream.engine.client_logs import client_logger
from stream.engine.groups import described, groups_of
from stream.engine.options import EngineOptions, FoldSpec, wall_clock
from stream.engine.topics import Problem, check, declared, summary
from vigie.findings import Finding, fail, ok, warn
from vigie.letters import standing
from vigie.roles import FOLDED, SERVE
from vigie.topics import plan

#: What a broker answers while it is still finding out who keeps a group's positions (always, after its very first start), or who
#: leads a topic that was made a moment ago.
_SETTLING = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError._TIMED_OUT,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)
#: What a broker, or our side, says to a password or a certificate.
_REFUSALS = (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED)
#: What it says to who may not do something.
_FORBIDDEN = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)
#: What of a topic can be put right where it is.
_SETTINGS = ("cleanup.policy", "retention.ms", "max.message.bytes", "message.timestamp.type")
_PATIENCE = 5.0  # seconds, for one answer
_BEHIND = 10_000  # records: what a worker that keeps up does not have before it
_SKEW = 5_000  # ms: more than clocks in step and a record's way can differ
_RECENT = 86_400_000
_READ_AT_MOST = 200_000


class Offsets(NamedTuple):
    """One partition: first offset kept, next offset to be written, and the group's own (None: it has none)."""

    first: int
    end: int
    committed: int | None

    @property
    def lag(self) -> int:
        """Records not folded yet (markers of transactions count as records)."""
        return max(self.end - max(self.committed if self.committed is not None else self.first, self.first), 0)


def kafka(settings: Settings) -> Iterator[Finding]:
    """Everything about the broker; without one that answers, the rest is left out."""
    options, folds = plan(settings)
    # Why a connection fails (the password, the certificate) is told beside the answer, which only says that there is none.
    reasons: list[KafkaError] = []
    admin = AdminClient({**options.client(), "error_cb": reasons.append}, logger=client_logger())
    try:
        metadata = admin.list_topics(timeout=_PATIENCE)
    except KafkaException as error:
        admin.poll(0)
        told = next((reason for reason in reasons if reason.code() in _REFUSALS), None)
        do = "start it, or correct kafka.brokers (VIGIE_KAFKA__BROKERS); behind TLS or SASL also kafka.security_protocol"
        if told is not None:
            do = "correct kafka.sasl_username, sasl_password, sasl_mechanism; ssl_ca, ssl_certificate, ssl_key"
        yield fail("broker", f"no Kafka answers at {options.brokers}: {(told or error.args[0]).str()}", do)
        return
    names = ", ".join(f"{broker.host}:{broker.port}" for broker in metadata.brokers.values())
    yield ok("broker", f"{len(metadata.brokers)} ({names}), cluster {metadata.cluster_id}")
    hidden = _hidden(admin, options, folds, metadata)
    if hidden:
        yield _refused(settings, f"{len(hidden)} topics, such as {hidden[0]}")
        return
    try:
        problems = check(options, folds, timeout=_PATIENCE)
    except KafkaException as error:
        if error.args[0].code() not in _FORBIDDEN:
            raise
        yield _refused(settings, f"the topics' settings ({error.args[0].str()})")
        return
    yield from _topics(settings, options, metadata, problems)
    missing = {problem.topic for problem in problems if problem.what.startswith("missing")}
    try:
        offsets = _offsets(admin, options, metadata)
        yield from list(_group(admin, options, folds, offsets))
        yield from list(_clock(admin, options, offsets))
        if options.physical("dead-letters") not in missing:
            yield from list(_dead_letters(options))
    except KafkaException as error:
        if error.args[0].code() in _FORBIDDEN:
            yield _refused(settings, f"group {options.group} or its topics ({error.args[0].str()})")
            return
        if error.args[0].code() not in _SETTLING:
            raise
        yield warn("broker", f"still settling after a start, or new topics ({error.args[0].str()})", "look again in a minute")


def _hidden(admin: AdminClient, options: EngineOptions, folds: Sequence[FoldSpec], metadata: Any) -> list[str]:
    """Return the topics that a broker does not show because we may not see them; it leaves them out of its list."""
    found = []
    for topic in declared(options, folds):
        if topic.name not in metadata.topics:
            told = admin.list_topics(topic.name, timeout=_PATIENCE).topics.get(topic.name)
            if told is not None and told.error is not None and told.error.code() in _FORBIDDEN:
                found.append(topic.name)
    return found


def _refused(settings: Settings, what: str) -> Finding:
    name = settings.kafka.sasl_username
    who = f"User:{name}" if name else "this client (its certificate's name, or ANONYMOUS)"
    do = (
        f"as an administrator: vigie topics create --grant worker={name or 'NAME'} (roles: publish, worker, web; docs/publish.md)"
    )
    return fail("access", f"the broker does not let {who} see {what}", do)


def _topics(settings: Settings, options: EngineOptions, metadata: Any, problems: Sequence[Problem]) -> Iterator[Finding]:
    for wrong in (True, False):
        for text in summary(problem for problem in problems if problem.fatal is wrong):
            yield (fail if wrong else warn)("topics", text, _remedy(text))
    mine = [topic for name, topic in metadata.topics.items() if name in _names(options, metadata)]
    leaderless = [f"{t.topic}/{p.id}" for t in mine for p in t.partitions.values() if p.leader < 0]
    if leaderless:
        yield fail("topics", f"without a leader: {', '.join(leaderless)}", "bring the brokers that hold them back")
    behind = [f"{t.topic}/{p.id}" for t in mine for p in t.partitions.values() if len(p.isrs) < len(p.replicas)]
    if behind:
        yield warn("topics", f"{len(behind)} partitions have replicas that are not in step", "see the brokers' logs")
    copies = min((len(p.replicas) for t in mine for p in t.partitions.values()), default=settings.kafka.replication)
    if copies == 1 and len(metadata.brokers) > 1:
        do = "set kafka.replication for new topics; change existing ones with kafka-reassign-partitions.sh"
        yield warn("topics", f"one copy of some on {len(metadata.brokers)} brokers: a broker's loss is a loss of data", do)
    if not problems:
        yield ok(
            "topics",
            f"{len(mine)}, events in {options.partitions} partitions, {copies} cop{'y' if copies == 1 else 'ies'} of each",
        )


def _remedy(text: str) -> str:
    if "missing (" in text:
        return "run: vigie topics create"
    if "kafka.partitions;" in text:
        return "set kafka.partitions to what there is, or name others with kafka.topic_prefix: entities cannot change partitions"
    wanted = text.rpartition(": ")[2].removesuffix(" or more")
    setting = next(name for name in _SETTINGS if name in text)
    return f"kafka-configs.sh --alter --entity-type topics --entity-name … --add-config {setting}={wanted}"


def _names(options: EngineOptions, metadata: Any) -> set[str]:
    declared = {options.physical(topic.name) for topic in options.topics}
    return {n for n in metadata.topics if n in declared or (n.startswith(f"{options.group}-") and n.endswith("-changelog"))}


def _offsets(admin: AdminClient, options: EngineOptions, metadata: Any) -> dict[tuple[str, int], Offsets]:
    """Return the offsets of every partition of the declared topics that are there, by logical name."""
    parts = [
        TopicPartition(options.physical(topic.name), partition)
        for topic in options.topics
        if options.physical(topic.name) in metadata.topics
        for partition in metadata.topics[options.physical(topic.name)].partitions
    ]
    if not parts:
        return {}
    first = _listed(admin, parts, OffsetSpec.earliest())
    base, *others = groups_of(options)
    committed = _committed(options, base, parts)
    folded = {options.physical(topic) for topic in FOLDED}
    for group in others:  # the first has what workers from before wrote for all of them
        found = _committed(options, group, parts)
        committed |= {place: offset for place, offset in found.items() if place[0] not in folded}
    # After the positions: a log only grows, so that what is folded meanwhile does not seem to lie beyond its end.
    end = _listed(admin, parts, OffsetSpec.latest())
    return {
        (options.logical(topic), partition): Offsets(
            offset.offset, end[topic, partition].offset, committed.get((topic, partition))
        )
        for (topic, partition), offset in first.items()
    }


def _committed(options: EngineOptions, group: str, parts: Sequence[TopicPartition]) -> dict[tuple[str, int], int]:
    # Not the admin client: a consumer waits until the broker has found out who keeps the group's positions.
    consumer = confluent_kafka.Consumer(options.client(group_id=group, enable_auto_commit=False), logger=client_logger())
    try:
        found = consumer.committed([TopicPartition(tp.topic, tp.partition) for tp in parts], timeout=_PATIENCE * 2)
    finally:
        consumer.close()
    return {(tp.topic, tp.partition): tp.offset for tp in found if tp.offset >= 0}


def _listed(admin: AdminClient, parts: Sequence[TopicPartition], spec: OffsetSpec) -> dict[tuple[str, int], Any]:
    futures = admin.list_offsets(dict.fromkeys(parts, spec), request_timeout=_PATIENCE)
    return {(tp.topic, tp.partition): future.result() for tp, future in futures.items()}


def _group(
    admin: AdminClient, options: EngineOptions, folds: Sequence[FoldSpec], offsets: dict[tuple[str, int], Offsets]
) -> Iterator[Finding]:
    working = described(admin, groups_of(options))
    for name, group in working.items():
        if group.members:
            yield ok("workers", f"{len(group.members)} in group {name}, {group.state}")
    members = len(working[options.name].members)
    if not members:
        yield warn("workers", f"none in group {options.name}: events wait in their topics", "start one: vigie worker")
    elif not working[f"{options.name}-{SERVE}"].members:
        what = f"none in group {options.name}-{SERVE}: no rule is judged, and nobody is told of anything"
        yield warn("workers", what, f"start one: vigie worker, or vigie worker --role {SERVE}")
    readers = {spec.name: spec.topics for spec in folds} | {ROLL: ("panes",)}
    for name, topics in readers.items():
        mine = {key: found for key, found in offsets.items() if key[0] in topics}
        for (topic, partition), found in mine.items():
            if found.committed is None:
                continue
            if found.committed < found.first:
                lost = f"offsets {found.committed} to {found.first - 1} left the log before they were folded"
                do = "raise the topic's retention, and publish those events again from their source"
                yield fail("retention", f"{name}: {topic}/{partition}: {lost}", do)
            elif found.committed > found.end:
                beyond = f"the position {found.committed} lies beyond the log's end {found.end}: the topic was made anew"
                do = (
                    "nothing, if that was meant: a worker reads the topic from its start by itself (once one runs), and what its "
                    "state has counted stays counted; to count this topic alone, set another application name"
                )
                yield warn("topics", f"{name}: {topic}/{partition}: {beyond}", do)
        lag = sum(found.lag for found in mine.values())
        folded = sum(found.committed is not None for found in mine.values())
        text = f"{name}: {lag:,} records behind in {', '.join(topics)} ({folded} of {len(mine)} partitions have a position)"
        if lag > _BEHIND or (lag and not members):
            yield warn(
                "lag", text, "start more workers (as many as partitions can help)" if members else "start one: vigie worker"
            )
        elif mine:
            yield ok("lag", text)


def _clock(admin: AdminClient, options: EngineOptions, offsets: dict[tuple[str, int], Offsets]) -> Iterator[Finding]:
    parts = [TopicPartition(options.physical(topic), partition) for topic, partition in offsets]
    if not parts:
        return
    newest: tuple[int, str] = (-1, "")
    now = wall_clock()
    for (topic, partition), found in _listed(admin, parts, OffsetSpec.max_timestamp()).items():
        newest = max(newest, (found.timestamp, f"{topic}/{partition}"))
    stamp, where = newest
    if stamp < 0:
        yield ok("clock", "no record to compare with yet")
    elif stamp > now + _SKEW:
        text = f"the newest record ({where}) is {(stamp - now) / 1000:,.0f} s ahead of this machine's clock"
        yield warn("clock", text, "synchronise the clocks (NTP) here, on the brokers, and of whoever publishes there")
    else:
        yield ok("clock", f"no record is ahead of this machine's; the newest is of {iso(stamp // 1000 * 1000)}")


def _dead_letters(options: EngineOptions) -> Iterator[Finding]:
    reasons: Counter[str] = Counter()
    examples: dict[str, DeadLetter] = {}
    recent: defaultdict[str, int] = defaultdict(int)
    since = wall_clock() - _RECENT
    for letter in standing(options):
        reasons[letter.reason] += 1
        recent[letter.reason] += letter.first_seen >= since
        examples[letter.reason] = letter
        if reasons.total() >= _READ_AT_MOST:
            break
    if not reasons:
        yield ok("dead letters", "none")
        return
    last = max(examples.values(), key=lambda letter: letter.first_seen)
    told = ", ".join(f"{count:,} × {reason}" for reason, count in reasons.most_common())
    more = "at least " if reasons.total() >= _READ_AT_MOST else ""
    text = (
        f"{more}{reasons.total():,}: {told}; the last, {last.id}, at {iso(last.first_seen // 1000 * 1000)}: {last.detail[:160]}"
    )
    if sum(recent.values()):
        do = "see: vigie dead-letters list; put right what is wrong, then: vigie dead-letters redrive --reason …"
        yield warn("dead letters", text, do)
    else:
        yield ok("dead letters", f"{text} (none in the last 24 h)")
