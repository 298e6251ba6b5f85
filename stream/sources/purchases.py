"""Which purchases are in a file: a table of customers, days and amounts, or events of Vigie's own?"""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import IO

from models.business import Business
from models.customers.intake import take
from models.customers.purchases import Purchases
from models.events.decode import decoder
from models.events.refused import Refused
from models.events.scalars import SUBJECT_LENGTH, parse_amount, shown
from stream.sources.files.text import BROKEN, SourceFileError, encoding_of, open_bytes

COLUMNS = ("customer", "date", "amount")
_EVENTS = frozenset({"customer.invoiced", "customer.churned"})


class FoundPurchases:
    """The customers of files, what could not be used (why, how often, and in which line first), and the last purchase day."""

    def __init__(self) -> None:
        self.customers: dict[str, Purchases] = {}
        self.rejects: Counter[str] = Counter()
        self.examples: dict[str, int] = {}

    def of(self, name: str) -> Purchases:
        """Return a customer, new where it is not known."""
        found = self.customers.get(name)
        if found is None:
            found = self.customers[name] = Purchases()
        return found

    def reject(self, line: int, why: str) -> None:
        """Note a line that could not be used."""
        self.rejects[why] += 1
        self.examples.setdefault(why, line)

    @property
    def last(self) -> int | None:
        """The last day on which anything was billed, None where nothing was."""
        return max((entry.day for one in self.customers.values() for entry in (one.old + one.log)[-1:]), default=None)

    def transactions(self, file: Path, business: Business) -> None:
        """Read a CSV file with the columns ``customer``, ``date`` and ``amount``; where there is ``id``, a known one is a repeat.

        Raise :class:`SourceFileError` where it cannot be read so.
        """
        with _opened(file) as lines:
            table = csv.DictReader(lines)
            named = {name.strip().lower(): name for name in table.fieldnames or () if name}
            if missing := [name for name in COLUMNS if name not in named]:
                found = ", ".join(named) or "none"
                raise SourceFileError(
                    f"{file}: no column {', '.join(missing)} (found {found}; accepted: {', '.join(COLUMNS)}, id)"
                )
            try:
                for row in table:
                    line = table.line_num
                    customer = (row[named["customer"]] or "").strip()
                    try:
                        if not 0 < len(customer) <= SUBJECT_LENGTH:
                            raise ValueError(f"customer: found {shown(customer)}, accepted is a text of 1 to {SUBJECT_LENGTH}")
                        day = _day((row[named["date"]] or "").strip(), business)
                        amount = parse_amount((row[named["amount"]] or "").strip())
                    except (ValueError, Refused) as error:
                        self.reject(line, str(error))
                        continue
                    event = (row[named["id"]] or "").strip() if "id" in named else ""
                    self.of(customer).add(day, amount, event or f"{file}#{line}")
            except (csv.Error, UnicodeError, *BROKEN) as error:
                raise SourceFileError(f"{file}: line {table.line_num}: {error}") from None

    def events(self, lines: Iterable[tuple[int, bytes, str]], business: Business, now: int) -> None:
        """Read events, one ``(line, event, why it is none)`` each; those that say nothing of purchases are passed over."""
        read = decoder("customers", currencies=business.rates.currencies)
        for line, value, why in lines:
            if why:
                self.reject(line, why)
                continue
            if not any(kind.encode() in value for kind in _EVENTS):
                continue
            try:
                event, at, _ = read(value, (), now)
            except Refused as refused:
                self.reject(line, str(refused))
                continue
            if event.__struct_config__.tag in _EVENTS:
                take(self.of(event.subject), event, at, business)


def _opened(file: Path) -> IO[str]:
    return io.TextIOWrapper(open_bytes(file), encoding=encoding_of(file), newline="")


def _day(text: str, business: Business) -> int:
    try:
        if len(text) == 8 and text.isdigit():
            text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
        if len(text) == 10:
            return date.fromisoformat(text).toordinal()
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is None else at.astimezone(business.calendar.zone)).toordinal()
    except ValueError:
        raise ValueError(f"date: found {shown(text)}, accepted is a day as in 2026-03-31, or a time") from None
