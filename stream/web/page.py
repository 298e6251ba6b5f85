"""How is the live page served, so that nothing foreign can run in it?"""

from importlib.resources import files

import orjson
from fastapi import APIRouter, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alert_rules.words.language import languages
from stream.web import mine
from stream.web.api import reach_of
from stream.web.context import context

router = APIRouter()

#: Everything from here, nothing inline, no frames, no forms: a segment's name can't become a script.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_FILES = {
    "act.css": "text/css; charset=utf-8",
    "docs.css": "text/css; charset=utf-8",
    "vigie.css": "text/css; charset=utf-8",
    "views.css": "text/css; charset=utf-8",
    "vigie.svg": "image/svg+xml",
    **{
        f"{name}.js": "text/javascript; charset=utf-8"
        for name in ("alerts", "deals", "figures", "history", "parts", "place", "segments", "vigie", "words")
    },
}


class SecureHeaders:
    """Puts the security headers on every response (plain ASGI, so that endless streams pass through unbuffered)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, secured)


def _read(name: str) -> bytes:
    return (files("stream.web") / "static" / name).read_bytes()


@router.get("/", include_in_schema=False)
async def page(request: Request) -> Response:
    """The live page; for those who see the figures of some owners and teams only, theirs."""
    if (reach := reach_of(request)) is not None:
        return await mine.page(context(request), reach)
    return Response(_read("index.html"), media_type="text/html; charset=utf-8", headers={"cache-control": "no-cache"})


@router.get("/static/words.{language}.json", include_in_schema=False)
async def words(language: str) -> Response:
    """The page's words in one language, and which languages there are."""
    found = languages().get(language)
    if found is None:
        return Response(status_code=404)
    names = {code: one.tree["name"] for code, one in languages().items()}
    tree = {**found.tree["page"], "code": language, "languages": names, "sentences": found.tree["sentences"]}
    return Response(orjson.dumps(tree), media_type="application/json", headers={"cache-control": "no-cache"})


@router.get("/static/{name}", include_in_schema=False)
async def asset(name: str) -> Response:
    """One of the page's own files."""
    kind = _FILES.get(name)
    if kind is None:
        return Response(status_code=404)
    return Response(_read(name), media_type=kind, headers={"cache-control": "no-cache"})


@router.get("/favicon.ico", include_in_schema=False)
async def favicon() -> Response:
    """The lantern."""
    return Response(_read("vigie.svg"), media_type="image/svg+xml", headers={"cache-control": "max-age=86400"})
