"""Of which entities is something predicted, from which events, and what is known of each?

A kind says which topics it reads, how events become facts of an entity's log, how the facts change what is known, and which
features that gives. Deals are *won* or *lost*; leads are *converted* (won) or *disqualified* (lost).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import msgspec

from models.business import Business
from models.entities.entity_log import Entry
from models.events import deals as deal_events
from models.events import leads as lead_events
from models.events.merges import DealAbsorbed, LeadAbsorbed
from models.folds.deals import CREATED, DELETED, LOST, MERGED, REOPENED, STAGE, UPDATED, WON
from models.folds.leads import ATTEMPTED, CONTACTED, CONVERTED, DISQUALIFIED, MQL, SQL
from models.learners import features, lead_features
from models.learners.deal_model import DealModel
from models.learners.features import DealPast, Feature
from models.learners.lead_features import LeadPast
from models.learners.live_model import ModelNames, print_of

ACTIVITY = "activity"


class Present(msgspec.Struct, array_like=True):
    """Where an entity stands at the end of its log."""

    status: Literal["", "unknown", "open", "won", "lost"] = ""
    closed: int = 0
    currency: str | None = None


class DealPresent(Present, array_like=True):
    """A deal's."""

    past: DealPast | None = None
    default_currency: str | None = None


class LeadPresent(Present, array_like=True):
    """A lead's."""

    past: LeadPast | None = None
    default_currency: str | None = None


@dataclass(frozen=True, kw_only=True)
class LearnedKind:
    """One kind of entity; ``model`` names its model, ``entity`` what it is called in an answer."""

    model: str
    entity: str
    fold: str
    topics: tuple[str, str]
    beside: tuple[str, ...]  # topics of events about others that tell of these
    predictions: str  # the topic of the answers
    categories: tuple[Feature, ...]
    numbers: tuple[Feature, ...]
    hazard: tuple[int, int]  # how many of the categories and numbers are the hazard's
    grown: tuple[tuple[int, int], ...]  # how many there were in earlier releases: new ones come after all others
    unscored: frozenset[str]  # categories that are the hazard's alone
    present: type[Any]
    past: Callable[[int], Any]
    kinds: dict[type, str]
    absorbed: type

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features in the order of examples."""
        return tuple(feature.name for feature in (*self.categories, *self.numbers))

    @cached_property
    def fingerprint(self) -> str:
        """What identifies these features."""
        return print_of(self.names)

    @cached_property
    def known(self) -> ModelNames:
        """What its model knows."""
        categories, numbers = tuple(f.name for f in self.categories), tuple(f.name for f in self.numbers)
        scored = tuple(name for name in categories if name not in self.unscored)
        return ModelNames(categories[: self.hazard[0]], numbers[: self.hazard[1]], scored, numbers)

    @cached_property
    def formers(self) -> dict[str, tuple[str, ...]]:
        """The names of the features of questions that earlier releases have asked, by their fingerprints."""
        return {print_of(names): names for names in (self._first(*counts) for counts in (self.hazard, *self.grown))}

    def _first(self, categories: int, numbers: int) -> tuple[str, ...]:
        return tuple(f.name for f in (*self.categories[:categories], *self.numbers[:numbers]))

    def names_of(self, fingerprint: str) -> tuple[str, ...] | None:
        """Return the features under which a question is to be read; None where no release so far has asked so."""
        return self.names if fingerprint == self.fingerprint else self.formers.get(fingerprint)

    def fresh_model(self) -> DealModel:
        """Return a model that has learnt nothing: its answers are the prior."""
        return self.known.fresh()

    def facts(self, event: Any, at: int) -> list[Entry]:
        """Return an event as facts of its subject's log: one, or those of an entity that was merged into it."""
        cls = event.__class__
        if cls is self.absorbed:
            facts: list[Entry] = event.data.facts
            return facts
        if cls is lead_events.LeadQualified:
            return [(at, event.id, event.data.level, {})]
        return [(at, event.id, self.kinds[cls], msgspec.to_builtins(event.data))]


