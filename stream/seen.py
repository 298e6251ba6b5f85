"""Which event ids has the door let in lately? A convenience: folds know duplicates by themselves."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import redis.asyncio as redis
from redis.exceptions import RedisError

from stream.options import wall_clock
from stream.settings import Settings

log = logging.getLogger(__name__)

#: How long an id is remembered, in milliseconds: as long as any of the senders tries again.
HORIZON = 72 * 3_600_000
_MOST = 200_000  # ids, in memory
_PAUSE = 5_000  # how long an absent Redis is left alone, ms
_FAILURES = (RedisError, OSError, TimeoutError)


class Seen(Protocol):
    """Remembers ids; forgetting one, or all, loses nothing."""

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are remembered."""

    async def remember(self, ids: Iterable[str]) -> None:
        """Remember ids whose events are on the broker."""

    async def close(self) -> None:
        """Let go of connections."""


class InMemory:
    """The ids of one process, the latest ones."""

    def __init__(self, clock: Callable[[], int] = wall_clock) -> None:
        self._clock = clock
        self._ids: OrderedDict[str, int] = OrderedDict()

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are remembered."""
        since = self._clock() - HORIZON
        return {id for id in ids if self._ids.get(id, 0) > since}

    async def remember(self, ids: Iterable[str]) -> None:
        """Remember ids."""
        now = self._clock()
        for id in ids:
            self._ids[id] = now
        while len(self._ids) > _MOST:
            self._ids.popitem(last=False)

    async def close(self) -> None:
        """Forget."""
        self._ids.clear()


class InRedis:
    """The ids of all processes of an application. While Redis is away nothing is known, and nothing waits."""

    def __init__(self, url: str, name: str, clock: Callable[[], int] = wall_clock) -> None:
        self._prefix = f"{name}:door:"
        self._clock = clock
        self._client: Any = redis.from_url(url, socket_timeout=0.25, socket_connect_timeout=0.25)
        self._away_until = 0

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are remembered; none while Redis is away."""
        if not ids or self._clock() < self._away_until:
            return set()
        try:
            found = await self._client.mget([self._prefix + id for id in ids])
        except _FAILURES as error:
            self._away(error)
            return set()
        return {id for id, there in zip(ids, found, strict=True) if there is not None}

    async def remember(self, ids: Iterable[str]) -> None:
        """Remember ids; not while Redis is away."""
        if self._clock() < self._away_until:
            return
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for id in ids:
                    pipe.set(self._prefix + id, b"1", px=HORIZON)
                await pipe.execute()
        except _FAILURES as error:
            self._away(error)

    def _away(self, error: BaseException) -> None:
        if not self._away_until:
            log.warning("redis is away (%s): duplicates are told by the folds meanwhile", type(error).__name__)
        self._away_until = self._clock() + _PAUSE

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def seen_of(settings: Settings) -> Seen:
    """Return the memory that the settings name."""
    url = settings.redis.url.get_secret_value()
    if url.startswith("memory:"):
        return InMemory()
    return InRedis(url, f"{settings.kafka.topic_prefix}{settings.application}")
