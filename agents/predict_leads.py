"""Will this lead convert? Connects the leads' events, and the latest model, to ``lead-predictions``."""

from agents.prediction_fold import prediction_fold
from models.business import Business
from stream.engine.options import FoldSpec

NAME = "predict-leads"


def predict_leads(business: Business, partitions: int, asks: int | None) -> FoldSpec:
    """Answer for every open lead, and send what became of it to be learnt."""
    return prediction_fold("lead", NAME, ("leads", "lead-merges"), business, partitions, asks, predict_leads.__doc__)
