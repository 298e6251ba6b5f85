"""Will this lead convert? Connects the leads' events, and the latest model, to ``lead-predictions``."""

from agents.prediction_fold import prediction_fold
from models.business import Business
from stream.engine.options import FoldSpec

NAME = "predict-leads"


def predict_leads(business: Business, partitions: int, asks: int | None, objected: frozenset[str] = frozenset()) -> FoldSpec:
    """Answer for every open lead, but for those who have objected, and send what became of it to be learnt."""
    topics = ("leads", "lead-merges", "engagement", "acquaintances")
    return prediction_fold("lead", NAME, topics, business, partitions, asks, predict_leads.__doc__, objected)
