"""What may a model know of a lead? The declared list, and how a lead's own past gives its values (see ``features``)."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from models.learners.features import DAY_MS, Feature, Features, pair, step_of

_AGES = (0.02, 0.25, 1, 2, 3, 4, 6, 8, 10, 14, 21, 30, 45, 60, 90)
_SPANS = (0.02, 1, 4, 8, 14, 21, 30, 45, 60, 90)
_SCORES = (-50, 0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 200)
_LONGEST = 48

#: Categories of a lead; ``stage`` is how far it is qualified.
CATEGORIES: tuple[Feature, ...] = (
    Feature("stage", "qualification"),
    Feature("source", "source"),
    Feature("campaign", "campaign"),
    Feature("product", "product"),
    Feature("region", "region"),
    Feature("segment", "segment"),
    Feature("team", "team"),
    Feature("owner", "owner"),
    Feature("score", "score (in steps)"),
    Feature("bant", "of budget, authority, need and timing: how many are said to be there"),
    Feature("answered", "days before the first contact"),
    Feature("contacts", "number of contacts"),
    Feature("age", "age of the lead"),
    Feature("silence", "days before the last event"),
    Feature("weekday", "day of the week it came in"),
    Feature("stage × age", "qualification and age of the lead"),
    Feature("stage × source", "qualification and source"),
    Feature("stage × contacts", "qualification and number of contacts"),
    Feature("source × age", "source and age of the lead"),
    # From here on: of the scores only (``experts``), not of the hazard.
    Feature("variant", "variant"),
    Feature("pipeline", "pipeline"),
    Feature("channel", "channel of the last contact"),
    Feature("budget", "whether a budget is said to be there"),
    Feature("authority", "whether authority is said to be there"),
    Feature("need", "whether a need is said to be there"),
    Feature("timing", "whether the time is said to be right"),
    Feature("source × product", "source and product"),
    Feature("source × segment", "source and segment"),
    Feature("source × campaign", "source and campaign"),
    Feature("product × segment", "product and segment"),
    Feature("product × region", "product and region"),
    Feature("demo", "whether a demonstration was asked for on the site"),
    Feature("form", "whether a form was sent on the site"),
)
#: Numbers of a lead; each enters as a z-score within ±3.
NUMBERS: tuple[Feature, ...] = (
    Feature("points", "score"),
    Feature("log_age", "age of the lead"),
    Feature("log_answered", "days before the first contact"),
    Feature("log_contacts", "number of contacts"),
    Feature("log_events", "number of events"),
    Feature("log_silence", "days before the last event"),
    Feature("log_amount", "amount"),
    Feature("log_recent", "days since the last event"),
    Feature("log_prepared", "time the last contact was prepared"),
    Feature("log_met", "days since the last contact"),
    Feature("log_sessions", "visits on the site"),
    Feature("log_pages", "pages seen on the site"),
    Feature("log_minutes", "minutes on the site"),
    Feature("log_visited", "days since the last visit on the site"),
    Feature("log_read", "e-mails opened or followed"),
)
#: How many of both are the hazard's; what follows is known to the scores only.
HAZARD_CATEGORIES, HAZARD_NUMBERS = 19, 6
#: And how many there were of both in earlier releases.
GROWN = ((31, 9),)
#: And these to the hazard only: the scores know the numbers that they are steps of.
UNSCORED = frozenset({"score", "answered", "contacts", "age", "silence", "stage × age", "source × age"})
#: The attributes of events that are looked at; all others never reach a model.
ATTRIBUTES = (
    "source",
    "campaign",
    "product",
    "region",
    "segment",
    "team",
    "owner",
    "score",
    "variant",
    "pipeline",
    "amount",
)
#: Nothing is known of visits and e-mails.
_UNKNOWN: Features = {"demo": "", "form": "", **{feature.name: math.nan for feature in NUMBERS[10:]}}
_BANT = ("budget", "authority", "need", "timing")


class KnownBesideLead(Protocol):
    """What is known of a lead beside its own events (``models/learners/acquaintance.py``)."""

    def of_lead(self, at: int) -> Features:
        """Return the features of a question at ``at`` (ms)."""


class LeadPast(msgspec.Struct, array_like=True):
    """What a lead's events have said so far (a fold: events come in the order of their time)."""

    created: int
    last: int = -1
    before: int = -1
    attributes: dict[str, Any] = {}
    bant: dict[str, bool] = {}
    level: int = 0  # 1: MQL, 2: SQL
    contacted: int = -1
    contacts: int = 0
    events: int = 0
    channel: str = ""  # of the last contact
    prepared: float = -1.0  # seconds, for the last contact
    met: int = -1  # when the last contact was

    def __post_init__(self) -> None:
        if self.last < 0:
            self.last = self.before = self.created

    def apply(self, at: int, kind: str, data: Mapping[str, Any]) -> None:
        """Take one event; ``kind`` is its type without ``lead.``, ``data`` what it said (None: cleared)."""
        self.before, self.last = self.last, max(at, self.last)
        self.events += 1
        for name in ATTRIBUTES:
            if name in data:
                self.attributes[name] = data[name]
        bant = data.get("bant")
        if isinstance(bant, Mapping):
            for name in _BANT:
                if name in bant:
                    self.bant[name] = bool(bant[name])
        if kind == "contacted":
            self.contacts += 1
            if self.contacted < 0:
                self.contacted = at
            self.met = max(self.met, at)
            self.channel = _text(data.get("channel"))
            prepared = data.get("preparation_seconds")
            self.prepared = float(prepared) if isinstance(prepared, int | float) and math.isfinite(prepared) else -1.0
        elif kind == "mql" or kind == "sql":
            self.level = max(self.level, 2 if kind == "sql" else 1)

    def features(self, at: int, *, season: bool = True, beside: KnownBesideLead | None = None) -> Features:
        """Return what is known at ``at`` (ms), which is not before the last event; of visits and e-mails as ``beside`` says."""
        age = max(at - self.created, 0) / DAY_MS
        silence = (self.last - self.before) / DAY_MS
        answered = (self.contacted - self.created) / DAY_MS if self.contacted >= 0 else math.nan
        known = {name: _text(self.attributes.get(name)) for name in ATTRIBUTES}
        score = self.attributes.get("score")
        size = float(score) if isinstance(score, int | float) and math.isfinite(score) else math.nan
        stage, span = ("", "mql", "sql")[self.level], step_of(age, _SPANS)
        contacts = min(self.contacts, 6)
        amount = self.attributes.get("amount")
        found: Features = {
            "stage": stage,
            "source": known["source"],
            "campaign": known["campaign"],
            "product": known["product"],
            "region": known["region"],
            "segment": known["segment"],
            "team": known["team"],
            "owner": known["owner"],
            "score": "" if math.isnan(size) else str(step_of(size, _SCORES)),
            "bant": str(sum(self.bant.values())) if self.bant else "",
            "answered": "" if math.isnan(answered) else str(step_of(answered, _AGES)),
            "contacts": str(contacts),
            "age": str(step_of(age, _AGES)),
            "silence": str(step_of(silence, _AGES)),
            "weekday": str(datetime.fromtimestamp(self.created / 1000, UTC).weekday()),
            "stage × age": f"{stage} × {span}",
            "stage × source": f"{stage} × {known['source']}",
            "stage × contacts": f"{stage} × {contacts}",
            "source × age": f"{known['source']} × {span}",
            "variant": known["variant"],
            "pipeline": known["pipeline"],
            "channel": self.channel,
            **{name: "" if (said := self.bant.get(name)) is None else "yes" if said else "no" for name in _BANT},
            "source × product": pair(known["source"], known["product"]),
            "source × segment": pair(known["source"], known["segment"]),
            "source × campaign": pair(known["source"], known["campaign"]),
            "product × segment": pair(known["product"], known["segment"]),
            "product × region": pair(known["product"], known["region"]),
            "points": size,
            "log_age": math.log1p(age),
            "log_answered": math.log1p(max(answered, 0)) if not math.isnan(answered) else math.nan,
            "log_contacts": math.log1p(self.contacts),
            "log_events": math.log1p(self.events),
            "log_silence": math.log1p(silence),
            "log_amount": (
                math.log1p(max(amount, 0) / 10_000) if isinstance(amount, int | float) and math.isfinite(amount) else math.nan
            ),
            "log_recent": math.log1p(max(at - self.last, 0) / DAY_MS),
            "log_prepared": math.log1p(self.prepared) if self.prepared >= 0 else math.nan,
            "log_met": math.log1p(max(at - self.met, 0) / DAY_MS) if self.met >= 0 else math.nan,
        }
        return found | (_UNKNOWN if beside is None else beside.of_lead(at))


def _text(value: Any) -> str:
    return "" if value is None else str(value)[:_LONGEST]
