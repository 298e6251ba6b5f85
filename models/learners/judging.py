"""How good were answers whose outcomes are known? Measures of P(won), of the days, and of P(won within a horizon)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.learners import quality
from models.learners.deal_model import HORIZON

#: Whose P(won within a horizon) is measured: the model's, the life table's of the stage, and how many of the closed that were in
#: the stage were won (which knows nothing of time).
SPEAKERS = ("model", "floor", "stage_odds")


def by_horizon(horizons: Sequence[float], said: quality.Array, became: quality.Array, first: Any) -> dict[str, Any]:
    """Return the measures of P(won within so many days), of answers whose outcome by then is known.

    It is where the history goes on for as long after them. What is still open then counts as not won by then, and nothing is left
    out for closing late. Of all questions, and of the ``first`` of each entity; over the second half of those that are known.
    ``said`` is answer × horizon × speaker, ``became`` what :meth:`DealEvaluation.outcomes` gives.
    """
    found: dict[str, Any] = {}
    for place, days in enumerate(horizons):
        won = ((became[:, 0] == 1) & (became[:, 1] <= days)).astype(float)
        known = became[:, 2] >= days
        parts = {}
        for name, asked in (("at_creation", first), ("at_all_questions", np.ones(len(first), bool))):
            rows = np.flatnonzero(known & asked)
            rows = rows[len(rows) // 2 :]
            speakers = {who: _chances(said[rows, place, number], won[rows]) for number, who in enumerate(SPEAKERS)}
            parts[name] = {
                "answers": len(rows),
                "won": int(won[rows].sum()),
                "not_known_yet": int((~known & asked).sum()),
                **speakers.pop("model"),
                **speakers,
            }
        found[f"{days:g}d"] = parts
    return found


def _chances(said: quality.Array, happened: quality.Array) -> dict[str, float | None]:
    """Return the measures of probabilities."""
    return {
        "auc": quality.auc(said, happened),
        "ece": quality.ece(said, happened),
        "brier": quality.brier(said, happened),
        "log_loss": quality.log_loss(said, happened),
    }


def of_closed(said: quality.Array, won: quality.Array, days: quality.Array) -> dict[str, Any]:
    """Return the measures of answers whose entities have closed: won 1 or lost 0, after so many days."""
    mae, bias = quality.errors(said[:, 5], days)
    return {
        "closed": len(said),
        "auc": quality.auc(said[:, 0], won),
        "log_loss": quality.log_loss(said[:, 0], won),
        "ece": quality.ece(said[:, 0], won),
        "brier": quality.brier(said[:, 0], won),
        "mae_days": mae,
        "bias_days": bias,
        "coverage": quality.coverage(said[:, 2], said[:, 4], days),
    }


def measures(said: quality.Array, became: quality.Array) -> dict[str, Any]:
    """Return the measures of answers ``(win, within, low, median, high, expected)`` and what became of them."""
    won, days, after = became.T
    closed = ~np.isnan(won)
    # Known of those that closed, and of those that were watched for so long. At the end of a history that favours what closes
    # soon; "_watched" takes the second kind only, which does not.
    watched = ~(after < HORIZON) & ~np.isnan(after)
    known = watched | closed
    soon = (days <= HORIZON).astype(float)
    return {
        "answers": len(said),
        **of_closed(said[closed], won[closed], days[closed]),
        "auc30": quality.auc(said[known, 1], soon[known]),
        "brier30": quality.brier(said[known, 1], soon[known]),
        "auc30_watched": quality.auc(said[watched, 1], soon[watched]),
        "brier30_watched": quality.brier(said[watched, 1], soon[watched]),
        "ece30_watched": quality.ece(said[watched, 1], soon[watched]),
    }
