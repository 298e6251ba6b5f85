"""Is this a sound definition of a KPI, and what does it mean?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from models.config.suggest import near
from models.kpis.formula import MONEY, PLAIN, Dimension, Formula, FormulaError, Number, parse
from models.kpis.terms import TIME, UNITS
from models.measures import DIMENSIONS
from models.money import UNIT

__all__ = ["DIMENSIONS", "UNITS", "Kpi", "parse_entry"]

STAGES = ("attention", "interest", "desire", "action", "pipeline", "economics", "loyalty", "people", "foresight")
DIRECTIONS = ("up", "down", "none")
BASES = (("cohort", "period", "level"), ("count", "value"))
LANGUAGES = ("en", "fr")

#: What the reason of an empty reading may name.
EMPTY_FIELDS = {"maturity"}

#: Functions that come to no number of cases.
_NO_CASES = ("target", "benchmark", "rest", "course", "elapsed", "weighted", "shrunk", "recorded", "last", "amount", "quantile")
_EXACT = 2**53
_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")
_REQUIRED = ("stage", "label", "definition", "formula", "unit", "direction", "basis")
_OPTIONAL = ("sample", "minimum", "by", "interval", "empty", "share", "unproven")
_KEYS = (*_REQUIRED, *_OPTIONAL)


@dataclass(frozen=True)
class Kpi:
    """A named formula over measures, and what one must know to read it."""

    id: str
    stage: str
    label: Mapping[str, str]
    definitions: Mapping[str, str]  # one sentence, by language
    formula: Formula
    unit: str
    direction: str
    basis: tuple[str, str]
    sample: Formula | None
    minimum: int
    by: tuple[str, ...]
    interval: str | None  # wilson, net_promoter, shrunk, shares
    interval_parts: tuple[Formula, ...]
    empty: str | None  # why there is no value where the denominator is 0, for people; may name {maturity}
    share: bool  # the numerator is a part of the denominator: there is no value outside of 0 and 1
    unproven: Formula | None  # cases in it of which a model spoke that is not yet better than the average of the stage

    @property
    def definition(self) -> str:
        """What it means, in English."""
        return self.definitions["en"]

    @cached_property
    def formulas(self) -> tuple[Formula, ...]:
        """Everything that a reading is made of."""
        return (self.formula, *(() if self.sample is None else (self.sample,)), *self.interval_parts)

    def value(self, top: Number, bottom: Number | None) -> int | float:
        """Return the value in the KPI's unit: exact for counts, money to four decimals (half to even)."""
        scale, per = self.formula.scale, UNITS[self.unit][1]
        if self.unit != "money" and type(top) is int and (bottom is None or type(bottom) is int):
            return _quotient(scale.numerator * top, scale.denominator * per * (1 if bottom is None else bottom))
        exact = scale * top
        if bottom is not None:
            exact /= bottom
        if self.unit == "money":
            return _quotient(round(exact), per)
        return _number(exact / per)

    def shown(self, number: Number, dimension: Dimension) -> int | float:
        """Return a numerator or denominator in units one can read: money in currency units, times in seconds."""
        if dimension == PLAIN and type(number) is int:
            return _quotient(number, 1)
        if dimension == MONEY:
            return _quotient(round(number), UNIT)
        if dimension == TIME and type(number) is int:
            return _quotient(number, 1000)
        return _number(Fraction(number) / (Fraction(UNIT) ** dimension.money * Fraction(1000) ** dimension.millis))


def _quotient(top: int, bottom: int) -> int | float:
    """Return :func:`_number` of a fraction, which readings are made of by the thousand, without making one."""
    whole, rest = divmod(top, bottom)
    return whole if not rest and abs(whole) <= _EXACT else top / bottom


def _number(exact: Fraction | int) -> int | float:
    # Products of amounts may have more digits than JSON's readers keep.
    return exact.numerator if exact.denominator == 1 and abs(exact.numerator) <= _EXACT else float(exact)


