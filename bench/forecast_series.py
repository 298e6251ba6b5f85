"""How good are the forecasts of series, on public series, beside the forecasts of two libraries?

Rolling origin: at each origin everybody sees the history up to it and says P10, P50 and P90 of the next periods. Scored are

* pinball: the mean of the three quantiles' losses, as a multiple of the seasonal naive's mean absolute error within the history,
* MASE of the P50 on the same scale, and the share of actuals between P10 and P90 (to be 0.80).

The series ship with statsmodels, pmdarima and sktime; the rivals are statsmodels' and statsforecast's. None of them is needed by
Vigie: ``pip install -r bench/forecast-requirements.txt`` in an environment of its own, then there
``python -m bench.forecast_series --split dev`` (the origins by which our choices were made, none later than two thirds of a
series) or ``--split test --write docs/forecast.md`` (the last third, by which nothing was chosen).
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.written import into
from models.foresight import series

SHARES = (0.1, 0.5, 0.9)
ORIGINS = 16  # of each series, at most

Quantiles = np.ndarray[Any, np.dtype[np.float64]]  # a row each of P10, P50, P90


class Series(NamedTuple):
    """A public series: who ships it, its name, the periods of a season, how far ahead, the values."""

    package: str
    name: str
    season: int
    horizon: int
    values: Quantiles


def public() -> Iterator[Series]:
    """Yield the public series."""
    import pmdarima.datasets as pmdarima
    import sktime.datasets as sktime
    from statsmodels import datasets

    co2 = datasets.co2.load_pandas().data["co2"].resample("MS").mean().interpolate()
    yield Series("statsmodels", "co2", 12, 12, co2.to_numpy())
    elnino = datasets.elnino.load_pandas().data
    yield Series("statsmodels", "elnino", 12, 12, elnino.iloc[:, 1:].to_numpy().ravel())
    macro = datasets.macrodata.load_pandas().data
    for column in ("realgdp", "realcons", "realinv", "cpi", "m1", "unemp", "tbilrate"):
        yield Series("statsmodels", f"macrodata {column}", 4, 8, macro[column].to_numpy())
    yield Series("statsmodels", "sunspots", 1, 10, datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy())
    yield Series("statsmodels", "nile", 1, 5, datasets.nile.load_pandas().data["volume"].to_numpy())
    for name, season, horizon in (
        ("airpassengers", 12, 12), ("wineind", 12, 12), ("sunspots", 12, 12), ("ausbeer", 4, 8), ("woolyrnq", 4, 8),
        ("austres", 4, 8), ("lynx", 1, 5), ("heartrate", 1, 6),
    ):  # fmt: skip
        values = getattr(pmdarima, f"load_{name}")()
        yield Series("pmdarima", name, season, horizon, values[~np.isnan(values)])
    yield Series("sktime", "PBS", 12, 12, sktime.load_PBS_dataset().to_numpy())


def origins(one: Series, split: str) -> list[int]:
    """Return how much of a series is seen at each origin."""
    n = len(one.values)
    third = 2 * n // 3
    first, last = (third, n - one.horizon) if split == "test" else (max(n // 3, 3 * one.season), third - one.horizon)
    return sorted({int(at) for at in np.linspace(first, last, ORIGINS)})


# -- who forecasts -----------------------------------------------------------------------------------------------------


def _ours(history: Quantiles, season: int, horizon: int) -> Quantiles:
    found = series.forecast(history.tolist(), season, horizon)
    return np.array([found.p10, found.p50, found.p90], float)


def _statsforecast(name: str) -> Callable[[Quantiles, int, int], Quantiles]:
    def asked(history: Quantiles, season: int, horizon: int) -> Quantiles:
        from statsforecast import models

        found = getattr(models, name)(season_length=season).forecast(y=history.astype(float), h=horizon, level=[80])
        return np.array([found["lo-80"], found["mean"], found["hi-80"]])

    return asked


def _ets(history: Quantiles, season: int, horizon: int) -> Quantiles:
    import pandas as pd
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    seasonal = None if season == 1 else "mul" if history.min() > 0 else "add"
    model = ETSModel(
        pd.Series(history),
        error="add",
        trend="add",
        damped_trend=True,
        seasonal=seasonal,
        seasonal_periods=season if seasonal else None,
    )
    paths = model.fit(disp=False).simulate(horizon, anchor="end", repetitions=1000, rng=np.random.default_rng(1))
    return np.quantile(np.asarray(paths), SHARES, axis=1)


def _theta(history: Quantiles, season: int, horizon: int) -> Quantiles:
    import pandas as pd
    from statsmodels.tsa.forecasting.theta import ThetaModel

    index = pd.period_range("1900-01", periods=len(history), freq="M")
    fitted = ThetaModel(pd.Series(history, index), period=max(season, 2), deseasonalize=season > 1).fit()
    bounds = fitted.prediction_intervals(horizon, alpha=0.2)
    return np.array([bounds["lower"], fitted.forecast(horizon), bounds["upper"]])


RIVALS: dict[str, Callable[[Quantiles, int, int], Quantiles]] = {
    "seasonal naive": _statsforecast("SeasonalNaive"),
    "ETS statsforecast": _statsforecast("AutoETS"),
    "Theta statsforecast": _statsforecast("AutoTheta"),
    "ETS statsmodels": _ets,
    "Theta statsmodels": _theta,
}


# -- the scores --------------------------------------------------------------------------------------------------------


class Score(NamedTuple):
    """Means over all origins and horizons; ``seconds`` of a forecast."""

    pinball: float
    mase: float
    coverage: float
    seconds: float


def scored(one: Series, split: str, who: Callable[[Quantiles, int, int], Quantiles]) -> Score:
    """Return how good somebody is on a series."""
    pinballs, errors, within = [], [], []
    began = time.process_time()
    at = origins(one, split)
    said = [who(one.values[:n], one.season, one.horizon) for n in at]
    seconds = (time.process_time() - began) / len(at)
    for n, quantiles in zip(at, said, strict=True):
        history, actual = one.values[:n], one.values[n : n + one.horizon]
        scale = np.abs(history[one.season :] - history[: -one.season]).mean()
        off = (actual - quantiles) / scale
        pinballs.append(np.mean([np.maximum(q * row, (q - 1) * row) for q, row in zip(SHARES, off, strict=True)]))
        errors.append(np.abs(off[1]).mean())
        within.append(((actual >= quantiles[0]) & (actual <= quantiles[2])).mean())
    return Score(float(np.mean(pinballs)), float(np.mean(errors)), float(np.mean(within)), seconds)


def rivals(split: str, cache: Path) -> dict[str, dict[str, Score]]:
    """Return the rivals' scores, kept in a file: they take minutes."""
    known = json.loads(cache.read_text()) if cache.exists() else {}
    for one in public():
        for name, who in RIVALS.items():
            row = known.setdefault(f"{split}: {one.package} {one.name}", {})
            if name not in row:
                row[name] = scored(one, split, who)
                cache.write_text(json.dumps(known))
    return {key: {name: Score(*score) for name, score in row.items()} for key, row in known.items()}


