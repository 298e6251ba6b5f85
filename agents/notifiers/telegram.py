"""How is an alert told in Telegram? A bot's message in a chat, whose later messages answer the incident's first one.

Telegram makes links, mentions and commands of what looks like them. What people wrote is to be words: such signs become ones
that look alike. The address of the API holds the bot's token, and is nowhere told. Which message is the incident's first is
remembered by the outbox, so that this survives restarts.
"""

import re
from html import escape
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, Field, SecretStr

from agents.notifiers.base import ReceiverSettings, SecretUrl
from agents.notifiers.outline import Link, Outline, OutlineItem, outline, shorter, tied
from agents.notifiers.post import LONGEST_ASKED, Pace, Poster
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent

API = "https://api.telegram.org"
#: Telegram takes so many UTF-16 units of text without its markup, and so many of its entities (bold, links) count.
LONGEST, ENTITIES = 4096, 100
#: One message a second in a chat, 20 a minute in a group. Seconds between two.
PACE, GROUP_PACE = 1.0, 3.0
_TOKEN = re.compile(r"[0-9]{3,20}:[A-Za-z0-9_-]{30,100}")
#: Telegram's words of its errors that an operator can do something about; no other part of an answer is told.
_SAYS = re.compile(
    r"chat not found|bot was (?:kicked|blocked)|bot is not a member|not enough rights|message is too long|message text is empty"
    r"|can't parse entities|message thread not found|TOPIC_CLOSED|BUTTON_URL_INVALID|Wrong HTTP URL|Unauthorized"
)
_MARKS = {"critical": "🔴", "warn": "🟡", "resolved": "🟢", "digest": "📊"}
#: A dot in what looks like a domain, the colon of an address, a sign that mentions somebody, and what looks like a command.
_DOMAIN = re.compile(r"(?<=\w)\.(?=[^\W\d_]{2})")
_SCHEME = re.compile(r"(?<=\w):(?=//)")
_MENTION = re.compile(r"@(?=\w)")
_COMMAND = re.compile(r"(?<!\S)/(?=\w)")


def _token(found: SecretStr) -> SecretStr:
    if not _TOKEN.fullmatch(found.get_secret_value()):
        raise ValueError("not a bot's token (accepted: all of it as @BotFather shows it, digits, a colon and some 35 characters)")
    return found


class TelegramSettings(ReceiverSettings):
    """Telegram: a bot's messages in a chat, group or channel; those of an incident answer its first one."""

    type: Literal["telegram"]
    token: Annotated[SecretStr, AfterValidator(_token)]
    """the bot's, of @BotFather"""
    chat: Annotated[
        str,
        Field(
            pattern=r"^(-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32})$",
            coerce_numbers_to_str=True,
            json_schema_extra={"type": ["string", "integer"]},
        ),
    ]
    """the chat's id (a group's begins with -), or the @name of a public channel"""
    topic: int | None = Field(None, ge=1)
    """the id of a group's topic"""
    url: SecretUrl = SecretStr(API)
    """another server of the Bot API"""

    GUIDE: ClassVar = "receivers/telegram.md"
    EXAMPLE: ClassVar = '{name: sales-telegram, type: telegram, token: "123456:…", chat: -1001234567890}'

    def notifier(self) -> "TelegramNotifier":
        """Return what posts as the bot."""
        url = self.url.get_secret_value()
        return TelegramNotifier(self.name, self.token.get_secret_value(), self.chat, topic=self.topic, url=url)