def parse_entry(name: Any, body: Any, problems: list[str], kpis: Mapping[str, str] | None = None) -> Kpi | None:
    """Return a KPI from its parsed YAML, or None after adding what is wrong to ``problems``.

    ``kpis`` are all that there are, with their units.
    """
    kpis = kpis or {}
    before = len(problems)
    if not isinstance(name, str) or not _ID.fullmatch(name):
        problems.append("not an id (accepted: a-z, 0-9 and _, beginning with a letter, at most 64)")
    if not isinstance(body, Mapping):
        problems.append(f"found {body!r} (accepted: a mapping with {', '.join(_REQUIRED)})")
        return None
    problems += [f'{key}: unknown key "{key}"{near(key, _KEYS)}' for key in body if key not in _KEYS]
    problems += [f"{key}: missing" for key in _REQUIRED if key not in body]
    for key, accepted in (("stage", STAGES), ("unit", tuple(UNITS)), ("direction", DIRECTIONS)):
        if key in body and body[key] not in accepted:
            problems.append(f"{key}: unknown {body[key]!r}{near(str(body[key]), accepted)}")
    if "label" in body and not _is_told(body["label"]):
        problems.append(f"label: found {body['label']!r} (accepted: {{en: …, fr: …}})")
    definition = body.get("definition")
    if "definition" in body and not (_is_text(definition) or _is_told(definition)):
        problems.append(f"definition: found {definition!r} (accepted: one sentence, or {{en: …, fr: …}})")
    basis = body.get("basis")
    if "basis" in body and not (
        isinstance(basis, list) and len(basis) == 2 and all(part in accepted for part, accepted in zip(basis, BASES, strict=True))
    ):
        problems.append(f"basis: found {basis!r} (accepted: [{' or '.join(BASES[0])}, {' or '.join(BASES[1])}])")
    formula = _formula("formula", body["formula"], problems, kpis) if "formula" in body else None
    unit = body.get("unit")
    if formula is not None and unit in UNITS and formula.dimension != UNITS[unit][0]:
        problems.append(f"formula: comes out as {formula.dimension}, unit {unit!r} is {UNITS[unit][0]}")
    sample = _plain("sample", body["sample"], problems) if "sample" in body else _default_sample(formula)
    minimum = body.get("minimum", 1)
    if type(minimum) is not int or minimum < 1:
        problems.append(f"minimum: found {minimum!r} (accepted: a whole number from 1)")
    by = body.get("by", [])
    if not isinstance(by, list):
        problems.append(f"by: found {by!r} (accepted: a list of {', '.join(DIMENSIONS)})")
        by = []
    problems += [f"by: unknown dimension {d!r}{near(str(d), DIMENSIONS)}" for d in by if d not in DIMENSIONS]
    empty = body.get("empty")
    if empty is not None and not (_is_text(empty) and _braces(empty) <= EMPTY_FIELDS):
        problems.append(f"empty: found {empty!r} (accepted: why there is no value, in words; in braces: maturity)")
    share = body.get("share", False)
    if type(share) is not bool or (share and (formula is None or formula.denominator is None or unit != "ratio")):
        problems.append(f"share: found {share!r} (accepted: true, of a ratio that divides)")
    interval, parts = _interval(body.get("interval"), formula, problems)
    unproven = _plain("unproven", body["unproven"], problems) if "unproven" in body else None
    if len(problems) > before or formula is None:
        return None
    return Kpi(
        id=name,
        stage=body["stage"],
        label=dict(body["label"]),
        definitions={
            language: str(definition[language] if isinstance(definition, Mapping) else definition).strip()
            for language in LANGUAGES
        },
        formula=formula,
        unit=body["unit"],
        direction=body["direction"],
        basis=(body["basis"][0], body["basis"][1]),
        sample=sample,
        minimum=minimum,
        by=tuple(by),
        interval=interval,
        interval_parts=parts,
        empty=empty,
        share=share,
        unproven=unproven,
    )


def _braces(text: str) -> set[str]:
    return set(re.findall(r"\{(.*?)\}", text))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_told(value: Any) -> bool:
    """Whether it is a text in each language."""
    return isinstance(value, Mapping) and set(value) == set(LANGUAGES) and all(map(_is_text, value.values()))


def _formula(key: str, text: Any, problems: list[str], kpis: Mapping[str, str] | None = None) -> Formula | None:
    if not isinstance(text, str):
        problems.append(f"{key}: found {text!r} (accepted: a formula)")
        return None
    try:
        return parse(text, kpis)
    except FormulaError as error:
        problems.append(f"{key}: {error}")
        return None


def _plain(key: str, text: Any, problems: list[str]) -> Formula | None:
    """Return a formula that counts something."""
    formula = _formula(key, text, problems)
    if formula is not None and (formula.dimension != PLAIN or formula.denominator is not None or formula.scale != 1):
        problems.append(f"{key}: found {text!r} (accepted: a sum of counts)")
    return formula


def _default_sample(formula: Formula | None) -> Formula | None:
    if formula is None or formula.denominator is None or formula.denominator.dimension != PLAIN:
        return None
    text = formula.denominator.text
    return None if any(f"{name}(" in text for name in _NO_CASES) else parse(text)


def _interval(found: Any, formula: Formula | None, problems: list[str]) -> tuple[str | None, tuple[Formula, ...]]:
    accepted = (
        "accepted: wilson, {net_promoter: [promoters, detractors]} for a formula that divides counts, "
        "{shrunk: [successes, failures]}, {shares: [part, whole, part, whole …]}"
    )
    if found is None:
        return None, ()
    if isinstance(found, Mapping) and list(found) in (["shrunk"], ["shares"]):
        (kind,) = found
        names = found[kind]
        if isinstance(names, list) and names and len(names) % 2 == 0 and (kind == "shares" or len(names) == 2):
            parts = [_plain("interval", name, problems) for name in names]
            return kind, tuple(part for part in parts if part is not None)
    divides = formula is None or (
        formula.denominator is not None and formula.numerator.dimension == formula.denominator.dimension == PLAIN
    )
    if found == "wilson" and divides and (formula is None or formula.scale == 1):
        return "wilson", ()
    if isinstance(found, Mapping) and list(found) == ["net_promoter"] and divides:
        names = found["net_promoter"]
        if isinstance(names, list) and len(names) == 2:
            parts = [_plain("interval", name, problems) for name in names]
            return "net_promoter", tuple(part for part in parts if part is not None)
    problems.append(f"interval: found {found!r} ({accepted})")
    return None, ()
