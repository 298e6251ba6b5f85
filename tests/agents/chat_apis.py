"""Doubles of Microsoft Teams' workflows, Google Chat's and Mattermost's webhooks and Telegram's Bot API on loopback, as strict as
the real ones.

Limits, forms and answers are those of their documentation: Power Automate's trigger "When a Teams webhook request is received"
(202, 28 KB) and the schema of Adaptive Cards 1.4; ``spaces.messages.create`` (32,000 bytes, one a second in a space, requestId,
threadKey) and cardsV2; ``sendMessage`` (4096 UTF-16 units after parsing, 100 entities, HTML's tags, retry_after); attachments
(7,600 characters of props, Markdown, ``ok`` in plain text, the ids of errors).
"""

import json
import math
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, ClassVar
from urllib.parse import urlsplit

from aiohttp import web
from markdown_it import MarkdownIt

# -- Adaptive Cards --------------------------------------------------------------------------------------------------------

_SPACING = {"None", "Small", "Default", "Medium", "Large", "ExtraLarge", "Padding"}
_ELEMENT: dict[str, Any] = {"type": str, "spacing": _SPACING, "separator": bool}
#: By type: the properties that it knows, each with the type or the values that it takes; those that it needs.
_CARDS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "AdaptiveCard": ({"$schema": str, "type": str, "version": {"1.0", "1.1", "1.2", "1.3", "1.4", "1.5"}, "fallbackText": str,
                      "msteams": dict, "body": list, "actions": list}, {"type", "version", "body"}),
    "Container": (_ELEMENT | {"style": {"default", "emphasis", "good", "attention", "warning", "accent"}, "bleed": bool,
                              "items": list}, {"items"}),
    "RichTextBlock": (_ELEMENT | {"inlines": list}, {"inlines"}),
    "TextRun": ({"type": str, "text": str, "weight": {"Default", "Lighter", "Bolder"}, "isSubtle": bool,
                 "size": {"Default", "Small", "Medium", "Large", "ExtraLarge"}, "selectAction": dict,
                 "color": {"Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"}}, {"text"}),
    "ColumnSet": (_ELEMENT | {"columns": list}, {"columns"}),
    "Column": ({"type": str, "width": str, "items": list}, {"items"}),
    "Action.OpenUrl": ({"type": str, "title": str, "url": str}, {"url"}),
}  # fmt: skip
_INSIDE = {"body": {"Container", "RichTextBlock", "ColumnSet"}, "items": {"Container", "RichTextBlock", "ColumnSet"},
           "inlines": {"TextRun"}, "columns": {"Column"}, "actions": {"Action.OpenUrl"},
           "selectAction": {"Action.OpenUrl"}}  # fmt: skip


def card_complaints(tree: Any, where: str = "card", kinds: frozenset[str] | set[str] = frozenset({"AdaptiveCard"})) -> list[str]:
    """What the schema of Adaptive Cards refuses."""
    if not isinstance(tree, dict) or tree.get("type") not in kinds:
        return [f"{where}: found {tree.get('type') if isinstance(tree, dict) else tree!r}, accepted {sorted(kinds)}"]
    known, needed = _CARDS[tree["type"]]
    found = [f"{where}: no {name}" for name in needed - tree.keys()]
    for name, value in tree.items():
        form = known.get(name)
        if form is None:
            found.append(f"{where}.{name}: not a property of {tree['type']}")
        elif isinstance(form, set):
            found += [f"{where}.{name}: found {value!r}"] if value not in form else []
        elif not isinstance(value, form):
            found.append(f"{where}.{name}: no {form.__name__}")
        elif name in ("text", "title") and not value:
            found.append(f"{where}.{name}: empty")
        elif name == "url" and urlsplit(value).scheme not in ("https", "http"):
            found.append(f"{where}.{name}: no absolute URL")
        elif name in _INSIDE:
            inner = value if isinstance(value, list) else [value]
            found += [f"{where}.{name}: empty"] if not inner else []
            for n, one in enumerate(inner):
                found += card_complaints(one, f"{where}.{name}[{n}]", _INSIDE[name])
    return found


