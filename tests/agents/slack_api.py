"""A double of Slack's Web API and incoming webhooks on loopback: it keeps messages and threads, and is as strict as Slack is.

Limits and errors are those of Slack's documentation: Block Kit's reference (blocks, sections, contexts, actions, buttons), the
methods ``chat.postMessage``, ``chat.update``, ``files.getUploadURLExternal`` and ``files.completeUploadExternal``, rate limits
(one message a second a channel, ``Retry-After``), and the words of incoming webhooks.
"""

import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

#: What pings somebody, or is a link that people wrote.
MARKUP = re.compile(r"<[!@#]|<https?:")


def complaints(body: dict[str, Any]) -> list[str]:
    """What Slack would refuse of a message."""
    found: list[str] = []

    def text(where: str, tree: Any, most: int, kinds: tuple[str, ...] = ("mrkdwn", "plain_text")) -> None:
        if not isinstance(tree, dict) or tree.get("type") not in kinds:
            found.append(f"{where}: not a text of {kinds}")
        elif not 1 <= len(tree.get("text", "")) <= most:
            found.append(f"{where}: {len(tree.get('text', ''))} characters, accepted 1 to {most}")

    blocks = body.get("blocks", [])
    if not isinstance(blocks, list) or len(blocks) > 50:
        found.append("blocks: more than 50")
    if not body.get("text") and not blocks:
        found.append("no_text")
    if len(body.get("text", "")) > 4000:
        found.append("text: more than 4000 characters")
    for n, block in enumerate(blocks):
        where = f"blocks[{n}]"
        match block.get("type"):
            case "divider":
                pass
            case "header":
                text(where, block.get("text"), 150, ("plain_text",))
            case "section":
                fields = block.get("fields", [])
                if "text" in block or not fields:
                    text(where, block.get("text"), 3000)
                if len(fields) > 10:
                    found.append(f"{where}: more than 10 fields")
                for one in fields:
                    text(f"{where}.fields", one, 2000)
            case "context":
                if not 1 <= len(block.get("elements", [])) <= 10:
                    found.append(f"{where}: 1 to 10 elements")
                for one in block.get("elements", []):
                    text(f"{where}.elements", one, 3000)
            case "actions":
                buttons = block.get("elements", [])
                if not 1 <= len(buttons) <= 25:
                    found.append(f"{where}: 1 to 25 elements")
                ids = [one.get("action_id") for one in buttons]
                if len(set(ids)) < len(ids):
                    found.append(f"{where}: action_id twice")
                for one in buttons:
                    text(f"{where}.button", one.get("text"), 75, ("plain_text",))
                    for name, most in (("action_id", 255), ("url", 3000), ("value", 2000)):
                        if len(one.get(name, "")) > most:
                            found.append(f"{where}.button.{name}: more than {most} characters")
            case other:
                found.append(f"{where}: unsupported type {other!r}")
    return found


