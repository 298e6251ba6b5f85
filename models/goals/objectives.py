"""How far is an objective: its value, what was due by now, whether it is likely to be reached, and whether a guard is broken?

All of it is read from the panes, for the period now and for those before: nothing is kept, and what is told late, reopened or
merged changes the past as well.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from models.calendar import iso
from models.goals.plan import Goal, Objective, SaidProgress
from models.kpis.catalogue import Catalogue
from models.kpis.entry import Kpi
from models.kpis.progress import course, elapsed
from models.kpis.reading import Reading
from models.measures import BY_NAME
from models.panes.view import View
from models.panes.windows import Window

#: The probability (0 to 1) that a KPI (id) of a period (window's name) and segment reaches a target, by a forecast made at an
#: instant; None where nothing is forecast of it.
Chance = Callable[[str, str, str, float, int], float | None]
REACHED, ON_TRACK, BEHIND, MISSED, UNKNOWN, GUARDED = "reached", "on_track", "behind", "missed", "unknown", "guarded"
NO_FORECAST = "nothing is forecast of it here"


def nobody(kpi: str, period: str, segment: str, target: float, at: int) -> float | None:
    """Forecast nothing."""
    return None


def objective_document(
    view: View, catalogue: Catalogue, objective: Objective, at: int, said: SaidProgress | None = None, chance: Chance = nobody,
    past: int = 3,
) -> dict[str, Any]:  # fmt: skip
    """Return how an objective stands (``docs/objectives.md``), with so many periods before."""
    window, calendar = Window.parse(objective.period), view.calendar
    # After its last day it stands as it did at the end of its last period.
    last = None if objective.until == date.max else _last(objective, window, view)
    moment = at if last is None else min(at, last)
    first, stop = window.period_days(moment, calendar)
    found: dict[str, Any] = {
        "id": objective.id, "name": objective.name, "of": objective.of, "period": objective.period,
        "from": date.fromordinal(first).isoformat(), "until": date.fromordinal(stop - 1).isoformat(),
        "elapsed": round(float(elapsed(view, window, moment)), 4),
    }  # fmt: skip
    over = moment >= calendar.day_start(stop)
    if said is not None and said.at < iso(calendar.day_start(first)):
        said = None  # it was said of a period before
    if first < objective.since.toordinal() or first > objective.until.toordinal():
        begins = f"its first {objective.period} begins on or after {objective.since.isoformat()}"
        why = begins if first < objective.since.toordinal() else "it has no period: it ends before one begins"
        goal = _unknown(catalogue, objective.main, why, said)
        return found | {"state": UNKNOWN, "why": why, "main": goal, "indicators": [], "past": []}
    main = _goal(view, catalogue, objective, objective.main, window, moment, over, said, chance)
    beside = [_goal(view, catalogue, objective, one, window, moment, over, None, chance) for one in objective.indicators]
    broken = any(one.get("broken") for one in beside)
    before = _past(view, catalogue, objective, window, calendar.day_start(first), past)
    state = GUARDED if broken else main["state"]
    return found | {"state": state, "why": main["why"], "main": main, "indicators": beside, "past": before}


def _last(objective: Objective, window: Window, view: View) -> int:
    """Return the end of the last period that begins on or before ``until``."""
    calendar = view.calendar
    _, stop = window.period_days(calendar.day_start(objective.until.toordinal() + 1), calendar)
    return calendar.day_start(stop)


def _past(view: View, catalogue: Catalogue, objective: Objective, window: Window, end: int, most: int) -> list[dict[str, Any]]:
    found, calendar = list[dict[str, Any]](), view.calendar
    while objective.main.kpi and len(found) < most:
        first, stop = window.period_days(end, calendar)
        if first < objective.since.toordinal() or first > objective.until.toordinal():
            break
        goal = _goal(view, catalogue, objective, objective.main, window, end, True, None, nobody)
        if goal["value"] is None and goal["state"] == UNKNOWN:
            break
        guards = [_goal(view, catalogue, objective, one, window, end, True, None, nobody) for one in objective.indicators]
        state = GUARDED if any(one.get("broken") for one in guards) else goal["state"]
        shown = {"from": date.fromordinal(first).isoformat(), "until": date.fromordinal(stop - 1).isoformat(), "state": state}
        found.append(shown | {"value": goal["value"], "progress": goal["progress"]})
        end = calendar.day_start(first)
    return found


def _goal(
    view: View, catalogue: Catalogue, objective: Objective, goal: Goal, window: Window, at: int, over: bool,
    said: SaidProgress | None, chance: Chance,
) -> dict[str, Any]:  # fmt: skip
    if not goal.kpi:
        return _text(goal, said, over)
    kpi = catalogue.kpis.get(goal.kpi)
    if kpi is None:
        return _unknown(catalogue, goal, f"there is no KPI {goal.kpi!r}", said)
    segment = objective.segment
    reading = catalogue.reading(kpi, view, window, segment, at)
    shown = _described(kpi, goal) | {"value": reading.value, "why": reading.why, "sample": reading.sample}
    if goal.guard:
        return shown | {"broken": goal.broken(reading.value)}
    return shown | _progress(view, kpi, goal, window, segment, reading, over, chance)


def _progress(
    view: View, kpi: Kpi, goal: Goal, window: Window, segment: str, reading: Reading, over: bool, chance: Chance
) -> dict[str, Any]:
    target, value, less = goal.target or 0.0, reading.value, kpi.direction == "down"
    adds = additive(kpi)
    due = pace = probability = progress = None
    why: str | None = NO_FORECAST
    if value is not None:
        progress = (target / value if value > 0 else 1.0) if less else value / target
    if adds:
        due = float(target * share(view, kpi, window, segment, reading.at))
        if value is not None and due > 0 and not less:
            pace = value / due
        probability = None if over else chance(kpi.id, window.name, segment, target, reading.at)
        why = None if probability is not None else "the period is over" if over else NO_FORECAST
    state = UNKNOWN
    if value is not None:
        meets = value <= target if less else value >= target
        if over:
            state = REACHED if meets else MISSED
        elif not adds:
            state = ON_TRACK if meets else BEHIND
        elif less:
            state = MISSED if not meets else ON_TRACK if value <= (due or 0.0) else BEHIND
        elif meets:
            state = REACHED
        else:
            good = probability >= 0.5 if probability is not None else pace is None or pace >= 1
            state = ON_TRACK if good else BEHIND
    return {
        "progress": _rounded(progress), "due": _rounded(due), "pace": _rounded(pace), "chance": _rounded(probability),
        "chance_why": why, "state": state, "low": reading.low, "high": reading.high,
    }  # fmt: skip


def additive(kpi: Kpi) -> bool:
    """Whether a KPI adds up over the period, so that half of it has half of it."""
    plain = kpi.formula.denominator is None and kpi.basis[0] == "period" and kpi.unit in ("count", "money")
    return plain and "median" not in kpi.formula.text


def share(view: View, kpi: Kpi, window: Window, segment: str, at: int) -> float:
    """Return the share of a period's sum that has usually come by now; by working days where nobody knows."""
    name = kpi.formula.text
    if name in BY_NAME:
        return float(course(view, window, BY_NAME[name][0], name, segment, at))
    return float(elapsed(view, window, at))


