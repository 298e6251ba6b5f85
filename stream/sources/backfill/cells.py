"""What does one cell of a CSV export hold: a number, a moment, an id, a yes or a no?"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from models.events.scalars import EARLIEST
from stream.sources.backfill.base import Options
from stream.sources.crm.values import LATEST, NAMES
from stream.sources.crm.words import flag
from stream.sources.files.base import epoch_ms
from stream.sources.files.ids import damage, salesforce_id
from stream.sources.files.numbers import currency_of, money
from stream.sources.files.times import EXCEL, ISO, read_moment

_FRACTION = re.compile(r"[.,](\d+)")


class BadCell(ValueError):
    """One value cannot be understood; the text has column, found and accepted."""


class Moment(NamedTuple):
    """When something was, as exactly as it is known: its first and last millisecond (epoch)."""

    first: int
    last: int


class CsvCells:
    """How the cells of a CSV file are read: numbers and times in the form that the options say."""

    def __init__(self, options: Options) -> None:
        self._zone = options.zone
        self._forms = options.dates
        self._decimal = options.decimal
        self._default = options.settings.currency

    def number(self, text: str, column: str) -> str:
        """Return a number as plain text; separators of thousands and a currency's sign go. Empty stays empty."""
        return self.money(text, column, None)[0]

    def money(self, text: str, column: str, own: str | None) -> tuple[str, str | None]:
        """Return an amount as plain text, and its currency: the record's ``own``, else what its sign says, else None."""
        if not text:
            return "", own
        try:
            amount, said = money(text, self._decimal)
            return str(amount), currency_of(said, own or None, self._default, text)
        except ValueError as error:
            raise BadCell(f"{column}: {error}" + (" (--decimal)" if "decimal" in str(error) else "")) from None

    def moment(self, text: str, column: str) -> Moment | None:
        """Return the moment that a cell names, and how exactly; None for an empty one."""
        if not text:
            return None
        try:
            at, form = read_moment(text, self._forms, self._zone)
        except ValueError as error:
            raise BadCell(f"{column}: {error} (--dates)") from None
        begin = epoch_ms(at)
        span = _span(text) if form == ISO else _span_of(form, text)
        # A day of 23 or 25 hours ends where the next one begins.
        end = epoch_ms((at.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=at.tzinfo)) if span == _DAY else begin + span
        if not EARLIEST <= begin <= LATEST:
            raise BadCell(f"{column}: found {text!r}, accepted is 2000 to 2100")
        return Moment(begin, end - 1)

    def attribute(self, name: str, text: str, column: str) -> str | int:
        """Return a cell that is the attribute ``name``: a number as plain text, a date as its first millisecond, else itself."""
        if text and name in ("amount", "cost", "score"):
            return self.number(text, column)
        if name == "expected_close_date" and (moment := self.moment(text, column)) is not None:
            return moment.first
        return one_line(text) if name in NAMES else text


_DAY = 86_400_000


def _span(text: str) -> int:
    """Return how long the unit is to which an ISO 8601 text is exact, in milliseconds."""
    clock = re.split(r"[T ]", text.strip(), maxsplit=1)
    if len(clock) == 1:
        return _DAY
    plain = re.split(r"[Z+-]", clock[1], maxsplit=1)[0]
    fraction = _FRACTION.search(plain)
    if fraction is not None:
        return 1000 if set(fraction[1]) <= {"0"} else 1
    return 1000 if plain.count(":") == 2 else 60_000


def _span_of(form: str, text: str) -> int:
    if form == EXCEL:
        return _DAY if text.isdigit() else 1000
    if "%f" in form:
        return 1
    if "%S" in form or "%T" in form or "%X" in form or "%c" in form:
        return 1000
    return 60_000 if "%M" in form or "%R" in form else _DAY


def one_line(text: str) -> str:
    """Return a name as one line: what people paste into a CRM has line breaks, which no name here may have."""
    return " ".join(text.split())


def whole_id(text: str, column: str) -> str:
    """Return an id that is a whole number; raise :class:`BadCell` for what a spreadsheet has made of one."""
    wrong = damage(text, whole=True) if text else "empty; the id is needed"
    if wrong is not None:
        raise BadCell(f"{column}: {wrong}")
    return text


def record_id(text: str, column: str) -> str:
    """Return a Salesforce id in its form of 18 characters; raise :class:`BadCell` for what is none."""
    try:
        found = salesforce_id(text)
    except ValueError as error:
        raise BadCell(f"{column}: {error}") from None
    if found is None:
        raise BadCell(f"{column}: {damage(text) or f'found {text!r}, accepted is an id of 15 or 18 letters and digits'}")
    return found


def flags(fields: dict[str, str], names: Mapping[str, str]) -> None:
    """Write the yes-or-no cells ``names`` (to their columns) as true and false; raise :class:`BadCell` for another word."""
    for name, column in names.items():
        if name in fields:
            said = flag(fields[name])
            if said is None:
                raise BadCell(f"{column}: found {fields[name]!r}, accepted is true or false, yes or no, 1 or 0")
            fields[name] = ("true" if said else "false") if fields[name] else ""
