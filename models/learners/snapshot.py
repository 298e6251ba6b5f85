"""How does a model cross Kafka, a restart or a release? As JSON: what it has learnt, never code (no pickle).

A document names its kind, River's version and the fingerprint of the features. One that was written under other features, by
another release of River, or was cut short is refused by name; the caller then begins a new model and says so.
"""

import math
from collections import defaultdict
from importlib.metadata import version
from typing import Any

import numpy as np
import orjson
from river import stats, utils

from models.learners.bank import DTYPE
from models.learners.calibration import Residuals
from models.learners.conversion import ConversionModel
from models.learners.curve import EDGES
from models.learners.deal_model import DealModel
from models.learners.experts import Experts
from models.learners.features import fingerprint
from models.learners.hazard import Hazard
from models.learners.quantiles import BINS, Quantiles
from models.learners.river_parts import LogisticRegression

FORMAT = 2
RIVER = version("river")


class SnapshotRefused(ValueError):
    """A document is not a model this release can go on with; the message says what was found and what is accepted."""


def dump(model: DealModel | ConversionModel) -> bytes:
    """Return a model as JSON. The watch (ADWIN) is not part of it: after a restart it begins anew."""
    kind, state = ("deal", _deal(model)) if isinstance(model, DealModel) else ("conversion", _conversion(model))
    return orjson.dumps(
        {"format": FORMAT, "kind": kind, "river": RIVER, "features": _features(model), "state": state},
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


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
        model = _to_deal(state) if kind == "deal" else _to_conversion(state)
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


# Deal


def _deal(model: DealModel) -> dict[str, Any]:
    model.settle()
    hazard, direct = model.hazard, model.direct
    return {
        "settings": {name: getattr(hazard, name) for name in ("shrink", "rate", "start", "values", "rows", "memory")},
        "categories": list(hazard.categories),
        "numbers": list(hazard.numbers),
        "lessons": hazard.lessons,
        # Per category the rows of its values.
        "values": hazard._row,
        # Trailing zeros are left out, whole numbers written as such; those at risk as how many fewer they become.
        "tables": [_pack(hazard._tables[row]) for row in range(1, hazard.known)],
        "all": _pack(hazard._all),
        # What the tables are told against until the next refresh.
        "base": [hazard._base.tolist(), hazard._refresh_at],
        "weights": [hazard._listen.tolist(), hazard._tilt.tolist(), hazard._listen_g.tolist(), hazard._tilt_g.tolist()],
        "scales": {name: [scale.mean.n, scale.mean._mean, scale._S] for name, scale in hazard._scales.items()},
        "direct": {
            "rate": direct.rate,
            "lessons": direct.lessons,
            "weights": [direct.weights, direct.squares, direct.tilt, direct.tilt_squares],
        },
        "corrections": [[c.shift, c.slope, c.mean.n, c.mean.get()] for c in (model.win, model.within)],
        "ranks": list(model.residuals.ranks),
        "residuals": [
            model.residuals.learnt,
            model.residuals.outside,
            model.residuals.lean,
            *model.residuals._levels,
        ],
        "scores": _experts(model.experts),
    }


def _experts(experts: Experts) -> dict[str, Any]:
    bank = experts.bank
    used = slice(1, bank.used)
    return {
        "categories": bank.categories,
        "numbers": bank.numbers,
        "bounds": [bank.values, bank.rows],
        "lessons": [bank.lessons, bank.refresh_at, experts.deals, experts.labels],
        "values": bank.known,
        "bins": [[bins.seen, bins.sample, bins.edges, rows] for bins, rows in zip(bank.bins, bank.binned, strict=True)],
        "feature": bank.feature[used].tolist(),
        "first": bank.first,
        "evidence": bank.evidence[used],
        "mean": bank.mean[used],
        "weights": [[mixture.seen, mixture.weights] for mixture in (experts.curves, experts.wins, experts.within)],
    }


def _to_experts(experts: Experts, state: dict[str, Any]) -> None:
    bank = experts.bank
    bank.values, bank.rows = (int(bound) for bound in state["bounds"])
    bank.lessons, bank.refresh_at, experts.deals, experts.labels = (int(count) for count in state["lessons"])
    feature = np.array(state["feature"], np.intp)
    bank.known = [{str(value): int(row) for value, row in known.items()} for known in state["values"]]
    bins = [(Quantiles(int(seen), sample, edges), [int(row) for row in rows]) for seen, sample, edges, rows in state["bins"]]
    bank.bins, bank.binned = [found for found, _ in bins], [rows for _, rows in bins]
    rows = [row for known in bank.known for row in known.values()] + [row for found in bank.binned for row in found if row]
    whole = (len(bank.known), len(bins)) == (len(bank.categories), len(bank.numbers)) and all(len(r) == BINS for _, r in bins)
    if not whole or sorted(rows) != list(range(2, len(feature) + 1)):
        raise ValueError(f"{len(feature)} rows of scores, and not one for each value")
    bank.restore(
        feature,
        _finite(state["first"], DTYPE, bank.first.shape),
        _finite(state["evidence"], DTYPE, (len(feature), bank.heads)),
        _finite(state["mean"], DTYPE, (len(feature), bank.heads)),
    )
    weighed = state["weights"]
    if len(weighed) == 2:  # of the release before, whose curves said what closes within the horizon as well
        weighed = [*weighed, weighed[0]]
    for mixture, (seen, weights) in zip((experts.curves, experts.wins, experts.within), weighed, strict=True):
        mixture.seen, mixture.weights = float(seen), _finite(weights, float, (len(mixture.weights),)).tolist()


def _pack(lines: Any) -> list[list[float | int]]:
    risk = lines[0]
    fewer = risk - np.append(risk[1:], 0.0)
    exact = np.array_equal(np.cumsum(fewer[::-1])[::-1], risk)  # whole numbers and halves are; other fractions are written out
    return [_short(fewer) if exact else [], _short(lines[1]), _short(lines[2]), *([] if exact else [_short(risk)])]


def _unpack(lines: list[list[float]]) -> Any:
    risk = np.cumsum(_long(lines[0])[::-1])[::-1] if len(lines) == 3 else _long(lines[3])
    return np.array([risk, _long(lines[1]), _long(lines[2])])


def _short(line: Any) -> list[float | int]:
    cells = line.tolist()
    while cells and cells[-1] == 0:
        cells.pop()
    return [int(cell) if cell == int(cell) else cell for cell in cells]


def _long(cells: list[float]) -> Any:
    line = np.zeros(len(EDGES))
    line[: len(cells)] = cells
    if not np.isfinite(line).all():
        raise ValueError("a count that is not finite")
    return line


def _to_deal(state: dict[str, Any]) -> DealModel:
    hazard = Hazard(state["categories"], state["numbers"], **state["settings"])
    hazard.lessons = int(state["lessons"])
    hazard._row = [{str(value): int(row) for value, row in known.items()} for known in state["values"]]
    hazard.known = 1 + len(state["tables"])
    if len(hazard._row) != len(hazard.categories) or sorted(row for known in hazard._row for row in known.values()) != list(
        range(1, hazard.known)
    ):
        raise ValueError(f"{len(state['tables'])} tables, and not one for each value")
    size = 16
    while size < hazard.known:
        size *= 2
    hazard._tables = np.zeros((size, 3, len(EDGES)))
    hazard._apart = np.zeros((size, 2, len(EDGES)))
    for row, lines in enumerate(state["tables"], 1):
        hazard._tables[row] = _unpack(lines)
    hazard._all = _unpack(state["all"])
    for name, values in zip(("_listen", "_tilt", "_listen_g", "_tilt_g"), state["weights"], strict=True):
        setattr(hazard, name, _finite(values, float, getattr(hazard, name).shape))
    for name, (n, mean, squares) in state["scales"].items():
        hazard._scales[name] = _scale(n, mean, squares)
    base, refresh_at = state["base"]
    hazard.restore(_finite(base, float, hazard._base.shape), int(refresh_at))
    scores = state.get("scores")
    named = None if scores is None else [[str(name) for name in scores[what]] for what in ("categories", "numbers")]
    model = DealModel(hazard) if named is None else DealModel(hazard, *named)
    if scores is not None:
        _to_experts(model.experts, scores)
    direct, found = model.direct, state["direct"]
    direct.rate, direct.lessons = float(found["rate"]), int(found["lessons"])
    weights, squares, tilt, tilt_squares = found["weights"]
    if not len(weights) == len(squares) <= hazard.known or not len(tilt) == len(tilt_squares) in (0, len(hazard.numbers) + 1):
        raise ValueError(f"{len(weights)} weights for {hazard.known} rows")
    direct.weights, direct.squares = _finite(weights, np.float32), _finite(squares, np.float32)
    direct.tilt, direct.tilt_squares = _finite(tilt, float), _finite(tilt_squares, float)
    for calibrator, (shift, slope, count, mean) in zip((model.win, model.within), state["corrections"], strict=True):
        if not all(map(math.isfinite, (shift, slope, count, mean))):
            raise ValueError("a correction that is not finite")
        calibrator.shift, calibrator.slope = shift, slope
        calibrator.mean = stats.Mean._from_state(count, mean)
    model.residuals = Residuals()
    for rank in _finite(state["ranks"], float).tolist():
        model.residuals.add(rank)
    learnt, outside, lean, low, middle, high = state["residuals"]
    model.residuals.learnt, model.residuals.lean = int(learnt), lean
    model.residuals.outside = outside
    model.residuals._levels = (low, middle, high)
    return model


def _finite(values: Any, kind: Any, shape: tuple[int, ...] | None = None) -> Any:
    array = np.array(values, kind)
    if not np.isfinite(array).all():
        raise ValueError("a weight that is not finite")
    return array if shape is None else array.reshape(shape)


def _scale(n: float, mean: float, squares: float) -> stats.Var:
    if not all(map(math.isfinite, (n, mean, squares))):
        raise ValueError("a scale that is not finite")
    scale = stats.Var()
    scale.mean.n, scale.mean._mean, scale._S = n, mean, squares
    return scale


# River's linear model: weights, intercept and what the optimizer remembers


def _linear(model: LogisticRegression) -> dict[str, Any]:
    return {
        "weights": dict(model.weights),
        "intercept": model.intercept,
        "n_iterations": model.optimizer.n_iterations,
        "g2": dict(getattr(model.optimizer, "g2", {})),
    }


def _to_linear(model: LogisticRegression, state: dict[str, Any]) -> None:
    weights = {name: float(value) for name, value in state["weights"].items()}
    if not all(map(math.isfinite, (*weights.values(), state["intercept"]))):
        raise ValueError("a weight that is not finite")
    model._weights = utils.VectorDict(weights)
    model.intercept = float(state["intercept"])
    model.optimizer.n_iterations = int(state["n_iterations"])
    if hasattr(model.optimizer, "g2"):
        model.optimizer.g2 = defaultdict(model.optimizer.g2.default_factory, state["g2"])


# Conversion


def _conversion(model: ConversionModel) -> dict[str, Any]:
    return {
        "settings": {name: getattr(model, name) for name in ("rate", "bins", "values", "features")},
        "crosses": [list(pair) for pair in model.crosses],
        "lessons": model.lessons,
        "known": {name: list(values) for name, values in model._known.items()},
        "model": _linear(model.model),
    }


def _to_conversion(state: dict[str, Any]) -> ConversionModel:
    model = ConversionModel([(a, b) for a, b in state["crosses"]], **state["settings"])
    model.lessons = int(state["lessons"])
    model._known = {name: dict.fromkeys(values) for name, values in state["known"].items()}
    _to_linear(model.model, state["model"])
    return model
