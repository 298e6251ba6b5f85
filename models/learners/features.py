"""What may a model know of a deal? The declared list, and how a deal's own past gives its values.

Nothing else reaches a model: no names of customers, no addresses, no free text. What is known is what the deal's events said
until the moment of asking; nothing that was set later can get in, because the values are taken then and kept.
"""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, Protocol

import msgspec

DAY_MS = 86_400_000

#: A feature's value: text is a category, a number is a number.
Features = dict[str, str | float]

#: Ages are told apart up to these days; fine around a month, where many processes let a deal lapse.
_AGES = (0.02, 0.25, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 35, 45, 60, 75, 90)
SPANS = (0.02, 1, 4, 8, 14, 21, 30, 45, 60, 90)
_EPOCH = date(1970, 1, 1).toordinal()
_LONGEST = 48  # characters of a category that are kept


class Feature(NamedTuple):
    """One thing a model may know, and what it is in words."""

    name: str
    words: str


#: Categories of a deal. ``a × b`` are crosses: values that mean something together.
CATEGORIES: tuple[Feature, ...] = (
    Feature("stage", "stage"),
    Feature("source", "source"),
    Feature("product", "product"),
    Feature("region", "region"),
    Feature("segment", "segment"),
    Feature("team", "team"),
    Feature("owner", "owner"),
    Feature("amount", "amount (in steps of 40 %)"),
    Feature("age", "age of the deal"),
    Feature("last_activity", "last kind of activity"),
    Feature("activities", "number of activities"),
    Feature("silence", "days before the last event"),
    Feature("weekday", "day of the week"),
    Feature("previous_stage × stage", "previous stage and stage"),
    Feature("stage × visits", "stage and how often it was entered"),
    Feature("stage × age", "stage and age of the deal"),
    Feature("stage × stage_age", "stage and days in it"),
    Feature("stage × last_activity", "stage and last kind of activity"),
    Feature("stage × activities", "stage and number of activities"),
    Feature("stage × owner", "stage and owner"),
    Feature("product × age", "product and age of the deal"),
    Feature("quarter_month × age", "month of the quarter and age of the deal"),
    Feature("quarter_week", "eighth of the month in the quarter"),
    Feature("created_quarter_month × age", "month of the quarter of creation, and age"),
    # From here on: of the scores only (``experts``), not of the hazard.
    Feature("campaign", "campaign"),
    Feature("variant", "variant"),
    Feature("pipeline", "pipeline"),
    Feature("lead", "whether a lead is behind it"),
    Feature("created_weekday", "day of the week of its creation"),
    Feature("overdue", "whether the expected day of closing has passed"),
    Feature("source × product", "source and product"),
    Feature("source × segment", "source and segment"),
    Feature("product × segment", "product and segment"),
    Feature("product × region", "product and region"),
    Feature("stage × reached", "stage and days until it was reached"),
    Feature("lead_source", "source of the lead behind it"),
    Feature("demo", "whether its people have asked for a demonstration on the site"),
    Feature("form", "whether its people have sent a form on the site"),
)
#: Numbers of a deal; each enters as a z-score within ±3.
NUMBERS: tuple[Feature, ...] = (
    Feature("log_amount", "amount"),
    Feature("log_age", "age of the deal"),
    Feature("log_stage_age", "days in the stage"),
    Feature("log_activities", "number of activities"),
    Feature("log_events", "number of events"),
    Feature("log_silence", "days before the last event"),
    Feature("owners", "number of owners so far"),
    Feature("log_cost", "cost"),
    Feature("due", "days until the expected day of closing"),
    Feature("log_recent", "days since the last event"),
    Feature("log_quiet", "days since the last activity"),
    Feature("log_sessions", "visits of its people on the site"),
    Feature("log_pages", "pages that its people have seen"),
    Feature("log_minutes", "minutes of its people on the site"),
    Feature("log_visited", "days since its people were last on the site"),
    Feature("log_read", "e-mails that its people have opened or followed"),
    Feature("lead_points", "score of the lead behind it"),
    Feature("log_lead_age", "days from the lead to the deal"),
    Feature("log_lead_answered", "days before the first contact with the lead"),
    Feature("log_lead_contacts", "number of contacts with the lead"),
)
#: How many of both are the hazard's; what follows is known to the scores only.
HAZARD_CATEGORIES, HAZARD_NUMBERS = 24, 7
#: And how many there were of both in earlier releases.
GROWN = ((34, 10),)
#: And these to the hazard only: the scores know the numbers that they are steps of.
UNSCORED = frozenset({"amount", "age", "activities", "silence", "stage × age", "stage × activities", "product × age"})
#: Of nobody's acquaintances anything is known.
_UNKNOWN: Features = {
    **dict.fromkeys(("demo", "form", "lead_source"), ""),
    **{feature.name: math.nan for feature in NUMBERS[11:]},
}
#: What is known beside an entity's own events.
BESIDE = frozenset(_UNKNOWN)
#: The calendar says nothing before so much history was seen (two quarters): until then it would only name the days just passed.
SEASON_MS = 182 * DAY_MS
#: The attributes of events that are looked at; all others never reach a model.
ATTRIBUTES = (
    "amount",
    "owner",
    "team",
    "source",
    "product",
    "region",
    "segment",
    "campaign",
    "variant",
    "pipeline",
    "lead_id",
    "cost",
    "expected_close_date",
)


