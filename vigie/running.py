"""How is an instance made with what keeps its records, and how do both end?"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from stream.config.settings import Settings
from stream.engine.embedded import EmbeddedBroker
from stream.engine.topics import declared
from stream.ledger.erasing import LedgerPrivacy
from stream.ledger.keeping import Housekeeper
from stream.ledger.on_ledger import OnLedger
from stream.ledger.store import Ledger
from vigie.instance import Instance


@contextlib.asynccontextmanager
async def prepared(settings: Settings, *, ledger: Ledger | None = None, **more: Any) -> AsyncIterator[Instance]:
    """Make an instance that is still to be started, with the embedded broker where the settings say so; stop both at the end.

    Where they do and there is a ``ledger``, that keeps everything instead, and is closed at the end. ``more`` goes to
    :class:`Instance`.
    """
    if settings.kafka.embedded and ledger is not None:
        async with kept_in(settings, ledger, **more) as instance:
            yield instance
        return
    broker = EmbeddedBroker().start() if settings.kafka.embedded else None
    try:
        instance = Instance(settings, broker.bootstrap if broker else settings.kafka.brokers, **more)
        if broker:
            broker.create(declared(instance.options, instance.engine.specs))
        try:
            yield instance
        finally:
            await instance.stop()
    finally:
        if broker:
            await asyncio.to_thread(broker.stop)


@contextlib.asynccontextmanager
async def kept_in(settings: Settings, ledger: Ledger, **more: Any) -> AsyncIterator[Instance]:
    """Make an instance that keeps everything in a ledger; stop both at the end."""
    try:
        backend = OnLedger(ledger)
        instance = Instance(settings, f"{ledger.path}", backend=backend, **more)
        backend.create(instance.options, instance.engine.specs)
        instance.privacy = LedgerPrivacy(ledger, instance.options)
        await asyncio.to_thread(instance.privacy.finish)
        instance.housekeeper = Housekeeper(ledger, instance.options, lambda: instance.engine.driver)
        try:
            yield instance
        finally:
            await instance.stop()
    finally:
        await asyncio.to_thread(ledger.close)


@contextlib.asynccontextmanager
async def running(settings: Settings, *, create_topics: bool = True, **more: Any) -> AsyncIterator[Instance]:
    """Run an instance: on a broker of its own in this process where the settings say ``embedded``, else on theirs.

    ``more`` goes to :class:`Instance`. Topics that are missing are created, unless told not to.
    """
    async with prepared(settings, **more) as instance:
        if create_topics:
            await instance.create_topics()
        await instance.start()
        yield instance
