"""The records of the topic ``alerts``: what happened to alerts, what people did, what was decided, and what arrived.

Keyed by incident, so that all about one is in order.
"""

from typing import Any

import msgspec

from alert_rules.records.facts import AlertFacts


class Transition(AlertFacts, kw_only=True, tag_field="type", tag="transition"):
    """One thing that happened to one alert. ``id`` is the same whenever the same readings are evaluated again."""


class Act(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="type", tag="act"):
    """What somebody did: ``silence`` (with the silence), ``unsilence`` (its ``id``), ``ack`` or ``unack`` (an ``incident``).

    ``link`` is the id of the signed link that was used for it, ``link_expires`` its end in epoch milliseconds.
    """

    act: str
    by: str
    at: str = ""
    incident: str | None = None
    id: str | None = None
    silence: dict[str, Any] | None = None
    link: str | None = None
    link_expires: int | None = None


class Decision(msgspec.Struct, kw_only=True, tag_field="type", tag="decision"):
    """What was decided about some incidents, by which stage and why.

    ``outcome``: notified, held (not now, because …), suppressed (it ended before anybody was notified), or refused (an act that
    could not be carried out). ``message``, ``kind`` and ``receivers`` are of what was sent, ``due`` of a digest.
    """

    outcome: str
    stage: str
    reason: str
    incidents: list[str]
    group: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    route: str | msgspec.UnsetType | None = msgspec.UNSET
    due: str | msgspec.UnsetType = msgspec.UNSET
    at: str = ""
    message: str | msgspec.UnsetType = msgspec.UNSET
    kind: str | msgspec.UnsetType = msgspec.UNSET
    receivers: list[str] | msgspec.UnsetType = msgspec.UNSET


class Notification(msgspec.Struct, kw_only=True, tag_field="type", tag="notification"):
    """The end of one message for one receiver: ``sent``, or ``dead_lettered`` with its reason."""

    id: str
    transition: str | None
    incident: str
    receiver: str
    outcome: str
    reason: str | None
    attempts: int
    at: str


AlertRecord = Transition | Act | Decision | Notification
"""What a record of ``alerts`` may be, by its ``type``."""

encode = msgspec.json.Encoder().encode
_KNOWN = {"transition": Transition, "act": Act, "decision": Decision, "notification": Notification}
_DECODERS = {name: msgspec.json.Decoder(known).decode for name, known in _KNOWN.items()}


class _Typed(msgspec.Struct):
    type: str


_type = msgspec.json.Decoder(_Typed).decode


def decode(value: bytes) -> AlertRecord | None:
    """Return a record, None for a type of a later version; raise ``ValueError`` that names the field that cannot be used."""
    read = _DECODERS.get(_type(value).type)
    found: AlertRecord | None = None if read is None else read(value)
    return found
