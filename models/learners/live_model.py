"""What goes from the one who learns to those who predict, and what is the life table that every model has to beat?

A *release* carries the model, the floor, which of the two answers, and how good both have been of late. It is JSON; a model
in it that this version of Vigie cannot go on with (River's version, the features' fingerprint, cut short) is refused by name.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from models.learners.baseline import FLOOR_CATEGORY, Baseline
from models.learners.deal_model import DealModel
from models.learners.experts import Experts
from models.learners.features import fingerprint
from models.learners.hazard import Hazard
from models.learners.snapshot import SnapshotRefused, load

FORMAT = 1
#: A document has more than half of this only where every name that it knows is as long as can be; two fit into a release.
LARGEST_DOCUMENT = 3 * 1024 * 1024
Champion = Literal["model", "floor"]
#: Labels before which a model is not said to be better than its floor.
PROVEN = 200


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


def read_release(value: bytes | None) -> ModelRelease:
    """Return the release of a record.

    Raises:
        SnapshotRefused: for one that is cut short or of another format.
    """
    try:
        found = _decode(value or b"")
    except msgspec.DecodeError as error:
        raise SnapshotRefused(f"model release: damaged or cut short: {error}") from error
    if found.format != FORMAT:
        raise SnapshotRefused(f"model release: format: found {found.format}, accepted is {FORMAT}")
    return found


def print_of(names: Sequence[str]) -> str:
    """Return the fingerprint of the features that examples of a model carry, in order."""
    return fingerprint(tuple(names))


class ModelNames(NamedTuple):
    """The names of what a model knows: the hazard's categories and numbers, and those of the scores."""

    categories: tuple[str, ...]
    numbers: tuple[str, ...]
    scored: tuple[str, ...]
    scored_numbers: tuple[str, ...]

    def fresh(self) -> DealModel:
        """Return a model that has learnt nothing: its answers are the prior."""
        return DealModel(Hazard(self.categories, self.numbers), self.scored, self.scored_numbers)


def checked(document: bytes, known: ModelNames) -> DealModel:
    """Return the model of a document. Scores over fewer features (an earlier release's) go on and know nothing of the others;
    those over features that are no more begin anew, beside the hazard.

    Raises:
        SnapshotRefused: for one that is not a hazard over exactly these features, or too large to be told.
    """
    if len(document) > LARGEST_DOCUMENT:
        raise SnapshotRefused(f"model snapshot: found {len(document)} bytes, accepted are {LARGEST_DOCUMENT}")
    model = load(document)
    if not isinstance(model, DealModel):
        raise SnapshotRefused("model snapshot: kind: found 'conversion', accepted: 'deal'")
    for what, found, accepted in (
        ("categories", model.hazard.categories, known.categories),
        ("numbers", model.hazard.numbers, known.numbers),
    ):
        if list(found) != list(accepted):
            other = sorted(set(found) ^ set(accepted)) or ["their order"]
            raise SnapshotRefused(f"model snapshot: features: {what} differ in {', '.join(other)[:200]}")
    scores = model.experts.bank
    if (tuple(scores.categories), tuple(scores.numbers)) != (known.scored, known.scored_numbers):
        wider = Experts(model.hazard, known.scored, known.scored_numbers)
        if {*scores.categories} <= {*known.scored} and {*scores.numbers} <= {*known.scored_numbers}:
            wider.load(model.experts.dump())
        model.experts = wider
    return model


def checked_floor(document: bytes) -> Baseline:
    """Return the floor of a document.

    Raises:
        SnapshotRefused: for one that is no such life table.
    """
    return Baseline(checked(document, ModelNames((FLOOR_CATEGORY,), (), (FLOOR_CATEGORY,), ())).hazard)


@lru_cache(maxsize=6)
def answering(document: bytes, floor: bytes, known: ModelNames) -> tuple[DealModel, Baseline]:
    """Return model and floor of a release, to be asked only: the partitions of a process share one copy of each.

    Raises:
        SnapshotRefused: for documents that cannot be used.
    """
    return checked(document, known), checked_floor(floor)
