"""All that is known of one test: how it stands, its guards, its segments."""

from typing import Any

from models.experiments.beside import WARNING, guards, segments
from models.experiments.live import standing
from models.experiments.plan import Plan
from models.kpis.catalogue import Catalogue
from models.panes.view import View


def experiment_document(view: View, catalogue: Catalogue, plan: Plan, at: int) -> dict[str, Any]:
    """Return a test as the API has it (``docs/experiments.md``)."""
    found = standing(view, plan, at).as_json()
    watched = guards(view, catalogue, plan, at)
    warnings = [
        f"guard {one['kpi']}: {', '.join(one['worse'])} {'is' if len(one['worse']) == 1 else 'are'} "
        + ("beyond the limit" if one["at_most"] is not None or one["at_least"] is not None else "surely worse")
        for one in watched
        if one["status"] == WARNING
    ]
    return {**found, "warnings": [*found["warnings"], *warnings], "guards": watched, "segments": segments(view, plan, at)}
