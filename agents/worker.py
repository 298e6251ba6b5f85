"""Which agents does a worker run? Each is named here, so that one that cannot be imported stops the start."""

from agents.fold_customers import fold_customers
from agents.fold_deals import fold_deals
from agents.fold_engagement import fold_engagement
from agents.fold_leads import fold_leads
from agents.fold_spend import fold_spend
from models.business import Business
from stream.options import FoldSpec


def entity_folds(business: Business, partitions: int) -> list[FoldSpec]:
    """Return the folds that turn events into panes."""
    return [
        fold_deals(business, partitions),
        fold_leads(business, partitions),
        fold_engagement(business, partitions),
        fold_customers(business, partitions),
        fold_spend(business, partitions),
    ]
