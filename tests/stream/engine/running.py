"""What the tests that run a whole engine share: a backend (embedded broker, Kafka or ledger), publishing, waiting."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from stream.engine.app import Engine, build_app
from stream.engine.on_kafka import backend_of
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.topics import create, declared, partition_for
from stream.ledger.on_ledger import OnLedger
from stream.ledger.store import Ledger
from tests.stream.engine.counting import TOPICS


class Site:
    """A broker with this test's topics, and a publisher."""

    def __init__(
        self,
        bootstrap: str,
        specs: Sequence[FoldSpec],
        *,
        prefix: str = "",
        embedded: Any = None,
        ledger: Ledger | None = None,
        **options: Any,
    ) -> None:
        self.specs = list(specs)
        defaults = {"partitions": 2, "topics": TOPICS, "session_timeout": 6.0, "checkpoint_interval": 0.1}
        backend = None if ledger is None else OnLedger(ledger)
        self.options = EngineOptions(
            brokers=bootstrap, topic_prefix=prefix, embedded=embedded is not None, backend=backend, **{**defaults, **options}
        )
        if backend is not None:
            backend.create(self.options, self.specs)
        elif embedded is not None:
            embedded.create(declared(self.options, self.specs))
        else:
            create(self.options, self.specs)
        self.ends: dict[tuple[str, int], int] = {}
        self.sums: dict[bytes, int] = {}
        settings = {"partitioner": "murmur2", "linger.ms": 1, "log_level": 0}
        self._producer = backend_of(self.options).producer(self.options, settings)

    def engine(self, instance: str = "0", **changes: Any) -> Engine:
        from dataclasses import replace

        return build_app(replace(self.options, instance=instance, **changes), self.specs)

    @contextlib.asynccontextmanager
    async def running(self, instance: str = "0", **changes: Any) -> AsyncIterator[Engine]:
        engine = self.engine(instance, **changes)
        try:
            await engine.start(patience=120)
            await engine.ready(120)
            yield engine
        finally:
            await engine.stop()

    def publish(self, count: int, *, topic: str = "numbers", size: int = 0, keys: int = 10) -> None:
        def delivered(error: Any, message: Any) -> None:
            assert error is None, error
            where = self.options.logical(message.topic()), message.partition()
            self.ends[where] = max(self.ends.get(where, 0), message.offset() + 1)

        for i in range(count):
            key = b"k%d" % (i % keys)
            value = b"%d" % (i + 1)
            self.sums[key] = self.sums.get(key, 0) + i + 1
            value = value.rjust(size)
            while True:
                try:
                    where = partition_for(key, self.options.partitions_of(topic))
                    self._producer.produce(self.options.physical(topic), value, key, where, delivered)
                    break
                except BufferError:
                    self._producer.poll(0.1)
        assert self._producer.flush(60) == 0

    def folded(self, *engines: Engine, name: str = "add") -> dict[bytes, int]:
        """The sums over all partitions of all engines."""
        found: dict[bytes, int] = {}
        for engine in engines:
            for partition in range(self.options.partitions):
                fold = engine.driver.fold_of(name, partition)
                if fold is not None:
                    found.update(fold.sums)
        return found


async def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Poll a condition of another process or thread."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - there is nothing that could set an event
            await asyncio.sleep(0.02)
