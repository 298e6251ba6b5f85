"""Where does the table of owners come from? The setting ``owners``: a table by id, or the path of a CSV file."""

import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.owners import Owner, Owners

#: Columns of the CSV file, in any order and case; the first two are needed.
COLUMNS = ("id", "name", "team", "email", "email_hash", "slack")


class OwnerSettings(BaseModel):
    """One owner; bare text is the name. An address (``email``) is kept as its hash only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=200)
    team: str | None = Field(None, max_length=200)
    email_hash: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    slack: str | None = Field(None, pattern="^[UW][A-Z0-9]{2,20}$")

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, found: object) -> object:
        if isinstance(found, str):
            return {"name": found}
        if isinstance(found, Mapping) and found.get("email") is not None:
            hashed = hashlib.sha256(str(found["email"]).strip().lower().encode()).hexdigest()
            return {"email_hash": hashed} | {name: value for name, value in found.items() if name != "email"}
        return found


def owners_of(found: Mapping[str, OwnerSettings] | Path) -> Owners:
    """Return the owners of the setting; raise ``ValueError``, a line for each problem, where a file cannot be used."""
    table = read_csv(found) if isinstance(found, Path) else found
    return Owners(Owner(id, **one.model_dump()) for id, one in table.items())


def read_csv(path: Path) -> dict[str, OwnerSettings]:
    """Return the owners of a CSV file with the header :data:`COLUMNS`; raise ``ValueError``, a line for each problem."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error} (accepted: a CSV file in UTF-8 with the columns {', '.join(COLUMNS)})") from None
    lines = text.splitlines()
    rows = csv.reader(lines, delimiter=max(",;\t", key=lines[0].count) if lines else ",")
    header = [name.strip().lower() for name in next(rows, [])]
    unknown, missing = [name for name in header if name not in COLUMNS], [name for name in COLUMNS[:2] if name not in header]
    if unknown or missing or len(set(header)) < len(header):
        raise ValueError(
            f"{path}:1: found the columns {', '.join(header) or 'none'} (accepted: {', '.join(COLUMNS)}; id and name)"
        )
    found: dict[str, OwnerSettings] = {}
    problems: list[str] = []
    for row in rows:
        cells = {name: cell.strip() for name, cell in zip(header, row, strict=False) if cell.strip()}
        id = cells.pop("id", "")
        if not row:
            continue
        if not id or id in found:
            problems.append(f"{path}:{rows.line_num}: id: {'empty' if not id else f'{id!r} is there twice'}")
            continue
        try:
            found[id] = OwnerSettings.model_validate(cells)
        except ValidationError as error:
            problem = error.errors(include_input=False)[0]
            problems.append(f"{path}:{rows.line_num}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}")
    if problems:
        raise ValueError("\n".join(problems))
    return found
