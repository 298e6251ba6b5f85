"""Which moment does a cell of somebody's table name?"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

ISO = "iso"
#: Days since the end of 1899, with the time of day as a fraction: what a spreadsheet shows of a date that is no date to it.
EXCEL = "excel"
_SERIAL = re.compile(r"(\d{5})(?:[.,](\d{1,15}))?")
_BEGIN = datetime(1899, 12, 30)  # noqa: DTZ001 - made aware by the caller's zone
_SERIALS = range(36_526, 73_051)  # 2000 to 2100


def read_moment(text: str, forms: Sequence[str], zone: tzinfo) -> tuple[datetime, str]:
    """Return the moment that ``text`` names in one of ``forms``, and which; without an offset it is local to ``zone``.

    A form is ``iso`` (ISO 8601), ``excel`` (a spreadsheet's day number), or one of ``strptime``.

    Raises:
        ValueError: where no form fits, or two do and do not agree (03/04 as a day and month, or a month and day).
    """
    found: dict[datetime, str] = {}
    for form in forms:
        moment = _read(text, form)
        if moment is not None:
            found.setdefault(moment if moment.tzinfo else moment.replace(tzinfo=zone), form)
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        days = " or ".join(str(moment.date()) for moment in found)
        raise ValueError(f"found {text!r}, which is {days}: only one of the forms {', '.join(found.values())} can be right")
    accepted = " or ".join("ISO 8601" if form == ISO else form for form in forms)
    serial = _SERIAL.fullmatch(text)
    if serial is not None and int(serial[1]) in _SERIALS:
        accepted += f' (it looks like a spreadsheet\'s day number; the form "{EXCEL}" reads those)'
    raise ValueError(f"found {text!r}, accepted is {accepted}")


def _read(text: str, form: str) -> datetime | None:
    try:
        if form == EXCEL:
            serial = _SERIAL.fullmatch(text)
            if serial is None or int(serial[1]) not in _SERIALS:
                return None
            seconds = round(float(f"0.{serial[2] or 0}") * 86_400)
            return _BEGIN + timedelta(days=int(serial[1]), seconds=seconds)
        return datetime.fromisoformat(text) if form == ISO else datetime.strptime(text, form)  # noqa: DTZ007
    except ValueError:
        return None
