"""Which event ids has the door let in lately? A convenience: folds know duplicates by themselves."""

import asyncio
import hashlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import redis.asyncio as redis
from redis.exceptions import RedisError

from stream.config.settings import Settings
from stream.engine.client_logs import RateLimit
from stream.engine.options import wall_clock
from stream.engine.waiting import settle

log = logging.getLogger(__name__)
log.addFilter(RateLimit())  # a Redis that comes and goes must not fill the log

#: How long an id is remembered, in milliseconds: as long as any of the senders tries again.
HORIZON = 72 * 3_600_000
_MOST = 200_000  # ids, in memory
_PAUSE = 5_000  # how long an absent Redis is left alone, ms
_FAILURES = (RedisError, OSError, TimeoutError)


class EventIds(Protocol):
    """Remembers ids; forgetting one, or all, loses nothing."""

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are remembered."""

    async def remember(self, ids: Iterable[str]) -> None:
        """Remember ids whose events are on the broker."""

    async def forget(self, ids: Sequence[str]) -> None:
        """Forget ids, as of somebody who is erased; where that cannot be done they go with their time."""

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

    async def forget(self, ids: Sequence[str]) -> None:
        """Forget ids."""
        for id in ids:
            self._ids.pop(id, None)

    async def close(self) -> None:
        """Forget."""
        self._ids.clear()


#: Remembers all keys with one command; Redis has none of its own that sets several with an expiry.
_REMEMBER = "for _, key in ipairs(KEYS) do redis.call('SET', key, '1', 'PX', ARGV[1]) end"
_AT_ONCE = 5_000  # ids in one command
_WAITING = 100_000  # ids to be remembered; what comes beyond is not


class InRedis:
    """The ids of all processes of an application. While Redis is away nothing is known, and nothing waits.

    Who asks while a question is under way is asked for together with all others who do so, in the next one: under load a
    command is shared by dozens of requests. Remembering goes on by itself, behind the answers.

    An id may have a person's in it, and come late, after they were erased: what is kept are hashes, keyed with what is drawn once
    and kept beside them.
    """

    def __init__(self, url: str, name: str, clock: Callable[[], int] = wall_clock) -> None:
        self._prefix = f"{name}:door:"
        self._key = b""
        self._clock = clock
        self._client: Any = redis.from_url(url, socket_timeout=0.25, socket_connect_timeout=0.25)
        self._away_until = 0
        self._asked: dict[str, None] = {}
        self._answer: asyncio.Future[set[str]] | None = None
        self._new: list[str] = []
        self._asking: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are remembered (others may be among them); none while Redis is away."""
        if not ids or self._clock() < self._away_until:
            return set()
        self._asked.update(dict.fromkeys(ids))
        if self._answer is None:
            self._answer = asyncio.get_running_loop().create_future()
        answer = self._answer
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="door-known")
        return await asyncio.shield(answer)

    async def _ask(self) -> None:
        try:
            while self._answer is not None:
                asked, answer, self._asked, self._answer = list(self._asked), self._answer, {}, None
                found: set[str] = set()
                try:
                    for start in range(0, len(asked), _AT_ONCE):
                        part = asked[start : start + _AT_ONCE]
                        there = await self._client.mget(await self._names(part))
                        found.update(id for id, value in zip(part, there, strict=True) if value is not None)
                    self._back()
                except _FAILURES as error:
                    self._away(error)
                finally:
                    answer.set_result(found)
        finally:
            self._asking = None

    async def _names(self, ids: Sequence[str]) -> list[bytes]:
        """Return under what ids are kept."""
        if not self._key:
            drawn = secrets.token_hex(32)
            await self._client.set(f"{self._prefix}key", drawn, nx=True)
            self._key = await self._client.get(f"{self._prefix}key") or drawn.encode()
        before, key = self._prefix.encode(), self._key
        return [before + hashlib.blake2b(id.encode(errors="replace"), key=key, digest_size=16).digest() for id in ids]

    async def remember(self, ids: Iterable[str]) -> None:
        """Remember ids, soon; not while Redis is away."""
        if self._clock() < self._away_until or len(self._new) > _WAITING:
            return
        self._new += ids
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="door-remember")

    async def _write(self) -> None:
        try:
            while self._new:
                part, self._new = self._new[:_AT_ONCE], self._new[_AT_ONCE:]
                await self._client.eval(_REMEMBER, len(part), *await self._names(part), HORIZON)
        except _FAILURES as error:
            self._new.clear()
            self._away(error)
        finally:
            self._writing = None

    async def forget(self, ids: Sequence[str]) -> None:
        """Forget ids; while Redis is away they stay for as long as they would have."""
        gone = set(ids)
        self._new = [id for id in self._new if id not in gone]
        if self._writing is not None:
            await settle(self._writing)
        try:
            for start in range(0, len(ids), _AT_ONCE):
                await self._client.unlink(*await self._names(ids[start : start + _AT_ONCE]))
        except _FAILURES as error:
            self._away(error)

    def _away(self, error: BaseException) -> None:
        self._key = b""  # it may come back with nothing
        if not self._away_until:
            log.warning("redis is away (%s): duplicates are told by the folds meanwhile", type(error).__name__)
        self._away_until = self._clock() + _PAUSE

    def _back(self) -> None:
        if self._away_until:
            log.warning("redis is back")
            self._away_until = 0

    async def close(self) -> None:
        """Write down what is left, and close the connections."""
        await settle(*(task for task in (self._asking, self._writing) if task is not None))
        await self._client.aclose()


def seen_of(settings: Settings) -> EventIds:
    """Return the memory that the settings name."""
    url = settings.redis.url.get_secret_value()
    if url.startswith("memory:"):
        return InMemory()
    return InRedis(url, f"{settings.kafka.topic_prefix}{settings.application}")
