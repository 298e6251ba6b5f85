"""How does a model cross Kafka, a restart or a release? As JSON: what it has learnt, never code (no pickle).

A document names its kind, River's version and the fingerprint of the features. One that was written under other features, by
another release of River, or was cut short is refused by name; the caller then begins a new model and says so.
"""

from importlib.metadata import version

import orjson

from models.learners.conversion import ConversionModel
from models.learners.curve import EDGES
from models.learners.deal_model import DealModel
from models.learners.features import fingerprint

FORMAT = 2
RIVER = version("river")


class SnapshotRefused(ValueError):
    """A document is not a model this release can go on with; the message says what was found and what is accepted."""


def dump(model: DealModel | ConversionModel) -> bytes:
    """Return a model as JSON."""
    kind = "deal" if isinstance(model, DealModel) else "conversion"
    document = {"format": FORMAT, "kind": kind, "river": RIVER, "features": _features(model), "state": model.dump()}
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def load(document: bytes) -> DealModel | ConversionModel:
    """Return the model of a document.

    Raises:
        SnapshotRefused: for one that is cut short, of another format, of another River (major.minor), or of other features.
    """
    try:
        found = orjson.loads(document)
        if not isinstance(found, dict):
            raise SnapshotRefused(f"model snapshot: found {type(found).__name__}, accepted is an object")
        _same("format", found.get("format"), FORMAT)
        _same("river", ".".join(str(found.get("river")).split(".")[:2]), ".".join(RIVER.split(".")[:2]))
        kind, state = found.get("kind"), found["state"]
        if kind not in ("deal", "conversion"):
            raise SnapshotRefused(f"model snapshot: kind: found {kind!r}, accepted: deal, conversion")
        model = (DealModel if kind == "deal" else ConversionModel).load(state)
        _same("features", found.get("features"), _features(model))
        return model
    except SnapshotRefused:
        raise
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise SnapshotRefused(f"model snapshot: damaged or cut short: {type(error).__name__}: {error}") from error


def _same(name: str, found: object, accepted: object) -> None:
    if found != accepted:
        raise SnapshotRefused(f"model snapshot: {name}: found {found!r}, accepted is {accepted!r}")


def _features(model: DealModel | ConversionModel) -> str:
    if isinstance(model, DealModel):
        return fingerprint((*model.hazard.categories, *model.hazard.numbers, *(f"{edge:.6g}" for edge in EDGES)))
    return fingerprint(tuple(f"{a} × {b}" for a, b in model.crosses))
