"""How does a language write numbers, money, durations and times? By CLDR (Babel); English as it always was written here."""

import re
from copy import copy
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Any

from alert_rules.words import durations, quantities
from alert_rules.words.language import Language
from models.worktime import WORKING

if TYPE_CHECKING:
    from babel import Locale

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPANS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_DECIMALS = re.compile(r"\.(\d+)")


class Numbers:
    """Numbers and times in a language, by CLDR."""

    def __init__(self, language: Language) -> None:
        self.language = language

    @cached_property
    def _locale(self) -> "Locale":
        from babel import Locale  # a tenth of a second, and not needed for English

        return Locale.parse(self.language.code, sep="-")

    @property
    def none(self) -> str:
        """The word before a noun of which there is none."""
        return self.language.say("no")

    def one(self, value: float) -> bool:
        """Whether a count takes the singular."""
        return self.language.plural(value) == "one"

    def count(self, value: float) -> str:
        """Return a whole number: ``12 400``."""
        return self._decimal(value, 0)

    def _decimal(self, value: float, most: int, least: int = 0) -> str:
        return self._written(self._locale.decimal_formats[None], value, least, most)

    def _written(self, pattern: Any, value: float, least: int, most: int, currency: str | None = None) -> str:
        own = copy(pattern)  # all who ask share the locale's
        own.frac_prec = (least, most)
        return str(own.apply(value, self._locale, currency=currency, currency_digits=False)).replace("-", "−")

    def percent(self, value: float, most: int = 0, least: int = 0) -> str:
        """Return a share in percent: ``23,4 %``."""
        return self._written(self._locale.percent_formats[None], value, least, most)

    def signed(self, value: float, most: int = 0) -> str:
        """Return a change in percent, with its sign."""
        return ("+" if value > 0 else "") + self.percent(value, most)

    def number(self, value: float | None, unit: str, currency: str | None = None) -> str:
        """Return a value in words, as :func:`alert_rules.words.quantities.number` does in English."""
        if value is None:
            return self.language.say("no_value")
        match unit:
            case "ratio":
                return self.percent(value, _places(value * 100, 3))
            case "change":
                return self.signed(value, _places(value * 100, 3))
            case "hours" | "deviations":
                return self._unit(unit, value, _places(value, 2))
            case "points":
                return self._unit(unit, value * 100, _places(value * 100, 3))
            case "times":
                return self.language.say("times", of="units", n=self._decimal(value, _places(value, 2)))
            case "seconds":
                return self.human(value * 1000)
            case "days":
                return self.human(value * 86_400_000)
            case "money" if currency:
                return self._written(self._locale.currency_formats["standard"], value, 0, 0, currency)
            case "money":
                return self.count(value)
            case _ if unit.startswith(WORKING):
                return self._working(value, int(unit.removeprefix(WORKING)))
        return self._decimal(value, 0 if value == int(value) or abs(value) >= 1000 else _places(value, 3))

    def _unit(self, unit: str, value: float, most: int = 0) -> str:
        count = round(value, most)
        found = self.language.find(unit, "units")
        form = found.get(self.language.plural(count)) or found["other"]
        return str(form.replace("{n}", self._decimal(value, most)))

    def _working(self, seconds: float, day: int) -> str:
        if seconds < 0:
            return f"−{self._working(-seconds, day)}"
        days, rest = divmod(round(seconds), day)
        hours, minutes = divmod(rest // 60, 60)
        if days:
            return self._unit("working_days", days) + (f" {self._span(hours, 'hour')}" if hours and days < 3 else "")
        if hours or not minutes:
            return self._unit("working_hours", hours) + (f" {self._span(minutes, 'minute')}" if minutes else "")
        return self._span(minutes, "minute")

    def _span(self, count: float, unit: str) -> str:
        from babel.units import format_unit

        return format_unit(count, f"duration-{unit}", length="short", locale=self._locale)

    def human(self, milliseconds: float) -> str:
        """Return a duration as its two largest units: ``2 j 3 h``."""
        if milliseconds < 0:
            return f"−{self.human(-milliseconds)}"
        if milliseconds < 1000:
            return self._span(round(milliseconds), "millisecond")
        seconds = round(milliseconds / 1000)
        parts: list[str] = []
        for name, size in _SPANS:
            count, seconds = divmod(seconds, size)
            if count:
                parts.append(self._span(count, name))
            elif parts:
                break
            if len(parts) == 2:
                break
        return " ".join(parts)

    def spelled(self, value: float, spec: str) -> str:
        """Return a number as a rule's summary asks for it (``.0%``, ``,.2f``, ``+.1f``, ``d``), in the language's signs."""
        places = _DECIMALS.search(spec)
        digits = int(places[1]) if places else 6 if spec[-1:] in "f%" else 0
        sign = "+" if "+" in spec and value > 0 else ""
        return sign + (self.percent(value, digits, digits) if spec.endswith("%") else self._decimal(value, digits, digits))

    def day_of(self, milliseconds: float, zone: tzinfo) -> str:
        """Return the day of an instant on the calendar of a zone: ``jeu. 1 janv. 2026``."""
        return self._date("yMMMEd", milliseconds, zone)

    def _date(self, skeleton: str, milliseconds: float, zone: tzinfo) -> str:
        from babel.dates import format_skeleton

        return format_skeleton(skeleton, _local(milliseconds, zone), locale=self._locale)

    def moment(self, milliseconds: float, zone: tzinfo) -> str:
        """Return an instant on the clock on the wall of a zone, and where that hangs: ``jeu. 1 janv. 2026, 09:30 (Paris)``."""
        return f"{self.day_of(milliseconds, zone)}, {self.time(milliseconds, zone)} ({self._place(zone)})"

    def _place(self, zone: tzinfo) -> str:
        from babel.dates import get_timezone_location

        key = getattr(zone, "key", "UTC")
        return (
            get_timezone_location(key, locale=self._locale, return_city=True)
            if "/" in key and not key.startswith("Etc/")
            else "UTC"
        )

    def time(self, milliseconds: float, zone: tzinfo) -> str:
        """Return the time of day."""
        return self._date("Hm", milliseconds, zone)

    def long_day(self, milliseconds: float, zone: tzinfo) -> str:
        """Return a day with its weekday, in full: ``jeudi 1 janvier 2026``."""
        from babel.dates import format_date

        return format_date(_local(milliseconds, zone), "full", locale=self._locale)

    def date(self, iso: str, zone: tzinfo = UTC) -> str:
        """Return the day, in short, of an RFC 3339 instant on the calendar of a zone; of a day alone that day."""
        try:
            day = datetime.fromisoformat(iso)
        except ValueError:
            return iso[:10]
        return self._short_day(day.replace(tzinfo=UTC) if day.tzinfo is None else day.astimezone(zone))

    def _short_day(self, day: datetime) -> str:
        return self._date("yMMMd", day.timestamp() * 1000, day.tzinfo or UTC)


class EnglishNumbers(Numbers):
    """Numbers as the topics have them: ``12,400 EUR``, ``23.4 %``, ``Thu 1 Jan 2026, 09:30 CET``, the same for ever."""

    number = staticmethod(quantities.number)
    human = staticmethod(durations.human)
    moment = staticmethod(durations.moment)
    day_of = staticmethod(durations.day_of)

    def count(self, value: float) -> str:
        """Return a whole number."""
        return f"{value:,.0f}"

    def percent(self, value: float, most: int = 0, least: int = 0) -> str:
        """Return a share in percent, without decimals."""
        return f"{value:.{most}%}"

    def signed(self, value: float, most: int = 0) -> str:
        """Return a change in percent, with its sign."""
        return f"{value:+.{most}%}"

    def spelled(self, value: float, spec: str) -> str:
        """Return a number as Python formats it."""
        return format(round(value) if spec.endswith("d") else value, spec)

    def time(self, milliseconds: float, zone: tzinfo) -> str:
        """Return the time of day."""
        return f"{_local(milliseconds, zone):%H:%M}"

    def long_day(self, milliseconds: float, zone: tzinfo) -> str:
        """Return a day with its weekday, in full."""
        at = _local(milliseconds, zone)
        return f"{at:%A}, {at.day} {at:%B %Y}"

    def _short_day(self, day: datetime) -> str:
        return durations.short_day(day)


def numbers_of(language: Language) -> Numbers:
    """Return how a language writes numbers."""
    return EnglishNumbers(language) if language.code == "en" else Numbers(language)


def _local(milliseconds: float, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(milliseconds=milliseconds)).astimezone(zone)


def _places(value: float, significant: int) -> int:
    """Return how many decimals make so many significant digits."""
    text: Any = f"{abs(value):.{significant}g}"
    return len(f"{float(text):.10f}".rstrip("0").partition(".")[2])
