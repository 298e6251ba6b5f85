"""How does the present of a deal, a lead or an alert become a row of its table?"""

from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from models.calendar import epoch_ms
from models.feeds.tables import Row
from models.folds.entity_snapshots import DealState, LeadState
from models.money import UNIT
from models.owners import Owners
from models.panes.store import TOTAL


def deal_row(deal: DealState, currency: str, people: Owners, win: float | None, as_of: int) -> Row:
    """Return a deal as a row of ``deals``."""
    return (
        deal.id, deal.status, deal.changed, deal.created, deal.closed, deal.stage, deal.stage_since,
        None if deal.amount is None else deal.amount / UNIT, currency, *_attributes(deal, people), deal.lead_id, deal.reason,
        _day(deal.expected_close), deal.last_activity, win, as_of,
    )  # fmt: skip


def lead_row(lead: LeadState, people: Owners, as_of: int) -> Row:
    """Return a lead as a row of ``leads``."""
    return (
        lead.id, lead.status, lead.changed, lead.created, lead.contacted, lead.converted, lead.level or None, lead.score,
        *_attributes(lead, people), as_of,
    )  # fmt: skip


def alert_row(alert: Mapping[str, Any], as_of: int) -> Row:
    """Return an alert that stands, as the API has it, as a row of ``alerts``."""
    dimension, segment = next(iter((alert.get("segment") or {}).items()), (TOTAL, ""))
    by, get = alert.get("acknowledged"), alert.get
    return (
        get("id"), get("rule"), get("severity"), get("state"), instant(get("since")), get("kpi"), get("window"), dimension,
        segment, _number(get("value")), _number(get("threshold")), get("unit"), get("currency"), get("sample"),
        by.get("by") if isinstance(by, Mapping) else None, as_of,
    )  # fmt: skip


@lru_cache(1024)
def instant(text: str | None) -> int | None:
    """Return a time of the API as epoch milliseconds."""
    return None if text is None else epoch_ms(datetime.fromisoformat(text))


def _attributes(one: DealState | LeadState, people: Owners) -> tuple[str | None, ...]:
    person = people.get(one.owner)
    return (
        one.owner, one.owner if person is None else person.name, one.team, one.source, one.campaign, one.product, one.region,
        one.segment, one.pipeline, one.variant, one.account_id,
    )  # fmt: skip


def _day(text: str | None) -> str | None:
    """Return a day as it is, None for what is none: senders say all kinds of things."""
    try:
        return None if text is None else date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        return None


def _number(found: Any) -> float | None:
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None
