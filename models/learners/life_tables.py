"""How is a life table written in a document: at risk, won and lost by bucket, in few signs?

Trailing zeros are left out, whole numbers are written as such; those at risk as how many fewer they become.
"""

from typing import Any

import numpy as np

from models.learners.curve import EDGES, Vector


def pack(lines: Vector) -> list[list[float | int]]:
    """Return what is written of a table."""
    risk = lines[0]
    fewer = risk - np.append(risk[1:], 0.0)
    exact = np.array_equal(np.cumsum(fewer[::-1])[::-1], risk)  # whole numbers and halves are; other fractions are written out
    return [_short(fewer) if exact else [], _short(lines[1]), _short(lines[2]), *([] if exact else [_short(risk)])]


def unpack(lines: list[list[float]]) -> Vector:
    """Return the table; raise ``ValueError`` where a count is not finite."""
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
