"""Keep each visitor's sessions, and what they contribute to the panes."""

from agents.entity_fold import entity_fold
from models.business import Business
from stream.engine.options import FoldSpec


def fold_engagement(business: Business, partitions: int) -> FoldSpec:
    """Return the fold as the engine runs it."""
    return entity_fold("engagement", business, partitions, __doc__)
