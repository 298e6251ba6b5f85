"""How likely is a lead to convert, where the label's delay does not depend on the outcome?

A River logistic regression (AdaGrad) over one-hot categories, binned numbers and declared crosses of them. Beyond ``values``
distinct values of a feature the rest share 16 hashed ones, so memory is bounded whatever arrives.
"""

import math
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from river import base, utils

from models.learners.finite import all_finite
from models.learners.river_parts import AdaGrad, LogisticRegression

#: What AdaGrad remembers of a term before its first lesson. With gradients within ±1 a lesson moves a weight by at most
#: ``rate`` / √2, and the weights of terms often seen by far less: that bounds what one bad event can do.
FIRST = 1.0
_HASHED = 16
_LONGEST = 48


def _first() -> float:
    return FIRST


class ConversionModel(base.Classifier):  # type: ignore[misc]
    """An online classifier over a flat dict of features: text is a category, a number is binned and scaled.

    ``crosses`` are pairs of features whose values mean something together; ``rate`` is the step of a weight, ``bins`` the bins of
    a number per factor e; ``values`` bounds the categories kept of one feature. NaN and None are categories of their own.
    """

    def __init__(
        self, crosses: Sequence[tuple[str, str]] = (), rate: float = 0.1, bins: int = 3, values: int = 64, features: int = 128
    ) -> None:
        self.crosses = [(a, b) for a, b in crosses]
        self.rate, self.bins, self.values, self.features = rate, bins, values, features
        self.lessons = 0
        self.model = LogisticRegression(optimizer=AdaGrad(rate), clip_gradient=1.0, intercept_lr=rate / 10)
        self.model.optimizer.g2 = defaultdict(_first)
        self._known: dict[str, dict[str, None]] = {}

    def dump(self) -> dict[str, Any]:
        """Return what it has learnt, as a document has it: of River's model the weights, and what its optimizer remembers."""
        model = self.model
        return {
            "settings": {name: getattr(self, name) for name in ("rate", "bins", "values", "features")},
            "crosses": [list(pair) for pair in self.crosses],
            "lessons": self.lessons,
            "known": {name: list(values) for name, values in self._known.items()},
            "model": {
                "weights": dict(model.weights),
                "intercept": model.intercept,
                "n_iterations": model.optimizer.n_iterations,
                "g2": dict(model.optimizer.g2),
            },
        }

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> "ConversionModel":
        """Go on from what :meth:`dump` gave. Raise ``ValueError`` for what cannot be."""
        found = cls([(a, b) for a, b in state["crosses"]], **state["settings"])
        found.lessons = int(state["lessons"])
        found._known = {name: dict.fromkeys(values) for name, values in state["known"].items()}
        learnt, model = state["model"], found.model
        weights = {name: float(value) for name, value in learnt["weights"].items()}
        all_finite("a weight", *weights.values(), learnt["intercept"])
        model._weights, model.intercept = utils.VectorDict(weights), float(learnt["intercept"])
        model.optimizer.n_iterations = int(learnt["n_iterations"])
        model.optimizer.g2 = defaultdict(_first, learnt["g2"])
        return found

    def learn_one(self, x: Mapping[str, object], y: base.typing.ClfTarget) -> None:
        """Learn what became of a lead asked at ``x``."""
        self.model.learn_one(self._terms(x, grow=True), bool(y))
        self.lessons += 1

    def predict_proba_one(self, x: Mapping[str, object]) -> dict[base.typing.ClfTarget, float]:
        """Return P(it does not convert), P(it converts)."""
        given = float(self.model.predict_proba_one(self._terms(x, grow=False))[True])
        return {False: 1 - given, True: given}

    def forget(self) -> None:
        """Take large steps again, as after a drift: the weights stay, what made their steps small is forgotten."""
        self.model.optimizer.g2.clear()

    def terms(self, x: Mapping[str, object]) -> list[tuple[str, float]]:
        """Return what speaks for (+) and against (−) converting, as log-odds by term, largest first."""
        weights = self.model.weights
        found = [(name, float(weights.get(name, 0.0)) * value) for name, value in self._terms(x, grow=False).items()]
        return sorted((term for term in found if term[1]), key=lambda term: -abs(term[1]))

    def _terms(self, x: Mapping[str, object], *, grow: bool) -> dict[str, float]:
        found: dict[str, float] = {}
        categories: dict[str, str] = {}
        for key, value in x.items():
            name = str(key)
            if isinstance(value, str):
                categories[name] = value[:_LONGEST]
            elif isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
                categories[name] = "?" if value is None or isinstance(value, float) else str(value)[:_LONGEST]
            else:
                sized = math.copysign(math.log1p(min(abs(value), 1e9)), value)
                categories[name] = f"≈{int(sized * self.bins)}"
                if name in self._known or (grow and len(self._known) < self.features):
                    found[f"{name} size"] = min(max(sized / 3, -3.0), 3.0)
        for name, text in categories.items():
            self._add(found, name, text, grow)
        for a, b in self.crosses:
            if a in categories and b in categories:
                self._add(found, f"{a} × {b}", f"{categories[a]} × {categories[b]}", grow)
        return found

    def _add(self, found: dict[str, float], name: str, text: str, grow: bool) -> None:
        known = self._known.get(name)
        if known is None:
            if not grow or len(self._known) >= self.features:
                return  # a feature never learnt says nothing
            known = self._known[name] = {}
        if text not in known:
            if grow and len(known) < self.values:
                known[text] = None
            elif len(known) >= self.values:
                text = f"#{zlib.crc32(text.encode()) % _HASHED}"
        found[f"{name}={text}"] = 1.0
