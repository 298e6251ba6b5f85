"""How good were the answers? Measures over answers whose outcome is known, computed exactly."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]


def auc(said: Sequence[float] | Array, happened: Sequence[float] | Array) -> float | None:
    """P(a case that happened was given more than one that did not), ties half; None where there is only one kind."""
    given, truth = np.asarray(said, float), np.asarray(happened, float) > 0
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return None
    _, inverse, counts = np.unique(given, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(said: Sequence[float] | Array, happened: Sequence[float] | Array) -> float | None:
    """Mean of −log(probability given to what happened), in nats; probabilities count as within [1e-6, 1 − 1e-6]."""
    given, truth = np.clip(np.asarray(said, float), 1e-6, 1 - 1e-6), np.asarray(happened, float)
    return float(-np.mean(truth * np.log(given) + (1 - truth) * np.log(1 - given))) if len(given) else None


def brier(said: Sequence[float] | Array, happened: Sequence[float] | Array) -> float | None:
    """Mean squared difference between the probability and what happened (0 or 1)."""
    given, truth = np.asarray(said, float), np.asarray(happened, float)
    return float(np.mean((given - truth) ** 2)) if len(given) else None


def calibration(
    said: Sequence[float] | Array, happened: Sequence[float] | Array, bins: int = 10
) -> list[tuple[float, float, int]]:
    """Return mean probability, share that happened and count of each of ``bins`` equal steps of probability that has any."""
    given, truth = np.asarray(said, float), np.asarray(happened, float)
    step = np.minimum((given * bins).astype(int), bins - 1)
    found = [(step == number) for number in range(bins)]
    return [(float(given[mask].mean()), float(truth[mask].mean()), int(mask.sum())) for mask in found if mask.any()]


def ece(said: Sequence[float] | Array, happened: Sequence[float] | Array, bins: int = 10) -> float | None:
    """Expected calibration error: the mean gap between probability and share that happened, over ten steps of probability."""
    table = calibration(said, happened, bins)
    total = sum(count for _, _, count in table)
    return sum(abs(mean - share) * count for mean, share, count in table) / total if total else None


def errors(said: Sequence[float] | Array, actual: Sequence[float] | Array) -> tuple[float | None, float | None]:
    """Return the mean absolute error and the bias (said − actual), in the unit given."""
    gaps = np.asarray(said, float) - np.asarray(actual, float)
    return (float(np.abs(gaps).mean()), float(gaps.mean())) if len(gaps) else (None, None)


def coverage(low: Sequence[float] | Array, high: Sequence[float] | Array, actual: Sequence[float] | Array) -> float | None:
    """Return the share of outcomes within their interval."""
    value = np.asarray(actual, float)
    return float(np.mean((np.asarray(low, float) <= value) & (value <= np.asarray(high, float)))) if len(value) else None