class TelegramNotifier:
    """Posts as a bot to one chat. ``pace`` is the least time between requests, seconds."""

    follows = True

    def __init__(
        self,
        name: str,
        token: str,
        chat: str,
        *,
        topic: int | None = None,
        url: str = API,
        poster: Poster | None = None,
        pace: float | None = None,
    ) -> None:
        self.name = name
        self._url = f"{url.rstrip('/')}/bot{token}/sendMessage"
        self._chat = chat
        self._topic = topic
        self._poster = poster or Poster()
        self._pace = Pace((GROUP_PACE if chat.startswith(("-", "@")) else PACE) if pace is None else pace)

    def __repr__(self) -> str:
        return f"TelegramNotifier({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt: the incident's first message, or an answer to it."""
        first = int(delivery.memo) if delivery.memo is not None and delivery.memo.isdecimal() else None
        body: dict[str, Any] = {"chat_id": self._chat, **render(delivery, answer=first is not None)}
        if self._topic is not None:
            body["message_thread_id"] = self._topic
        if first is not None:
            # A message that was deleted is no reason to say nothing.
            body["reply_parameters"] = {"message_id": first, "allow_sending_without_reply": True}
        headers = {"Content-Type": "application/json", "User-Agent": "Vigie", "Idempotency-Key": delivery.id}
        await self._pace.wait()
        outcome = await self._poster.post(self._url, orjson.dumps(body), headers, explain=self._answer)
        return Sent(delivery.memo) if isinstance(outcome, Sent) and first is not None else outcome

    def _answer(self, status: int, body: bytes) -> Outcome | None:
        try:
            tree = orjson.loads(body)
            if tree["ok"] is True and 200 <= status < 300:
                return Sent(str(int(tree["result"]["message_id"])))
            if tree["ok"] is not False or 200 <= status < 300:
                raise ValueError
            more, words = tree.get("parameters") or {}, str(tree.get("description"))
            if (moved := more.get("migrate_to_chat_id")) is not None:
                self._chat = str(int(moved))
                return Retry(f"the group is a supergroup now: put its new id into chat: {self._chat}")
            wait = min(max(0, round(float(more["retry_after"]) * 1000)), LONGEST_ASKED) if "retry_after" in more else None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return Retry(f"answered HTTP {status}, but not as Telegram does") if 200 <= status < 300 else None
        if wait is not None:
            return Retry(f"answered HTTP {status}", wait)
        if status == 429 or status >= 500:
            return None
        said = _SAYS.search(words)
        return Rejected(f"answered HTTP {status}{f': Telegram says {said[0]}' if said else ''}")

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def render(delivery: Delivery, *, answer: bool = False) -> dict[str, Any]:
    """Return the message, as long as Telegram takes it, without where it goes."""
    found: Outline | None = outline(delivery, answer=answer)
    while found is not None:
        lines = _lines(found)
        shown = "\n".join(lines)
        if units(shown) <= LONGEST and shown.count("</") <= ENTITIES:
            break
        found = shorter(found)
    body: dict[str, Any] = {"text": shown, "parse_mode": "HTML", "link_preview_options": {"is_disabled": True}}
    buttons = [{"text": one.text[:64], "url": one.url} for one in outline(delivery).buttons if _reachable(one.url)]
    rows = [buttons[n : n + 2] for n in range(0, len(buttons), 2)]
    return body | ({"reply_markup": {"inline_keyboard": rows}} if rows else {})


def units(html: str) -> int:
    """Return how long Telegram takes a text to be: UTF-16 units, without the markup."""
    plain = re.sub(r"<[^>]*>", "", html)
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#x27;", "'"), ("&amp;", "&")):
        plain = plain.replace(entity, sign)
    return len(plain.encode("utf-16-le", "surrogatepass")) // 2


def _lines(found: Outline) -> list[str]:
    lines = [f"<i>{words(found.news)}</i>"] if found.news else []
    lines.append(f"{_MARKS.get(found.state, '')} <b>{words(found.title)}</b>".strip())
    lines += [words(found.lead)] if found.lead else []
    if found.facts:
        facts = "\n".join(f"{words(label)}: {_link(value)}" if label else _link(value) for label, value in found.facts)
        # Phones show its first three lines, and the rest on a touch; what a summary is about is not hidden.
        lines.append(f"\n{facts}" if found.state == "digest" else f"<blockquote expandable>{facts}</blockquote>")
    for item in found.items:
        lines += ["", *_item(item)]
    lines += ["", words(found.rest)] if found.rest else []
    if found.behind:
        lines += ["", f"<b>{words(found.behind_heading)}</b>", *(_link(line) for line in found.behind)]
    notes = " · ".join(f"{name}: {value}" for name, value in found.notes)
    return [*lines, *(["", f"<i>{words(notes)}</i>"] if notes else [])]


def _item(item: OutlineItem) -> list[str]:
    lines = [f"{_MARKS.get(item.state, '•')} <b>{_link(item.title)}</b>", words(item.text) if item.text else ""]
    return [line for line in (*lines, f"<i>{words(item.why)}</i>" if item.why else "") if line]


def _link(link: Link) -> str:
    return f'<a href="{escape(link.url)}">{words(link.text)}</a>' if link.url else words(link.text)


def words(text: str) -> str:
    """Return a text in which Telegram finds no markup, link, mention or command."""
    plain = _COMMAND.sub("∕", _MENTION.sub("＠", _SCHEME.sub("∶", _DOMAIN.sub("․", text))))
    return escape(tied(plain), quote=False)


def _reachable(url: str) -> bool:
    """Whether Telegram takes a URL for a button: it refuses the whole message for one of a host without a dot."""
    return "." in (urlsplit(url).hostname or "")