def table(split: str, cache: Path) -> list[str]:
    """Return the comparison as lines of a Markdown table, and what it comes to."""
    theirs = rivals(split, cache)
    lines = [
        "| series | season, ahead, origins | pinball | best rival | (which) | seasonal naive | MASE | best rival | coverage "
        "| rivals' coverage | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    better, covered, ratios, count = 0, 0, [], 0
    for one in public():
        ours, others = scored(one, split, _ours), theirs[f"{split}: {one.package} {one.name}"]
        best = min(others, key=lambda name: others[name].pinball)
        mase = min(score.mase for score in others.values())
        spread = sorted(score.coverage for score in others.values())
        count += 1
        better += ours.pinball < others[best].pinball
        covered += 0.75 <= ours.coverage <= 0.90
        ratios.append(ours.pinball / others[best].pinball)
        lines.append(
            f"| {one.package} {one.name} | {one.season}, {one.horizon}, {len(origins(one, split))} | {ours.pinball:.3f} "
            f"| {others[best].pinball:.3f} | {best} | {others['seasonal naive'].pinball:.3f} | {ours.mase:.2f} | {mase:.2f} "
            f"| {ours.coverage:.2f} | {spread[0]:.2f} to {spread[-1]:.2f} | {ours.seconds:.2f} |"
        )
    lines += [
        "",
        f"Better than the best rival on pinball in {better} of {count}; pinball beside the best rival's, geometric mean: "
        f"{np.exp(np.mean(np.log(ratios))):.3f}; coverage within .75 to .90 in {covered} of {count}.",
    ]
    return lines


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="Forecasts of public series beside those of two libraries.")
    parser.add_argument("--split", choices=("dev", "test"), default="dev")
    parser.add_argument("--cache", type=Path, default=Path("build/forecast_rivals.json"))
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    asked.cache.parent.mkdir(exist_ok=True)
    warnings.simplefilter("ignore")
    lines = table(asked.split, asked.cache)
    print("\n".join(lines))
    if asked.write:
        into(asked.write, "forecast_series", lines)


if __name__ == "__main__":
    main()
