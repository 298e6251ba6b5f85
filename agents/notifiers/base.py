"""What must a notifier be?"""

from typing import Protocol

from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome


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