# -- the HTML that Google's cards and Telegram's messages take -------------------------------------------------------------


class Markup(HTMLParser):
    """Takes HTML apart; ``complaints`` has tags that are not accepted, or not closed in order."""

    VOID: ClassVar[set[str]] = {"br"}

    def __init__(self, text: str, accepted: Mapping[str, set[str]]) -> None:
        super().__init__(convert_charrefs=True)
        self.accepted = accepted
        self.complaints: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []
        self.plain = ""
        self.entities = 0
        self.feed(text)
        self.close()
        self.complaints += [f"<{tag}> is not closed" for tag in self.open]
        if re.search(r"&(?!(amp|lt|gt|quot|#x27|#39);)|<(?![a-z/])", text):
            self.complaints.append("a sign that is not escaped")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wrong = {name for name, _ in attrs} - self.accepted.get(tag, set())
        if tag not in self.accepted or wrong:
            self.complaints.append(f"<{tag} {wrong or ''}> is not accepted")
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.entities += 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.complaints.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        self.plain += data

    def handle_comment(self, data: str) -> None:
        self.complaints.append("a comment")


GOOGLE = {"b": set(), "i": set(), "u": set(), "s": set(), "br": set(), "font": {"color"}, "a": {"href"}, "time": set()}
TELEGRAM: dict[str, set[str]] = {"b": set(), "i": set(), "u": set(), "s": set(), "code": set(), "pre": set(), "a": {"href"},
                                "blockquote": {"expandable"}}  # fmt: skip
#: What Telegram finds by itself in a plain text: addresses, domains, mentions, commands.
FOUND = re.compile(r"(?i)\b[a-z]+://\S|\b[\w-]+\.(?:[a-z]{2,})\b|(?<!\w)@[a-z0-9_]{3,}|(?<!\S)/[a-z0-9_]+")


