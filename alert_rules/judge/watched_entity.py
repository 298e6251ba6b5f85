"""What is kept of an open deal or lead that is watched, and what are people told of it?"""

from collections.abc import Mapping
from typing import Any

import msgspec

from alert_rules.kinds.entity_condition import EntityState
from alert_rules.records.entity_facts import ATTRIBUTES
from models.folds.entity_snapshots import DealState, LeadState


class WatchedEntry(msgspec.Struct, array_like=True):
    """One open deal or lead. ``found``: by rule, which step of the ladder it is beyond and what was said of it.

    ``heard``: when it was first heard of (0: before that was noted). ``old``: by rule, which step it had been beyond for too
    long by then.
    """

    deal: DealState | None = None
    lead: LeadState | None = None
    odds: list[tuple[int, float]] = []
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    heard: int = 0
    old: dict[str, int] = {}

    @property
    def state(self) -> EntityState:
        """The deal or the lead."""
        state = self.deal or self.lead
        assert state is not None  # no entry is made without
        return state


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(WatchedEntry).decode


def ended(facts: Mapping[str, Any], state: EntityState) -> str:
    """Return why what was said of an entity is over though it is still open."""
    stage = getattr(state, "stage", None)
    return f"it has moved on to {stage}" if stage is not None and facts.get("stage") != stage else "it is no longer so"


def became(status: str) -> str:
    """Return why what was said of an entity is over, from the status that it has now."""
    return "nobody has said yet what became of it" if status == "unknown" else f"it was {status}"


def named(key: str) -> dict[str, str]:
    """Return the segment of a row's key: ``{"deal": id}``."""
    kind, _, name = key.partition("|")
    return {"deal" if kind == "d" else "lead": name}


def known(state: EntityState) -> dict[str, Any]:
    """Return what people are told of an entity; what is not known is left out."""
    kind = "deal" if isinstance(state, DealState) else "lead"
    facts: dict[str, Any] = {name: value for name in ATTRIBUTES[kind] if (value := getattr(state, name))}
    if state.name:
        facts["name"] = state.name
    if isinstance(state, DealState):
        if state.amount is not None:
            facts["amount"] = state.amount / 10_000
    elif state.score is not None:
        facts["score"] = state.score
    if state.sender:
        facts["sender"] = state.sender  # whose page of it there may be
    return facts
