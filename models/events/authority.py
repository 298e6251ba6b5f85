"""What does the published contract say of this record?"""

from collections.abc import Sequence
from typing import Any

from models.events.refused import Reason, Refused


def check_score(kind: str, score: float) -> None:
    """Refuse a survey's score outside the range of its kind."""
    low, high = (0, 10) if kind == "nps" else (1, 5)
    if not low <= score <= high:
        raise Refused(Reason.INVALID_DATA, f"data.score: found {score}, accepted for {kind} is {low} to {high}")


def read(value: bytes, headers: Sequence[tuple[str, bytes]], topic: str) -> tuple[Any, tuple[str, ...]]:
    """Return the event and the names of its unknown fields, or raise Refused."""
    raise Refused(Reason.INVALID_DATA, "not readable")
