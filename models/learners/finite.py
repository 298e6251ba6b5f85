"""Is what a document holds a number that can be counted with? Nothing that is read back may be infinite, or none."""

import math
from typing import Any

import numpy as np


def finite(values: Any, kind: Any = float, shape: tuple[int, ...] | None = None) -> Any:
    """Return an array of a document's numbers; raise ``ValueError`` where one is not finite, or there are not so many."""
    array = np.array(values, kind)
    if not np.isfinite(array).all():
        raise ValueError("a weight that is not finite")
    return array if shape is None else array.reshape(shape)


def all_finite(what: str, *values: float) -> None:
    """Raise ``ValueError`` where one of these is not finite: ``what`` they are."""
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{what} that is not finite")
