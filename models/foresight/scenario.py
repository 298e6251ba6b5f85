"""What if? Factors on what is expected, by name: ``win_rate +10 %, arrivals -20 %``."""

import difflib
import re
from typing import NamedTuple

#: Nobody asks for more than this much, up or down.
_LOWEST, _HIGHEST = 0.0, 100.0
_PART = re.compile(r"([a-z_]+)\s*[:=]?\s*([+\-]\s*\d+(?:\.\d+)?)\s*%")


class Scenario(NamedTuple):
    """By what is multiplied: the deals won of those open and to come, how many come, and what those to come bring."""

    win_rate: float = 1.0
    arrivals: float = 1.0
    amount: float = 1.0


#: As it is expected.
BASE = Scenario()


class ScenarioError(ValueError):
    """The text names no scenario; the message says what was found and what is accepted."""


def parse(text: str) -> Scenario:
    """Return what ``win_rate +10 %, arrivals -20 %`` means; raise :class:`ScenarioError`."""
    factors: dict[str, float] = {}
    for part in text.replace("\N{MINUS SIGN}", "-").replace("\N{NO-BREAK SPACE}", " ").split(","):
        found = _PART.fullmatch(part.strip())
        if found is None:
            raise ScenarioError(f"found {part.strip()!r}; accepted: such as win_rate +10 %, arrivals -20 %, amount +5 %")
        name, percent = found[1], float(found[2].replace(" ", ""))
        if name not in Scenario._fields:
            near = difflib.get_close_matches(name, Scenario._fields, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ScenarioError(f"found {name!r}; accepted: {', '.join(Scenario._fields)}{hint}")
        if name in factors:
            raise ScenarioError(f"found {name} twice; accepted: once")
        factors[name] = 1 + percent / 100
        if not _LOWEST <= factors[name] <= _HIGHEST:
            raise ScenarioError(f"found {name} {percent:+g} %; accepted: -100 % to +9900 %")
    return Scenario(**factors)
