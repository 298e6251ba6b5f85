"""What do all sections of the settings have in common: unknown keys are refused, and durations are written with a unit."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from models.config import durations


def parse_duration(value: Any) -> int:
    """Return milliseconds for ``"250ms"``, ``"30s"``, ``"5m"``, ``"72h"``, ``"30d"``, ``"2w"``; else raise ``ValueError``."""
    return durations.parse(value, quoted=False)


Duration = Annotated[int, BeforeValidator(lambda v: v if type(v) is int and v > 0 else parse_duration(v))]


class Section(BaseModel):
    """A section of the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
