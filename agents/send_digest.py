"""What is said in the morning? Connects the summary to the streams of readings and alerts."""

from collections.abc import Callable

from alert_rules.tell.plan import Alerting
from alert_rules.tell.send_digest import FORECAST, PERIOD, SendDigest
from models.kpis.catalogue import Catalogue
from models.kpis.roll_kpis import Wanted
from stream.engine.options import FoldSpec, wall_clock

NAME = "send-digest"
#: A lane of its own, at the usual interval: its rows follow the readings, and nobody waits for them.
LANE = "digest"


def send_digest(plan: Alerting, catalogue: Catalogue, clock: Callable[[], int] = wall_clock) -> FoldSpec | None:
    """Return the fold as the engine runs it, None where the plan has no digest."""
    digest = plan.digest
    if digest is None:
        return None
    labels = {kpi: catalogue.get(kpi).label for kpi in digest.kpis}
    return FoldSpec(
        name=NAME,
        topics=("readings", "alerts", "standings"),
        make=lambda partition: SendDigest(digest, labels, plan.resolve, began=clock()),
        lane=LANE,
        doc="Say once a day how the figures are and which alerts stand.",
    )


def summed(plan: Alerting) -> set[Wanted]:
    """Return the readings that must be published for the summary."""
    return set() if plan.digest is None else {Wanted(kpi, plan.digest.window, None) for kpi in plan.digest.kpis}


def foreseen(plan: Alerting) -> set[Wanted]:
    """Return the readings of forecasts that must be published for the summary."""
    return set() if plan.digest is None else {Wanted(kpi, PERIOD, None) for kpi in FORECAST}
