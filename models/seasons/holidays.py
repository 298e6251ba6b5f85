"""Which days are holidays, by country, and what are they called?

By the package `holidays`, which knows some 250 countries and their parts, and the exchanges; imported when first asked for.
"""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

#: What is accepted, in words.
ACCEPTED = "ISO 3166 codes of countries and their parts, such as FR or DE-BY"


def unknown(code: str) -> str | None:
    """Return what is wrong with a country's code; None where its holidays are known."""
    import holidays

    country, sign, part = code.partition("-")
    known = holidays.list_supported_countries(include_aliases=False)
    if country not in known:
        return f"no holidays are known of {country!r} (accepted: {ACCEPTED})"
    if sign and part not in known[country]:
        return f"{country} has no part {part!r} (accepted: {', '.join(known[country]) or f'{country} alone'})"
    return None


def holiday(day: int, countries: Sequence[str]) -> str | None:
    """Return what the day (its ordinal) is called where it is a holiday in one of the countries; None where it is none."""
    for code in countries:
        if (name := _of(code, date.fromordinal(day).year).get(day)) is not None:
            return name
    return None


@lru_cache(512)
def _of(code: str, year: int) -> dict[int, str]:
    import holidays

    country, _, part = code.partition("-")
    return {day.toordinal(): name for day, name in holidays.country_holidays(country, part or None, years=year).items()}
