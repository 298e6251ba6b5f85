"""Which objectives and challenges are there? As they were declared, or set over the API; checked by whoever reads them in."""

import re
import unicodedata
from datetime import date
from typing import Any

import msgspec

from models.calendar import iso
from models.panes.store import TOTAL


class Goal(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be reached: a KPI's target, or a text; or, of a guard, the limits that it must keep within."""

    kpi: str = ""
    target: float | None = None
    text: str = ""
    guard: bool = False
    at_most: float | None = None
    at_least: float | None = None

    def broken(self, value: float | None) -> bool:
        """Whether a value is beyond a guard's limits."""
        if value is None:
            return False
        return (self.at_most is not None and value > self.at_most) or (self.at_least is not None and value < self.at_least)


class Objective(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One team's or person's (or the company's) goals of each period that begins within the days from ``since`` to ``until``."""

    name: str
    period: str  # month or week
    main: Goal
    indicators: tuple[Goal, ...] = ()
    owner: str = ""
    team: str = ""
    since: date = date.min
    until: date = date.max

    @property
    def id(self) -> str:
        """What it is called in addresses."""
        return slug(self.name)

    @property
    def of(self) -> dict[str, str]:
        """The segment, as readings have it."""
        return {"owner": self.owner} if self.owner else {"team": self.team} if self.team else {}

    @property
    def segment(self) -> str:
        """``total``, or ``dimension=value``."""
        return next((f"{name}={value}" for name, value in self.of.items()), TOTAL)


class SaidProgress(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far somebody says a qualitative goal is, from 0 to 1."""

    progress: float
    note: str = ""
    at: str = ""
    by: str = ""


class Watched(msgspec.Struct, frozen=True):
    """A guard of a challenge: a KPI with its limits, watched for so many days after the end, too."""

    kpi: str
    at_most: float | None = None
    at_least: float | None = None
    days: int = 0


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """People or teams who compete by a KPI, from the first day to the last one."""

    name: str
    kpi: str
    since: date
    until: date
    by: str = "owner"
    among: tuple[str, ...] = ()
    handicap: str = ""  # quota, or none
    dry_run: bool = False
    guards: tuple[Watched, ...] = ()

    @property
    def id(self) -> str:
        """What it is called in addresses."""
        return slug(self.name)


class Playbook(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done about an alert of some rules: steps, by whom, within which time (ms).

    ``kpi`` is what must move, over so many ``days`` after it; "" for the rule's own.
    """

    name: str
    rules: tuple[str, ...]
    steps: tuple[str, ...]
    owner: str = ""
    due: int = 172_800_000
    kpi: str = ""
    days: int = 7

    def todo(self, fired: int) -> dict[str, Any]:
        """Return what an alert that fired then (ms) names as the action."""
        return {"name": self.name, "steps": list(self.steps), "owner": self.owner or None, "due": iso(fired + self.due)}


def slug(name: str) -> str:
    """Return a name as an address has it: ``north-every-month``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "unnamed"


def as_json(objective: Objective) -> dict[str, Any]:
    """Return an objective as the topic has it."""
    found: dict[str, Any] = msgspec.to_builtins(objective)
    return found


def read(tree: Any) -> Objective:
    """Return an objective from its JSON; raise ``ValueError`` where it is none."""
    return msgspec.convert(tree, Objective)
