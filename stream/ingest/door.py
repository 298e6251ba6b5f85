"""What becomes of an authentic webhook: which events are new, what is written, and what do signed times say of our clock?"""

import secrets
import statistics
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import xxhash

from models.calendar import iso
from models.events.dead_letter import dead_letter
from models.events.decode import Known
from models.events.refused import Refused
from models.fold import Record
from models.privacy.requests import TOPIC as REQUESTS
from models.privacy.requests import ErasureRequest
from stream.config.networks import Network
from stream.config.settings import Settings, SettingsError
from stream.engine.options import wall_clock
from stream.ingest.body import Bodies
from stream.ingest.event_ids import EventIds
from stream.ingest.intake import Change, Outgoing, outgoing
from stream.sources.crm import BODY_LIMIT, Adapter, SourceProblem, SourceSettings, Verdict, adapter_of, parse_settings, receive
from stream.sources.crm import Request as Webhook

#: What a dead letter of the door has in place of a topic: these can be read again by the adapter.
LETTERS = "webhooks."
_HEADERS_KEPT = ("content-type", "user-agent", "webhook-id", "webhook-timestamp", "idempotency-key")

#: Of how many signed requests the ages are kept, of how many at least a word is said, and from which median on (ms).
_AGES, _FEWEST, _OFF = 101, 5, 60_000


class SourceThrottled(Exception):
    """An authentic request beyond the source's rate."""


class Writes(Protocol):
    """What the door needs of the intake."""

    async def put(self, records: Sequence[Outgoing]) -> None:
        """Write all the records, or raise ``Unavailable``."""


@dataclass
class DoorSource:
    """One source: its adapter and settings, the places for its bodies, how many requests it may still send, and how old
    its signed requests were (ms).
    """

    name: str
    adapter: Adapter
    settings: SourceSettings
    tokens: float = 0.0
    refilled: int = 0
    bodies: Bodies = field(default_factory=lambda: Bodies(BODY_LIMIT))
    ages: deque[int] = field(default_factory=lambda: deque(maxlen=_AGES))

    def admit(self, now: int) -> bool:
        """Whether an authentic request may come in under the source's rate: a second's worth may come at once."""
        rate = self.settings.rate
        if not rate:
            return True
        burst = max(rate, 1.0)
        since = now - self.refilled if self.refilled else 1000
        self.tokens = min(burst, self.tokens + max(0, since) / 1000 * rate)
        self.refilled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def doubt(self) -> str:
        """Return what the signed times of its requests say against this machine's clock; empty where they agree with it.

        Only requests with a right signature count, taken or refused as stale, so that no stranger can raise this.
        """
        if len(self.ages) < _FEWEST:
            return ""
        off = statistics.median(self.ages)
        if abs(off) < _OFF:
            return ""
        way = "ahead of" if off > 0 else "behind"
        return (
            f"clock: this machine's clock seems {abs(off) / 60_000:.0f} min {way} that of {self.name}: the median age of its "
            f"last {len(self.ages)} signed requests is {off / 1000:.0f} s "
            f"(accepted: up to {self.settings.tolerance_seconds} s either way)"
        )


def sources_of(settings: Settings) -> dict[str, DoorSource]:
    """Return the sources that are set; raise :class:`SettingsError` with all that is wrong with them."""
    found: dict[str, DoorSource] = {}
    problems: list[str] = []
    for name, tree in settings.sources.items():
        try:
            adapter = adapter_of(name, tree)
            found[name] = DoorSource(name, adapter, parse_settings(name, {"timezone": settings.business.timezone, **tree}))
        except SourceProblem as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems)
    return found


@dataclass
class Door:
    """All that the route needs. ``counted(source, outcome, events)`` is called once a request; ``minimise`` changes events before
    they are written.
    """

    sources: Mapping[str, DoorSource]
    intake: Writes
    seen: EventIds
    currencies: Known = None
    public_url: str = ""
    proxies: Sequence[Network] = ()
    clock: Callable[[], int] = wall_clock
    minimise: Change | None = None
    counted: Callable[[str, str, int], None] = lambda source, outcome, events: None

    @property
    def under_way(self) -> int:
        """How many requests hold a place."""
        return sum(source.bodies.under_way for source in self.sources.values())

    @property
    def held(self) -> int:
        """Bytes of their bodies."""
        return sum(source.bodies.held for source in self.sources.values())

    async def take(self, source: DoorSource, request: Webhook) -> tuple[Verdict, int]:
        """Judge a request and write what comes of it; return the verdict and how many events were new.

        Raise ``Unavailable`` where the broker does not acknowledge, :class:`SourceThrottled` beyond the source's rate.
        """
        verdict = receive(source.adapter, request, source.settings, self.currencies)
        if verdict.age is not None:
            source.ages.append(verdict.age)
        if not verdict.accepted:
            return verdict, 0
        if not source.admit(self.clock()):
            raise SourceThrottled
        known = await self.seen.known([event["id"] for event in verdict.events]) if verdict.events else set()
        fresh = [event for event in verdict.events if event["id"] not in known]
        records = [outgoing(event, self.minimise) for event in fresh]
        at = iso(self.clock())
        for asked in dict.fromkeys(verdict.erasures):
            wanted = ErasureRequest(asked.kind, asked.id, source.name, at)
            # Its key says nothing: it stays when the id is gone.
            records.append(Outgoing(REQUESTS, secrets.token_hex(8).encode(), wanted.encode()))
        if verdict.unusable:
            records.append(letter(source, request, verdict, self.clock()))
        await self.intake.put(records)
        if fresh:
            await self.seen.remember([event["id"] for event in fresh])
        return verdict, len(fresh)

    def warnings(self) -> list[str]:
        """Return what an operator has to know of the sources."""
        return [doubt for source in self.sources.values() if (doubt := source.doubt())]


def letter(source: DoorSource, request: Webhook, verdict: Verdict, now: int) -> Outgoing:
    """Return the dead letter of a request of which something could not be used: all of it, without its credentials.

    The same request always has the same id, however often it is sent.
    """
    body = source.adapter.scrub(request.body)
    headers = [("method", request.method.encode())]
    hidden = set(source.adapter.credentials)
    for name in _HEADERS_KEPT:
        if name in request.headers and name not in hidden:
            headers.append((name, request.headers[name].encode("utf-8", "replace")))
    first = verdict.unusable[0]
    more = f" (and {len(verdict.unusable) - 1} more)" if len(verdict.unusable) > 1 else ""
    offset = xxhash.xxh3_64_intdigest(body) >> 1
    record = Record(f"{LETTERS}{source.name}", 0, offset, request.received_at, None, body, headers)
    taken = [event["id"] for event in verdict.events]
    found = dead_letter(record, Refused(first.reason, first.detail + more), now, taken=taken)
    return Outgoing("dead-letters", found.id.encode(), found.encode())