def chat_complaints(tree: Any) -> list[str]:
    """What Google Chat refuses of a message."""
    found: list[str] = []

    def only(where: str, one: Any, accepted: set[str], needed: set[str] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
        if not isinstance(one, dict):
            found.append(f"{where}: no object")
            return {}
        found.extend(f'{where}: Unknown name "{name}"' for name in one.keys() - accepted)
        found.extend(f"{where}: no {name}" for name in needed if not one.get(name))
        return one

    def html(where: str, text: Any) -> None:
        found.extend(f"{where}: {one}" for one in Markup(str(text), GOOGLE).complaints)

    message = only("message", tree, {"text", "fallbackText", "cardsV2", "thread"}, {"cardsV2"})
    only("thread", message.get("thread", {}), {"threadKey", "name"})
    if len(str(message.get("thread", {}).get("threadKey", ""))) > 4000:
        found.append("thread: the key is too long")
    for one in message.get("cardsV2", []):
        card = only("card", only("cardsV2", one, {"cardId", "card"}, {"card"}).get("card"), {"header", "sections"}, {"sections"})
        if "header" in card:
            only("header", card["header"], {"title", "subtitle", "imageUrl", "imageType"}, {"title"})
        if len(card.get("sections", [])) > 100:
            found.append("more than 100 sections")
        for section in card.get("sections", []):
            only("section", section, {"header", "widgets", "collapsible", "uncollapsibleWidgetsCount"}, {"widgets"})
            if len(section.get("widgets", [])) > 100:
                found.append("more than 100 widgets")
            for widget in section.get("widgets", []):
                if len(widget) != 1:
                    found.append(f"widget: {sorted(widget)}, accepted is one kind")
                for kind, made in widget.items():
                    match kind:
                        case "textParagraph":
                            html(kind, only(kind, made, {"text", "maxLines"}, {"text"}).get("text"))
                        case "decoratedText":
                            only(kind, made, {"topLabel", "text", "wrapText", "bottomLabel", "button", "onClick"}, {"text"})
                            html(kind, made.get("text"))
                        case "buttonList":
                            for button in only(kind, made, {"buttons"}, {"buttons"}).get("buttons", []):
                                only("button", button, {"text", "onClick", "icon", "color"}, {"text", "onClick"})
                                url = button.get("onClick", {}).get("openLink", {}).get("url", "")
                                if urlsplit(url).scheme not in ("https", "http"):
                                    found.append("button: no URL")
                        case _:
                            found.append(f'widget: Unknown name "{kind}"')
    return found


# -- Mattermost's Markdown -------------------------------------------------------------------------------------------------

_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
#: What Mattermost makes of plain text by itself: mentions, channels, hashtags, emoji, addresses.
MENTIONS = re.compile(r"(?i)(?<!\w)[@~#]\w|:[\w+'-]+:|\b[a-z]+://\S|\bwww\.\S")
#: What it makes of a text before it reads it as Markdown: Slack's mentions and links; and formulas.
_FIRST = re.compile(r"<![a-z]+>|<@\w+>|<[^\s|>]+\|[^>]+>|\$[^$\n]+\$")


class Markdown:
    """Takes Markdown apart: ``kinds`` of it that are in a text, its ``links``, and the ``plain`` words that are shown."""

    def __init__(self, text: str) -> None:
        self.kinds: set[str] = set()
        self.links: list[str] = []
        self.plain = ""
        self.kinds |= {"Slack's"} if _FIRST.search(text) else set()
        for block in _MARKDOWN.parse(text):
            self.kinds.add(block.type.removesuffix("_open").removesuffix("_close"))
            for token in block.children or []:
                self.kinds.add(token.type.removesuffix("_open").removesuffix("_close"))
                self.links += [str(token.attrs["href"])] if "href" in token.attrs else []
                self.plain += token.content if token.type in ("text", "text_special", "code_inline") else ""
                self.plain += "\n" if token.type in ("softbreak", "hardbreak") else ""
            self.plain += "\n" if block.type == "inline" else ""


def attachment_complaints(tree: Any) -> list[str]:
    """What Mattermost refuses of a post's attachments, or would show otherwise than it was meant."""
    if not isinstance(tree, dict) or not tree.get("attachments"):
        return ["no text"]
    found = [f"message.{name}: not known" for name in tree.keys() - {"attachments", "channel"}]
    for one in tree["attachments"]:
        known = {"fallback": str, "color": str, "text": str, "fields": list, "footer": str}
        found += [f"attachment.{name}: not known" for name in one.keys() - known.keys()]
        found += [
            f"attachment.{name}: no {form.__name__}"
            for name, form in known.items()
            if not isinstance(one.get(name, form()), form)
        ]
        found += [] if one.get("fallback") else ["attachment: no fallback"]
        found += [] if re.fullmatch("#[0-9a-f]{6}", one.get("color", "#000000")) else ["attachment.color: no colour"]
        found += ["attachment.footer: cut"] if len(one.get("footer", "")) > 300 else []
        for field_ in one.get("fields", []):
            if [type(field_.get(name)) for name in ("title", "value", "short")] != [str, str, bool] or len(field_) != 3:
                found.append(f"field: {field_}")
        for text in (one["text"], *(field_["value"] for field_ in one.get("fields", []))):
            kinds = Markdown(text).kinds - {
                "paragraph",
                "inline",
                "text",
                "text_special",
                "softbreak",
                "strong",
                "link",
                "entity",
            }
            found += [f"Markdown: {kind}" for kind in kinds]
    return found


def props_length(tree: Any) -> int:
    """As the server counts: characters of the props' JSON as Go writes it, with all that an attachment can have."""
    names = (
        "fallback color pretext author_name author_link author_icon title title_link text image_url thumb_url footer footer_icon"
    )
    empty = {"id": 0, "fields": None, "ts": None} | dict.fromkeys(names.split(), "")
    props = {
        "attachments": [empty | one for one in tree["attachments"]],
        "from_webhook": "true",
        "webhook_display_name": "v" * 64,
    }
    text = json.dumps(props, ensure_ascii=False, separators=(",", ":"))
    return len(text) + 5 * sum(map(text.count, "&<>\u2028\u2029"))


# -- the services ----------------------------------------------------------------------------------------------------------


@dataclass
class Double:
    """A service: ``refuse`` are answers (status, JSON) given in turn in place of doing anything; ``seconds`` is its rate."""

    seconds: float = 0.0
    refuse: list[tuple[int, Any]] = field(default_factory=list)
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)  # what was taken
    complaints: list[str] = field(default_factory=list)
    limited: int = 0
    calls: int = 0
    clock: Callable[[], float] = time.monotonic
    _next: float = 0.0

    def too_fast(self) -> float | None:
        """How long to wait, None where it is slow enough."""
        now = self.clock()
        if now < self._next:
            self.limited += 1
            return self._next - now
        self._next = now + self.seconds
        return None

    async def handle(self, request: web.Request) -> web.Response:
        self.calls += 1
        if self.refuse:
            status, tree = self.refuse.pop(0)
            return web.json_response(tree, status=status)
        raw = await request.read()
        try:
            tree = json.loads(raw)
        except ValueError:
            tree = None
        return self.answer(request, raw, tree)

    def answer(self, request: web.Request, raw: bytes, tree: Any) -> web.Response:
        raise NotImplementedError


