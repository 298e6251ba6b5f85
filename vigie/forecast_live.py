"""``vigie forecast period`` and ``scores``: what the running instance says of the period, and how good it has been."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
import typer

from vigie import remote
from vigie.common import Config, plain, refuse, wrapped
from vigie.kpi_lines import shown

_NAMES = {
    "forecast": "the forecast",
    "last_period": "the period before",
    "season_ago": "the same a season ago",
    "last_year_growth": "last year and its growth",
    "stage_weighted": "the weighted pipeline",
}


def live(address: str, period: str, by: str | None, scenarios: Sequence[str]) -> dict[str, Any] | None:
    """Return the instance's forecast; None where it makes none. Refuses what it refuses."""
    asked = [("period", period), *([("by", by)] if by else []), *(("scenario", one) for one in scenarios)]
    return _ask(address, f"/api/forecast?{urlencode(asked)}")


def _ask(address: str, path: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = remote.ask("GET", f"{address}{path}")
    except remote.RemoteRefused as error:
        if error.status == 404:
            return None
        refuse(f"{address}{path.partition('?')[0]}: {error}", 2 if error.status == 400 else 1)
    return found


def printed(found: dict[str, Any], target: float | None, *, json: bool) -> None:
    """Print a forecast, of the total with another ``target`` where one is given."""
    if target is not None:
        for row in found["forecasts"]:
            if not row["segment"]:
                sure = target <= row["parts"]["won"]["value"]
                row["target"], row["target_probability"] = target, 1.0 if sure else _at_least(row["quantiles"], target)
    if json:
        _dump(found)
        return
    for row in found["forecasts"]:
        print(wrapped(plain(_line(found, row))))
    if (best := found["best_lately"]) is not None:
        print(wrapped(plain(f"Best lately ({best['periods']} periods): {_NAMES[best['name']]}")))
    for why in found["why"]:
        print(wrapped(plain(f"Note: {why}")))


def _at_least(quantiles: Sequence[Sequence[float]], target: float) -> float:
    """Return P(at least the target) by the quantiles, to the step that lies between them."""
    above = [share for share, value in quantiles if value >= target]
    return round(1 - (above[0] if above else 1.0), 2)


def _line(found: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    def told(value: float) -> str:
        return shown(value, found["unit"], found["currency"])

    name = row["name"] or ", ".join(f"{key}={value}" for key, value in row["segment"].items()) or "total"
    scenario = "" if row["scenario"] == "expected" else f", {row['scenario']}"
    parts = row["parts"]
    line = (
        f"{found['kpi']}, {found['period']}, {name}{scenario}: {told(row['p10'])} to {told(row['p90'])} (P10 to P90) by its end, "
    )
    line += f"P50 {told(row['p50'])}, mean {told(row['mean'])}"
    line += (
        f"; won {told(parts['won']['value'])}, open deals {told(parts['open']['mean'])}, new ones {told(parts['new']['mean'])}"
    )
    if row["target_probability"] is not None:
        line += f"; target {told(row['target'])} with {row['target_probability']:.0%}".replace("%", " %")
    return line


def scores(
    period: Annotated[str, typer.Option(help="month, quarter or year.")] = "month",
    by: Annotated[str | None, typer.Option(help="A dimension, such as owner.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON to standard output.")] = False,
    url: remote.Url = None,
    config: Config = None,
) -> None:
    """How good have the forecasts been of the periods that are over, beside the yardsticks?"""
    address = remote.address_of(url, config)
    asked = urlencode([("period", period), *([("by", by)] if by else [])])
    found = _ask(address, f"/api/forecast/scores?{asked}")
    if found is None:
        refuse(f"{address}/api/forecast/scores: there are no forecasts here (models.live is off)", 1)
    if json:
        _dump(found)
        return
    for line in score_lines(found):
        print(wrapped(plain(line)))


def score_lines(found: Mapping[str, Any]) -> list[str]:
    """Return the scores in lines for people."""
    if not found["summary"]:
        return [f"No {found['period']} is over yet of which a forecast was kept."]
    lines = []
    for section in found["summary"]:
        ours = section["scores"]["forecast"]
        lines.append(
            f"Asked at its {section['asked']}: {ours['forecasts']} forecasts; P10 to P90 held {ours['coverage']:.0%} "
            f"of what came; bias {ours['bias']:+.0%}".replace("%", " %")
        )
        for name, one in section["scores"].items():
            crps = shown(one["crps"], found["unit"], found["currency"])
            lines.append(f"  {_NAMES[name]}: CRPS {crps} ({one['forecasts']} forecasts)")
    if (best := found["best_lately"]) is not None:
        lines.append(f"Best lately ({best['periods']} periods): {_NAMES[best['name']]}")
    if (ece := found["target_probability"]["ece"]) is not None:
        lines.append(f"Probability of the target: off by {ece:.0%} on average".replace("%", " %"))
    return lines


def _dump(found: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()
