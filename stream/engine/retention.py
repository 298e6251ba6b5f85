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


class KeptFor(NamedTuple):
    """Something that is kept, for how long, and what sets that."""

    what: str
    how_long: str
    set_by: str


def state(business: Business) -> Iterator[KeptFor]:
    """Yield what folds keep, panes first."""
    days = human(business.keep_days)
    yield KeptFor("sums by the minute", human(business.keep_minutes), "business.keep_minutes")
    yield KeptFor("sums by the hour", human(business.keep_hours), "business.keep_hours")
    yield KeptFor("sums by the day", days, "business.keep_days")
    yield KeptFor("levels (open deals)", "ever", "")
    yield KeptFor("a deal", f"while it is open, then {days} after its last fact", "business.keep_days")
    yield KeptFor(
        "a lead", f"{human(business.keep_days + business.maturity)} after its last fact", "business.keep_days + business.maturity"
    )
    yield KeptFor("facts of a deal or lead, one by one", f"the latest {KEPT - FOLDED} to {KEPT}", "")
    yield KeptFor("a visitor", f"{human(business.visit_horizon)} after the last visit", "business.visit_horizon")
    steps = f"as long as the visitor, the latest {MOMENTS} of each step"
    yield KeptFor("moments of a visitor that journeys ask for, and which lead it is", steps, "business.visit_horizon")
    yield KeptFor("an account, a channel, what a customer has bought", "ever", "")
    ids = f"{human(business.dedup_horizon)} after arrival, {MOST:,} per entity at most"
    yield KeptFor("ids of what only adds (page views, e-mails, invoices)", ids, "business.dedup_horizon")
    yield KeptFor("ids of a deal's activities", f"as long as the deal, {MOST:,} at most", "")
    yield KeptFor("deals and leads that explain a number", human(KEPT_DAYS * DAY_MS), "")
    yield KeptFor("under what a message is known where it was sent", f"{human(MEMO_KEPT)} after its last use", "")


def topics() -> Iterator[KeptFor]:
    """Yield what topics keep."""
    for topic in TOPICS:
        if topic.compact:
            yield KeptFor(f"topic {topic.name}", "the latest of each key", "")
        else:
            yield KeptFor(f"topic {topic.name}", "ever" if topic.retention is None else human(topic.retention), "retention.ms")
    yield KeptFor("changelogs of the folds", "the latest of each key", "")


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
