"""What is shown beside a test: its guards, and its cases by segment.

Guards warn early and decide nothing. Segments are *exploratory*: among twenty of them one looks good by chance, so nothing is
decided by them, and their bounds are those of one segment looked at alone.
"""

from collections.abc import Iterator
from typing import Any

from models.experiments.coin import CountedCases
from models.experiments.lift import lift
from models.experiments.live import MEASURED, Cohorts, lift_json, maturity_of, unreadable, variant_numbers
from models.experiments.plan import Guard, Plan
from models.kpis.catalogue import Catalogue
from models.kpis.reading import Reading
from models.panes.segments import pair_name
from models.panes.view import View
from models.panes.windows import Window

#: So many segments are shown, those with the most cases.
_SHOWN = 20
OK, WARNING, UNKNOWN = "ok", "warning", "unknown"


def guards(view: View, catalogue: Catalogue, plan: Plan, at: int) -> list[dict[str, Any]]:
    """Return how each guard of a test stands, since the test began."""
    return [_guard(view, catalogue, plan, guard, at) for guard in plan.guards]


def _guard(view: View, catalogue: Catalogue, plan: Plan, guard: Guard, at: int) -> dict[str, Any]:
    kpi, window = catalogue.get(guard.kpi), Window.since(plan.since.toordinal())
    begun = at > view.calendar.day_start(window.first)
    readings = [catalogue.reading(kpi, view, window, f"variant={name}", at) for name in plan.variants] if begun else []
    beyond = [
        name
        for name, reading in zip(plan.variants, readings, strict=False)
        if reading.value is not None
        and ((guard.at_most is not None and reading.value > guard.at_most)
             or (guard.at_least is not None and reading.value < guard.at_least))
    ]  # fmt: skip
    why = None
    if not begun or any(reading.value is None for reading in readings):
        why = next((f"{name}: {r.why}" for name, r in zip(plan.variants, readings, strict=False) if r.why), "it has not begun")
    if guard.at_most is None and guard.at_least is None and why is None:
        beyond = [plan.variants[worse] for worse in (0, 1) if _surely_worse(kpi.direction, readings, worse)]
    return {
        "kpi": kpi.id,
        "label": dict(kpi.label),
        "unit": kpi.unit,
        "at_most": guard.at_most,
        "at_least": guard.at_least,
        "status": WARNING if beyond else UNKNOWN if why else OK,
        "worse": beyond,
        "variants": [
            {"variant": name, "value": reading.value, "low": reading.low, "high": reading.high, "sample": reading.sample}
            for name, reading in zip(plan.variants, readings, strict=False)
        ],
        "why": why,
    }


def _surely_worse(direction: str, readings: list[Reading], which: int) -> bool:
    """Whether a variant's share is worse than the other's by bounds that hold however often one looks."""
    a, b = (CountedCases(int(one.denominator or 0), int(one.numerator or 0)) for one in readings)
    found = lift(a, b)
    if found is None:
        return False
    b_is_less, b_is_more = found.high < 0, found.low > 0
    b_is_worse, a_is_worse = (b_is_less, b_is_more) if direction == "up" else (b_is_more, b_is_less)
    return b_is_worse if which else a_is_worse


def segments(view: View, plan: Plan, at: int) -> list[dict[str, Any]]:
    """Return a test's cases by the dimensions that are declared a pair with the variant, those with the most cases first."""
    if unreadable(view, plan, at) is not None:
        return []
    maturity, found = maturity_of(view, plan), list[tuple[int, dict[str, Any]]]()
    for by, value, names in _paired(view, plan):
        given, judged = Cohorts(view, plan, maturity, at, names).sums()
        if any(given):
            shown = {"by": by, "value": value, "exploratory": True, "variants": variant_numbers(plan, given, judged)}
            found.append((sum(given), {**shown, "lift": lift_json(lift(*judged))}))
    ordered = sorted(found, key=lambda one: (-one[0], one[1]["by"], one[1]["value"]))
    return [shown for _, shown in ordered[:_SHOWN]]


def _paired(view: View, plan: Plan) -> Iterator[tuple[str, str, tuple[str, str]]]:
    folds = frozenset((MEASURED[plan.unit].fold,))
    for one, two in view.business.pairs:
        if "variant" not in (one, two):
            continue
        by, first = (two, True) if one == "variant" else (one, False)
        for value in view.segments(by, folds):
            a, b = (f"{name} × {value}" if first else f"{value} × {name}" for name in plan.variants)
            name = pair_name(one, two)
            yield by, value, (f"{name}={a}", f"{name}={b}")