class Teams(Double):
    """One workflow."""

    LIMIT = 28 * 1024
    path = "/workflows/w1/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers&sig=s3cret"

    def answer(self, request: web.Request, raw: bytes, tree: Any) -> web.Response:
        if request.query.get("sig") != "s3cret":
            return web.json_response({"error": {"code": "DirectApiAuthorizationRequired"}}, status=401)
        if (wait := self.too_fast()) is not None:
            return web.json_response({"error": {"code": "TooManyRequests"}}, status=429, headers={"Retry-After": f"{wait:.3f}"})
        if len(raw) > self.LIMIT:
            return web.json_response({"error": {"code": "RequestEntityTooLarge"}}, status=413)
        wrong = ["no message"] if not isinstance(tree, dict) or tree.get("type") != "message" else []
        attachments = tree.get("attachments") if isinstance(tree, dict) else None
        for one in attachments if isinstance(attachments, list) and attachments else [{}]:
            if one.get("contentType") != "application/vnd.microsoft.card.adaptive":
                wrong.append("no card")
            wrong += card_complaints(one.get("content"))
            if len((one.get("content") or {}).get("actions", [])) > 6:
                wrong.append("more than 6 actions")
        self.complaints += wrong
        if wrong:
            return web.json_response({"error": {"code": "TriggerInputSchemaMismatch"}}, status=400)
        self.bodies.append(tree)
        return web.Response(status=202, headers={"x-ms-workflow-run-id": "0858"})


class GoogleChat(Double):
    """One space; ``threads`` are its messages' names by the key of their thread."""

    path = "/v1/spaces/AAA/messages?key=k1&token=s3cret"

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.threads: dict[str, list[str]] = {}
        self.requests: dict[str, str] = {}

    def answer(self, request: web.Request, raw: bytes, tree: Any) -> web.Response:
        def error(status: int, word: str) -> web.Response:
            return web.json_response({"error": {"code": status, "message": f"no: {raw[:20]!r}", "status": word}}, status=status)

        if (request.query.get("key"), request.query.get("token")) != ("k1", "s3cret"):
            return error(401, "UNAUTHENTICATED")
        if self.too_fast() is not None:
            return error(429, "RESOURCE_EXHAUSTED")
        wrong = chat_complaints(tree) + (["too large"] if len(raw) > 32_000 else [])
        unknown = request.query.keys() - {"key", "token", "messageReplyOption", "requestId", "threadKey"}
        wrong += [f"query: {name}" for name in unknown]
        if request.query.get("messageReplyOption") != "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD":
            wrong.append("the thread key would be ignored")
        self.complaints += wrong
        if wrong:
            return error(400, "INVALID_ARGUMENT")
        key, id_ = tree["thread"]["threadKey"], request.query["requestId"]
        if id_ not in self.requests:
            self.requests[id_] = f"spaces/AAA/messages/m{len(self.requests) + 1}"
            self.threads.setdefault(key, []).append(self.requests[id_])
            self.bodies.append(tree)
        return web.json_response({"name": self.requests[id_], "thread": {"name": f"spaces/AAA/threads/{key}"}})


