"""Which agents does a worker run? Each is named here, so that one that cannot be imported stops the start."""

from collections.abc import Mapping

from agents.fold_customers import fold_customers
from agents.fold_deals import fold_deals
from agents.fold_engagement import fold_engagement
from agents.fold_leads import fold_leads
from agents.fold_spend import fold_spend
from agents.learn import learn
from agents.predict_deals import predict_deals
from agents.predict_leads import predict_leads
from models.business import Business
from stream.engine.options import FoldSpec


def entity_folds(business: Business, partitions: int) -> list[FoldSpec]:
    """Return the folds that turn events into panes."""
    return [
        fold_deals(business, partitions),
        fold_leads(business, partitions),
        fold_engagement(business, partitions),
        fold_customers(business, partitions),
        fold_spend(business, partitions),
    ]


def prediction_folds(
    business: Business,
    partitions: int,
    *,
    interval: int,
    asks: int | None = None,
    start: Mapping[str, bytes] | None = None,
    objected: frozenset[str] = frozenset(),
) -> list[FoldSpec]:
    """Return the folds that predict and learn; ``interval`` (ms) is the least time between two bulletins of a model.

    ``objected`` are the leads of whom nothing is predicted.
    """
    return [
        predict_deals(business, partitions, asks),
        predict_leads(business, partitions, asks, objected),
        learn(partitions, interval, start),
    ]
