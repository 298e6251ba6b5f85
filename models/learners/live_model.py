"""What goes from the one who learns to those who predict, and what is the life table that every model has to beat?

A *bulletin* carries the model, the floor, which of the two answers, and how good both have been of late. It is JSON; a model
in it that this release cannot go on with (River's version, the features' fingerprint, cut short) is refused by name.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec

from models.learners.curve import Curve
from models.learners.deal_model import HORIZON, DealModel, Prediction
from models.learners.features import Features, fingerprint
from models.learners.hazard import Hazard, Lesson
from models.learners.snapshot import SnapshotRefused, dump, load

FORMAT = 1
#: What a floor may tell apart: nothing but this.
FLOOR_CATEGORY = "stage"
Champion = Literal["model", "floor"]


class ModelRelease(msgspec.Struct, kw_only=True):
    """One record of ``model-snapshots``; its key is the model's name. ``at`` in epoch ms."""

    format: int
    model: str
    version: int
    at: int
    lessons: int
    champion: Champion
    status: dict[str, Any]  # measures of model and floor, drifts, how it began: GET /api/models
    document: msgspec.Raw
    floor: msgspec.Raw


_decode = msgspec.json.Decoder(ModelRelease).decode


def read_bulletin(value: bytes | None) -> ModelRelease:
    """Return the bulletin of a record.

    Raises:
        SnapshotRefused: for one that is cut short or of another format.
    """
    try:
        found = _decode(value or b"")
    except msgspec.DecodeError as error:
        raise SnapshotRefused(f"model bulletin: damaged or cut short: {error}") from error
    if found.format != FORMAT:
        raise SnapshotRefused(f"model bulletin: format: found {found.format}, accepted is {FORMAT}")
    return found


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

    def learn_one(self, x: Features, lesson: Lesson) -> None:
        """Learn what the model has just learnt."""
        self.hazard.learn_one(x, lesson)

    def withdraw_one(self, x: Features, lesson: Lesson) -> None:
        """Take a lesson back."""
        self.hazard.withdraw_one(x, lesson)

    def dump(self) -> bytes:
        """Return the table as a document, as models are."""
        return dump(DealModel(self.hazard))


def print_of(names: Sequence[str]) -> str:
    """Return the fingerprint of the features that examples of a model carry, in order."""
    return fingerprint(tuple(names))


def checked(document: bytes, categories: Sequence[str], numbers: Sequence[str]) -> DealModel:
    """Return the model of a document.

    Raises:
        SnapshotRefused: for one that is not a hazard over exactly these features.
    """
    model = load(document)
    if not isinstance(model, DealModel):
        raise SnapshotRefused("model snapshot: kind: found 'conversion', accepted: 'deal'")
    for what, found, accepted in (
        ("categories", model.hazard.categories, categories),
        ("numbers", model.hazard.numbers, numbers),
    ):
        if list(found) != list(accepted):
            other = sorted(set(found) ^ set(accepted)) or ["their order"]
            raise SnapshotRefused(f"model snapshot: features: {what} differ in {', '.join(other)[:200]}")
    return model


def checked_floor(document: bytes) -> Baseline:
    """Return the floor of a document.

    Raises:
        SnapshotRefused: for one that is no such life table.
    """
    return Baseline(checked(document, [FLOOR_CATEGORY], []).hazard)


@lru_cache(maxsize=6)
def answering(document: bytes, floor: bytes, categories: tuple[str, ...], numbers: tuple[str, ...]) -> tuple[DealModel, Baseline]:
    """Return model and floor of a bulletin, to be asked only: the partitions of a process share one copy of each.

    Raises:
        SnapshotRefused: for documents that cannot be used.
    """
    return checked(document, categories, numbers), checked_floor(floor)
