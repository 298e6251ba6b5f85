"""How is one file read, so that every problem in it is found and said with its key, what was found and what is accepted?"""

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from models.config import durations
from models.config.problem import FileProblem
from models.config.suggest import near

_PERCENT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*%")


class TreeReader:
    """Reads values of one file; collects its problems."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[FileProblem] = []

    def bad(self, key: str, text: str) -> None:
        """Note a problem."""
        self.problems.append(FileProblem(self.file, key, text))

    def keys(self, tree: Mapping[Any, Any], accepted: Collection[str], key: str = "") -> None:
        """Note every key that is not accepted; ``key`` is what stands before it."""
        for name in tree:
            if name not in accepted:
                self.bad(f"{key}{name}", f'unknown key "{name}"{near(name, accepted)}')

    def mapping(self, tree: Any, key: str, accepted: Collection[str] | None, example: str = "") -> Mapping[str, Any] | None:
        """Return the tree if it is a mapping, its unknown keys noted; ``accepted`` None: any are."""
        if not isinstance(tree, Mapping):
            such = f" such as {example}" if example else f" with the keys {', '.join(accepted)}" if accepted else ""
            self.bad(key, f"found {kind_of(tree)} (accepted: a mapping{such})")
            return None
        if accepted is not None:
            self.keys(tree, accepted, f"{key}." if key else "")
        return tree

    def text(self, tree: Mapping[str, Any], key: str, where: str = "") -> str | None:
        """Return a text that must be there."""
        value = tree.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
        found = "nothing" if key not in tree else repr(value)
        self.bad(f"{where}{key}", f"found {found} (accepted: a text)")
        return None

    def choice(self, tree: Mapping[str, Any], key: str, where: str, accepted: Collection[str], default: str) -> str:
        """Return one of the accepted texts."""
        value = tree.get(key, default)
        if value not in accepted:
            self.bad(f"{where}{key}", f"found {value!r}{near(value, accepted)}")
            return default
        return str(value)

    def number(self, value: Any, key: str, unit: str) -> float | None:
        """Read a number in a unit; a duration may be written as such where the unit is time, a change as a percentage."""
        if unit in ("seconds", "days") and isinstance(value, str):
            try:
                return durations.parse(value) / (1000 if unit == "seconds" else 86_400_000)
            except ValueError as error:
                self.bad(key, str(error))
                return None
        if unit == "change":
            return self.percent(value, key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            more = " or a duration, such as 4h" if unit in ("seconds", "days") else ""
            self.bad(key, f"found {value!r} (accepted: a number{more}{_of(unit)})")
            return None
        return float(value)

    def percent(self, value: Any, key: str) -> float | None:
        """Read a share written as a percentage, such as ``-30%``."""
        found = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            self.bad(key, f"found {value!r} (accepted: a percentage, such as -30%)")
            return None
        return float(found[1]) / 100

    def duration(self, value: Any, key: str) -> int:
        """Read a duration (ms)."""
        try:
            return durations.parse(value)
        except ValueError as error:
            self.bad(key, str(error))
            return 0


def is_percent(value: Any) -> bool:
    """Whether it is written as a percentage."""
    return isinstance(value, str) and _PERCENT.fullmatch(value.strip()) is not None


def kind_of(value: object) -> str:
    """Return what a parsed value is, in words."""
    return "nothing" if value is None else f"a {type(value).__name__}"


def _of(unit: str) -> str:
    return {"money": " of currency units", "score": " of points"}.get(unit, "")
