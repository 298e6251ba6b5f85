"""Keep each account's tally, and what it contributes to the panes."""

from agents.entity_fold import entity_fold
from models.business import Business
from stream.engine.options import FoldSpec


def fold_customers(business: Business, partitions: int) -> FoldSpec:
    """Return the fold as the engine runs it."""
    return entity_fold("customers", business, partitions, __doc__)
