"""The records of the topic ``outbox``: what receivers are notified of, before anybody has put it into words."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from alert_rules.records.alerts import Transition
from alert_rules.records.facts import AlertFacts, Severity


class MessageKind(StrEnum):
    """Why a message is sent."""

    FIRED = "fired"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    RESOLVED = "resolved"
    UPDATED = "updated"  # some of a group have ended
    REPEATED = "repeated"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    DIGEST = "digest"


class News(StrEnum):
    """What is new about one alert of a group."""

    NEW = "new"
    GRAVER = "graver"
    LESS_GRAVE = "less grave"
    ENDED = "ended"


class Occasion(msgspec.Struct, omit_defaults=True):
    """Why a message of its kind is sent now: the ``first`` one of its group, a ``step`` of the escalation, somebody's (``by``)
    acknowledgement.
    """

    first: bool = False
    step: int = 0
    by: str = ""


class Acknowledgement(msgspec.Struct):
    """Who takes care of an incident, since when."""

    by: str
    at: str = ""


class MessageItem(msgspec.Struct, kw_only=True):
    """One alert of a message. ``title``, ``text`` and ``why`` are in English; ``facts`` are given of those told in full."""

    incident: str = ""
    rule: str | None = None
    segment: dict[str, str] | None = None
    severity: Severity | None = None
    since: str | None = None
    fired: str | None = None
    value: float | None = None
    unit: str | None = None
    currency: str | None = None
    threshold: float | None = None
    labels: dict[str, str] | None = None
    runbook: str | None = None
    state: str = "firing"  # firing | resolved
    title: str = ""
    text: str = ""
    why: str | None = None
    news: str | None = None  # what is new about it, None where nothing is
    url: str | None = None  # of its deal or lead, where there is exactly one and its page is known
    acknowledged: Acknowledgement | None = None
    short: bool = False  # its rule's title is in the message's
    facts: Transition | None = None


class GroupFacts(msgspec.Struct, kw_only=True):
    """All alerts of a message that tells several, counted; ``news`` has how many are new, graver, …, in the order of telling.

    ``titles`` are those of their rules. Of the ``rest``, which is not told in full, ``fresh`` are news, and ``named`` of those
    are named.
    """

    standing: int = 0
    critical: int = 0
    ended: int = 0
    news: list[tuple[str, int]] = []
    titles: list[str] = []
    rest: int = 0
    fresh: int = 0
    named: list[str] = []


class ReceiverFacts(msgspec.Struct, kw_only=True):
    """A receiver that cannot be notified: since when (``AlertMessage.since``), why, and what has been tried."""

    receiver: str
    attempts: int = 0
    given_up: int = 0  # messages that became dead letters


class Figure(msgspec.Struct, kw_only=True):
    """One KPI in a digest, and its value in the one before."""

    kpi: str
    label: str
    value: float | None = None
    unit: str = "count"
    currency: str | None = None
    why: str | None = None  # there is no value
    since: str | None = None  # counted from then on only
    before: float | None = None
    known: bool = True  # whether there is a reading at all
    labels: dict[str, str] = {}  # what it is called in other languages
    unproven: bool = False  # as a model says it that is not yet better than the average of the stage


class StandingAlert(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One alert that stands, in a digest. ``title`` is in English; ``facts`` are what it is made of, for other languages."""

    title: str
    severity: str
    since: str
    facts: Transition | None = None


class ForecastFigure(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the month's revenue is expected to be, in a digest: P10, P50, P90, and P(target reached) where there is one."""

    low: float
    expected: float
    high: float
    currency: str | None = None
    chance: float | None = None


class Aim(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One objective in a digest: how far it is (0 to 1 and beyond), and its state by name."""

    name: str
    state: str
    progress: float | None = None


class ChallengePlace(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A place that everybody may see; ``share`` is of the own quota, where the challenge goes by that."""

    rank: int
    name: str
    value: float | None = None
    share: float | None = None


class ChallengeFacts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What there is to say of a challenge: it has begun, is at half time, on its last day, over (``end``), or ``annulled``."""

    name: str
    milestone: str
    label: str
    until: str
    unit: str = "count"
    currency: str | None = None
    places: list[ChallengePlace] = []
    more: int = 0
    labels: dict[str, str] = {}
    guard: dict[str, str] = {}  # what the guard that annulled it is called, by language
    guard_unit: str = "count"
    measured: float | None = None
    limit: float | None = None


class DigestFacts(msgspec.Struct, kw_only=True):
    """The figures and what stands at a time of the day; ``due`` is that time."""

    due: str
    zone: str
    window: str
    weekdays: bool = False  # on some days of the week only
    figures: list[Figure] = []
    standing: int = 0
    critical: int = 0
    silenced: int = 0
    alerts: list[StandingAlert] = []
    aims: list[Aim] = []
    forecast: ForecastFigure | None = None


class AlertMessage(AlertFacts, kw_only=True, tag_field="type", tag="message"):
    """What some receivers are notified of. ``id`` is the same whenever the same is said again, ``incident`` its thread.

    A message about one alert has that alert's facts, one about several what they have in common. ``alerts`` lists them: what is
    news first, the gravest first, at most 20, ``more`` counts the others. ``several``, ``failing``, ``digest`` and ``challenge``
    are there in messages that are about that. ``message`` has the words in English, for who reads the topic; a notifier makes its
    own of the facts (``alert_rules/words/letter.py``).
    """

    group: dict[str, str] | None = None
    route: str | None = None
    why_now: str | None = None
    alerts: list[MessageItem] = msgspec.field(default_factory=list)
    acknowledged: Acknowledgement | None = None
    more: int = 0
    receivers: list[str] | None = None
    why_you: dict[str, str] | None = None  # by receiver: why it is this one
    readings: list[dict[str, Any]] | None = None
    happened: str | None = None  # the kind and time of the one alert's transition: older than the message where it is said again
    happened_at: str | None = None
    occasion: Occasion | None = None  # of ``why_now``, which is in English
    several: GroupFacts | None = None
    failing: ReceiverFacts | None = None
    digest: DigestFacts | None = None
    challenge: ChallengeFacts | None = None

    @property
    def is_many(self) -> bool:
        """Whether it tells several alerts."""
        return bool(self.more) or len(self.alerts) > 1


encode = msgspec.json.Encoder().encode


def read_message(tree: Mapping[str, Any]) -> AlertMessage:
    """Return the message in a record of ``outbox``; raise ``ValueError`` that names the field that cannot be used.

    Transitions are read too: before there were messages, they were what was sent.
    """
    return msgspec.convert({**tree, "type": "message"}, AlertMessage)
