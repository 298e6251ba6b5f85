"""Which of several answers is to be believed? Weights that follow how well each has done.

Exponential weights over the log loss, with a small share that is handed round at each label (Herbster and Warmuth's fixed
share): over any stretch the mixture loses at most ln(experts) more than the best of them, and ln(experts / SHARE) more each
time that another becomes the best.
"""

import math
from collections.abc import Sequence
from typing import Any

from models.learners.finite import finite

#: Of the weights, so much is handed round at a label: a part in as many as there were labels, at least this.
SHARE = 0.0005


class Mixture:
    """Weights of experts, equal at first."""

    def __init__(self, weights: Sequence[float], seen: float = 0.0) -> None:
        self.seen = seen  # labels
        self.weights = [weight / sum(weights) for weight in weights]

    def dump(self) -> list[Any]:
        """Return the weights and how many labels they follow, as a document has them."""
        return [self.seen, self.weights]

    def load(self, state: Sequence[Any]) -> None:
        """Go on from what :meth:`dump` gave of as many experts."""
        seen, weights = state
        self.seen, self.weights = float(seen), finite(weights, shape=(len(self.weights),)).tolist()

    def learn_one(self, chances: Sequence[float], share: float = 1.0) -> None:
        """Learn what each had given to what happened; ``share`` is what a label counts that is one of several of a deal."""
        best = max(chances)
        self.seen += share
        handed = share * max(1 / (1 + self.seen), SHARE)
        weights = [weight * (chance / best) ** share for weight, chance in zip(self.weights, chances, strict=True)]
        kept, each = (1 - handed) / math.fsum(weights), handed / len(weights)
        self.weights = [weight * kept + each for weight in weights]
