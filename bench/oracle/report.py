"""How does one see at a glance what was compared, and what was not equal?"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table

from bench.oracle.compare import Verdict, catalogue
from bench.oracle.runs import Result

BEGIN, END = "<!-- written by make oracle, begin -->", "<!-- end -->"


class Column(NamedTuple):
    """One replay, with all that its readings were compared with."""

    words: str
    verdict: Verdict  # of the first comparison; `compared` and `differences` of all of them together


def columns(results: Sequence[Result]) -> list[Column]:
    """Return one history's replays."""
    found: list[Column] = []
    for mode, group in groupby(results, key=lambda result: result.mode):
        comparisons = list(group)
        verdict = Verdict(telling=comparisons[0].verdict.telling)
        for comparison in comparisons:
            verdict.compared += comparison.verdict.compared
            verdict.differences += comparison.verdict.differences
        against = " and ".join(comparison.against for comparison in comparisons)
        found.append(Column(f"{mode.label}; compared with {against}", verdict))
    return found


def rows(replays: Sequence[Column]) -> tuple[list[str], list[list[str]]]:
    """Return the heading and the rows of one history's table: a row a KPI, a column a replay.

    A cell is the number of readings with cases behind them; where some differ, it says how many.
    """
    verdicts = [replay.verdict for replay in replays]
    kpis = [kpi for kpi in catalogue() if any(verdict.telling[kpi] or verdict.differences[kpi] for verdict in verdicts)]
    heading = ["KPI", *[str(number) for number in range(1, len(replays) + 1)]]
    body = [[kpi, *[_cell(verdict.telling[kpi], verdict.differences[kpi]) for verdict in verdicts]] for kpi in kpis]
    body.append(["all of these", *[_cell(verdict.telling.total(), verdict.differences.total()) for verdict in verdicts]])
    body.append(["comparisons", *[f"{verdict.compared.total():,}" for verdict in verdicts]])
    body.append(["differences", *[f"{verdict.differences.total():,}" for verdict in verdicts]])
    return heading, body


def _cell(telling: int, differences: int) -> str:
    return f"{telling:,} ({differences:,} differ)" if differences else f"{telling:,}"


def by_data(results: Iterable[Result]) -> list[list[Result]]:
    """Return the results of each history."""
    return [list(group) for _, group in groupby(results, key=lambda result: result.data)]


def _title(results: Sequence[Result]) -> str:
    return f"{results[0].data}: {results[0].events:,} events"


def _legend(replays: Sequence[Column]) -> list[str]:
    return [f"{number}. {replay.words}" for number, replay in enumerate(replays, start=1)]


def rich_table(results: Sequence[Result]) -> Table:
    """Return one history's table for the terminal."""
    replays = columns(results)
    heading, body = rows(replays)
    title = "\n".join([f"[bold]{_title(results)}[/bold]", *_legend(replays)])
    table = Table(title=title, title_justify="left", title_style="none", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for position, name in enumerate(heading):
        table.add_column(name, justify="right" if position else "left", no_wrap=not position, overflow="fold")
    for row in body:
        if row[0].startswith("all"):
            table.add_section()
        table.add_row(*[f"[red]{cell}[/red]" if "differ)" in cell else cell for cell in row])
    return table


def markdown(results: Sequence[Result]) -> str:
    """Return one history's table for the documentation."""
    replays = columns(results)
    heading, body = rows(replays)
    lines = ["", _line(heading), "|---" + "|---:" * (len(heading) - 1) + "|", *[_line(row) for row in body]]
    return "\n".join([f"### {_title(results)}", "", *_legend(replays), *lines]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(page: Path, results: Sequence[Result], when: str) -> None:
    """Put the tables into the page, between its two marks."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page}: the marks {BEGIN} and {END} were not found")
    tables = "\n".join(markdown(group) for group in by_data(results))
    page.write_text(f"{before}{BEGIN}\n\n{when}\n\n{tables}\n{END}{after}", encoding="utf-8")
