"""How is an alert told over what apprise can reach: Teams, Telegram, Matrix, SMS and a hundred more? With the extra ``apprise``.

apprise says whether a message was taken, not why it was not: what was not taken is tried again.
"""

import asyncio
import logging
from importlib import import_module
from typing import Any, ClassVar, Literal

from pydantic import SecretStr, field_validator

from agents.notifiers.base import ReceiverSettings
from agents.notifiers.post import TIMEOUT
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome, Retry, Sent

_KINDS = {"critical": "failure", "warn": "warning"}


class AppriseSettings(ReceiverSettings):
    """What apprise can reach: Matrix, SMS and a hundred more; with the extra ``apprise``."""

    type: Literal["apprise"]
    url: SecretStr
    """apprise's own, such as matrix://…"""

    EXAMPLE: ClassVar = "{name: team, type: apprise, url: …}   # needs the extra: pip install 'vigie[apprise]'"

    @field_validator("url")
    @classmethod
    def _known(cls, found: SecretStr) -> SecretStr:
        if _service(found) is None:
            raise ValueError("not one of apprise's (accepted: such as matrix://…, as apprise has it)")
        return found

    def notifier(self) -> "AppriseNotifier":
        """Return what hands it to apprise."""
        return AppriseNotifier(self.name, _service(self.url))


def _service(url: SecretStr) -> Any:
    """Return apprise's object for a URL, None where it is none of its; raise ``ValueError`` where apprise is not installed."""
    try:
        apprise = import_module("apprise")
    except ImportError:
        raise ValueError("apprise is not installed (accepted: pip install 'vigie[apprise]')") from None
    # What apprise logs may hold the URL, and the URL is the secret.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    service = apprise.Apprise()
    return service if service.add(url.get_secret_value()) else None


class AppriseNotifier:
    """Tells one apprise URL (``service`` is apprise's object for it). ``timeout`` in seconds."""

    follows = False

    def __init__(self, name: str, service: Any, *, timeout: float = 3 * TIMEOUT) -> None:
        self.name = name
        self._service = service
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"AppriseNotifier({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt."""
        message, letter = delivery.message, delivery.letter
        words = delivery.reader.words
        links = "".join(f"{words.button(action.name)}: {action.url}\n" for action in delivery.actions)
        kind = "success" if message.kind == "resolved" else _KINDS.get(message.severity or "", "info")
        try:
            async with asyncio.timeout(self._timeout):
                taken = await self._service.async_notify(
                    title=letter.title,
                    body=f"{letter.text}\n\n{links}Incident {delivery.incident} · {delivery.id}",
                    notify_type=kind,
                    body_format="text",
                )
        except TimeoutError:
            return Retry(f"no answer within {self._timeout:g} s")
        except Exception as error:  # a plugin's; what it says may hold the URL
            return Retry(f"apprise failed ({type(error).__name__})")
        return Sent() if taken else Retry("apprise says that it was not taken")

    async def close(self) -> None:
        """Hold nothing, let go of nothing."""
