"""Who may do what on a Kafka that refuses everything else, by role, with no right more than it takes?"""

import time
from collections.abc import Iterable, Iterator

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from stream.engine.client_logs import client_logger
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.topics import declared

#: Who publishes events; who folds; who shows, and writes what webhooks and operators say.
ROLES = ("publish", "worker", "web")
EVENTS = ("deals", "leads", "engagement", "customers", "spend")
_WRITTEN_BY_WEB = (*EVENTS, "alerts", "objectives", "standings", "customer-moves", "dead-letters", "audit", "erasure-requests")
#: The folds whose entities it lists behind a figure, on a journey, in a basket.
_SHOWN_BY_WEB = ("fold-deals", "fold-leads", "fold-engagement", "fold-customers")
_READ = (AclOperation.READ, AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)
_USE_GROUP = (AclOperation.READ, AclOperation.DESCRIBE)
_USE_TRANSACTION = (AclOperation.WRITE, AclOperation.DESCRIBE)


def rules(role: str, principal: str, options: EngineOptions, specs: Iterable[FoldSpec]) -> list[AclBinding]:
    """Return what a principal (such as ``User:vigie-worker``) in a role has to be allowed; raise ``KeyError`` for no such role.

    Topics are named one by one. Groups and transactional ids are those that begin with the installation's name: a web process
    has its own, and cannot take partitions from workers.
    """
    made = {"publish": _publish, "worker": _worker, "web": _web}[role](options, specs)
    return [AclBinding(*what, principal, "*", how, AclPermissionType.ALLOW) for what, hows in made for how in hows]


_What = tuple[ResourceType, str, ResourcePatternType]
_Rules = Iterator[tuple[_What, tuple[AclOperation, ...]]]


def _publish(options: EngineOptions, specs: Iterable[FoldSpec]) -> _Rules:
    for name in EVENTS:
        yield _topic(options.physical(name)), (AclOperation.WRITE, AclOperation.DESCRIBE)


def _worker(options: EngineOptions, specs: Iterable[FoldSpec]) -> _Rules:
    for topic in declared(options, specs):
        yield _topic(topic.name), (*_READ, AclOperation.WRITE)
    yield from _named(options.group)


def _web(options: EngineOptions, specs: Iterable[FoldSpec]) -> _Rules:
    for topic in declared(options):
        written = options.logical(topic.name) in _WRITTEN_BY_WEB
        yield _topic(topic.name), (*_READ, *((AclOperation.WRITE,) if written else ()))
    for fold in _SHOWN_BY_WEB:
        yield _topic(options.changelog(fold)), _READ
    yield from _named(f"{options.group}-web-")


def _topic(name: str) -> _What:
    return ResourceType.TOPIC, name, ResourcePatternType.LITERAL


def _named(prefix: str) -> _Rules:
    yield (ResourceType.GROUP, prefix, ResourcePatternType.PREFIXED), _USE_GROUP
    yield (ResourceType.TRANSACTIONAL_ID, prefix, ResourcePatternType.PREFIXED), _USE_TRANSACTION


def grant(options: EngineOptions, bindings: Iterable[AclBinding], patience: float = 10.0) -> None:
    """Have a broker allow it, and return once it does; what it allows already stays.

    Raises ``KafkaException`` where it refuses, has no authorizer, or does not get there in so many seconds.
    """
    admin, wanted, end = AdminClient(options.client(), logger=client_logger()), set(bindings), time.monotonic() + patience
    for future in admin.create_acls(list(wanted), request_timeout=patience).values():
        future.result()
    every = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY)
    # Taken by the controller, it is news to the broker that judges by it.
    while not wanted <= set(admin.describe_acls(every, request_timeout=patience).result()):
        if time.monotonic() > end:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the broker has taken the rules, and does not show them"))
        time.sleep(0.1)
