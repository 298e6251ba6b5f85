"""How is an answer explained to who reads it? The terms of the log-odds, largest first, in words."""

import math
from collections.abc import Callable, Sequence

from models.learners.features import SPANS, Feature, Features

#: Terms below this many log-odds are not worth a word.
LEAST = 0.05
#: How many terms are told.
MOST = 6


def _some(count: float, one: str, many: str) -> str:
    whole = round(count)
    return f"{whole:,} {one if whole == 1 else many}"


def _span(days: float) -> str:
    """Return days as people say them, in the largest unit of which there is one."""
    for unit, in_a_day, beyond in (("day", 1, 0.95), ("hour", 24, 0.95), ("minute", 1_440, 0.5)):
        if days * in_a_day >= beyond:
            return _some(days * in_a_day, unit, f"{unit}s")
    return "less than a minute"


def _days(value: float) -> str:
    return _span(math.expm1(value))


def _count(one: str, many: str) -> Callable[[float], str]:
    def told(value: float) -> str:
        count = math.expm1(value)
        return _some(count, one, many) if round(count) else f"no {many}"

    return told


def _times(value: str) -> str:
    return "in it for the first time" if value in ("0", "1") else f"in it for the {value}th time or later"


def _month(value: str) -> str:
    return f"month {int(value) + 1} of the quarter"


def _either(there: str, not_there: str) -> Callable[[str], str]:
    return lambda value: there if value == "yes" else not_there


#: Steps of a number are told as the number itself: the name of the category, and of the number it is a step of.
_BEHIND: dict[str, tuple[str, Callable[[float], str]]] = {
    "age": ("log_age", lambda value: f"age {_days(value)}"),
    "stage_age": ("log_stage_age", lambda value: f"{_days(value)} in it"),
    "silence": ("log_silence", lambda value: f"{_days(value)} without a word before the last event"),
    "activities": ("log_activities", _count("activity", "activities")),
    "contacts": ("log_contacts", _count("contact", "contacts")),
    "answered": ("log_answered", lambda value: f"first contact after {_days(value)}"),
    "amount": ("log_amount", lambda value: f"amount {math.expm1(value):,.0f}"),
    "score": ("points", lambda value: f"score {value:.0f}"),
}
_TELL: dict[str, Callable[[float], str]] = {
    "log_amount": lambda value: f"amount {math.expm1(value):,.0f}",
    "log_age": lambda value: f"age {_days(value)}",
    "log_stage_age": lambda value: f"{_days(value)} in the stage",
    "log_activities": _count("activity", "activities"),
    "log_contacts": _count("contact", "contacts"),
    "log_events": _count("event", "events"),
    "log_silence": lambda value: f"{_days(value)} between the last two events",
    "log_answered": lambda value: f"first contact after {_days(value)}",
    "log_cost": lambda value: f"cost {math.expm1(value):,.0f}",
    "log_recent": lambda value: f"last heard of {_days(value)} ago",
    "log_prepared": lambda value: f"contact prepared for {_span(math.expm1(value) / 86_400)}",
    "log_quiet": lambda value: f"last activity {_days(value)} ago",
    "log_met": lambda value: f"last contact {_days(value)} ago",
    "log_sessions": _count("visit on the site", "visits on the site"),
    "log_pages": _count("page seen", "pages seen"),
    "log_minutes": _count("minute on the site", "minutes on the site"),
    "log_visited": lambda value: f"last on the site {_days(value)} ago",
    "log_read": _count("e-mail read", "e-mails read"),
    "lead_points": lambda value: f"score of the lead {value:.0f}",
    "log_lead_age": lambda value: f"lead {_days(value)} before the deal",
    "log_lead_answered": lambda value: f"lead contacted after {_days(value)}",
    "log_lead_contacts": _count("contact with the lead", "contacts with the lead"),
    "due": lambda value: f"expected to close in {_span(value)}" if value >= 0 else f"{_span(-value)} overdue",
    "owners": lambda value: _some(value, "owner", "owners"),
    "points": lambda value: f"score {value:.0f}",
}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: Categories whose values are codes, in words.
_VALUES: dict[str, Callable[[str], str]] = {
    "weekday": lambda value: f"on a {_WEEKDAYS[int(value)]}",
    "created_weekday": lambda value: f"created on a {_WEEKDAYS[int(value)]}",
    "visits": _times,
    "quarter_month": _month,
    "created_quarter_month": lambda value: f"created in {_month(value)}",
    "quarter_week": lambda value: f"part {int(value) + 1} of 12 of the quarter",
    "lead": _either("a lead is behind it", "no lead is behind it"),
    "overdue": _either("past its expected day of closing", "before its expected day of closing"),
    "demo": _either("a demonstration was asked for", "no demonstration was asked for"),
    "form": _either("a form was sent", "no form was sent"),
    "reached": lambda value: f"reached {('at once', *(f'after {_span(days)}' for days in SPANS))[int(value)]}",
    "budget": _either("budget is there", "no budget"),
    "authority": _either("authority is there", "no authority"),
    "need": _either("need is there", "no need"),
    "timing": _either("timing is right", "timing is not right"),
}


def explain(terms: Sequence[tuple[str, float]], x: Features, known: Sequence[Feature]) -> list[dict[str, str | float]]:
    """Return the largest terms: the feature, its value in words, and its effect in log-odds (+ speaks for winning)."""
    meanings = {feature.name: feature.words for feature in known}
    found: list[dict[str, str | float]] = []
    for name, effect in terms:
        if abs(effect) < LEAST or len(found) == MOST:
            break
        found.append({"feature": name, "words": tell(name, x, meanings), "effect": round(effect, 2)})
    return found


def sentence(told: Sequence[dict[str, str | float]]) -> str:
    """Return the terms as one line: ``source partner +0.8, 21 days in the stage −0.6``."""
    effects = [(term["words"], float(term["effect"])) for term in told]
    return ", ".join(f"{what} {'+' if effect > 0 else '−'}{abs(effect):.1f}" for what, effect in effects)


def tell(name: str, x: Features, meanings: dict[str, str]) -> str:
    """Return a feature and its value in words."""
    value = x.get(name)
    if isinstance(value, float | int):
        return _TELL[name](value) if name in _TELL and math.isfinite(value) else f"{meanings.get(name, name)} unknown"
    parts, values = name.split(" × "), str(value or "").split(" × ")
    if len(parts) != len(values):
        return f"{meanings.get(name, name)}: {value or 'unknown'}"
    return ", ".join(_part(part, text, x, meanings) for part, text in zip(parts, values, strict=True))


def _part(name: str, text: str, x: Features, meanings: dict[str, str]) -> str:
    behind = _BEHIND.get(name)
    if behind is not None:
        value = x.get(behind[0])
        if isinstance(value, float | int) and math.isfinite(value):
            return behind[1](float(value))
    if text and name in _VALUES:
        return _VALUES[name](text)
    words = meanings.get(name, name.replace("_", " "))
    return f"{words} {text}" if text else f"{words} unknown"
