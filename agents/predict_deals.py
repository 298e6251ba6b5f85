"""What is to be expected of each open deal? Connects the deals' events, and the latest model, to ``predictions``."""

from agents.prediction_fold import prediction_fold
from models.business import Business
from stream.engine.options import FoldSpec

NAME = "predict-deals"


def predict_deals(business: Business, partitions: int, asks: int | None) -> FoldSpec:
    """Answer for every open deal, and send what became of it to be learnt."""
    topics = ("deals", "deal-merges", "acquaintances")
    return prediction_fold("deal", NAME, topics, business, partitions, asks, predict_deals.__doc__)
