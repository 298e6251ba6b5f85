"""How is the live page served, so that nothing foreign can run in it?"""

import functools
import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import PurePath

import orjson
from fastapi import APIRouter, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alert_rules.words.language import languages
from stream.web import mine
from stream.web.api import cached, reach_of
from stream.web.context import context
from stream.web.plain import reader_language

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
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FILES = {
    found.name: _KINDS[suffix]
    for found in sorted((files("stream.web") / "static").iterdir(), key=lambda one: one.name)
    if (suffix := PurePath(found.name).suffix) in _KINDS
}
_EMBED = re.compile(rb"(?:^|&)embed(?:=|&|$)")
_VERSION, _WORDS = re.compile("[0-9a-f]{16}"), re.compile(r"words\.([a-z]+)\.json")
#: What is asked for under the page's version never changes.
_FOR_EVER = "public, max-age=31536000, immutable"


class SecureHeaders:
    """Puts the security headers on every response (plain ASGI, so that endless streams pass through unbuffered).

    ``embed_in`` are the origins that may show a view in a frame of theirs: the page under ``?embed``, and nothing else.
    """

    def __init__(self, app: ASGIApp, embed_in: Sequence[str] = ()) -> None:
        self._app = app
        framed = _POLICY.replace("frame-ancestors 'none'", f"frame-ancestors {' '.join(embed_in)}")
        self._framed = {**_HEADERS, "content-security-policy": framed} if embed_in else _HEADERS
        if embed_in:
            del self._framed["x-frame-options"]  # it knows no origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        shown = self._framed if scope["path"] == "/" and _EMBED.search(scope["query_string"]) else _HEADERS

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in shown.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, secured)


@functools.cache
def _read(name: str) -> bytes:
    return (files("stream.web") / "static" / name).read_bytes()


@functools.cache
def _words(language: str) -> bytes:
    names = {code: one.tree["name"] for code, one in languages().items()}
    found = languages()[language].tree
    return orjson.dumps({**found["page"], "code": language, "languages": names, "sentences": found["sentences"]})


@functools.cache
def version() -> str:
    """Return what the page's files and words are called by: another one as soon as one of them is another."""
    parts = [_read(name) for name in ("index.html", *_FILES)] + [_words(code) for code in languages()]
    return hashlib.blake2b(b"\0".join(parts), digest_size=8).hexdigest()


@functools.cache
def _index(language: str) -> bytes:
    # The words are asked for with the modules, not by them: whoever reads in another language than the browser says asks again.
    words = f'<link rel="preload" href="static/words.{language}.json" as="fetch" crossorigin="anonymous">'
    modules = words + "".join(f'<link rel="modulepreload" href="static/{name}">' for name in _FILES if name.endswith(".js"))
    html = _read("index.html").replace(b"<!-- modules -->", modules.encode())
    return html.replace(b'"static/', f'"static/{version()}/'.encode())


@router.get("/", include_in_schema=False)
async def page(request: Request) -> Response:
    """The live page; for those who see the figures of some owners and teams only, theirs."""
    if (reach := reach_of(request)) is not None:
        return await mine.page(context(request), reach, reader_language(request))
    asked = request.query_params.get("lang", "")
    language = asked if asked in languages() else reader_language(request).code
    return cached(request, _index(language), "text/html; charset=utf-8")


@router.get("/static/{path:path}", include_in_schema=False)
async def asset(request: Request, path: str) -> Response:
    """One of the page's own files, or its words in a language; for ever under the page's version."""
    before, _, name = path.rpartition("/")
    kept = _FOR_EVER if before == version() else "no-cache"
    # A page that was opened before an update asks under the old version: it gets what there is now.
    if before and _VERSION.fullmatch(before) is None:
        return Response(status_code=404)
    if (words := _WORDS.fullmatch(name)) is not None and words[1] in languages():
        return cached(request, _words(words[1]), "application/json", kept)
    if name not in _FILES:
        return Response(status_code=404)
    return cached(request, _read(name), _FILES[name], kept)


@router.get("/favicon.ico", include_in_schema=False)
async def favicon() -> Response:
    """The lantern."""
    return Response(_read("vigie.svg"), media_type="image/svg+xml", headers={"cache-control": "max-age=86400"})
