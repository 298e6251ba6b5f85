"""``vigie forecast``: what is to come, of anybody's deals and series (asked in lines of JSON), and of the period that it is."""

from typing import Annotated, Any

import typer

from vigie import forecast_live, forecast_period
from vigie.json_lines import answer_lines

app = typer.Typer(name="forecast", no_args_is_help=True, help="What is to come, with its uncertainty.")

app.command("period")(forecast_period.period)
app.command("scores")(forecast_live.scores)

Stdin = Annotated[bool, typer.Option("--stdin", help="Read questions from standard input, a JSON object a line.")]


@app.command()
def deals(stdin: Stdin = False) -> None:
    """What will open deals bring? One answer a line: P10, P50, P90, mean, and whether the target is reached.

    {"id", "seed", "draws", "won", "target", "deals": [{"id", "p", "amount"}], "groups": [{"n", "won", "lost", "amount"}]}

    Without draws the law is exact, where it can be had. A line that cannot be used is answered with its error; the exit code is
    then 1.
    """
    from models.foresight import portfolio

    answer_lines("forecast deals", stdin, "id", lambda asked: _told(portfolio.answer(portfolio.read(asked))))


@app.command()
def series(stdin: Stdin = False) -> None:
    """What will a series bring in its next periods? One answer a line: P10, P50 and P90 of each.

    {"id", "period": "month", "start": "1980-01", "season": 12, "horizon": 12, "history": [1.5, null, …]}

    Where there is no saying the quantiles are null, and "why" says it. A line that cannot be used is answered with its error; the
    exit code is then 1.
    """
    from models.foresight import series as foresight

    answer_lines("forecast series", stdin, "id", lambda asked: _told(foresight.answer(foresight.read(asked))))


def _told(answer: Any) -> dict[str, Any]:
    """Return an answer's fields, without ``why`` where there is nothing to say."""
    return {name: value for name, value in answer._asdict().items() if name != "why" or value}
