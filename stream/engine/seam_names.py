"""Are the names of Faust and aiokafka that nobody has promised us still there?

``stream/engine/seam.py`` uses them; a version of a library that has renamed one would otherwise fail somewhere in the middle of a
rebalance, or fold nothing and say nothing. Looked at before the seam is imported, so nothing of theirs is imported here.
"""

import dis
import importlib
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from types import FunctionType
from typing import Any

from stream.engine.errors import EngineError

#: The releases that all tests have run with.
TESTED: Mapping[str, str] = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}
_DISTRIBUTION = {"faust": "faust-streaming", "mode": "mode-streaming", "aiokafka": "aiokafka"}

#: Module, or module:class → what is used of it, be it a method, an attribute that it gives its instances, or a name in it.
NAMES: Mapping[str, tuple[str, ...]] = {
    "aiokafka.consumer.consumer:AIOKafkaConsumer": (
        *("_auto_offset_reset", "_closed", "_coordinator", "_fetch_max_wait_ms", "_fetcher", "_isolation_level"),
        *("assignment", "beginning_offsets", "end_offsets", "seek"),
    ),
    "aiokafka.consumer.fetcher": ("MemoryRecords",),
    "aiokafka.consumer.fetcher:FetchError": ("_error",),
    "aiokafka.consumer.fetcher:FetchResult": ("_partition_records", "_update_position", "check_assignment"),
    "aiokafka.consumer.fetcher:Fetcher": (
        *("_closed", "_create_fetch_waiter", "_fetch_min_bytes", "_notify", "_records", "_subscriptions"),
        "_wait_consume_future",
    ),
    "aiokafka.consumer.fetcher:PartitionRecords": (
        *("_consumer_record", "_records", "_records_iterator", "_tp", "_unpack_records", "next_fetch_offset"),
    ),
    "aiokafka.consumer.group_coordinator:GroupCoordinator": ("generation", "group_id", "member_id"),
    "aiokafka.consumer.subscription_state:SubscriptionState": ("fetch_context", "reassignment_in_progress"),
    "aiokafka.record.default_records": ("DefaultRecordBatch", "_DefaultRecordBatchPy"),
    "aiokafka.record.default_records:_DefaultRecordBatchPy": ("_buffer", "_maybe_uncompress", "next_offset"),
    "aiokafka.record.memory_records:MemoryRecords": ("has_next", "next_batch", "size_in_bytes"),
    "faust.tables.manager:TableManager": ("_recovery", "_update_channels", "on_rebalance", "on_start", "recovery"),
    "faust.tables.recovery": ("IllegalStateError", "RebalanceAgain", "ServiceStopped"),
    "faust.tables.recovery:Recovery": (
        *("_generation_id", "_publish_stats", "_restart_recovery", "_set_recovery_started", "_slurp_changelogs", "_wait"),
        *("on_recovery_completed", "signal_recovery_start"),
    ),
    "faust.transport.conductor:Conductor": ("_topic_name_index",),
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread": (
        *("_create_worker_consumer", "_ensure_consumer", "call_thread", "on_thread_stop", "verify_event_path"),
    ),
    "faust.transport.drivers.aiokafka:Consumer": (
        *("_drain_messages", "_get_active_partitions", "_new_consumer_thread", "_new_offset", "_thread"),
        *("RebalanceListener", "callback", "can_resume_flow", "flow_active", "perform_seek"),
    ),
    "faust.transport.drivers.aiokafka:ConsumerRebalanceListener": ("_thread", "on_partitions_assigned"),
    "mode.services:Service": ("_crashed",),
}


class Unsupported(EngineError):
    """A library that is installed lacks what the engine uses of it; the message names it and says what to install."""


def check(names: Mapping[str, Iterable[str]] = NAMES) -> None:
    """Raise :class:`Unsupported` where something is missing."""
    missing = [(place, name) for place, wanted in names.items() for name in _missing(place, wanted)]
    if not missing:
        return
    packages = sorted({_DISTRIBUTION[place.split(".")[0]] for place, _ in missing})
    found = ", ".join(f"{package} {_version(package)}" for package in packages)
    lacks = ", ".join(f"{place.replace(':', '.')}{'.' if name else ''}{name}" for place, name in missing)
    install = " ".join(f"'{package}=={tested}'" for package, tested in TESTED.items())
    raise Unsupported(
        f"{found}: not found: {lacks}, which the engine uses; install what it was tested with: pip install {install}"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _missing(place: str, wanted: Iterable[str]) -> list[str]:
    """Return which names a module or class does not have; an empty one where there is no such module or class."""
    module, _, kind = place.partition(":")
    try:
        owner: Any = importlib.import_module(module)
    except ImportError:
        return [""]
    owner = getattr(owner, kind, None) if kind else owner
    if owner is None:
        return [""]
    absent = [name for name in wanted if not hasattr(owner, name)]
    given = _given(owner) if absent else set()
    return [name for name in absent if name not in given]


def _given(owner: Any) -> set[str]:
    """Return the attributes that a class's methods give to its instances (or to anything else)."""
    functions = (
        thing for kind in getattr(owner, "__mro__", ()) for thing in vars(kind).values() if isinstance(thing, FunctionType)
    )
    return {step.argval for function in functions for step in dis.get_instructions(function) if step.opname == "STORE_ATTR"}
