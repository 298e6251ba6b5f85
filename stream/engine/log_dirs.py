"""How many bytes does each broker keep of a partition? Neither of the clients asks that by itself."""

import asyncio
from collections.abc import Iterable
from typing import TypeAlias

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String

from stream.engine.backend import Partition
from stream.engine.kafka_security import aiokafka_security
from stream.engine.options import EngineOptions

#: (topic, partition, broker) → bytes of its log.
Sizes: TypeAlias = dict[tuple[str, int, int], int]


class _Response(Response):
    API_KEY = 35
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            Array(
                ("error_code", Int16),
                ("log_dir", String("utf-8")),
                (
                    "topics",
                    Array(
                        ("name", String("utf-8")),
                        (
                            "partitions",
                            Array(("partition", Int32), ("size", Int64), ("offset_lag", Int64), ("is_future", Boolean)),
                        ),
                    ),
                ),
            ),
        ),
    )


class _Request(RequestStruct):
    API_KEY = 35
    API_VERSION = 1
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))))


class _DescribeLogDirs(Request[_Request]):
    API_KEY = 35

    def __init__(self, logs: Iterable[Partition]) -> None:
        self._topics: dict[str, list[int]] = {}
        for topic, partition in logs:
            self._topics.setdefault(topic, []).append(partition)

    def build(self, request_struct_class: type[_Request]) -> _Request:
        return request_struct_class(list(self._topics.items()))


def sizes(options: EngineOptions, logs: Iterable[Partition]) -> Sizes | None:
    """Return the bytes of each replica of these logs, None where the brokers do not say (or may not). Blocks."""
    try:
        return asyncio.run(_asked(options, list(logs)))
    except (KafkaError, OSError, NotImplementedError):
        return None


async def _asked(options: EngineOptions, logs: list[Partition]) -> Sizes | None:
    client = AIOKafkaClient(bootstrap_servers=options.brokers.split(","), **aiokafka_security(options.security))
    found: Sizes = {}
    try:
        await client.bootstrap()
        for broker in client.cluster.brokers():
            answer = await client.send(broker.nodeId, _DescribeLogDirs(logs))
            for error, _, topics in answer.results:
                if error:
                    return None
                for topic, partitions in topics:
                    for partition, size, _, is_future in partitions:
                        if not is_future:
                            found[topic, partition, broker.nodeId] = size
    finally:
        await client.close()
    return found if {key[:2] for key in found} >= set(logs) else None
