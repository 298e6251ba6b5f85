"""Does a part of an export that nobody expected cost more than itself?"""

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream.sources.backfill import EXPORTS, BackfillTally, FoundEvent, Options, ordered
from stream.sources.crm import parse_settings
from stream.sources.files import SourceFileError
from tests.stream.sources.backfill import worlds as w

ODD: list[Any] = [
    None,
    "",
    " ",
    [],
    {},
    [1],
    {"id": None},
    {"value": []},
    True,
    -1,
    0,
    1e308,
    10**30,
    "x" * 5000,
    "é💥",
    "\x00",
    "NaN",
]
ODD += [
    "2026-13-45",
    "1926-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01",
    "2026-03-29T02:30:00+99:99",
    '"',
    "1,5",
    "-5",
    "won;lost",
]
NOW = w.BEGIN + 400 * 24 * w.HOUR


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(tree, dict):
        found += [place for name, value in tree.items() for place in leaves(value, (*path, name))]
    elif isinstance(tree, list):
        found += [place for number, value in enumerate(tree) for place in leaves(value, (*path, number))]
    return found


def changed(r: random.Random, path: Path) -> None:
    """Put something odd into one place of a file, or take one thing out."""
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        row = r.choice(rows[1:] or rows)
        row[r.randrange(len(row))] = str(r.choice(ODD)).replace("\x00", "")
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        return
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    number = r.randrange(len(lines))
    tree = json.loads(lines[number])
    *way, last = r.choice(leaves(tree))
    place = tree
    for step in way:
        place = place[step]
    if r.random() < 0.2:
        del place[last]
    else:
        place[last] = r.choice(ODD)
    lines[number] = json.dumps(tree)
    path.write_text("\n".join(lines))


EXPORT: dict[str, tuple[str, dict[str, Any], Callable[[Path], list[Path]]]] = {
    "hubspot": ("hubspot", w.HUBSPOT, lambda folder: w.hubspot_json(w.deals(3, 4), folder)),
    "contacts": ("hubspot", w.HUBSPOT, lambda folder: w.hubspot_contacts(w.leads(3, 4), folder)),
    "pipedrive": ("pipedrive", w.PIPEDRIVE, lambda folder: w.pipedrive_json(w.deals(3, 4), folder)),
    "salesforce": ("salesforce-csv", w.SALESFORCE, lambda folder: w.salesforce_csv(w.deals(3, 4), folder)),
    "leads": ("salesforce-csv", w.SALESFORCE_LEADS, lambda folder: w.salesforce_leads(w.leads(3, 4), folder)),
}


@pytest.mark.parametrize("name", EXPORT)
def test_what_nobody_expected_is_a_reject_or_refuses_the_file_by_name(name: str, tmp_path: Path) -> None:
    kind, settings, write = EXPORT[name]
    adapter, read = EXPORTS[kind]
    options = Options(settings=parse_settings(adapter, settings), now=NOW)
    r, whole = random.Random(name), 0
    for _ in range(120):
        files = write(tmp_path)
        changed(r, r.choice(files))
        tally = BackfillTally()
        try:
            found = list(ordered(read(files, options, tally), files, options, tally))
        except SourceFileError as error:
            assert str(tmp_path) in str(error), error
            continue
        whole += sum(isinstance(one, FoundEvent) for one in found)
    assert whole > 120, "one odd part must not cost the others"