class Telegram(Double):
    """One chat; ``found`` are links, mentions and commands that Telegram made by itself, ``messages`` the taken ones by id."""

    TOKEN = "123456789:AAF-0123456789abcdefghijklmnopqrstuv"

    def __init__(self, *, chat: str = "-100123", **more: Any) -> None:
        super().__init__(**more)
        self.chat = chat
        self.found: list[str] = []
        self.messages: dict[int, dict[str, Any]] = {}

    def answer(self, request: web.Request, raw: bytes, tree: Any) -> web.Response:
        def error(status: int, words: str, **parameters: Any) -> web.Response:
            more = {"parameters": parameters} if parameters else {}
            return web.json_response({"ok": False, "error_code": status, "description": words, **more}, status=status)

        if request.path != f"/bot{self.TOKEN}/sendMessage":
            return error(401, "Unauthorized")
        if (wait := self.too_fast()) is not None:
            return error(429, "Too Many Requests: retry after 1", retry_after=max(1, round(wait)))
        if tree.get("chat_id") != self.chat:
            return error(400, "Bad Request: chat not found")
        markup = Markup(tree.get("text", ""), TELEGRAM) if tree.get("parse_mode") == "HTML" else None
        if markup is None or markup.complaints:
            self.complaints += markup.complaints if markup is not None else ["no parse_mode"]
            return error(400, "Bad Request: can't parse entities: Unsupported start tag")
        if len(markup.plain.encode("utf-16-le")) // 2 > 4096:
            return error(400, "Bad Request: message is too long")
        if not markup.plain.strip():
            return error(400, "Bad Request: message text is empty")
        for row in tree.get("reply_markup", {}).get("inline_keyboard", []):
            for button in row:
                if button.keys() != {"text", "url"} or "." not in (urlsplit(button["url"]).hostname or ""):
                    return error(400, f"Bad Request: inline keyboard button URL '{button.get('url')}' is invalid: Wrong HTTP URL")
        reply = tree.get("reply_parameters", {})
        if reply and reply["message_id"] not in self.messages and not reply.get("allow_sending_without_reply"):
            return error(400, "Bad Request: message to be replied not found")
        if markup.entities > 100:
            self.complaints.append("more than 100 entities")
        self.found += FOUND.findall(markup.plain)
        self.bodies.append(tree)
        self.messages[len(self.messages) + 1] = tree
        return web.json_response({"ok": True, "result": {"message_id": len(self.messages), "chat": {"id": self.chat}}})


class Mattermost(Double):
    """One server with one webhook."""

    path = "/hooks/s3cretkey9"

    def answer(self, request: web.Request, raw: bytes, tree: Any) -> web.Response:
        def error(status: int, id_: str) -> web.Response:
            body = {"id": id_, "message": f"no: {raw[:20]!r}", "detailed_error": "", "request_id": "r1", "status_code": status}
            return web.json_response(body, status=status)

        if (wait := self.too_fast()) is not None:
            headers = {"X-RateLimit-Limit": "101", "X-RateLimit-Remaining": "0", "Retry-After": str(math.ceil(wait))}
            return web.Response(text="limit exceeded\n", status=429, headers=headers)
        if request.path != self.path:
            return error(400, "web.incoming_webhook.invalid.app_error")
        wrong = attachment_complaints(tree)
        self.complaints += wrong
        if wrong:
            return error(400, "web.incoming_webhook.text.app_error")
        if tree.get("channel", "town-square") != "town-square":
            return error(404, "web.incoming_webhook.channel.app_error")
        if props_length(tree) > 7_600:
            return error(400, "web.incoming_webhook.split_props_length.app_error")
        self.bodies.append(tree)
        return web.Response(text="ok")


@asynccontextmanager
async def running(double: Any) -> AsyncIterator[Any]:
    """Run a double; its ``url`` is what the settings hold."""
    app = web.Application(client_max_size=1_000_000)
    app.router.add_post("/{tail:.*}", double.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    double.url = f"http://127.0.0.1:{runner.addresses[0][1]}{getattr(double, 'path', '')}"
    try:
        yield double
    finally:
        await runner.cleanup()
