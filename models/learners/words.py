"""How is an answer explained to who reads it? The terms of the log-odds, largest first, in words."""

import math
from collections.abc import Callable, Sequence

from models.learners.features import Feature, Features

#: Terms below this many log-odds are not worth a word.
LEAST = 0.05
#: How many terms are told.
MOST = 6


def _days(value: float) -> str:
    days = math.expm1(value)
    return f"{days:.0f} days" if days >= 1.95 else "1 day" if days >= 0.95 else f"{days * 24:.0f} hours"


def _whole(days: float) -> str:
    return f"{days:.0f} day{'' if round(days) == 1 else 's'}"


def _count(one: str, many: str) -> Callable[[float], str]:
    def told(value: float) -> str:
        count = round(math.expm1(value))
        return f"{count or 'no'} {one if count == 1 else many}"

    return told


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
    "log_prepared": lambda value: f"contact prepared for {math.expm1(value) / 60:.0f} min",
    "due": lambda value: f"expected to close in {_whole(value)}" if value >= 0 else f"{_whole(-value)} overdue",
    "owners": lambda value: f"{value:.0f} owner{'' if value == 1 else 's'}",
    "points": lambda value: f"score {value:.0f}",
}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


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
    if name == "weekday" and value in tuple("0123456"):
        return f"on a {_WEEKDAYS[int(value)]}"
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
    words = meanings.get(name, name.replace("_", " "))
    return f"{words} {text}" if text else f"{words} unknown"
