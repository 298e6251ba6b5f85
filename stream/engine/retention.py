"""How long is what kept? The one table of it: ``vigie topics`` prints it, ``docs/retention.md`` is made of it.

The numbers are those that the code uses: of topics ``stream/engine/topics.py``, of panes and entities ``models/business.py``.
"""

from collections.abc import Iterator
from typing import NamedTuple

from alert_rules.tell.memos import MEMO_KEPT
from alert_rules.words.durations import human
from models.business import Business
from models.calendar import DAY_MS
from models.entities.entity_log import FOLDED, KEPT
from models.entities.recent_ids import MOST
from models.folds.trail import KEPT as MOMENTS
from models.kpis.highlights import KEPT_DAYS
from stream.engine.topic_list import TOPICS


class Kept(NamedTuple):
    """Something that is kept, for how long, and what sets that."""

    what: str
    how_long: str
    set_by: str


def state(business: Business) -> Iterator[Kept]:
    """Yield what folds keep, panes first."""
    days = human(business.keep_days)
    yield Kept("sums by the minute", human(business.keep_minutes), "business.keep_minutes")
    yield Kept("sums by the hour", human(business.keep_hours), "business.keep_hours")
    yield Kept("sums by the day", days, "business.keep_days")
    yield Kept("levels (open deals)", "ever", "")
    yield Kept("a deal", f"while it is open, then {days} after its last fact", "business.keep_days")
    yield Kept(
        "a lead", f"{human(business.keep_days + business.maturity)} after its last fact", "business.keep_days + business.maturity"
    )
    yield Kept("facts of a deal or lead, one by one", f"the latest {KEPT - FOLDED} to {KEPT}", "")
    yield Kept("a visitor", f"{human(business.visit_horizon)} after the last visit", "business.visit_horizon")
    steps = f"as long as the visitor, the latest {MOMENTS} of each step"
    yield Kept("moments of a visitor that journeys ask for, and which lead it is", steps, "business.visit_horizon")
    yield Kept("an account, a channel, what a customer has bought", "ever", "")
    ids = f"{human(business.dedup_horizon)} after arrival, {MOST:,} per entity at most"
    yield Kept("ids of what only adds (page views, e-mails, invoices)", ids, "business.dedup_horizon")
    yield Kept("ids of a deal's activities", f"as long as the deal, {MOST:,} at most", "")
    yield Kept("deals and leads that explain a number", human(KEPT_DAYS * DAY_MS), "")
    yield Kept("under what a message is known where it was sent", f"{human(MEMO_KEPT)} after its last use", "")


def topics() -> Iterator[Kept]:
    """Yield what topics keep."""
    for topic in TOPICS:
        if topic.compact:
            yield Kept(f"topic {topic.name}", "the latest of each key", "")
        else:
            yield Kept(f"topic {topic.name}", "ever" if topic.retention is None else human(topic.retention), "retention.ms")
    yield Kept("changelogs of the folds", "the latest of each key", "")


def markdown(business: Business) -> str:
    """Return ``docs/retention.md``."""
    rows = [(kept.what, kept.how_long, f"`{kept.set_by}`" if kept.set_by else "") for kept in (*state(business), *topics())]
    lines = [
        "# What is kept how long",
        "",
        "Generated from the code by `python -m vigie.schemas --write docs`; `vigie topics` prints it for your settings.",
        "Numbers do not come from the topics again: they live in the folds' state, which outlives them",
        "([ADR 16](adr/0016-state-that-evolves.md)). Time is the events' own, bounded by their arrival.",
        "",
        "| what | how long | set by |",
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"
