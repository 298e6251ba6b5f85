"""Who works in the consumer groups of an installation?"""

from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from stream.engine.client_logs import client_logger
from stream.engine.options import EngineOptions

_CALL_SECONDS = 10.0
#: The roles whose groups have their names after the installation's; the folds of entities have the group of that name itself.
ROLES = ("serve", "predict")


def groups_of(options: EngineOptions) -> list[str]:
    """Return the names of an installation's groups, that of the entity folds first."""
    return [options.name, *(f"{options.name}-{role}" for role in ROLES)]


class ConsumerGroup(NamedTuple):
    """A group's members, as the broker describes them, and its state in one word (such as ``stable``)."""

    members: list[Any]
    state: str


def described(admin: Any, groups: list[str]) -> dict[str, ConsumerGroup]:
    """Return these groups; one that is not there has no members. Blocks; raises :class:`confluent_kafka.KafkaException`."""
    found: dict[str, ConsumerGroup] = {}
    for group, future in admin.describe_consumer_groups(groups, request_timeout=_CALL_SECONDS).items():
        try:
            told = future.result()
            found[group] = ConsumerGroup(list(told.members), told.state.name.lower())
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise
            found[group] = ConsumerGroup([], "dead")
    return found


def working(options: EngineOptions) -> str:
    """Return who has to be stopped first, where workers run; "" where none does. Blocks; raises ``KafkaException``."""
    admin = AdminClient(options.client(), logger=client_logger())
    for group, found in described(admin, groups_of(options)).items():
        if found.members:
            return f"{len(found.members)} workers run on {options.brokers} as group {group}; stop them first"
    return ""


def in_one_group(options: EngineOptions) -> list[str]:
    """Return what to say where a worker from before runs, which has all folds in one group; nothing where none does. Blocks.

    Its folds and ours would be in two hands at a time, and no broker would refuse either.
    """
    if not options.base_topics:
        return []
    mine = {options.physical(topic) for topic in options.base_topics}
    admin = AdminClient(options.client(), logger=client_logger())
    for member in described(admin, [options.name])[options.name].members:
        others = {tp.topic for tp in member.assignment.topic_partitions if not tp.topic.endswith("-changelog")} - mine
        if others:
            return [
                f"group {options.name}: the worker {member.client_id} at {member.host} is of an earlier version, which runs all "
                f"roles in one group (it reads {min(others)}): stop it first; this one waits"
            ]
    return []