DEALS = LearnedKind(
    model="deal",
    entity="deal",
    fold="predict-deals",
    topics=("deals", "deal-merges"),
    beside=(),
    predictions="predictions",
    categories=features.CATEGORIES,
    numbers=features.NUMBERS,
    hazard=(features.HAZARD_CATEGORIES, features.HAZARD_NUMBERS),
    grown=features.GROWN,
    unscored=features.UNSCORED,
    present=DealPresent,
    past=DealPast,
    kinds={
        deal_events.DealCreated: CREATED,
        deal_events.DealUpdated: UPDATED,
        deal_events.DealStageChanged: STAGE,
        deal_events.DealWon: WON,
        deal_events.DealLost: LOST,
        deal_events.DealReopened: REOPENED,
        deal_events.DealActivity: ACTIVITY,
        deal_events.DealMerged: MERGED,
        deal_events.DealDeleted: DELETED,
    },
    absorbed=DealAbsorbed,
)
LEADS = LearnedKind(
    model="lead",
    entity="lead",
    fold="predict-leads",
    topics=("leads", "lead-merges"),
    beside=("engagement",),
    predictions="lead-predictions",
    categories=lead_features.CATEGORIES,
    numbers=lead_features.NUMBERS,
    hazard=(lead_features.HAZARD_CATEGORIES, lead_features.HAZARD_NUMBERS),
    grown=lead_features.GROWN,
    unscored=lead_features.UNSCORED,
    present=LeadPresent,
    past=LeadPast,
    kinds={
        lead_events.LeadCreated: CREATED,
        lead_events.LeadUpdated: UPDATED,
        lead_events.LeadContacted: CONTACTED,
        lead_events.LeadContactAttempted: ATTEMPTED,
        lead_events.LeadDisqualified: DISQUALIFIED,
        lead_events.LeadConverted: CONVERTED,
        lead_events.LeadMerged: MERGED,
        lead_events.LeadDeleted: DELETED,
    },
    absorbed=LeadAbsorbed,
)
KINDS: dict[str, LearnedKind] = {kind.model: kind for kind in (DEALS, LEADS)}

#: What ends an entity, and how.
_ENDS: dict[str, Literal["won", "lost"]] = {WON: "won", LOST: "lost", CONVERTED: "won", DISQUALIFIED: "lost"}
#: What says that a closed one is open again; and, beside it, that one of which only edits are known is open at all.
_REOPENS = frozenset({REOPENED, STAGE})
_OPENS = frozenset({CREATED, CONTACTED, MQL, SQL})


class KnowSteps:
    """Steps through the facts of one kind of entity (:class:`models.entities.entity_log.Steps`); nothing is booked."""

    __slots__ = ("_business", "_kind")

    def __init__(self, kind: LearnedKind, business: Business) -> None:
        self._kind, self._business = kind, business

    def fresh(self) -> Any:
        """Return an entity of which nothing is known."""
        return self._kind.present()

    def copy(self, present: Any) -> Any:
        """Return an independent copy."""
        return msgspec.json.decode(msgspec.json.encode(present), type=self._kind.present)

    def void(self, log: Sequence[Entry]) -> bool:
        """A merged entity is gone; a deleted one too, unless it was created or reopened afterwards."""
        gone = False
        for _, _, kind, _ in log:
            if kind == MERGED:
                return True
            gone = kind == DELETED or (gone and kind not in (CREATED, REOPENED))
        return gone

    def unbook(self, present: Any, at: int, sign: int) -> None:
        """Nothing is booked."""

    def step(self, present: Any, entry: Entry, sign: int) -> None:
        """Take one fact that is not earlier than any before it."""
        at, _, kind, data = entry
        if present.past is None:
            present.past = self._kind.past(at)
            present.status = "unknown"
        if kind == MERGED or kind == DELETED:
            return
        present.past.apply(at, kind, data)
        if "currency" in data:
            present.currency = data["currency"]
        if "default_currency" in data:
            present.default_currency = data["default_currency"]
        end = _ENDS.get(kind)
        if end is None and (stage := data.get("stage")) is not None:
            means = self._business.stage_kinds.get(stage)
            end = "won" if means == WON else "lost" if means == LOST else None
        if end is not None:
            # Who was given up and converts all the same has converted.
            if present.status in ("open", "unknown") or (kind == CONVERTED and present.status == "lost"):
                present.status, present.closed = end, at
        elif present.status != "open" and (kind in _REOPENS or (kind == CREATED and self._kind is LEADS)):
            present.status = "open"
        elif present.status == "unknown" and (kind in _OPENS or data.get("stage") is not None):
            present.status = "open"
