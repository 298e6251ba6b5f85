"""What is the least that a model has to beat? The life table of the stage alone."""

from collections.abc import Sequence

from models.learners.curve import Curve
from models.learners.deal_model import HORIZON, DealModel, Prediction
from models.learners.features import Features
from models.learners.hazard import Hazard
from models.learners.snapshot import dump
from models.learners.stretches import Lesson

#: What a floor may tell apart: nothing but this.
FLOOR_CATEGORY = "stage"


class Baseline:
    """The life table alone: what became of entities in the same stage. No weights, no corrections; what a model has to beat."""

    def __init__(self, hazard: Hazard | None = None) -> None:
        self.hazard = hazard or Hazard([FLOOR_CATEGORY], [], rate=0.0, start=1.0)

    def predict_one(self, x: Features) -> Prediction:
        """Return what is expected of an entity that is open at ``x``."""
        curve: Curve = self.hazard.predict_one(x)
        low, median, high = curve.days((0.1, 0.5, 0.9))
        win = curve.win
        return Prediction(win, curve.closes_within(HORIZON), low, median, high, median, self.hazard.lessons, curve, win)

    def predict_many(self, questions: Sequence[Features]) -> list[Prediction]:
        """Return the answers to several questions."""
        return [self.predict_one(x) for x in questions]

    def terms(self, x: Features, said: Prediction | None = None) -> list[tuple[str, float]]:
        """Return what the stage adds to the log-odds of winning."""
        return self.hazard.terms(x)

    def learn_one(self, x: Features, lesson: Lesson) -> None:
        """Learn what the model has just learnt."""
        self.hazard.learn_one(x, lesson)

    def learn_many(self, x: Sequence[Features], lessons: Sequence[Lesson]) -> None:
        """Learn several lessons in one go."""
        self.hazard.count_many(x, lessons)

    def withdraw_one(self, x: Features, lesson: Lesson) -> None:
        """Take a lesson back."""
        self.hazard.withdraw_one(x, lesson)

    def dump(self) -> bytes:
        """Return the table as a document, as models are."""
        return dump(DealModel(self.hazard))
