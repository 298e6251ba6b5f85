"""What is sent to one receiver?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from alert_rules.records.message import AlertMessage, read_message
from alert_rules.words.letter import letter
from alert_rules.words.parts import Letter
from alert_rules.words.reader import ANYBODY, Reader
from alert_rules.words.runbooks import address


class Action(NamedTuple):
    """Something that a receiver may do with a click: ``token`` is the signed link's, ``url`` where it leads."""

    name: str  # ack | silence | open
    text: str
    url: str
    token: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one receiver. ``id`` is its idempotency key: the same at every attempt, across restarts."""

    id: str
    receiver: str
    incident: str
    order: int  # its number, in the order of coming: messages of an incident are sent in this order
    created: int  # when it came, milliseconds since the epoch
    attempts: int  # that have been made
    due: int  # when the next attempt may be made, milliseconds since the epoch
    tried: int | None  # when the first attempt ended, milliseconds since the epoch
    alert: dict[str, Any]  # the record of ``outbox``, as it came: programs get it as it is
    memo: str | None = None  # what the receiver gave back for this incident before (``Sent.memo``); not part of its row
    actions: tuple[Action, ...] = ()  # made for the attempt; not part of its row
    reader: Reader = ANYBODY  # how the receiver reads; not part of its row

    @property
    def message(self) -> AlertMessage:
        """What the receiver is notified of."""
        return read_message(self.alert)

    @property
    def letter(self) -> Letter:
        """The message in the receiver's words."""
        return letter(self.message, self.reader)

    @property
    def runbook(self) -> str:
        """The address at which the page opens that says what to do; "" where there is none."""
        return address(self.message.runbook, self.reader.home)

    @property
    def row(self) -> str:
        """The key of its row."""
        return f"{self.receiver}|{self.id}"

    def encode(self) -> dict[str, Any]:
        """Return what its row holds."""
        return {
            "id": self.id,
            "receiver": self.receiver,
            "incident": self.incident,
            "order": self.order,
            "created": self.created,
            "attempts": self.attempts,
            "due": self.due,
            "tried": self.tried,
            "alert": self.alert,
        }

    @classmethod
    def decode(cls, tree: Mapping[str, Any]) -> "Delivery":
        """Return the message of an :meth:`encode`."""
        return cls(**tree)
