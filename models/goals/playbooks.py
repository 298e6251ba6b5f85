"""What is to be done about an alert, and did the figure move afterwards?

The figure of the days after an alert is held against what was to be expected of it by the stretches of as many days before: a
band that eight in ten such figures fall into. So an alert of a bad day that mends itself earns nobody a record: that it would is
in the band. Made of the panes and the alerts' history at each question; nothing is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from models.calendar import DAY_MS, epoch_ms, iso
from models.goals.plan import Playbook
from models.kpis.catalogue import Catalogue
from models.kpis.interval import wilson
from models.kpis.reading import Reading
from models.panes.store import TOTAL
from models.panes.view import View
from models.panes.windows import Window

BETTER, EXPECTED, WORSE, EARLY, UNKNOWN = "better", "as_expected", "worse", "too_early", "unknown"
#: Stretches before that are looked at, and the least that tell what is to be expected.
_BEFORE, _LEAST = 26, 8
#: Of figures that nothing was done about, so many are above the band, and as many below.
_BY_CHANCE = 0.1
#: So many runs of a playbook are listed.
SHOWN = 50


class Run(NamedTuple):
    """An alert that a playbook was for; ``fired`` is epoch milliseconds."""

    incident: str
    rule: str
    kpi: str | None
    segment: Mapping[str, str]
    fired: int


def runs(records: Iterable[Mapping[str, Any]], rules: Sequence[str]) -> list[Run]:
    """Return the alerts of some rules that have fired, newest first, of records of the topic ``alerts``."""
    found: dict[str, Run] = {}
    for one in records:
        if one.get("kind") == "fired" and one.get("rule") in rules:
            at = epoch_ms(datetime.fromisoformat(str(one["at"])))
            found.setdefault(one["incident"], Run(one["incident"], one["rule"], one.get("kpi"), one.get("segment") or {}, at))
    return list(found.values())


def playbook_document(view: View, catalogue: Catalogue, book: Playbook, found: Sequence[Run], at: int) -> dict[str, Any]:
    """Return a playbook with its runs and its record (``docs/playbooks.md``)."""
    shown = [_told(view, catalogue, book, run, at) for run in found[:SHOWN]]
    counts = {state: sum(one["status"] == state for one in shown) for state in (BETTER, EXPECTED, WORSE)}
    judged = sum(counts.values())
    low, high = wilson(counts[BETTER], judged) if judged else (None, None)
    record = {
        "runs": len(found), "judged": judged, **counts, "share": counts[BETTER] / judged if judged else None, "low": low,
        "high": high, "by_chance": _BY_CHANCE, "earned": low is not None and low > _BY_CHANCE,
    }  # fmt: skip
    return {
        "name": book.name, "rules": list(book.rules), "steps": list(book.steps), "owner": book.owner or None,
        "due_days": book.due / DAY_MS, "days": book.days, "kpi": book.kpi or None, "record": record, "runs": shown,
    }  # fmt: skip


def _told(view: View, catalogue: Catalogue, book: Playbook, run: Run, at: int) -> dict[str, Any]:
    status, why, value, band = UNKNOWN, None, None, None
    kpi = catalogue.kpis.get(book.kpi or run.kpi or "")
    segment = next((f"{name}={value}" for name, value in run.segment.items()), TOTAL)
    first = view.calendar.day(run.fired) + 1
    ready = view.calendar.day_start(first + book.days)
    if kpi is None:
        why = "the alert is about no KPI (accepted: kpi, in the playbook)"
    elif segment != TOTAL and segment.partition("=")[0] not in kpi.by:
        why = f"{kpi.id} is not told by {segment.partition('=')[0]}"
    elif kpi.direction == "none":
        why = f"of {kpi.id} neither more nor less is better"
    elif at < ready:
        status, why = EARLY, f"judged from {iso(ready)[:10]} on"
    else:

        def read(place: int) -> Reading:
            begin = first + place * book.days
            end = view.calendar.day_start(begin + book.days)
            return catalogue.reading(kpi, view, Window.since(begin), segment, end)

        began = view.began(kpi.formula.folds)
        before = [
            read(place).value
            for place in range(-_BEFORE, 0)
            if began is not None and view.calendar.day_start(first + place * book.days) >= began
        ]
        after = read(0)
        value = after.value
        if value is None:
            why = after.why
        elif sum(one is not None for one in before) < _LEAST:
            why = f"{len(before)} stretches of {book.days} days are known before it, fewer than the {_LEAST} it takes"
        else:
            from models.foresight.series import forecast  # with numpy, which nobody else here needs

            said = forecast(before, 1, 1)
            low, middle, high = said.p10[0], said.p50[0], said.p90[0]
            if low is None or high is None:
                why = "; ".join(said.why)
            else:
                band = {"low": low, "middle": middle, "high": high}
                good, bad = (value > high, value < low) if kpi.direction == "up" else (value < low, value > high)
                status = BETTER if good else WORSE if bad else EXPECTED
    return {
        "incident": run.incident, "rule": run.rule, "segment": dict(run.segment), "fired": iso(run.fired),
        "due": iso(run.fired + book.due), "kpi": None if kpi is None else kpi.id, "unit": None if kpi is None else kpi.unit,
        "status": status, "value": value, "expected": band, "why": why,
    }  # fmt: skip
