"""Can this be the id of something, or has a spreadsheet made it?

An id that was rounded is that of another record, and two records with one id count as one: such rows are refused.
"""

import re

_ROUNDED = re.compile(r"[+-]?\d+(?:[.,]\d+[eE][+-]?|[eE]\+)\d+")
_DECIMALS = re.compile(r"\d+[.,]0+")
_CUT = re.compile(r"[1-9]\d{14}0+")
_NOTHING = frozenset({"null", "none", "nil", "nan", "undefined", "n/a", "(null)", "(none)", "true", "false", "[object object]"})
_ERROR = re.compile(r"#(?:REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|N/A|#+)", re.IGNORECASE)
#: Zeros beyond the 15 digits that a spreadsheet keeps: as many are no chance where ids may be of any length.
_CHANCE = 3


def damage(text: str, *, whole: bool = False) -> str | None:
    """Return what is wrong with an id; None where nothing shows. ``whole``: ids of this sender are whole numbers.

    An id that only lost its leading zeros, or letters' case, shows nothing.
    """
    if _ROUNDED.fullmatch(text):
        return f"found {text!r}, an id that a spreadsheet has rounded: the digits that are missing are lost; export it anew"
    if _DECIMALS.fullmatch(text):
        return f"found {text!r}, an id that was made a number with decimals; export it anew"
    if _CUT.fullmatch(text) and len(text) - 15 >= (1 if whole else _CHANCE):
        return f"found {text!r}, an id of which a spreadsheet has kept 15 digits; export it anew"
    if text.lower() in _NOTHING or _ERROR.fullmatch(text):
        return f"found {text!r}, which stands for no value; the id is needed"
    if whole and not (text.isascii() and text.isdigit()):
        return f"found {text!r}, accepted is an id, which is a whole number"
    return None


# -- Salesforce -------------------------------------------------------------------------------------------------------

_SALESFORCE = re.compile(r"[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?")
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def salesforce_id(text: str) -> str | None:
    """Return a Salesforce id in its form of 18 characters; None for what has not the form of an id.

    The last three characters say which of the others are capitals. Reports have 15 characters, where case tells ids
    apart; with 18, letters whose case was folded are put right by them.

    Raises:
        ValueError: where the three do not fit the others.
    """
    if _SALESFORCE.fullmatch(text) is None:
        return None
    body, last = text[:15], text[15:].upper()
    if not last or last == suffix(body):
        return body + suffix(body)
    capitals = [bit == "1" for sign in last for bit in f"{_SUFFIX.find(sign):05b}"[::-1]] if set(last) <= set(_SUFFIX) else []
    if body in (body.lower(), body.upper()) and capitals:
        right = "".join(sign.upper() if capital else sign.lower() for sign, capital in zip(body, capitals, strict=True))
        if suffix(right) == last:
            return right + last
    raise ValueError(f"found {text!r}, an id whose letters or case were changed: its last three characters do not fit the others")


def suffix(body: str) -> str:
    """Return the last three characters of a Salesforce id, by its first 15: which of those are capitals."""
    return "".join(
        _SUFFIX[sum(1 << place for place, sign in enumerate(body[start : start + 5]) if "A" <= sign <= "Z")]
        for start in (0, 5, 10)
    )
