"""Does the catalogue know what an objective or a challenge is about, and can it be told so?"""

from collections.abc import Iterator

from models.config.suggest import meant
from models.goals.objectives import additive
from models.goals.plan import Challenge, Objective
from models.kpis.catalogue import Catalogue
from models.panes.store import TOTAL


def wrong_objective(catalogue: Catalogue, plan: Objective) -> Iterator[tuple[str, str]]:
    """Yield what cannot be used of an objective: the field, and what was found and is accepted."""
    dimension = plan.segment.partition("=")[0]
    for place, goal in (("main", plan.main), *((f"indicators[{n}]", one) for n, one in enumerate(plan.indicators))):
        if not goal.kpi:
            continue
        kpi, where = catalogue.kpis.get(goal.kpi), f"{place}.kpi"
        if kpi is None:
            yield where, f"unknown KPI {goal.kpi!r}{meant(goal.kpi, catalogue.kpis)}"
        elif dimension != TOTAL and dimension not in kpi.by:
            yield where, f"found {goal.kpi}, which is not told by {dimension} (accepted: a KPI that is)"
        elif kpi.direction == "none" and not goal.guard:
            yield where, f"found {goal.kpi}, of which neither more nor less is better (accepted: as a guard)"


def wrong_challenge(catalogue: Catalogue, plan: Challenge) -> Iterator[tuple[str, str]]:
    """Yield what cannot be used of a challenge, likewise."""
    for number, guard in enumerate(plan.guards):
        if guard.kpi not in catalogue.kpis:
            yield f"guards[{number}].kpi", f"unknown KPI {guard.kpi!r}{meant(guard.kpi, catalogue.kpis)}"
    kpi = catalogue.kpis.get(plan.kpi)
    if kpi is None:
        yield "kpi", f"unknown KPI {plan.kpi!r}{meant(plan.kpi, catalogue.kpis)}"
        return
    if kpi.direction == "none" or plan.by not in kpi.by:
        accepted = f"a KPI by {plan.by} of which more or less is better"
        yield "kpi", f"found {plan.kpi}, which gives no places by {plan.by} (accepted: {accepted})"
    if plan.handicap and not (additive(kpi) and kpi.direction == "up"):
        yield "handicap", f"found {plan.handicap} with {plan.kpi} (accepted with a count or an amount of which more is better)"
