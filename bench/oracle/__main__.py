"""``make oracle``: does every reading equal what DuckDB makes of the same events? Exit code 1 if one does not.

Histories: a bank's loan process (bpic12) and a CRM's opportunities (crm), both found through VIGIE_DATA, and a simulated
company whose deals reopen and merge. Each is replayed in several ways; the numbers must not depend on which.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bench.oracle.report import by_data, rich_table, write
from bench.oracle.runs import AMSTERDAM, DIMENSIONS, EVERY_WINDOW, Data, Mode, Oracle, ReplayFailed, Result
from tests.kafka_broker import KafkaBroker, Unavailable

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "exactness.md"

MODES = (
    Mode(),
    Mode(zone=AMSTERDAM),
    Mode("kafka"),
    Mode(restated=True),
    Mode(restated=True, disturbed=True),
    Mode("kafka", restated=True, disturbed=True),
)
SPOILT = Mode(restated=True, disturbed=True, bad=True)


def histories(folder: Path, days: int) -> dict[str, Data]:
    """Return the histories by name."""
    return {
        "crm": Data("crm", "crm", folder / "crm"),
        "bpic12": Data("bpic12", "bpic12", folder / "bpic12" / "bpic2012.csv.gz"),
        "simulated": Data("simulated", days=days),
    }


def main() -> int:
    """Run, show, and say by the exit code whether all is equal."""
    folder = Path(os.environ.get("VIGIE_DATA", ROOT / "../shared/data"))
    parser = argparse.ArgumentParser(prog="python -m bench.oracle", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", nargs="+", choices=list(histories(folder, 1)), help="only these histories")
    parser.add_argument("--days", type=int, default=60, help="days of the simulated company (60)")
    parser.add_argument("--windows", nargs="+", default=EVERY_WINDOW, help=f"only these ({' '.join(EVERY_WINDOW)})")
    parser.add_argument("--by", nargs="+", default=DIMENSIONS, choices=DIMENSIONS, help="only by these dimensions")
    parser.add_argument("--replays", nargs="+", type=int, help="only these ways, by their numbers in the tables")
    parser.add_argument("--patience", type=float, default=3600, help="seconds that one replay may take (3600)")
    parser.add_argument("--no-kafka", action="store_true", help="on a ledger only")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/exactness.md")
    asked = parser.parse_args()
    screen, errors = Console(), Console(stderr=True)
    chosen = [data for name, data in histories(folder, asked.days).items() if not asked.data or name in asked.data]
    missing = [str(data.path) for data in chosen if data.path is not None and not data.path.exists()]
    if missing:
        errors.print(f"no data: {', '.join(missing)}; set VIGIE_DATA to their folder", style="red", markup=False)
        return 1
    results: list[Result] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigie-oracle-")))
        progress = stack.enter_context(Progress(*columns, console=errors))
        bootstrap = None
        if not asked.no_kafka:
            try:
                bootstrap = stack.enter_context(KafkaBroker()).bootstrap
            except Unavailable as error:
                errors.print(f"no real Kafka: {error}. --no-kafka leaves it out", style="red", markup=False)
                return 1
        ways = {data: [m for n, m in enumerate(_modes(data), 1) if not asked.replays or n in asked.replays] for data in chosen}
        plan = [(data, [m for m in modes if m.broker == "ledger" or bootstrap]) for data, modes in ways.items()]
        task = progress.add_task("", total=sum(len(modes) for _, modes in plan))
        oracle = Oracle(
            scratch,
            bootstrap,
            lambda text: progress.update(task, description=text),
            patience=asked.patience,
            windows=asked.windows,
            dimensions=asked.by,
        )
        try:
            for data, modes in plan:
                for result in oracle.run(data, modes):
                    results.append(result)
                    if result.against == "SQL":
                        progress.advance(task)
        except ReplayFailed as error:
            errors.print(str(error), style="red", markup=False)
            return 1
    return _report(results, screen, write_page=asked.write)


def _modes(data: Data) -> tuple[Mode, ...]:
    return (*MODES, SPOILT) if data.path is None else MODES


def _report(results: list[Result], screen: Console, *, write_page: bool) -> int:
    for group in by_data(results):
        screen.print(rich_table(group))
    for result in results:
        for example in result.verdict.examples:
            screen.print(f"{result.data}, {result.mode.label}: {example}", style="red", markup=False, highlight=False)
    differences = sum(result.verdict.differences.total() for result in results)
    compared = sum(result.verdict.compared.total() for result in results)
    most = max((result.verdict for result in results), key=lambda verdict: verdict.largest)
    largest = f"the largest is {most.largest:.2g} of the number ({most.largest_of})" if most.largest else "all numbers are equal"
    told = f"{compared:,} comparisons of readings, {differences:,} differences; {largest}"
    screen.print(told, style="red" if differences else "green")
    if write_page:
        write(PAGE, results, f"{told}.")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
