"""What does ``vigie doctor`` say of one thing that it has looked at?"""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad: ``WARN`` still runs, ``FAIL`` does not, or gives wrong numbers."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: which ``check``, what was ``found``, and what to ``do`` about it (empty where all is well)."""

    check: str
    level: Level
    found: str
    do: str = ""

    def json(self) -> dict[str, str]:
        """Return it for ``--json``."""
        return {"check": self.check, "level": str(self.level), "found": self.found, "do": self.do}


def ok(check: str, found: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check, Level.OK, found)


def warn(check: str, found: str, do: str) -> Finding:
    """Return a finding with which Vigie still runs."""
    return Finding(check, Level.WARN, found, do)


def fail(check: str, found: str, do: str) -> Finding:
    """Return a finding with which Vigie does not run, or gives wrong numbers."""
    return Finding(check, Level.FAIL, found, do)
