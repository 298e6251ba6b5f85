"""What does a process that serves write down of who read what of persons, and of who acted?

Everything that changes something, and every answer about single deals, leads and customers, lists of them and exports; the same
reading by the same person once an hour. It is written after the answer has gone, so nobody waits for it; what could not be
written is an error in the log and a warning in ``/readyz``.
"""

import asyncio
import logging
import re
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.calendar import iso
from models.privacy.audit import TOPIC, Chain, encode
from stream.engine.options import wall_clock
from stream.engine.waiting import settle
from stream.ingest.door import Writes
from stream.ingest.intake import NotAcknowledged, Outgoing

log = logging.getLogger(__name__)

#: Answers about persons, by the beginning of their path, and of what kind the id that follows is.
_READ = {
    "/api/entities/deal": "deal", "/api/entities/lead": "lead", "/api/predictions": "deal", "/api/leads": "lead",
    "/api/customers": "customer", "/api/deals": "", "/api/pipeline": "", "/api/waiting": "", "/api/customer-moves": "",
    "/api/dead-letters": "", "/api/export": "", "/odata": "", "/api/privacy": "",
    "/api/counted/deal": "deal", "/api/counted/lead": "lead",
}  # fmt: skip
_READ_BELOW_KPIS = re.compile(r"/api/kpis/[^/]+/(?:deals|explain)$")
#: As OData names one of many.
_KEYS = re.compile(r"\([^)]*\)")
#: What changes something.
_ACTS = ("/api/", "/act/", "/slack/")
_HOUR = 3_600_000
#: Readings that are remembered, so that they are written once an hour.
_MOST = 10_000


def judged(method: str, path: str) -> tuple[str, str, str] | None:
    """Return what an entry says of a request, with the kind and id it is about; None where it needs none."""
    for begin, kind in _READ.items():
        if path == begin or path.startswith(begin + "/"):
            id = path[len(begin) + 1 :] if kind else ""
            return (f"{method} {begin}/{{id}}", kind, id) if id else (f"{method} {_KEYS.sub('(…)', path)}", "", "")
    if method in ("GET", "HEAD"):
        return (f"{method} {path}", "", "") if _READ_BELOW_KPIS.match(path) else None
    # A signed link is a secret until it expires.
    return (f"{method} {'/act/…' if path.startswith('/act/') else path}", "", "") if path.startswith(_ACTS) else None


class Auditor:
    """Writes one chain. ``last`` gives the hash of the last entry there is, "" for none: it blocks, and may raise ``OSError``."""

    def __init__(self, intake: Writes, process: str, last: Callable[[], str], *, clock: Callable[[], int] = wall_clock) -> None:
        self._intake = intake
        self._process = process
        self._last = last
        self._clock = clock
        self._chain: Chain | None = None
        self._lock = asyncio.Lock()
        self._seen: dict[tuple[str, str, str], int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.missed = 0

    def wanted(self, by: str, what: str, of: str) -> bool:
        """Whether a reading is to be written: not where the same was, less than an hour ago."""
        now = self._clock()
        if now - self._seen.get((by, what, of), -_HOUR) < _HOUR:
            return False
        self._seen.pop((by, what, of), None)
        self._seen[by, what, of] = now
        if len(self._seen) > _MOST:
            del self._seen[next(iter(self._seen))]
        return True

    async def write(self, by: str, what: str, kind: str, id: str, *, via: str, status: int) -> None:
        """Write one entry; where that fails, say so in the log, and begin a new chain with the next."""
        async with self._lock:
            at = iso(self._clock())
            try:
                chain = self._chain
                if chain is None:
                    chain = Chain.begin(at, self._process, await asyncio.to_thread(self._last))
                    await self._intake.put([_record(chain)])
                    self._chain = chain
                entry = chain.next(at, by, what, via=via, status=status, of=chain.of(kind, id) if id else "")
                chain.last, before = entry, chain.last
                try:
                    await self._intake.put([_record(chain)])
                except NotAcknowledged:
                    chain.last = before
                    raise
            except (NotAcknowledged, OSError) as error:
                self._chain = None  # it may have been written all the same
                self.missed += 1
                log.error("audit: not written: %s by %s (%s)", what, by, error)

    def begin(self, by: str, what: str, kind: str, id: str, *, via: str, status: int) -> None:
        """Write one entry beside what goes on."""
        task = asyncio.create_task(self.write(by, what, kind, id, via=via, status=status))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what is still being written."""
        await settle(*self._tasks)

    def warnings(self) -> list[str]:
        """Return what an operator has to know."""
        return [f"audit: {self.missed} entries could not be written since the start; the log has them"] if self.missed else []


def _record(chain: Chain) -> Outgoing:
    return Outgoing(TOPIC, chain.last.chain.encode(), encode(chain.last))


class Audited:
    """Has what was answered written down; inside of the guard, which knows who asks."""

    def __init__(self, app: ASGIApp, auditor: Auditor) -> None:
        self._app = app
        self._auditor = auditor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        found = judged(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            what, kind, id = found
            state = scope.get("state", {})
            by = state.get("operator") or state.get("reader") or ""
            kind, id = state.get("audited", (kind, id))
            reading = what.startswith(("GET ", "HEAD "))
            if not reading or (status < 400 and self._auditor.wanted(by, what, f"{kind} {id}")):
                via = "session" if state.get("session") is not None else str(state.get("client", ""))
                self._auditor.begin(by, what, kind, id, via=via, status=status)
