"""What is known of one alert at one moment?"""

from enum import StrEnum
from typing import Any

import msgspec


class Severity(StrEnum):
    """How grave an alert is; the order of the members is the order of gravity."""

    WARN = "warn"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the least grave."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


def gravity(severity: str | None) -> int:
    """Return the rank of a severity as records have it; one that nobody knows is the least grave."""
    return _RANKS.get(severity, 0)  # type: ignore[call-overload, no-any-return]  # a StrEnum is its text


class StateChange(msgspec.Struct):
    """In which states of its life cycle an alert was and is: inactive, pending, firing, recovering."""

    before: str = "inactive"
    after: str = "inactive"


class EnglishWords(msgspec.Struct):
    """The words of a record for who reads the topic: in English, in the rule's time zone.

    ``about`` is the part of the title that stays the same during the incident, ``headline`` what is measured now.
    """

    title: str = ""
    text: str = ""
    about: str = ""
    headline: str = ""


class CauseKind(StrEnum):
    """Why something happened to an alert."""

    BEYOND = "beyond"  # the measured is beyond ``level``, for ``lasted``
    NOT_CLEAR = "not_clear"  # it is no longer beyond ``level``, and not yet at ``clear``
    KEPT = "kept"  # it is clear, and goes on for ``lasted``
    CLEAR = "clear"  # it is on the good side of ``level``, for ``lasted``
    UNSURE = "unsure"  # it is beyond ``level``, but not surely
    NOTHING = "nothing"  # nothing was counted, for ``lasted``
    AGAIN = "again"  # something is counted again
    OTHER = "other"  # as ``text`` says: what was watched is gone


class Cause(msgspec.Struct, omit_defaults=True):
    """Why something happened to an alert: levels in the unit of the thresholds, ``lasted`` in milliseconds."""

    kind: CauseKind
    level: float | None = None
    clear: float | None = None
    lasted: int = 0
    sure: float | None = None  # with this probability, where the rule asks for it
    needed: float | None = None
    text: str = ""


class Ends(msgspec.Struct, omit_defaults=True):
    """What would end an alert: the measured at ``clear`` for ``keep`` milliseconds, by ``cases`` good ones in a row at least.

    ``severity`` is over from ``severity_clear`` on already. ``clear`` None: anything at all.
    """

    clear: float | None = None
    keep: int = 0
    severity: Severity | None = None
    severity_clear: float | None = None
    cases: int | None = None


class AlertFacts(msgspec.Struct, kw_only=True):
    """One alert at one moment. Times are RFC 3339, durations milliseconds, numbers in the ``unit`` named.

    What several alerts of a group do not have in common is null. Fields from ``template`` on are those that words are made of;
    records written before they were have ``zone`` null, and words in ``message`` only.
    """

    id: str = ""
    incident: str
    kind: str
    rule: str | None = None
    rule_title: str | None = None
    kpi: str | None = None
    window: str | None = None
    segment: dict[str, str] | None = None  # {} for the total
    state: StateChange | None = None
    severity: Severity | None = None
    severity_before: Severity | None = None
    at: str = ""
    since: str | None = None
    fired: str | None = None
    reason: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    numerator: float | None = None
    denominator: float | None = None
    sample: float | None = None
    start: str | None = msgspec.field(default=None, name="from")  # null where it was no reading that caused it
    unit: str | None = None
    currency: str | None = None
    threshold: float | None = None
    clear: float | None = None
    direction: str | None = None  # below | above: on which side of the threshold the trouble lies
    condition: str | None = None  # value | change | anomaly | target | absent | entity
    measured: float | None = None
    threshold_unit: str | None = None
    against: dict[str, Any] | None = None  # what the value is compared with, by name; of an entity: what is known of it
    depends: list[str] | None = None
    sure: float | None = None
    labels: dict[str, str] | None = None
    runbook: str | None = None
    explanation: dict[str, Any] | None = None
    message: EnglishWords | None = None
    template: str | None = None  # the rule's summary, to be filled in
    zone: str | None = None  # in which the rule's times are told
    spoken: str | None = None  # the unit in which the value is told, and that of the thresholds
    spoken_limit: str | None = None
    wait: int | None = None  # the rule's `for`
    watched: str | None = None  # of a rule on single deals, leads or senders: what it watches
    versus: str | None = None  # of a rule on a change: with what it compares
    names: dict[str, str] | None = None  # what people call owners, by id
    ends: Ends | None = None
    cause: Cause | None = None  # of ``reason``, which is in English

    @property
    def over(self) -> bool:
        """Whether the alert has ended."""
        return self.state is not None and self.state.after == "inactive"
