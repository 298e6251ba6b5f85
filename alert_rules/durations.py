"""How are durations written in a rule, and how are they told to people?"""

import re
from typing import Any

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
ACCEPTED = "a number and ms, s, m, h, d or w, such as 30m or 1h30m"


def parse(value: Any) -> int:
    """Return milliseconds for ``30m``, ``1h30m`` or 0; raise ``ValueError`` where it is not a duration."""
    if type(value) is int and value == 0:
        return 0
    text = value.strip() if isinstance(value, str) else ""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"not a duration: {value!r} (accepted: {ACCEPTED})")
    return round(sum(float(number) * UNITS[unit] for number, unit in _PART.findall(text)))


def human(milliseconds: float) -> str:
    """Return a duration as its two largest units: ``2 d 3 h``, ``30 min``, ``450 ms``."""
    if milliseconds < 0:
        return f"−{human(-milliseconds)}"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = round(milliseconds / 1000)
    parts: list[str] = []
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
        elif parts:
            break  # "2 d 5 s" would be a false precision
        if len(parts) == 2:
            break
    return " ".join(parts)
