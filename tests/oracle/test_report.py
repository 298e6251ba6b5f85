"""Can one see what differs? The tables of `make oracle`, and the page they are written into."""

import io
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from bench.oracle.compare import Verdict
from bench.oracle.report import BEGIN, END, markdown, rich_table, write
from bench.oracle.runs import Mode, Result

AS_IT_IS, DISTURBED = Mode(restated=True), Mode(restated=True, disturbed=True)


def result(mode: Mode, against: str = "SQL", wrong: int = 0) -> Result:
    verdict = Verdict(Counter(sales=10, revenue=5), Counter(sales=1234), Counter(sales=wrong) if wrong else Counter())
    return Result("crm", mode, 15_011, 1.0, verdict, against)


RESULTS = [result(AS_IT_IS), result(DISTURBED), result(DISTURBED, "the undisturbed replay", wrong=3)]


def test_one_column_a_replay_with_the_differences_of_all_its_comparisons() -> None:
    assert markdown(RESULTS).splitlines() == [
        "### crm: 15,011 events",
        "",
        "1. ledger, UTC, restated; compared with SQL",
        "2. ledger, UTC, restated, shuffled, repeated, late; compared with SQL and the undisturbed replay",
        "",
        "| KPI | 1 | 2 |",
        "|---|---:|---:|",
        "| sales | 1,234 | 1,234 (3 differ) |",
        "| all of these | 1,234 | 1,234 (3 differ) |",
        "| comparisons | 15 | 30 |",
        "| differences | 0 | 3 |",
    ]


def test_seven_replays_fit_into_eighty_columns() -> None:
    modes = [Mode(zone=f"Europe/City{number}") for number in range(7)]
    screen = Console(width=80, record=True, file=io.StringIO())

    screen.print(rich_table([result(mode) for mode in modes]))

    assert "1,234  1,234" in screen.export_text() or "1,234 1,234" in screen.export_text()


def test_only_what_is_between_the_marks_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    write(page, RESULTS, "today")

    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\ntoday\n\n### crm") and text.endswith(f"{END}\nafter\n")
    assert "old" not in text


def test_a_page_without_marks_is_not_touched(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")

    with pytest.raises(ValueError, match="marks"):
        write(page, RESULTS, "today")
    assert page.read_text() == "nothing"
