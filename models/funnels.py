"""What is a funnel: which steps, in which order, made by which events, and within what time?

An event is one of :data:`EVENTS`, by its type, or a :data:`VISIT` (a session's beginning); of some a field may choose.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from models.calendar import DAY_MS

#: A visit to the site, at its beginning: not an event of its own.
VISIT = "web.session"
#: The events that can be steps, and the field of each that may choose among them.
EVENTS: Mapping[str, tuple[str, ...]] = {
    VISIT: (),
    "web.page_viewed": ("page",),
    "web.form_started": ("form",),
    "web.form_submitted": ("form",),
    "web.cta_clicked": ("cta",),
    "web.demo_requested": (),
    "email.sent": ("campaign",),
    "email.opened": ("campaign",),
    "email.clicked": ("campaign",),
    "ad.clicked": ("campaign",),
    "lead.created": (),
    "lead.contacted": (),
    "lead.qualified": ("level",),
    "lead.disqualified": (),
    "lead.converted": (),
    "deal.created": (),
    "deal.stage_changed": ("stage",),
    "deal.won": (),
    "deal.lost": (),
}
FIELDS = tuple(dict.fromkeys(field for fields in EVENTS.values() for field in fields))
LEAST, MOST = 2, 12


class Match(NamedTuple):
    """Events of a type; ``value`` of the field ``field`` chooses among them, with a ``*`` at its end all that begin so."""

    event: str
    field: str = ""
    value: str = ""

    @property
    def code(self) -> str:
        """What such events are kept under."""
        return f"{self.event} {self.field}={self.value}" if self.field else self.event

    def fits(self, value: str) -> bool:
        """Whether the field's value is meant."""
        return value.startswith(self.value[:-1]) if self.value.endswith("*") else value == self.value


@dataclass(frozen=True)
class FunnelStep:
    """A step of a funnel: any of these events makes it."""

    name: str
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class Funnel:
    """Steps that are taken one after another, all within a time (ms) of the first."""

    name: str
    steps: tuple[FunnelStep, ...]
    within: int = 90 * DAY_MS

    def __post_init__(self) -> None:
        """Raise ``ValueError`` with what is wrong."""
        if not LEAST <= len(self.steps) <= MOST:
            raise ValueError(f"{self.name}: found {len(self.steps)} steps (accepted: {LEAST} to {MOST})")
        for what, names in (
            ("step", [step.name for step in self.steps]),
            ("events", [match.code for step in self.steps for match in step.matches]),
        ):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"{self.name}: {what}: found {twice!r} twice (accepted: each in one step only)")


#: Attention, interest, desire, action: what there is where the settings name no funnel.
AIDA = Funnel(
    "aida",
    (
        FunnelStep("Attention", (Match(VISIT), Match("ad.clicked"))),
        FunnelStep(
            "Interest",
            (Match("web.cta_clicked"), Match("web.form_submitted"), Match("web.demo_requested"), Match("email.clicked")),
        ),
        FunnelStep("Desire", (Match("lead.qualified"), Match("deal.created"))),
        FunnelStep("Action", (Match("deal.won"),)),
    ),
)


def noted(funnels: Iterable[Funnel]) -> frozenset[Match]:
    """Return what a visitor's events are to be remembered under for these funnels."""
    names = ("web.", "email.", "ad.")
    return frozenset(
        match
        for funnel in funnels
        for step in funnel.steps
        for match in step.matches
        if match.event.startswith(names) and match.event != VISIT
    )
