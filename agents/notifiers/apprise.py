"""How is an alert told over what apprise can reach: Teams, Telegram, Matrix, SMS and a hundred more? With the extra ``apprise``.

apprise says whether a message was taken, not why it was not: what was not taken is tried again.
"""

import asyncio
import logging
from importlib import import_module
from typing import Any

from agents.notifiers.base import ReceiverError
from agents.notifiers.post import TIMEOUT
from alert_rules.delivery import Delivery
from alert_rules.outcome import Outcome, Retry, Sent
from stream.config.settings import ReceiverSettings

_KINDS = {"critical": "failure", "warn": "warning"}


class AppriseNotifier:
    """Tells one apprise URL (``service`` is apprise's object for it). ``timeout`` in seconds."""

    follows = False

    def __init__(self, name: str, service: Any, *, timeout: float = 3 * TIMEOUT) -> None:
        self.name = name
        self._service = service
        self._timeout = timeout

    @classmethod
    def from_settings(cls, settings: ReceiverSettings) -> "AppriseNotifier":
        """Return the notifier of a receiver of type ``apprise``; raise :class:`ReceiverError` where it cannot be used."""
        try:
            apprise = import_module("apprise")
        except ImportError:
            raise ReceiverError(
                [f"receivers: {settings.name}: apprise is not installed (accepted: pip install 'vigie[apprise]')"]
            ) from None
        # What apprise logs may hold the URL, and the URL is the secret.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        service = apprise.Apprise()
        url = settings.url.get_secret_value() if settings.url is not None else ""
        if not service.add(url):
            raise ReceiverError(
                [f"receivers: {settings.name}: url: not one of apprise's (accepted: such as tgram://…, as apprise has it)"]
            )
        return cls(settings.name, service)

    def __repr__(self) -> str:
        return f"AppriseNotifier({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt."""
        alert = delivery.alert
        words = alert.get("message") or {}
        links = "".join(f"{action.text}: {action.url}\n" for action in delivery.actions)
        resolved = alert.get("kind") == "resolved"
        kind = "success" if resolved else _KINDS.get(str(alert.get("severity")), "info")
        try:
            async with asyncio.timeout(self._timeout):
                taken = await self._service.async_notify(
                    title=str(words.get("title") or alert.get("rule")),
                    body=f"{words.get('text') or ''}\n\n{links}Incident {delivery.incident} · {delivery.id}",
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
