"""What is known of a deal or a lead now, for those who judge single ones (entity rules, explanations)?

The folds of deals and leads hand over the present of each entity that a checkpoint has changed: absolute, keyed by its id, so
that a repeat overwrites. No value means that it counts for nothing any more: deleted, merged into another, or forgotten.

Times are milliseconds since the epoch, amounts 1/10,000 of the business currency. What is not known is left out of the JSON.
"""

from typing import Any, Literal

import msgspec

from models.folds.deals import LOST, WON, Deal
from models.folds.leads import Lead

DEAL_STATES, LEAD_STATES = "deal-states", "lead-states"


class DealState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A deal's present; ``unknown``: only edited so far, so that nobody knows what it is.

    ``changed`` is the time of its latest fact, ``sender`` the CloudEvents source that spoke of it last.
    """

    id: str
    status: Literal["open", "won", "lost", "unknown"]
    changed: int
    created: int | None = None
    closed: int | None = None
    stage: str | None = None
    stage_since: int | None = None
    amount: int | None = None
    owner: str | None = None
    team: str | None = None
    source: str | None = None
    campaign: str | None = None
    product: str | None = None
    region: str | None = None
    segment: str | None = None
    pipeline: str | None = None
    variant: str | None = None
    expected_close: str | None = None
    account_id: str | None = None
    lead_id: str | None = None
    reason: str | None = None
    last_activity: int | None = None
    sender: str | None = None
    name: str | None = None


class LeadState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A lead's present. ``contacted`` is the first answer; a lead that was converted counts as answered then at the latest."""

    id: str
    status: Literal["open", "converted", "disqualified", "unknown"]
    changed: int
    created: int | None = None
    contacted: int | None = None
    converted: int | None = None
    level: Literal["", "mql", "sql"] = ""
    score: float | None = None
    owner: str | None = None
    team: str | None = None
    source: str | None = None
    campaign: str | None = None
    product: str | None = None
    region: str | None = None
    segment: str | None = None
    pipeline: str | None = None
    variant: str | None = None
    account_id: str | None = None
    sender: str | None = None
    name: str | None = None


encode = msgspec.json.Encoder().encode
decode_deal = msgspec.json.Decoder(DealState).decode
decode_lead = msgspec.json.Decoder(LeadState).decode

_SHARED = frozenset({"owner", "team", "source", "campaign", "product", "region", "segment", "pipeline", "variant", "account_id"})
_OF_DEALS = _SHARED | {"lead_id", "reason", "name"}
_LEVELS: tuple[Literal["", "mql", "sql"], ...] = ("", "mql", "sql")


def deal_state(key: str, deal: Deal, changed: int, active: int, sender: str) -> DealState:
    """Return the state of a deal; ``active`` is the time of its last activity, 0 for none."""
    attributes = deal.attributes
    closed = deal.status == WON or deal.status == LOST
    expected = attributes.get("expected_close_date")
    return DealState(
        key,
        deal.status,  # type: ignore[arg-type]  # one of the four from the first fact on
        changed,
        deal.created,
        deal.closed if closed else None,
        deal.stage,
        deal.stage_since if deal.stage is not None else None,
        deal.value,
        expected_close=None if expected is None else str(expected),
        last_activity=active or None,
        sender=sender or None,
        **_named(attributes, _OF_DEALS),
    )


def lead_state(key: str, lead: Lead, changed: int, sender: str) -> LeadState:
    """Return the state of a lead."""
    known = lead.created is not None or lead.contacted is not None or lead.level
    status: Literal["open", "converted", "disqualified", "unknown"] = "open" if known else "unknown"
    if lead.converted is not None:
        status = "converted"
    elif lead.disqualified:
        status = "disqualified"
    score = lead.attributes.get("score")
    return LeadState(
        key,
        status,
        changed,
        lead.created,
        lead.contacted,
        lead.converted,
        _LEVELS[lead.level],
        score=None if score is None else float(score),
        sender=sender or None,
        name=called(lead.attributes),
        **_named(lead.attributes, _SHARED),
    )


def called(attributes: dict[str, Any]) -> str | None:
    """Return what people call a lead: the whole name, else the first and last, which some CRMs tell one by one."""
    parts = (attributes.get("first_name"), attributes.get("last_name"))
    return attributes.get("name") or " ".join(part for part in parts if part) or None


def _named(attributes: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name in names and value is not None}
