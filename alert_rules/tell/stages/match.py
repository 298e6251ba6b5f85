"""Is this alert among those that a route, a silence or an inhibition is about?

Matchers are Alertmanager's: ``severity=critical``, ``team!=ops``, ``rule=~"win-.*"``, ``source!~web|ads``. A label that an
alert does not have is an empty text. Patterns match the whole value.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_TEXT = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
ACCEPTED = "such as severity=critical, team!=ops, rule=~win-.*, source!~web|ads"
#: A pattern is run on every alert: what may take for ever on an unlucky value is not accepted.
_LONGEST = 300
_REPEATED_GROUP = re.compile(r"\)\s*[*+{]")
_REPEATS = re.compile(r"(?<!\\)[*+{]")
_MOST_REPEATS = 8


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; ``pattern`` only where the operator is ``=~`` or ``!~``."""

    name: str
    operator: str
    value: str
    pattern: re.Pattern[str] | None = None

    @classmethod
    def parse(cls, text: Any) -> "Matcher":
        """Return the matcher; raise ``ValueError`` that says what was found and what is accepted."""
        found = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ValueError(f"not a matcher: {text!r} (accepted: {ACCEPTED})")
        name, operator, value = found.groups()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        elif value[:1] in ("=", "~", '"', "'"):
            raise ValueError(f"not a matcher: {text!r} (accepted: {ACCEPTED})")
        if operator not in ("=~", "!~"):
            return cls(name, operator, value)
        if len(value) > _LONGEST or _REPEATED_GROUP.search(value) or len(_REPEATS.findall(value)) > _MOST_REPEATS:
            raise ValueError(
                f"{text!r}: the pattern is too costly (accepted: no repeated groups, at most {_MOST_REPEATS} of * + {{)"
            )
        try:
            return cls(name, operator, value, re.compile(value, re.DOTALL))
        except re.error as error:
            raise ValueError(f"{text!r}: not a pattern: {error} (accepted: a regular expression)") from error

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels fulfil it."""
        found = labels.get(self.name, "")
        if self.pattern is not None:
            return (self.pattern.fullmatch(found) is not None) is (self.operator == "=~")
        return (found == self.value) is (self.operator == "=")

    def excludes(self, other: "Matcher") -> bool:
        """Whether no labels could fulfil both, as far as can be told without searching."""
        if self.name != other.name:
            return False
        if self.operator == "=":
            return not other.matches({self.name: self.value})
        return other.operator == "=" and not self.matches({other.name: other.value})

    def __str__(self) -> str:
        return f'{self.name}{self.operator}"{self.value}"'


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether the labels fulfil every one (no matchers at all: yes)."""
    return all(matcher.matches(labels) for matcher in matchers)


def shown(matchers: Iterable[Matcher]) -> str:
    """Return matchers as one text: ``{severity="critical"}``."""
    return "{" + ",".join(map(str, matchers)) + "}"