def _described(kpi: Kpi, goal: Goal) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "kind": "guard" if goal.guard else "kpi", "kpi": kpi.id, "label": dict(kpi.label), "unit": kpi.unit,
        "direction": kpi.direction,
    }  # fmt: skip
    return shown | ({"at_most": goal.at_most, "at_least": goal.at_least} if goal.guard else {"target": goal.target})


def _text(goal: Goal, said: SaidProgress | None, over: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"kind": "text", "text": goal.text}
    if said is None:
        why = "nobody has said yet how far it is"
        return shown | {"progress": None, "note": None, "said": None, "said_by": None, "state": UNKNOWN, "why": why}
    state = REACHED if said.progress >= 1 else MISSED if over else ON_TRACK
    return shown | {
        "progress": said.progress, "note": said.note or None, "said": said.at or None, "said_by": said.by or None, "state": state,
        "why": None,
    }  # fmt: skip


def _unknown(catalogue: Catalogue, goal: Goal, why: str, said: SaidProgress | None) -> dict[str, Any]:
    """Return a goal of which there is nothing to say."""
    if not goal.kpi:
        return _text(goal, said, over=False)
    kpi = catalogue.kpis.get(goal.kpi)
    shown = (
        {"kind": "guard" if goal.guard else "kpi", "kpi": goal.kpi, "target": goal.target}
        if kpi is None
        else _described(kpi, goal)
    )
    parts = dict.fromkeys(("value", "sample", "progress", "due", "pace", "chance", "low", "high"))
    return shown | parts | {"chance_why": why, "state": UNKNOWN, "broken": False, "why": why}


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 4)


def answer(view: View, at: int, objectives: list[dict[str, Any]]) -> Mapping[str, Any]:
    """Return the whole answer of the API."""
    return {"at": iso(at), "currency": view.business.currency, "objectives": objectives}
