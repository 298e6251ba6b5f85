"""Which deals and leads stand behind the figures? Connects the lists of the largest and the longest waiting to the engine."""

from models.business import Business
from models.folds.entity_snapshots import DEAL_STATES, LEAD_STATES
from models.kpis.highlights import PickHighlights
from stream.engine.options import FoldSpec

NAME = "pick-highlights"
#: A lane of its own: neither a KPI nor an alert waits for these lists.
LANE = "highlights"
#: Its checkpoints, in checkpoint intervals: lists that change with every deal are written once for many.
EVERY = 8


def spec(business: Business) -> FoldSpec:
    """Return the fold as the engine runs it."""
    return FoldSpec(
        name=NAME,
        topics=(DEAL_STATES, LEAD_STATES),
        make=lambda partition: PickHighlights(partition, business),
        lane=LANE,
        doc="Keep the few deals and leads that stand behind each day's figures.",
    )
