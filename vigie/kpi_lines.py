"""How is a reading told in a line?"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from alert_rules.words.language import SOURCE
from alert_rules.words.words import Words


def whose(reading: Mapping[str, Any], told: Words) -> str:
    """Return what a reading is of, by its name where it has one."""
    name = ", ".join(told.place(dimension, value) for dimension, value in reading["segment"].items()) or told.TOTAL
    return f"{reading['name']} ({name})" if reading.get("name") else name


def cells(reading: Mapping[str, Any], split: bool, told: Words, zone: ZoneInfo | None = None) -> tuple[str, str, str, str]:
    """Return a line's columns: what it is of, the value, the cases behind it, and the interval or why there is no value."""
    name = whose(reading, told)
    if zone is not None:
        # A day ends at midnight, which is of the day that it ends.
        at = datetime.fromisoformat(reading["at"]).astimezone(zone) - timedelta(microseconds=1)
        name = f"{at:%Y-%m-%d}" if at.hour == 23 and at.minute == 59 else f"{at + timedelta(microseconds=1):%Y-%m-%d %H:%M}"
    numerator, denominator, unit = reading.get("numerator"), reading.get("denominator"), reading["unit"]
    of = ""
    if reading["value"] is not None and denominator is not None:
        # Of an average the sum says nothing that a person would read.
        of = f"{numerator:,.0f} / {denominator:,.0f}" if unit == "ratio" and numerator is not None else f"n = {denominator:,.0f}"
    low, high = reading.get("low"), reading.get("high")
    rest = "" if low is None else f"{shown(low, unit).removesuffix(' %')} – {shown(high, unit)}"
    value = shown(reading["value"], unit, reading.get("currency", ""))
    marks = {by: shown(number, unit, reading.get("currency", "")) for by, number in reading.get("benchmarks", {}).items()}
    if told.language.code != SOURCE:
        value = "–" if reading["value"] is None else told.number(reading["value"], unit, reading.get("currency"))
        rest = "" if low is None else f"{told.number(low, unit)} – {told.number(high, unit)}"
        of = of and of.replace(",", "\u202f")
        marks = {by: told.number(number, unit, reading.get("currency")) for by, number in reading.get("benchmarks", {}).items()}
    beside = [f"{by}: {number}" for by, number in marks.items()]
    return (
        name if split else reading["kpi"],
        value,
        of,
        told.sentence(reading.get("why") or "")
        or "; ".join(filter(None, (rest, _counted_from(reading.get("since"), told), _unproven(reading, told), *beside))),
    )


def shown(value: float | None, unit: str, currency: str = "") -> str:
    """Return a value as people read it: ``25.0 %``, ``1,234.50 EUR``, ``2 h 05 min``."""
    if value is None:
        return "–"
    match unit:
        case "ratio":
            return f"{value:.1%}".replace("%", " %")
        case "money":
            return f"{value:,.2f} {currency}".rstrip()
        case "seconds":
            return _duration(value)
        case "days":
            return f"{value:,.1f} d"
        case "score":
            return f"{value:+.1f}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _duration(seconds: float) -> str:
    if seconds < 0:
        return f"-{_duration(-seconds)}"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    days, hours = divmod(hours, 24)
    return f"{days:,} d {hours} h"


def _unproven(reading: Mapping[str, Any], told: Words) -> str:
    return told.sentence(reading["standing"]) if reading.get("proven") is False else ""


def _counted_from(since: str | None, told: Words) -> str:
    return "" if since is None else told.sentence(f"counted from {since[:10]} on, not in all of the window")
