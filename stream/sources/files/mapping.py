"""Which column of somebody's CSV file means what?

A mapping is a YAML document; ``docs/formats.md`` explains it with examples. All its problems are reported at once, each
with its place, before the first row is read.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import structs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from models.config.problem import FileProblem
from models.events.catalogue import STRUCTS
from stream.config.problems import path_of, problems_of
from stream.config.yaml_file import open_yaml
from stream.sources.files.base import epoch_ms
from stream.sources.files.numbers import money, number
from stream.sources.files.text import SourceFileError
from stream.sources.files.times import ISO, read_moment

AMOUNTS = frozenset({"amount", "cost"})
NUMBERS = frozenset({"score", "count", "duration_seconds", "preparation_seconds", "response_seconds", "hours"})
DATES = frozenset({"expected_close_date", "term_end", "day"})
#: Fields that name something: what a spreadsheet does to ids makes others of them.
IDS = frozenset({"account_id", "lead_id", "deal_id", "visitor_id", "message_id", "session_id", "into"})


#: What a mapping may make: not what Vigie writes itself of merged entities.
TYPES = tuple(kind for kind in STRUCTS if not kind.endswith(".absorbed"))


@lru_cache
def fields_of(kind: str) -> frozenset[str]:
    """The names that the data of an event type may have, nested ones left out."""
    data = next(item.type for item in structs.fields(STRUCTS[kind]) if item.name == "data")
    return frozenset(item.name for item in structs.fields(data)) - {"bant"}


def same_word(one: str, other: str) -> bool:
    """Whether two cells hold the same word, whatever its case."""
    return one.casefold() == other.casefold()


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CellSource(_Part):
    """Where a value comes from: a column (with a table of what its values mean), or the same for every row.

    In YAML a bare name is a column: ``owner: Rep`` is ``owner: {column: Rep}``.
    """

    column: str | None = None
    value: str | None = None
    values: dict[str, str] = {}
    otherwise: str | None = None
    """What a value means that is not in ``values``; without it, it is itself (for an event's type: refused, unless it is one)."""
    scale: Decimal | None = None
    """Numbers are multiplied by it: 0.01 for amounts in cents."""

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, found: object) -> object:
        return {"column": found} if isinstance(found, str) else found

    @model_validator(mode="after")
    def _one(self) -> "CellSource":
        if (self.column is None) == (self.value is None):
            raise ValueError("either a column or a value is needed")
        return self

    def read(self, row: Mapping[str, str]) -> str:
        """The row's value; empty where the row has none."""
        if self.column is None:
            return self.value or ""
        found = row[self.column]
        if found in self.values:
            return self.values[found]
        for word, meaning in self.values.items():  # however it is capitalised
            if same_word(word, found):
                return meaning
        return self.otherwise if self.values and self.otherwise is not None else found


class EventMapping(_Part):
    """One event that a row may tell of."""

    type: CellSource
    time: CellSource
    subject: CellSource
    id: CellSource | None = None
    """Without it the id is the row's subject, type and time: the same row read again is the same event."""
    data: dict[str, CellSource] = {}
    when: dict[str, str | list[str]] = {}
    """Only rows with these values in these columns; ``"*"`` is any value, ``""`` none."""

    @field_validator("type")
    @classmethod
    def _known(cls, cell: CellSource) -> CellSource:
        for kind in [cell.value, cell.otherwise, *cell.values.values()]:
            if kind is not None and kind not in TYPES and kind != "skip":
                raise ValueError(f'found "{kind}"; skip or an event type is needed: {", ".join(TYPES)}')
        return cell

    @model_validator(mode="after")
    def _fields(self) -> "EventMapping":
        possible = {self.type.value, self.type.otherwise, *self.type.values.values()} & STRUCTS.keys()
        accepted = frozenset[str]().union(*(fields_of(kind) for kind in possible or STRUCTS if kind))
        if unknown := self.data.keys() - accepted:
            raise ValueError(f'data: found "{min(unknown)}"; {", ".join(sorted(accepted))} are accepted')
        return self

    def applies(self, row: Mapping[str, str]) -> bool:
        """Whether the row tells of this event."""
        for column, accepted in self.when.items():
            found = row[column]
            if accepted == "*":
                if not found:
                    return False
            elif not any(same_word(found, one) for one in ([accepted] if isinstance(accepted, str) else accepted)):
                return False
        return True

    def columns(self) -> set[str]:
        """The columns that a file must have."""
        cells = [self.type, self.time, self.subject, *self.data.values()]
        if self.id is not None:
            cells.append(self.id)
        return {cell.column for cell in cells if cell.column is not None} | set(self.when)


