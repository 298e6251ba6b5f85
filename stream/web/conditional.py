"""Who has an answer already is told so: ``ETag`` and ``If-None-Match`` for all that is answered in one piece."""

import xxhash
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Below these, and of these.
_BELOW, _PAGES = ("/api/", "/odata/"), ("/openapi.json", "/docs", "/privacy.json")


class Conditional:
    """Puts an ETag on each whole answer to a GET, and leaves the body out where the client names it (plain ASGI)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or scope["method"] != "GET" or not (path.startswith(_BELOW) or path in _PAGES):
            await self._app(scope, receive, send)
            return
        known = [one.strip().removeprefix("W/") for one in Headers(scope=scope).get("if-none-match", "").split(",")]
        begun: Message | None = None

        async def tagged(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and message["status"] == 200:
                begun = message
                return
            if begun is None:
                await send(message)
                return
            start, begun = begun, None
            headers = MutableHeaders(raw=start["headers"])
            if not message.get("more_body"):
                if "etag" not in headers:  # some routes know better what their answer is made of
                    headers["etag"] = f'W/"{xxhash.xxh3_64_hexdigest(message.get("body", b""))}"'
                if headers["etag"].removeprefix("W/") in known or "*" in known:
                    start["status"], message = 304, {"type": "http.response.body", "body": b""}
                    del headers["content-length"]
                    del headers["content-type"]
            start["headers"] = headers.raw
            await send(start)
            await send(message)

        await self._app(scope, receive, tagged)
