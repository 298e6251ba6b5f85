"""How are durations written in files, settings and requests?"""

import re
from typing import Any

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
ACCEPTED = "a number and ms, s, m, h, d or w, such as 30m or 1h30m"


def parse(value: Any, *, quoted: bool = True) -> int:
    """Return milliseconds for ``30m``, ``1h30m`` or 0; raise ``ValueError`` where it is not a duration.

    ``quoted``: the message has what was found. Of settings nothing is ever told: it may be a secret in the wrong place.
    """
    if type(value) is int and value == 0:
        return 0
    text = value.strip() if isinstance(value, str) else ""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"not a duration{f': {value!r}' if quoted else ''} (accepted: {ACCEPTED})")
    return round(sum(float(number) * UNITS[unit] for number, unit in _PART.findall(text)))