class CsvMapping(_Part):
    """A whole mapping file."""

    source: str = "/files/csv"
    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: str = "utf-8-sig"
    decimal: str | None = Field(None, pattern=r"^[.,]$")
    """The decimal sign of amounts and numbers; without it each shows its own, and what can be read two ways is refused."""
    zone: str | None = None
    dates: list[str] = [ISO]
    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    events: list[EventMapping] = Field(min_length=1)

    @field_validator("zone")
    @classmethod
    def _zone(cls, zone: str | None) -> str | None:
        if zone is not None:
            try:
                ZoneInfo(zone)
            except (KeyError, ValueError, OSError) as error:
                raise ValueError(f'found "{zone}"; a time zone as Europe/Paris is needed') from error
        return zone

    @field_validator("encoding")
    @classmethod
    def _encoding(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
        except LookupError as error:
            raise ValueError(f'found "{encoding}"; an encoding as utf-8 or cp1252 is needed') from error
        return encoding

    def columns(self) -> list[str]:
        """The columns that a file must have, in alphabetical order."""
        return sorted(set().union(*(event.columns() for event in self.events)))

    def moment(self, text: str, zone: tzinfo) -> datetime:
        """The instant that ``text`` names in one of ``dates``; without an offset it is local to ``zone``.

        Raises:
            ValueError: with what was found and what is accepted.
        """
        return read_moment(text, self.dates, ZoneInfo(self.zone) if self.zone else zone)[0]

    def field(self, name: str, text: str, zone: tzinfo, scale: Decimal | None = None) -> Any:
        """A value of an event's data, in the form that the contract wants it. Raises ValueError as ``moment``."""
        if name in AMOUNTS:
            return str(_scaled(money(text, self.decimal)[0], scale))
        if name in NUMBERS:
            found = _scaled(number(text, self.decimal), scale)
            return int(found) if found == found.to_integral() else float(found)
        if name in DATES:
            return self.moment(text, zone).strftime("%Y-%m-%d")
        if name == "opened_at":
            return self.moment(text, zone).isoformat()
        return text


def _scaled(found: Decimal, scale: Decimal | None) -> Decimal:
    return found if scale is None else found * scale


def load_mapping(path: Path) -> CsvMapping:
    """Read a mapping file.

    Raises:
        SourceFileError: with every problem, a line each: where, what was found, what is accepted.
    """
    problems: list[FileProblem] = []
    text = open_yaml(path, problems)
    document = text.tree
    if problems:
        raise SourceFileError("\n".join(map(str, problems)))
    if not isinstance(document, dict):
        raise SourceFileError(f"{path}: found {type(document).__name__}; a YAML mapping with events is needed")
    try:
        return CsvMapping.model_validate(document)
    except ValidationError as error:
        for (place, said), given in zip(problems_of(error, CsvMapping), error.errors(), strict=True):
            found = f' (found "{given["input"]}")' if isinstance(given["input"], str | int | float) else ""
            problems.append(FileProblem(str(path), path_of(place) if place else "mapping", f"{said}{found}", text.line(place)))
        raise SourceFileError("\n".join(map(str, problems))) from error


def event_time(moment: datetime) -> tuple[int, str]:
    """Epoch ms, and the RFC 3339 text; offsets with seconds (before 1900 or so) are written in UTC."""
    offset = moment.utcoffset()
    if offset is None or offset.seconds % 60:
        moment = moment.astimezone(UTC)
    return epoch_ms(moment), moment.isoformat()
