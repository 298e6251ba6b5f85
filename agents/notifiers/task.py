"""How does an alert become a task: a Trello card, an Asana task, a Monday item?

One task an incident (or a group), made through a template when it is first told; how it goes on is a comment on it. Which task
that is the outbox remembers, so that it survives restarts. No task is made for what has ended, and none for a summary.
"""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, ClassVar, Literal, NamedTuple

import orjson
from pydantic import Field, field_validator

from agents.notifiers.base import ReceiverSettings, SecretUrl, Token
from agents.notifiers.post import Poster
from alert_rules.records.message import AlertMessage
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent
from alert_rules.words.inert import inert
from alert_rules.words.parts import Letter
from alert_rules.words.quantities import TemplateError, fill

log = logging.getLogger(__name__)

_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_CODE = re.compile(r"[A-Za-z_ ]{1,60}")
_GONE = ("answered HTTP 404", "answered HTTP 410")
#: Kinds that are no reason to make a task.
_NOT_NEW = ("resolved", "acknowledged", "unacknowledged")
#: What Monday says of the moment, not of the request.
_LATER = frozenset(
    {
        "COMPLEXITY_BUDGET_EXHAUSTED",
        "ComplexityException",
        "DAILY_LIMIT_EXCEEDED",
        "IP_RATE_LIMIT_EXCEEDED",
        "FIELD_MINUTE_RATE_LIMIT_EXCEEDED",
        "maxConcurrencyExceeded",
        "INTERNAL_SERVER_ERROR",
        "API_TEMPORARILY_BLOCKED",
    }
)


class Call(NamedTuple):
    """One request: where below the API's address, and what."""

    path: str
    body: dict[str, Any]


class TaskSettings(ReceiverSettings):
    """What the services have in common. ``title`` and ``text`` are templates: see :func:`fields`."""

    token: Token
    """the service's, as it shows it"""
    place: str = Field(pattern="^[A-Za-z0-9]{1,64}$")
    """the id of Trello's list, Asana's project, Monday's board"""
    title: str = "{title}"
    """the task's, a template"""
    text: str = "{text}"
    """the task's, a template"""
    url: SecretUrl | None = None
    """another address of the service's API"""

    READS_SUMMARIES: ClassVar = False
    NOTIFIER: ClassVar[Callable[..., "TaskNotifier"]]

    @field_validator("title", "text")
    @classmethod
    def _fills(cls, found: str) -> str:
        try:
            fill(found, _NO_FIELDS)
        except TemplateError as error:
            raise ValueError(str(error)) from None
        return found

    def notifier(self) -> "TaskNotifier":
        """Return what makes the tasks."""
        url = "" if self.url is None else self.url.get_secret_value()
        return self.NOTIFIER(
            self.name, self.token.get_secret_value(), self.place, self.title, self.text, url=url, key=self._second()
        )

    def _second(self) -> str:
        """Return the second secret, where the service has one."""
        return ""


