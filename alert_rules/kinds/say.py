"""What must a language be able to say for the kinds of rules? (``alert_rules/words/words.py``)"""

from typing import Any, Protocol


class Say(Protocol):
    """The words of one language."""

    NOTHING: str
    """that nothing was counted"""

    @property
    def number(self) -> Any:
        """``(value, unit, currency)``: a number with its unit."""

    @property
    def human(self) -> Any:
        """``(milliseconds)``: a duration."""

    def phrase(self, key: str, english: str = "", **values: Any) -> str:
        """Return the words under a key of the language's file, filled in; ``english`` where it has none."""

    def measured(self, facts: Any, value: float | None, unit: str, limit: str) -> str:
        """Return what was measured of an alert, as its kind says it."""

    def lasting(self, milliseconds: float, where: str = "") -> str:
        """Return how long something has lasted."""

    def fallen(self, before: float, now: float) -> str:
        """Return a probability's way."""
