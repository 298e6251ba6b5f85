"""What must a kind of receiver be? Its settings, which make its notifier, and the notifier, which makes single attempts."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Annotated, ClassVar, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, field_validator

from agents.notifiers.post import NOT_A_URL, usable
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome
from alert_rules.words.language import SOURCE
from alert_rules.words.reader import LANGUAGES, Reader
from models.calendar import time_zones
from models.config.suggest import meant
from stream.config.sections import Section


class ReceiverError(ValueError):
    """Receivers that cannot be used; ``problems`` lists all that is wrong. Never holds a URL or a secret."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class Notifier(Protocol):
    """One receiver's way of being told. It makes single attempts: the outbox decides about the next one.

    ``follows`` says that it shows how an incident stands, and so is told of acknowledgements, too.
    """

    @property
    def follows(self) -> bool:
        """Whether acknowledgements are told."""

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt, under ``delivery.id`` as the idempotency key; return how it ended. Never raises for what the
        receiver does, and no reason in an outcome holds a URL or a secret."""

    async def close(self) -> None:
        """Let go of connections."""


class SettingsDoubt(NamedTuple):
    """What ``vigie doctor`` says of settings that work but may not do what was meant: what was ``found``, what to ``do``."""

    found: str
    do: str


class ReceiverSettings(Section, ABC):
    """One receiver of one kind. A kind is a subclass: its docstring says in one sentence who is told and how, its fields are
    what the settings take (``SecretStr`` for what nobody may see), its validators what is refused.

    A problem's text (``ValueError``) never holds a value. ``docs/receivers.md``, the JSON Schema, ``vigie.example.yaml``,
    ``vigie doctor`` and the checks of the plan are made of this.
    """

    name: str = Field(min_length=1, max_length=100)
    """what routes call it"""
    type: str
    """the kind"""
    timezone: str | None = None
    """on whose clock its times are, such as Europe/Paris (default: business.timezone)"""
    language: str | None = None
    """in which language it is told, such as fr (default: business.language)"""

    #: An entry of ``receivers``, as YAML writes it on one line, for the example file.
    EXAMPLE: ClassVar[str]
    #: The page in ``docs`` that says how to set it up, where there is one.
    GUIDE: ClassVar[str] = ""
    #: Whether summaries can be read there; False where there are incidents only.
    READS_SUMMARIES: ClassVar[bool] = True

    @field_validator("timezone")
    @classmethod
    def _time_zone(cls, found: str | None) -> str | None:
        if found is not None and found not in time_zones():
            hint = meant(found, time_zones())
            raise ValueError(f"unknown time zone{hint} (accepted: tz database names, such as Europe/Paris)")
        return found

    @field_validator("language")
    @classmethod
    def _language(cls, found: str | None) -> str | None:
        if found is not None and found not in LANGUAGES:
            raise ValueError(f"unknown language{meant(found, LANGUAGES)}")
        return found

    def reader(self, language: str = SOURCE) -> Reader:
        """Return how the words for it are made: in ``language`` where it has none of its own."""
        return Reader(self.language or language, None if self.timezone is None else ZoneInfo(self.timezone))

    @abstractmethod
    def notifier(self) -> Notifier:
        """Return what tells it. No connection is made yet."""

    def doubts(self) -> Iterable[SettingsDoubt]:
        """Return what an operator should know of these settings. Nothing is sent."""
        return ()


def _url(found: SecretStr) -> SecretStr:
    if not usable(found.get_secret_value()):
        raise ValueError(NOT_A_URL)
    return found


def _token(found: SecretStr) -> SecretStr:
    text = found.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or set(text) & set(' "'):
        raise ValueError("cannot be used (accepted: as the service shows it, without blanks and quotes)")
    return found


#: An address of HTTP that is a secret, as those of webhooks are; and what goes into a header.
SecretUrl = Annotated[SecretStr, AfterValidator(_url)]
Token = Annotated[SecretStr, AfterValidator(_token)]
