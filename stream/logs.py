"""What belongs to a line of the log: the request that it came from, the incident that it is about; and its form as JSON.

``logging: json`` writes one object a line, for programs that collect logs: ``at`` (UTC), ``level``, ``logger``, ``message``, and
where there are any ``role``, ``request``, ``incident``, ``trace_id`` and ``trace`` (of an error). What others have written is in
a string of JSON, in ASCII: it begins no line, adds no field, and moves no terminal.
"""

import json
import logging
import secrets
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The id of the request, and of the incident, that this task works on.
REQUEST: ContextVar[str] = ContextVar("request", default="")
INCIDENT: ContextVar[str] = ContextVar("incident", default="")
#: The trace that it belongs to, where events are followed (``stream/tracing.py``).
TRACE: ContextVar[str] = ContextVar("trace", default="")
HEADER = "x-request-id"


class JsonLines(logging.Formatter):
    """One record, one line, one object. ``role`` is what this process does, where a worker is several."""

    def __init__(self, role: str = "") -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        found: dict[str, Any] = {
            "at": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._role:
            found["role"] = self._role
        for name, variable in (("request", REQUEST), ("incident", INCIDENT), ("trace_id", TRACE)):
            if known := variable.get():
                found[name] = known
        if record.exc_info:
            found["trace"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=True)


class RequestIds:
    """Gives each request an id of our own, for the log and as a header of the answer; what the caller calls it is not taken."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or REQUEST.get():  # has one: the doors are before the application
            await self._app(scope, receive, send)
            return
        request = secrets.token_hex(8)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request
            await send(message)

        token = REQUEST.set(request)
        try:
            await self._app(scope, receive, named)
        finally:
            REQUEST.reset(token)
