"""How do the last known numbers survive a restart of who shows them?

The process that owns the view keeps a snapshot of its readings in Redis; a web process that is still loading its own view
answers from it. Redis is a cache: when it is away nothing waits, nothing is lost, and one warning says so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import orjson
import redis.asyncio as redis
from redis.exceptions import RedisError, ResponseError

from models.calendar import iso
from models.kpis.entry import Kpi
from stream.config.settings import Settings
from stream.engine.options import wall_clock
from stream.readings.board import WINDOWS, Board, Reading, ReadingSource, Unavailable
from stream.readings.in_memory import Memory

log = logging.getLogger(__name__)

#: How long a snapshot is shown after its writer has gone, seconds.
TTL = 600
#: How often the slices by dimension are written: they are many and few look at them during a restart. Seconds.
_SEGMENT_PERIOD = 10.0
#: Seconds that a written reading keeps the next snapshot waiting: one takes some 25 µs to make and to encode, and snapshots are
#: worth some 2 % of a core. Much less than :data:`TTL` in all.
_EACH, _LONGEST_PERIOD = 0.00125, TTL / 10
_FORMAT = 1
_PARTS = ("totals", "segments")
_TRIES = 5
_PING_EVERY = 15  # periods
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
_FAILURES = (RedisError, OSError, TimeoutError)


class Snapshots:
    """The snapshots of one application in one Redis. All failures end here: callers see ``None`` and :attr:`state`."""

    def __init__(self, url: str, name: str = "vigie", clock: Callable[[], int] = wall_clock, writer: str = "") -> None:
        """``url`` is ``redis://``, ``rediss://``, ``unix://`` or ``memory://`` (in this process only).

        ``writer`` is this instance's name, for who reads what it wrote.
        """
        self._name = name
        self._writer = writer
        self._clock = clock
        parts = urlsplit(url)
        # Never the URL itself: it may hold a password.
        self.where = "memory" if parts.scheme == "memory" else f"{parts.hostname or parts.path}:{parts.port or 6379}"
        self._client: Any = (
            Memory()
            if parts.scheme == "memory"
            else redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0, health_check_interval=15)
        )
        self._since: int | None = None
        self._error = ""
        self._asked = False

    @classmethod
    def of(cls, settings: Settings) -> "Snapshots":
        """Return the snapshots of the application that the settings name."""
        name = f"{settings.kafka.topic_prefix}{settings.application}"
        return cls(settings.redis.url.get_secret_value(), name, writer=settings.instance)

    @property
    def state(self) -> dict[str, Any]:
        """Return ``{"state": "unknown" | "up" | "away", "where": …}``, and since when and why where it is away."""
        if self._since is not None:
            return {"state": "away", "where": self.where, "since": iso(self._since // 1000 * 1000), "error": self._error}
        return {"state": "up" if self._asked else "unknown", "where": self.where}

    async def ping(self) -> bool:
        """Return whether Redis answers now."""
        return await self._try(self._client.ping) is not None

    async def write(self, part: str, slices: Mapping[str, Sequence[Reading]], at: int) -> bool:
        """Keep a part of the snapshot for :data:`TTL` seconds; return whether that worked."""
        body = orjson.dumps({"format": _FORMAT, "at": at, "writer": self._writer, "slices": slices})
        return await self._try(lambda: self._client.set(self._key(part), body, ex=TTL)) is not None

    async def read(self) -> "CachedReadings | None":
        """Return the last snapshot, or None where there is none or Redis is away."""
        found = await self._try(lambda: self._client.mget(list(map(self._key, _PARTS))))
        if not found or found[0] is None:
            return None
        slices: dict[str, list[Reading]] = {}
        at, writer = 0, ""
        for body in found:
            if body is None:
                continue
            try:
                part = orjson.loads(body)
                if part["format"] != _FORMAT:
                    continue
                slices.update(part["slices"])
                at, writer = max(at, int(part["at"])), str(part.get("writer", ""))
            except (ValueError, KeyError, TypeError):
                # Another version's, or not ours: as good as none.
                continue
        return CachedReadings(at, slices, writer) if slices else None

    async def forget(self) -> None:
        """Let go of the snapshot, as somebody who was erased may be a segment in it.

        Where Redis keeps files of its own, and lets us, it writes them anew, without all that was deleted until now. Where it is
        away for longer than some seconds, the snapshot goes with its time.
        """
        for _ in range(_TRIES):
            if await self._try(self._forgotten) is not None:
                return
            await asyncio.sleep(1)

    async def _forgotten(self) -> bool:
        await self._client.unlink(*map(self._key, _PARTS))
        if isinstance(self._client, Memory):
            return True
        with suppress(ResponseError):  # not ours to ask: then with its next dump
            if (await self._client.info("persistence")).get("aof_enabled"):
                await self._client.bgrewriteaof()
            if (await self._client.config_get("save")).get("save"):
                await self._client.bgsave()
        return True

    async def close(self) -> None:
        """Close the connection."""
        with suppress(*_FAILURES):
            await self._client.aclose()

    def _key(self, part: str) -> str:
        return f"{self._name}:snapshot:{part}"

    async def _try(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        try:
            # Above the socket's own time-outs: a name look-up has none.
            async with asyncio.timeout(3.0):
                answer = await ask()
        except _FAILURES as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # the client took the word to stop for a failure of its own
                raise asyncio.CancelledError from error
            if self._since is None:
                self._since = self._clock()
                self._error = type(error).__name__ if not str(error) or "@" in str(error) else str(error)
                log.warning(
                    "redis at %s is away: %s. Nothing is lost; a restarting web process will have no numbers at first. "
                    "It is tried again by itself (redis.url names it).",
                    self.where,
                    self._error,
                )
            return None
        if self._since is not None:
            log.warning("redis at %s is back after %.0f s", self.where, (self._clock() - self._since) / 1000)
            self._since = None
        self._asked = True
        return answer


class CachedReadings:
    """The last known readings, as a :class:`~stream.readings.board.ReadingSource` can give them."""

    def __init__(self, at: int, slices: Mapping[str, list[Reading]], writer: str = "") -> None:
        """``writer`` is the name of the instance that held the view then, where it is known."""
        self.at = at
        self.slices = slices
        self.writer = writer

    def get(self, window: str, by: str | None) -> list[Reading]:
        """Return a slice; raise :class:`~stream.readings.board.Unavailable` where it was not kept."""
        found = self.slices.get(f"{window}|{by or ''}")
        if found is None:
            who = f"worker {self.writer!r}" if self.writer else "another worker"
            raise Unavailable(
                f"window {window}{f' by {by}' if by else ''} is not in the last snapshot, which is all that is known here: "
                f"{who} held the view at {iso(self.at // 1000 * 1000)} (accepted: ask that worker, or `vigie web`; "
                f"here the windows {', '.join(dict.fromkeys(key.partition('|')[0] for key in self.slices))})"
            )
        return found


class CachedSource:
    """A source of readings over a snapshot: the names are the catalogue's, the numbers the snapshot's, with its times."""

    def __init__(self, names: ReadingSource, snapshot: CachedReadings) -> None:
        self._names = names
        self._snapshot = snapshot

    @property
    def kpis(self) -> Mapping[str, Kpi]:
        """The KPIs by id."""
        return self._names.kpis

    @property
    def dimensions(self) -> Sequence[str]:
        """The dimensions by name."""
        return self._names.dimensions

    @property
    def version(self) -> int:
        """The snapshot's time."""
        return self._snapshot.at

    @property
    def complete(self) -> bool:
        """Always: only complete readings are written."""
        return True

    def began(self, kpi: str) -> int | None:
        """Nothing: a snapshot has no past."""
        return None

    def read(self, at: int, window: str, by: str | None, kpi: str | None = None) -> list[Reading]:
        """Return the slice as it was when the snapshot was made, whatever ``at``; raise ``Unavailable`` where it was not kept."""
        return [reading for reading in self._snapshot.get(window, by) if kpi is None or reading["kpi"] == kpi]

    def busiest(self, at: int, window: str, by: str, kpi: str, most: int) -> Iterator[Reading]:
        """Yield what the snapshot holds of the slice, at most so many readings."""
        yield from self.read(at, window, by, kpi)[:most]

    def course(
        self, times: Sequence[int], window: str, by: str | None, kpis: Sequence[str], most: int
    ) -> Iterator[tuple[str, str, list[bytes]]]:
        """Raise :class:`~stream.readings.board.Unavailable`: a snapshot knows one instant."""
        raise Unavailable(
            "the last snapshot is all that is known here, and of one instant (accepted: ask the worker with the view)"
        )

    def only(self, at: int, window: str, by: str, kpi: str, names: Sequence[str]) -> Iterator[Reading]:
        """Yield what the snapshot holds of these segments."""
        yield from (reading for reading in self.read(at, window, by, kpi) if reading["segment"].get(by) in names)

    def count(self, by: str) -> int:
        """Return how many segments the snapshot's slices hold at most."""
        slices = (found for name, found in self._snapshot.slices.items() if name.endswith(f"|{by}"))
        return max((len({tuple(r["segment"].values()) for r in found}) for found in slices), default=0)