def fingerprint(names: tuple[str, ...], version: int = 1) -> str:
    """Return what identifies a list of features; ``version`` grows when a value is computed in another way."""
    return hashlib.sha256("\n".join((str(version), *names)).encode()).hexdigest()[:16]


def step_of(value: float, edges: tuple[float, ...]) -> int:
    """Return how many of the ascending ``edges`` are at or below the value."""
    return bisect_right(edges, value)


class KnownBesideDeal(Protocol):
    """What is known of a deal beside its own events (``models/learners/acquaintance.py``)."""

    def of_deal(self, at: int, created: int) -> Features:
        """Return the features of a question at ``at`` about a deal of ``created`` (ms)."""


class DealPast(msgspec.Struct, array_like=True):
    """What a deal's events have said so far (a fold: events come in the order of their time)."""

    created: int
    since: int = -1  # in the stage; these three begin at the creation
    last: int = -1
    before: int = -1
    attributes: dict[str, Any] = {}
    events: int = 0
    activities: int = 0
    last_activity: str = ""
    stage: str = ""
    previous_stage: str = ""
    owners: list[str] = []
    visits: dict[str, int] = {}
    acted: int = -1  # when the last activity was

    def __post_init__(self) -> None:
        if self.since < 0:
            self.since = self.last = self.before = self.created

    def apply(self, at: int, kind: str, data: Mapping[str, Any]) -> None:
        """Take one event; ``kind`` is its type without ``deal.``, ``data`` what it said (None: cleared)."""
        self.before, self.last = self.last, max(at, self.last)
        self.events += 1
        for name in ATTRIBUTES:
            if name in data:
                self.attributes[name] = data[name]
        owner = data.get("owner")
        if owner and owner not in self.owners and len(self.owners) < 8:
            self.owners.append(owner)
        if kind == "activity":
            self.activities += 1
            self.acted = max(self.acted, at)
            self.last_activity = str(data.get("kind") or "")[:_LONGEST]
        stage = data.get("stage")
        if stage and stage != self.stage:
            self.previous_stage, self.stage, self.since = self.stage, str(stage)[:_LONGEST], at
            if len(self.visits) < 64 or self.stage in self.visits:
                self.visits[self.stage] = self.visits.get(self.stage, 0) + 1

    def features(self, at: int, *, season: bool = True, beside: KnownBesideDeal | None = None) -> Features:
        """Return what is known at ``at`` (ms), which is not before the last event; ``season`` False leaves the calendar out.

        ``beside`` is what is known of its acquaintances; without it nothing is said of them.
        """
        age, stage_age = max(at - self.created, 0) / DAY_MS, max(at - self.since, 0) / DAY_MS
        silence = (self.last - self.before) / DAY_MS
        known = {name: _text(self.attributes.get(name)) for name in ATTRIBUTES}
        amount = self.attributes.get("amount")
        amount = amount if isinstance(amount, int | float) and math.isfinite(amount) else None
        size = math.log1p(max(amount, 0) / 10_000) if amount is not None else math.nan
        now, then = datetime.fromtimestamp(at / 1000, UTC), datetime.fromtimestamp(self.created / 1000, UTC)
        stage, span = self.stage, step_of(age, SPANS)
        third = (now.month - 1) % 3
        cost = self.attributes.get("cost")
        due = _days_until(self.attributes.get("expected_close_date"), at)
        found: Features = {
            "stage": stage,
            "source": known["source"],
            "product": known["product"],
            "region": known["region"],
            "segment": known["segment"],
            "team": known["team"],
            "owner": known["owner"],
            "amount": "" if amount is None else str(int(size * 3)),
            "age": str(step_of(age, _AGES)),
            "last_activity": self.last_activity,
            "activities": str(min(self.activities, 12)),
            "silence": str(step_of(silence, _AGES)),
            "weekday": str(now.weekday()),
            "previous_stage × stage": f"{self.previous_stage} × {stage}",
            "stage × visits": f"{stage} × {min(self.visits.get(stage, 0), 6)}",
            "stage × age": f"{stage} × {span}",
            "stage × stage_age": f"{stage} × {step_of(stage_age, _AGES)}",
            "stage × last_activity": f"{stage} × {self.last_activity}",
            "stage × activities": f"{stage} × {min(self.activities, 6)}",
            "stage × owner": f"{stage} × {known['owner']}",
            "product × age": f"{known['product']} × {step_of(age, (1, 20))}",
            "quarter_month × age": f"{third} × {span}" if season else "",
            "quarter_week": str(third * 4 + (now.day - 1) // 8) if season else "",
            "created_quarter_month × age": f"{(then.month - 1) % 3} × {span}" if season else "",
            "campaign": known["campaign"],
            "variant": known["variant"],
            "pipeline": known["pipeline"],
            "lead": "yes" if known["lead_id"] else "no",
            "created_weekday": str(then.weekday()),
            "overdue": "" if due != due else "yes" if due < 0 else "no",
            "source × product": pair(known["source"], known["product"]),
            "source × segment": pair(known["source"], known["segment"]),
            "product × segment": pair(known["product"], known["segment"]),
            "product × region": pair(known["product"], known["region"]),
            "log_amount": size,
            "log_age": math.log1p(age),
            "log_stage_age": math.log1p(stage_age),
            "log_activities": math.log1p(self.activities),
            "log_events": math.log1p(self.events),
            "log_silence": math.log1p(silence),
            "owners": float(len(self.owners)),
            "log_cost": math.log1p(max(cost, 0) / 10_000) if isinstance(cost, int | float) and math.isfinite(cost) else math.nan,
            "due": due,
            "log_recent": math.log1p(max(at - self.last, 0) / DAY_MS),
            "stage × reached": f"{stage} × {step_of((self.since - self.created) / DAY_MS, SPANS)}",
            "log_quiet": math.log1p(max(at - self.acted, 0) / DAY_MS) if self.acted >= 0 else math.nan,
        }
        return found | (_UNKNOWN if beside is None else beside.of_deal(at, self.created))


def pair(a: str, b: str) -> str:
    """Return two values that are known as one; nothing where one of them is not."""
    return f"{a} × {b}" if a and b else ""


def _days_until(day: object, at: int) -> float:
    """Return the days from ``at`` to the end of a day (``2026-03-31``); NaN where it is none."""
    try:
        return (date.fromisoformat(day).toordinal() - _EPOCH + 1) - at / DAY_MS if isinstance(day, str) else math.nan
    except ValueError:
        return math.nan


def _text(value: Any) -> str:
    return "" if value is None else str(value)[:_LONGEST]
