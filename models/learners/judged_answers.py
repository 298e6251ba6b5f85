"""How good were the answers whose outcome has become known? The running measures of those who answer."""

import math
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from models.learners import quality
from models.learners.curve import HORIZON
from models.learners.judging import of_closed

_SAID = 6  # win, within, low, median, high, expected


class JudgedAnswer(msgspec.Struct, array_like=True):
    """One answer and what became of it."""

    entity: str
    number: int
    when: int  # closed, or known to be open (ms)
    won: int  # 1, 0; −1: still open after HORIZON; −2: taken back
    days: float  # from the question to ``when``
    said: list[float]
    floor: list[float]


def running_measures(judged: Iterable[JudgedAnswer]) -> dict[str, dict[str, Any]]:
    """Return the measures of model and floor over judged answers; None where nothing can be said."""
    known = [entry for entry in judged if entry.won >= -1]
    return {
        "model": _measures([(entry.won, entry.days, entry.said) for entry in known]),
        "floor": _measures([(entry.won, entry.days, entry.floor) for entry in known]),
    }


def _measures(judged: list[tuple[int, float, list[float]]]) -> dict[str, Any]:
    """Return the measures of answers: won (−1: open after HORIZON), days, what was said."""
    if not judged:
        return {"answers": 0}
    said = np.array([entry[2] for entry in judged], float).reshape(len(judged), _SAID)
    won = np.array([entry[0] for entry in judged])
    days = np.array([entry[1] for entry in judged], float)
    closed = won >= 0
    soon = (closed & (days <= HORIZON)).astype(float)
    found: dict[str, Any] = {
        "answers": len(judged),
        **of_closed(said[closed], won[closed], days[closed]),
        # Open after 30 days, or closed sooner or later: what closed later was judged twice, as open first. Once is enough.
        "auc30": quality.auc(said[_once(won, days), 1], soon[_once(won, days)]),
        "brier30": quality.brier(said[_once(won, days), 1], soon[_once(won, days)]),
    }
    return {
        name: round(value, 6) if isinstance(value, float) and math.isfinite(value) else value for name, value in found.items()
    }


def _once(won: Any, days: Any) -> Any:
    """Return which judgements say for the first time whether an entity closed within HORIZON."""
    return (won < 0) | (days <= HORIZON)