class CachePublisher:
    """Writes the board's slices to Redis about each second while they change, less often the more they are.

    Waits longer and longer while Redis is away.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        board: Board,
        windows: Sequence[str] = WINDOWS,
        dimensions: Sequence[str] = (),
        *,
        period: float = 1.0,
        segment_limit: int = 200,
    ) -> None:
        """Nothing is written while the board's source is incomplete. ``period`` is in seconds.

        A dimension of more than ``segment_limit`` values is not kept: part of it would be taken for the whole.
        """
        self._snapshots = snapshots
        self._board = board
        self._windows = tuple(dict.fromkeys(windows))
        self._dimensions = tuple(dict.fromkeys(dimensions))
        self._period = period
        self._limit = segment_limit
        self._written: dict[str, tuple[int, int]] = {}
        self._rest: dict[str, float] = {}  # seconds between two of a part

    async def run(self) -> None:
        """Write until cancelled."""
        wait = _FIRST_WAIT
        while True:
            if await self.publish():
                wait = _FIRST_WAIT
                await asyncio.sleep(self._period)
            else:
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)

    async def publish(self) -> bool:
        """Write what is due once; return False where Redis did not take it."""
        try:
            done = await self._part("totals", [None], self._period)
            return done and (not self._dimensions or await self._part("segments", self._dimensions, _SEGMENT_PERIOD))
        except Unavailable:  # before or while it was read: what was read of it is no snapshot
            return True

    async def _part(self, part: str, dimensions: Sequence[str | None], period: float) -> bool:
        at, version = self._board.now(), self._board.source.version
        last, known = self._written.get(part, (0, -1))
        # Unchanged readings are written again before their time is up, and because windows move on without events.
        age, period = (at - last) / 1000, max(period, self._rest.get(part, 0))
        if last and (age < period - 0.5 or (version == known and age < TTL / 10)):
            return True
        slices: dict[str, Sequence[Reading]] = {}
        for window in self._windows:
            for by in dimensions:
                found = await self._board.slices([window], [by])
                if by is None or len({reading["segment"][by] for reading in found}) <= self._limit:
                    slices[f"{window}|{by or ''}"] = found
        self._rest[part] = min(sum(map(len, slices.values())) * _EACH, _LONGEST_PERIOD)
        if not await self._snapshots.write(part, slices, at):
            return False
        self._written[part] = (at, version)
        return True


class Fallback:
    """Keeps the last snapshot at hand for a web process whose own view is not complete yet."""

    def __init__(self, snapshots: Snapshots, names: ReadingSource, make: Callable[[ReadingSource], Board]) -> None:
        self._snapshots = snapshots
        self._names = names
        self._make = make
        self._board: Board | None = None

    def board(self) -> Board | None:
        """Return a board over the last snapshot read, or None."""
        return self._board

    async def run(self, needed: Callable[[], bool], period: float = 1.0) -> None:
        """Read the snapshot each period while it is ``needed``; otherwise see now and then whether Redis is there."""
        wait, idle = period, 0
        while True:
            if needed():
                idle = 0
                snapshot = await self._snapshots.read()
                if snapshot is not None:
                    self._board = self._make(CachedSource(self._names, snapshot))
                wait = period if self._snapshots.state["state"] == "up" else min(wait * 2, _LONGEST_WAIT)
            else:
                self._board = None
                if idle % _PING_EVERY == 0:
                    await self._snapshots.ping()
                wait, idle = period, idle + 1
            await asyncio.sleep(wait)
