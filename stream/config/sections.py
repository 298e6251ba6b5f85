"""What do all sections of the settings have in common: unknown keys are refused, and durations are written with a unit."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*$")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def parse_duration(value: Any) -> int:
    """Return milliseconds for ``"250ms"``, ``"30s"``, ``"5m"``, ``"72h"``, ``"30d"``, ``"2w"``; else raise ``ValueError``."""
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return 0
    found = _DURATION.match(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("not a duration (accepted: a number and ms, s, m, h, d or w, such as 30d)")
    return round(float(found[1]) * _UNITS[found[2]])


Duration = Annotated[int, BeforeValidator(lambda v: v if type(v) is int and v > 0 else parse_duration(v))]


class Section(BaseModel):
    """A section of the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
