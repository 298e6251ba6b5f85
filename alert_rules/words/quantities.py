"""How is a number told to people, given its unit, and how is a rule's summary filled in?"""

import re
from collections.abc import Mapping
from string import Formatter
from typing import Protocol

from alert_rules.words.durations import human, plural, working
from models.worktime import WORKING

_SPEC = re.compile(r"[+]?,?(\.\d{1,2})?[f%gd]?")
_NOUNS = re.compile(r"([^\W\d_][^\W_|{}]*(?: [^\W_|{}]+)*)\|([^\W\d_][^\W_|{}]*(?: [^\W_|{}]+)*)")


class TemplateError(ValueError):
    """A summary that cannot be filled in; the text says which field and what is accepted."""


def number(value: float | None, unit: str, currency: str | None = None) -> str:
    """Return a value in words: ``23.4 %``, ``4 h 12 min``, ``12,400 EUR``, ``1,234``; ``no value`` for None."""
    if value is None:
        return "no value"
    match unit:
        case "ratio":
            return f"{value * 100:.3g} %"
        case "change":
            return f"{value * 100:+.3g} %".replace("-", "−")
        case "hours":
            return plural(f"{value:.2g}", "busy hour")
        case "points":
            return plural(f"{value * 100:.3g}", "point")
        case "times":
            return f"{value:.2g} times the usual"
        case "deviations":
            return plural(f"{value:.2g}", "deviation")
        case "seconds":
            return human(value * 1000)
        case "days":
            return human(value * 86_400_000)
        case "money":
            return f"{value:,.0f} {currency}" if currency else f"{value:,.0f}"
        case _ if unit.startswith(WORKING):
            return working(value, int(unit.removeprefix(WORKING)))
        case _:
            return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:,.3g}"


class NumberWords(Protocol):
    """How a language writes numbers (``numbers.py``)."""

    @property
    def none(self) -> str:
        """The word before a noun of which there is none."""

    def number(self, value: float | None, unit: str, currency: str | None = None) -> str:
        """Return a value in words."""

    def spelled(self, value: float, spec: str) -> str:
        """Return a number in the form that a summary asks for."""

    def one(self, value: float) -> bool:
        """Whether a count takes the singular."""


class Quantity:
    """A number that knows its unit: ``{value}`` is told in words, ``{value:.0%}`` as Python formats numbers.

    ``{value:deal|deals}`` is told with its noun, one or many.
    """

    __slots__ = ("currency", "numerals", "unit", "value")

    def __init__(self, value: float | None, unit: str, currency: str | None = None, numerals: NumberWords | None = None) -> None:
        """``numerals`` is how its language writes numbers, English where nothing is said."""
        self.value, self.unit, self.currency, self.numerals = value, unit, currency, numerals

    def __format__(self, spec: str) -> str:
        words = number if self.numerals is None else self.numerals.number
        if self.value is None and (nouns := _NOUNS.fullmatch(spec)) is not None:
            return f"{self.numerals.none if self.numerals is not None else 'no'} {nouns[2]}"
        if not spec or self.value is None:
            return words(self.value, self.unit, self.currency)
        if (nouns := _NOUNS.fullmatch(spec)) is not None:
            shown = words(self.value, self.unit, self.currency)
            return (
                plural(shown, nouns[1], nouns[2])
                if self.numerals is None
                else f"{shown} {nouns[1 if self.numerals.one(self.value) else 2]}"
            )
        if self.numerals is not None:
            return self.numerals.spelled(self.value, spec)
        return format(round(self.value) if spec.endswith("d") else self.value, spec)


def fill(template: str, values: Mapping[str, "str | Quantity"]) -> str:
    """Fill a template in; raise :class:`TemplateError` where it names an unknown field or asks for a form that it may not.

    Only bare names and number formats pass: attributes, indexes and widths of a template could read or cost anything.
    """
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise TemplateError(f"{error} (write {{{{ and }}}} for braces)") from error
    words: list[str] = []
    for text, name, spec, conversion in parsed:
        words.append(text)
        if name is None:
            continue
        if name not in values:
            raise TemplateError(f"unknown field {{{name}}} (accepted: {', '.join(sorted(values))})")
        value, shown = values[name], f"{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}"
        if conversion or not (_SPEC.fullmatch(spec or "") or _NOUNS.fullmatch(spec or "")):
            raise TemplateError(f"{{{name}{shown}}}: unknown format (accepted: such as .0% ,.2f +.1f d, or deal|deals)")
        if spec and not isinstance(value, Quantity):
            raise TemplateError(f"{{{name}{shown}}}: {name} is a text (accepted: {{{name}}})")
        words.append(format(value, spec or ""))
    return "".join(words)
