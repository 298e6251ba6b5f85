"""What is said of one open deal (or lead), as it goes into its topic and the API?"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from models.calendar import iso
from models.kpis.reading import UNPROVEN
from models.learners import words
from models.learners.deal_model import HORIZON, Prediction
from models.learners.features import DAY_MS
from models.learners.live_kinds import LearnedKind
from models.learners.live_model import ModelRelease


class SaidBy(NamedTuple):
    """Who answers: the name, and the bulletin, None before the first."""

    name: str
    bulletin: ModelRelease | None


def answer_document(
    kind: LearnedKind,
    key: str,
    at: int,
    said: Prediction,
    whose: Mapping[str, Any],
    told: list[dict[str, str | float]],
    points: Sequence[tuple[int, float]],
    by: SaidBy,
) -> dict[str, Any]:
    """Return an answer given at ``at`` (ms) with its reasons; ``points`` are what was said before (when, P(won))."""
    before = [win for when, win in points if when <= at - DAY_MS]
    found: dict[str, Any] = {kind.entity: key, "at": at, "win": round(said.win, 4), "within": round(said.within, 4)}
    if kind.model == "lead":
        found["converts"] = round(float(said.curve.won.sum()), 4)
    bulletin = by.bulletin
    return found | {
        **whose,
        "within_days": HORIZON,
        "low": round(said.low, 2),
        "median": round(said.median, 2),
        "high": round(said.high, 2),
        "expected": round(said.expected, 2),
        "day_ago": before[-1] if before else None,
        "model": by.name,
        "version": bulletin.version if bulletin is not None else 0,
        "lessons": said.lessons,
        "prior": said.lessons == 0,
        "terms": told,
        "proven": bulletin is not None and bool(bulletin.status.get("proven")),
        "why": _why(told, said.lessons, bulletin),
        "history": [[iso(when), value] for when, value in points],
    }


def _why(told: list[dict[str, str | float]], lessons: int, bulletin: ModelRelease | None) -> str:
    if not lessons:
        return "nothing has been learnt yet: this is the prior"
    reasons = words.sentence(told) or "nothing sets it apart from the others"
    proven = bulletin is None or bool(bulletin.status.get("proven", True))
    return reasons if proven else f"{reasons} ({UNPROVEN})"
