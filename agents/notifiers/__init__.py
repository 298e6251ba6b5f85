"""How is each kind of receiver told? One kind a file, one line here."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, get_args

from pydantic import ValidationError

from agents.notifiers.apprise import AppriseSettings
from agents.notifiers.base import Notifier, ReceiverError, ReceiverSettings
from agents.notifiers.console import ConsoleSettings
from agents.notifiers.email import EmailSettings
from agents.notifiers.google_chat import GoogleChatSettings
from agents.notifiers.http import HttpSettings
from agents.notifiers.mattermost import MattermostSettings
from agents.notifiers.pagerduty import PagerDutySettings
from agents.notifiers.slack import SlackSettings
from agents.notifiers.task import AsanaSettings, MondaySettings, TrelloSettings
from agents.notifiers.teams import TeamsSettings
from agents.notifiers.telegram import TelegramSettings
from alert_rules.words.reader import Reader
from models.config.suggest import meant
from models.config.yaml_text import Place
from stream.config import plugins
from stream.config.problems import UNKNOWN, path_of, problems_of
from stream.config.settings import Settings

__all__ = ["Notifier", "ReceiverError", "build", "kinds", "problems_of_receivers", "readers_of", "receivers_of", "type_of"]

Kind = type[ReceiverSettings]

#: The kinds that come with Vigie. Each waits for the contract suite in ``tests/agents``.
BUILT_IN: tuple[Kind, ...] = (
    ConsoleSettings,
    HttpSettings,
    SlackSettings,
    TeamsSettings,
    GoogleChatSettings,
    TelegramSettings,
    MattermostSettings,
    EmailSettings,
    PagerDutySettings,
    TrelloSettings,
    AsanaSettings,
    MondaySettings,
    AppriseSettings,
)


def type_of(kind: Kind) -> str:
    """Return the ``type`` by which the settings name a kind, empty where it is not one text."""
    named = get_args(kind.model_fields["type"].annotation)
    return named[0] if len(named) == 1 and isinstance(named[0], str) else ""


def _wrong(name: str, part: Any) -> str:
    if not isinstance(part, type) or not issubclass(part, ReceiverSettings):
        return "it is no subclass of agents.notifiers.base.ReceiverSettings"
    return "" if type_of(part) == name else f'its type is no Literal["{name}"]'


@cache
def outside() -> plugins.Plugins:
    """Return the kinds that packages outside add (entry points ``vigie.notifiers``), and those that cannot be used."""
    return plugins.plugins(plugins.NOTIFIERS, {type_of(kind): kind for kind in BUILT_IN}, _wrong)


def kinds() -> Mapping[str, Kind]:
    """Return all kinds by their ``type``."""
    return {type_of(kind): kind for kind in BUILT_IN} | dict(outside().parts)


def _read(entry: Mapping[str, Any]) -> tuple[ReceiverSettings | None, list[tuple[Place, str]]]:
    """Return a receiver, or all that is wrong with it: where in the entry, and what; never a value."""
    type_ = str(entry["type"])
    kind = kinds().get(type_)
    if kind is None:
        why = outside().broken.get(type_)
        known = f"there is no such type{meant(type_, kinds())} (accepted: {', '.join(kinds())})"
        return None, [(("type",), f"its package cannot be used: {why}" if why else known)]
    try:
        return kind.model_validate(entry), []
    except ValidationError as error:
        found = problems_of(error, kind)
    says = {
        "Field required": f"type {type_} needs it",
        UNKNOWN: f"does not go with type {type_} (accepted: {', '.join(kind.model_fields)})",
    }
    return None, [(loc, says.get(text, text)) for loc, text in found]


def problems_of_receivers(tree: Any) -> Iterable[tuple[Place, str]]:
    """Yield where in ``receivers`` something is wrong, and what is accepted: a check of :func:`stream.config.settings.load`."""
    names: set[str] = set()
    for n, entry in enumerate(tree if isinstance(tree, list) else []):
        if not isinstance(entry, Mapping) or not all(isinstance(entry.get(key), str) for key in ("name", "type")):
            continue
        if entry["name"] in names:
            yield (n, "name"), "is there twice (accepted: a name of its own for each)"
        names.add(entry["name"])
        for loc, text in _read(entry)[1]:
            yield (n, *loc), text


def receivers_of(settings: Settings) -> list[ReceiverSettings]:
    """Return the receivers, each of its kind; raise :class:`ReceiverError` with all that is wrong, secrets left out."""
    entries = [entry.model_dump() for entry in settings.receivers]
    problems = [f"{path_of(('receivers', *loc))}: {text}" for loc, text in problems_of_receivers(entries)]
    if problems:
        raise ReceiverError(problems)
    return [found for entry in entries if (found := _read(entry)[0]) is not None]


def readers_of(settings: Settings) -> dict[str, Reader]:
    """Return how each receiver reads, by its name; raise :class:`ReceiverError` as :func:`receivers_of` does."""
    home = settings.web.public_url
    return {one.name: one.reader(settings.business.language)._replace(home=home) for one in receivers_of(settings)}


def build(settings: Settings) -> dict[str, Notifier]:
    """Return the notifiers by receiver name; raise :class:`ReceiverError` with all that is wrong, secrets left out."""
    return {receiver.name: receiver.notifier() for receiver in receivers_of(settings)}
