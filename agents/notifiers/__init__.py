"""How is each kind of receiver told? One kind a file, one line here."""

from collections.abc import Callable, Iterable

from agents.notifiers.apprise import AppriseNotifier
from agents.notifiers.base import Notifier, ReceiverError
from agents.notifiers.console import ConsoleNotifier
from agents.notifiers.email import EmailNotifier
from agents.notifiers.http import HttpNotifier
from agents.notifiers.pagerduty import PagerDutyNotifier
from agents.notifiers.slack import SlackNotifier
from agents.notifiers.task import AsanaNotifier, MondayNotifier, TrelloNotifier
from stream.config.settings import ReceiverSettings

__all__ = ["NOTIFIERS", "Notifier", "ReceiverError", "build"]

#: The kinds of receivers by the ``type`` of the settings. Each waits for the contract suite in ``tests/agents``.
NOTIFIERS: dict[str, Callable[[ReceiverSettings], Notifier]] = {
    "console": ConsoleNotifier.from_settings,
    "http": HttpNotifier.from_settings,
    "slack": SlackNotifier.from_settings,
    "email": EmailNotifier.from_settings,
    "pagerduty": PagerDutyNotifier.from_settings,
    "trello": TrelloNotifier.from_settings,
    "asana": AsanaNotifier.from_settings,
    "monday": MondayNotifier.from_settings,
    "apprise": AppriseNotifier.from_settings,
}


def build(receivers: Iterable[ReceiverSettings]) -> dict[str, Notifier]:
    """Return the notifiers by receiver name; raise :class:`ReceiverError` with all that is wrong, secrets left out."""
    notifiers: dict[str, Notifier] = {}
    problems: list[str] = []
    for receiver in receivers:
        if receiver.name in notifiers:
            problems.append(f"receivers: {receiver.name!r} is there twice (accepted: a name of its own for each)")
            continue
        try:
            notifiers[receiver.name] = NOTIFIERS[receiver.type](receiver)
        except ReceiverError as error:
            problems += error.problems
    if problems:
        raise ReceiverError(problems)
    return notifiers
