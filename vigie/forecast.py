"""``vigie forecast``: what is to come, of anybody's deals and series (asked in lines of JSON), and of the period that it is."""

import sys
from collections.abc import Callable
from typing import Annotated, Any

import orjson
import typer

from vigie import forecast_period
from vigie.common import refuse

app = typer.Typer(name="forecast", no_args_is_help=True, help="What is to come, with its uncertainty.")

app.command("period")(forecast_period.period)

Stdin = Annotated[bool, typer.Option("--stdin", help="Read questions from standard input, a JSON object a line.")]


@app.command()
def deals(stdin: Stdin = False) -> None:
    """What will open deals bring? One answer a line: P10, P50, P90, mean, and whether the target is reached.

    {"id", "seed", "draws", "won", "target", "deals": [{"id", "p", "amount"}], "groups": [{"n", "won", "lost", "amount"}]}

    Without draws the law is exact, where it can be had. A line that cannot be used is answered with its error; the exit code is
    then 1.
    """
    from models.foresight import portfolio

    def answered(document: Any) -> dict[str, Any]:
        found = portfolio.answer(portfolio.read(document))._asdict()
        why = found.pop("why")
        return found | ({"why": why} if why else {})

    _each_line("deals", stdin, answered)


@app.command()
def series(stdin: Stdin = False) -> None:
    """What will a series bring in its next periods? One answer a line: P10, P50 and P90 of each.

    {"id", "period": "month", "start": "1980-01", "season": 12, "horizon": 12, "history": [1.5, null, …]}

    Where there is no saying the quantiles are null, and "why" says it. A line that cannot be used is answered with its error; the
    exit code is then 1.
    """
    from models.foresight import series as foresight

    def answered(document: Any) -> dict[str, Any]:
        found = foresight.answer(foresight.read(document))._asdict()
        why = found.pop("why")
        return found | ({"why": why} if why else {})

    _each_line("series", stdin, answered)


def _each_line(command: str, stdin: bool, answered: Callable[[Any], dict[str, Any]]) -> None:
    """Answer each line of standard input as it comes; leave with 1 where one could not be used."""
    from models.foresight.asked import NotUsable

    if not stdin:
        refuse(f"forecast {command}: found no --stdin; accepted: vigie forecast {command} --stdin < questions.jsonl", 2)
    wrong = 0
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        name: Any = None
        try:
            document = _parsed(line)
            name = document.get("id") if isinstance(document, dict) else None
            found = {"id": name, **answered(document)}
        except NotUsable as error:
            wrong += 1
            found = {
                "id": name, "error": f"line {number}: {error}", "line": number, "where": error.where, "found": error.found,
                "accepted": error.accepted,
            }  # fmt: skip
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
        sys.stdout.buffer.flush()
    if wrong:
        raise typer.Exit(1)


def _parsed(line: bytes) -> Any:
    from models.foresight.asked import NotUsable

    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        text = line[:60].decode(errors="replace").strip()
        raise NotUsable("", text, f"one JSON object ({error})") from None