class TaskNotifier(ABC):
    """Makes tasks over one service's API. ``title`` and ``text`` are templates: see :func:`fields`."""

    follows = True
    #: Where the service's API is, and how long its titles may be.
    api: str
    longest: int

    def __init__(
        self,
        name: str,
        token: str,
        place: str,
        title: str,
        text: str,
        *,
        url: str = "",
        key: str = "",
        poster: Poster | None = None,
    ) -> None:
        self.name = name
        self._token, self._key, self._place = token, key, place
        self._title, self._text = title, text
        self._url = (url or self.api).rstrip("/")
        self._poster = poster or Poster()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt: a task, or a comment on the incident's."""
        kind = delivery.message.kind
        if kind == "digest":
            return Rejected("a summary is no task")
        known = delivery.memo if delivery.memo is not None and _ID.fullmatch(delivery.memo) else None
        if known is not None:
            outcome = await self._post(delivery, self.comment(known, self._words(delivery)), known)
            if not isinstance(outcome, Rejected) or outcome.reason not in _GONE:
                return outcome
            log.info("receiver %s: the incident's task is gone", self.name)
        if kind in _NOT_NEW:
            return Sent()
        values = fields(delivery.message, delivery.letter)
        title = " ".join(fill(self._title, values).split())[: self.longest] or "Alert"
        text = f"{fill(self._text, values)[:12_000]}\n\n{_footer(delivery)}"
        return await self._made(delivery, await self._post(delivery, self.create(title, text, _due(delivery.message))), text)

    async def _made(self, delivery: Delivery, outcome: Outcome, text: str) -> Outcome:
        """Do what a new task still needs; the attempt's outcome stays what it is."""
        return outcome

    def _words(self, delivery: Delivery) -> str:
        message, letter = delivery.message, delivery.letter
        why_now = letter.why_now or message.why_now
        head = f"{letter.title}{f': {why_now}' if why_now else ''}"
        # Of a group it is not known by its title what is new.
        told = f"\n\n{letter.text[:10_000]}" if letter.many else ""
        return f"{head}{told}\n\n{_footer(delivery)}"[:12_000]

    async def _post(self, delivery: Delivery, call: Call, known: str | None = None) -> Outcome:
        def judge(text: bytes) -> Outcome:
            try:
                tree = orjson.loads(text)
                found = self.judge(tree if isinstance(tree, dict) else {})
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                found = None
            if isinstance(found, str) and _ID.fullmatch(found):
                return Sent(known or found)
            return found if isinstance(found, Rejected | Retry) else Retry("answered HTTP 200, but not as the service does")

        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "Vigie"}
        headers |= {"Idempotency-Key": delivery.id, **self.headers()}
        return await self._poster.post(self._url + call.path, orjson.dumps(call.body), headers, judge)

    @abstractmethod
    def headers(self) -> dict[str, str]:
        """Return what authenticates."""

    @abstractmethod
    def create(self, title: str, text: str, due: str | None) -> Call:
        """Return what makes a task; ``due`` is a time (RFC 3339), where a playbook says so."""

    @abstractmethod
    def comment(self, task: str, text: str) -> Call:
        """Return what comments on a task."""

    @abstractmethod
    def judge(self, tree: dict[str, Any]) -> str | Outcome:
        """Return the id in the service's answer, or an outcome; raise ``KeyError`` and such for what is no answer of its."""

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


class TrelloNotifier(TaskNotifier):
    """Makes cards on a list (``place``)."""

    api = "https://api.trello.com/1"
    longest = 500

    def headers(self) -> dict[str, str]:
        """Not in the query, where Trello's own examples have them: URLs are logged."""
        return {"Authorization": f'OAuth oauth_consumer_key="{self._key}", oauth_token="{self._token}"'}

    def create(self, title: str, text: str, due: str | None) -> Call:
        """``POST /cards``."""
        made: dict[str, Any] = {"idList": self._place, "name": title, "desc": _no_markdown(text), "pos": "top"}
        return Call("/cards", made if due is None else made | {"due": due})

    def comment(self, task: str, text: str) -> Call:
        """``POST /cards/{id}/actions/comments``."""
        return Call(f"/cards/{task}/actions/comments", {"text": _no_markdown(text)})

    def judge(self, tree: dict[str, Any]) -> str | Outcome:
        """A card, or an action, with its id."""
        return str(tree["id"])


class TrelloSettings(TaskSettings):
    """Trello: a card on a list."""

    type: Literal["trello"]
    key: Token
    """the API key"""

    EXAMPLE: ClassVar = (
        '{name: board, type: trello, key: …, token: …, place: 5abbe4b7ddc1b351ef961414, title: "{severity}: {title}"}'
    )
    NOTIFIER: ClassVar = TrelloNotifier

    def _second(self) -> str:
        return self.key.get_secret_value()


class AsanaNotifier(TaskNotifier):
    """Makes tasks in a project (``place``)."""

    api = "https://app.asana.com/api/1.0"
    longest = 1000

    def headers(self) -> dict[str, str]:
        """A personal access token, or a service account's."""
        return {"Authorization": f"Bearer {self._token}"}

    def create(self, title: str, text: str, due: str | None) -> Call:
        """``POST /tasks``."""
        made: dict[str, Any] = {"name": title, "notes": text, "projects": [self._place]}
        return Call("/tasks", {"data": made if due is None else made | {"due_at": due}})

    def comment(self, task: str, text: str) -> Call:
        """``POST /tasks/{gid}/stories``."""
        return Call(f"/tasks/{task}/stories", {"data": {"text": text}})

    def judge(self, tree: dict[str, Any]) -> str | Outcome:
        """A task, or a story, with its gid."""
        return str(tree["data"]["gid"])


