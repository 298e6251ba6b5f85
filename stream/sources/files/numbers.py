"""What number, and of which currency, does a cell of somebody's table hold?

Separators of thousands count only where thousands are: read otherwise, "1,5" would quietly become 15.
"""

import re
from collections.abc import Mapping
from decimal import Decimal

_GROUPED = r"[+-]?(?:[1-9][0-9]{{0,2}}(?:[{thousands}\s'’][0-9]{{3}})+|[0-9]+)(?:{decimal}[0-9]+)?"
_NUMBER = {
    ".": re.compile(_GROUPED.format(thousands=",", decimal=r"\.")),
    ",": re.compile(_GROUPED.format(thousands=".", decimal=",")),
}
#: Currencies that a sign stands for. A code, as in "USD 12", stands for itself.
SIGNS: Mapping[str, tuple[str, ...]] = {
    "€": ("EUR",),
    "£": ("GBP",),
    "$": ("USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "ARS", "CLP", "COP", "TWD"),
    "US$": ("USD",),
    "R$": ("BRL",),
    "¥": ("JPY", "CNY"),
    "₹": ("INR",),
    "zł": ("PLN",),
    "kr": ("SEK", "NOK", "DKK", "ISK"),
}
_SIGN = "|".join(["[A-Z]{3}", *map(re.escape, sorted(SIGNS, key=len, reverse=True))])
_MONEY = re.compile(rf"\s*(?P<minus>-?)\s*(?P<before>{_SIGN})?\s*(?P<number>.*?)\s*(?P<after>{_SIGN})?\s*")


def number(text: str, decimal: str | None) -> Decimal:
    """Return the number that ``text`` holds. ``decimal`` is its decimal sign; None: the one that the number shows.

    Raises:
        ValueError: for what is no number, or without ``decimal`` can be read two ways ("1,250"); with what is accepted.
    """
    readings = {
        _plain(text, sign) for sign, form in _NUMBER.items() if decimal in (None, sign) and form.fullmatch(text) is not None
    }
    if len(readings) == 1:
        return readings.pop()
    if readings:
        low, high = sorted(readings, key=abs)
        raise ValueError(f"found {text!r}, which is {low} or {high}; the decimal sign has to be said")
    accepted = "a number" if decimal is None else f"a number with the decimal sign {decimal!r}"
    raise ValueError(f"found {text!r}, accepted is {accepted}")


def _plain(text: str, decimal: str) -> Decimal:
    plain = "".join(text.split()).translate({ord(sign): None for sign in ("'’." if decimal == "," else "'’,")})
    return Decimal(plain.replace(decimal, "."))


def money(text: str, decimal: str | None) -> tuple[Decimal, tuple[str, ...]]:
    """Return an amount and the currencies that its sign or code may mean (none: nothing is said). Raises as :func:`number`."""
    found = _MONEY.fullmatch(text)
    if found is None:  # of several lines
        return number(text, decimal), ()
    said = [sign for sign in (found["before"], found["after"]) if sign]
    try:
        amount = number(found["minus"] + found["number"], decimal)
    except ValueError as error:
        raise ValueError(str(error).replace(repr(found["minus"] + found["number"]), repr(text), 1)) from None
    meant = [SIGNS.get(sign, (sign,)) for sign in said]
    both = [code for code in meant[0] if all(code in one for one in meant)] if meant else []
    if said and not both:
        raise ValueError(f"found {text!r}, which names two currencies")
    return amount, tuple(both)


def currency_of(said: tuple[str, ...], own: str | None, default: str | None, text: str) -> str | None:
    """Return the currency of an amount: the record's ``own``, else what its sign says; None where nothing is said.

    ``default`` only tells which of several a sign may mean.

    Raises:
        ValueError: where the sign says another one than the record, or could be several and nothing says which.
    """
    if own is not None and said and own.upper() not in said:
        raise ValueError(f"found {text!r}, but the currency of it is said to be {own}")
    if own is not None or not said:
        return own
    if default in said:
        return default
    if len(said) > 1:
        raise ValueError(f"found {text!r}, whose sign may be {', '.join(said)}; a currency is needed")
    return said[0]