def texts(value: Any) -> list[str]:
    """All texts of a message that Slack renders."""
    if isinstance(value, dict):
        return [text for key, one in value.items() if key not in ("url", "value", "metadata") for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []


@dataclass
class Message:
    """A message as it stands now; ``changes`` counts how often it was changed."""

    ts: str
    body: dict[str, Any]
    thread: str | None
    changes: int = 0

    @property
    def key(self) -> str:
        return str(self.body["metadata"]["event_payload"]["id"])


@dataclass
class File:
    """What is put somewhere: asked for, then sent, then completed, each once; ``shared`` are the channel and the thread."""

    length: int
    alt: str
    content: bytes = b""
    title: str = ""
    shared: tuple[str, str] | None = None


@dataclass
class Slack:
    """One workspace with one channel. ``asks`` makes the ``Retry-After`` of the seconds to wait; ``seconds`` is the rate."""

    token: str = "xoxb-1"
    channel: str = "C1"
    name: str = "#sales"
    seconds: float = 0.0
    asks: Callable[[float], str] = str
    refuse: list[str] = field(default_factory=list)  # errors to be answered, in turn, in place of doing anything
    spare: int = 0  # so many calls are answered before
    url: str = ""
    hook: str = ""
    scopes: frozenset[str] = frozenset({"chat:write", "files:write"})
    messages: dict[str, Message] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    posted: list[dict[str, Any]] = field(default_factory=list)  # over the webhook
    calls: Counter[str] = field(default_factory=Counter)
    limited: int = 0
    complaints: list[str] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic
    _next: float = 0.0

    @property
    def roots(self) -> list[Message]:
        """What the channel shows, threads aside."""
        return [message for message in self.messages.values() if message.thread is None]

    def thread(self, ts: str) -> list[Message]:
        return [message for message in self.messages.values() if message.thread == ts]

    def _too_fast(self) -> web.Response | None:
        now = self.clock()
        if now < self._next:
            self.limited += 1
            headers = {"Retry-After": self.asks(self._next - now)}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
        self._next = now + self.seconds
        return None

    def _wrong(self, body: dict[str, Any]) -> list[str]:
        wrong = complaints(body) + [f"markup: {text!r:.60}" for text in texts(body) if MARKUP.search(text)]
        self.complaints += wrong
        return wrong

    async def method(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.calls[method] += 1

        def error(word: str) -> web.Response:
            return web.json_response({"ok": False, "error": word})

        if (limited := self._too_fast()) is not None:
            return limited
        if self.refuse and not self.spare:
            return error(self.refuse.pop(0))
        self.spare = max(0, self.spare - 1)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return error("invalid_auth")
        if method.startswith("files."):
            return self._file(method, request, await request.text())
        if request.content_type != "application/json":
            return error("invalid_post_type")
        body = await request.json()
        if self._wrong(body):
            return error("invalid_blocks")
        metadata = body.get("metadata", {})
        if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
            return error("invalid_metadata_format")
        match method:
            case "chat.postMessage":
                if body.get("channel") not in (self.channel, self.name):
                    return error("channel_not_found")
                thread = body.get("thread_ts")
                if thread is not None and thread not in self.messages:
                    return error("thread_not_found")
                ts = f"1700000000.{len(self.messages) + 1:06}"
                self.messages[ts] = Message(ts, body, thread)
            case "chat.update":
                ts = body.get("ts")
                if body.get("channel") != self.channel:  # a name is not enough here
                    return error("channel_not_found")
                if ts not in self.messages:
                    return error("message_not_found")
                self.messages[ts].body = body
                self.messages[ts].changes += 1
            case _:
                return error("unknown_method")
        return web.json_response({"ok": True, "channel": self.channel, "ts": ts, "message": {"text": body["text"]}})

    def _file(self, method: str, request: web.Request, text: str) -> web.Response:
        def error(word: str) -> web.Response:
            return web.json_response({"ok": False, "error": word})

        if "files:write" not in self.scopes:
            return error("missing_scope")
        match method, request.content_type:
            case "files.getUploadURLExternal", "application/x-www-form-urlencoded":
                asked = dict(parse_qsl(text, strict_parsing=True))
                if asked.keys() - {"filename", "length", "alt_txt", "snippet_type"} or not asked.get("filename", "").endswith(
                    ".png"
                ):
                    return error("invalid_arguments")
                if not asked.get("length", "").isdecimal() or not int(asked["length"]):
                    return error("missing_argument")
                if len(asked.get("alt_txt", "")) > 1000:
                    return error("alt_txt_too_large")
                id_ = f"F{len(self.files) + 1:09}"
                self.files[id_] = File(int(asked["length"]), asked.get("alt_txt", ""))
                return web.json_response({"ok": True, "upload_url": f"{self.url}../upload/v1/{id_}", "file_id": id_})
            case "files.completeUploadExternal", "application/json":
                body = json.loads(text)
                found = [self.files.get(one.get("id", "")) for one in body.get("files", [])]
                if not found or body.keys() - {"files", "channel_id", "thread_ts", "initial_comment", "blocks"}:
                    return error("invalid_arguments")
                if body.get("channel_id") != self.channel:  # a name is not enough here
                    return error("channel_not_found")
                if body.get("thread_ts") not in self.messages:
                    return error("thread_not_found")
                for one, said in zip(found, body["files"], strict=True):
                    if one is None or not one.content or one.shared is not None:
                        return error("file_not_found")
                    one.title, one.shared = said.get("title", ""), (body["channel_id"], body["thread_ts"])
                return web.json_response({"ok": True, "files": [{"id": one["id"]} for one in body["files"]]})
            case _, "application/x-www-form-urlencoded" | "application/json":
                return error("unknown_method")
            case _:
                return error("invalid_post_type")

    async def upload(self, request: web.Request) -> web.Response:
        """Where a file's bytes are put; it is no method: the address alone says who may."""
        self.calls["upload"] += 1
        content, found = await request.read(), self.files.get(request.match_info["id"])
        if "Authorization" in request.headers:
            self.complaints.append("the token was given to who does not need it")
        if found is None or found.content:
            return web.Response(status=404, text="expired")
        if len(content) != found.length or not content.startswith(b"\x89PNG\r\n\x1a\n"):
            return web.Response(status=400, text="length")
        found.content = content
        return web.Response(text=f"OK - {len(content)}")

    async def webhook(self, request: web.Request) -> web.Response:
        self.calls["webhook"] += 1
        if (limited := self._too_fast()) is not None:
            return limited
        if self.refuse:
            return web.Response(status=404, text=self.refuse.pop(0))
        body = await request.json()
        if self._wrong(body):
            return web.Response(status=400, text="invalid_blocks")
        self.posted.append(body)
        return web.Response(text="ok")


@asynccontextmanager
async def slack_api(**more: Any) -> AsyncIterator[Slack]:
    """Run a workspace."""
    double = Slack(**more)
    app = web.Application(client_max_size=1_000_000)
    app.router.add_post("/api/{method}", double.method)
    app.router.add_post("/upload/v1/{id}", double.upload)
    app.router.add_post("/services/T1/B1/x", double.webhook)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    double.url, double.hook = f"{base}/api/", f"{base}/services/T1/B1/x"
    try:
        yield double
    finally:
        await runner.cleanup()