class AsanaSettings(TaskSettings):
    """Asana: a task in a project."""

    type: Literal["asana"]

    EXAMPLE: ClassVar = "{name: project, type: asana, token: …, place: 1201234567890123}"
    NOTIFIER: ClassVar = AsanaNotifier


class MondayNotifier(TaskNotifier):
    """Makes items on a board (``place``), their text as the first update."""

    api = "https://api.monday.com/v2"
    longest = 255

    def headers(self) -> dict[str, str]:
        """A personal or app token, without a word before it."""
        return {"Authorization": self._token, "API-Version": "2024-10"}

    def create(self, title: str, text: str, due: str | None) -> Call:
        """``create_item``: GraphQL, with variables, so that nothing people wrote is part of the query.

        Columns of dates have names of the board's own: the due day is in the text.
        """
        query = "mutation ($board: ID!, $name: String!) { create_item (board_id: $board, item_name: $name) { id } }"
        return Call("", {"query": query, "variables": {"board": self._place, "name": title}})

    def comment(self, task: str, text: str) -> Call:
        """``create_update``: its body is HTML."""
        query = "mutation ($item: ID!, $body: String!) { create_update (item_id: $item, body: $body) { id } }"
        return Call("", {"query": query, "variables": {"item": task, "body": escape(text).replace("\n", "<br>")}})

    async def _made(self, delivery: Delivery, outcome: Outcome, text: str) -> Outcome:
        if isinstance(outcome, Sent) and outcome.memo is not None:
            # The item is there: made again it would be there twice, so a text that is refused stays out.
            told = await self._post(delivery, self.comment(outcome.memo, text), outcome.memo)
            if not isinstance(told, Sent):
                log.warning("receiver %s: the item's text was not taken: %s", self.name, told.reason)
        return outcome

    def judge(self, tree: dict[str, Any]) -> str | Outcome:
        """Errors come with status 200, too."""
        if errors := tree.get("errors") or tree.get("error_code"):
            first: Mapping[str, Any] = errors[0] if isinstance(errors, list) else {"extensions": {"code": errors}}
            code = str((first.get("extensions") or {}).get("code") or "")
            code = code if _CODE.fullmatch(code) else "an error"
            return (Retry if code in _LATER else Rejected)(f"Monday says {code}")
        data = tree["data"]
        return str((data.get("create_item") or data["create_update"])["id"])


class MondaySettings(TaskSettings):
    """Monday: an item on a board."""

    type: Literal["monday"]

    EXAMPLE: ClassVar = "{name: items, type: monday, token: …, place: 1234567890}"
    NOTIFIER: ClassVar = MondayNotifier


def fields(message: AlertMessage, letter: Letter) -> dict[str, str]:
    """Return what a template may name."""
    segment = ", ".join(f"{name} {inert(value)}" for name, value in (message.segment or {}).items())
    plain = {name: str(getattr(message, name) or "") for name in ("rule", "severity", "incident", "since", "runbook", "kpi")}
    return plain | {"title": letter.title, "text": letter.text, "segment": segment or "total"}


#: What a template may name, of nothing in particular.
_NO_FIELDS = fields(AlertMessage(incident="", kind=""), Letter("", "", ""))


def _due(message: AlertMessage) -> str | None:
    """Return by when it is to be done, where a playbook says so."""
    book = (message.explanation or {}).get("playbook")
    return str(book["due"]) if isinstance(book, Mapping) and book.get("due") else None


def _no_markdown(text: str) -> str:
    """Return a text in which nothing is a link under another name: Markdown's are made of brackets."""
    return re.sub(r"[\[\]<`]", r"\\\g<0>", text)


def _footer(delivery: Delivery) -> str:
    links = "".join(f"{action.text}: {action.url}\n" for action in delivery.actions)
    return f"{links}Incident {delivery.incident} · {delivery.id} · sent by Vigie"
