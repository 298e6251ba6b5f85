"""The chance of an objective is that of the forecast of the same month, segment and amount; of nothing else there is one."""

from typing import Any, NamedTuple

import numpy as np

from models.foresight.foresee import Asked
from models.foresight.kept import Slice
from vigie.chances import chances_of


class Segment(NamedTuple):
    value: str | None
    sums: Any

    def at_least(self, target: int) -> float:
        return float((self.sums >= target).mean())


class Outlook(NamedTuple):
    segments: list[Segment]


class Foresee:
    """Has a forecast of the total and by team."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def ask(self, asked: Asked, now: int) -> Any:
        self.asked.append(asked)
        total, north = Segment(None, np.arange(10) * 10_000), Segment("north", np.array([0, 10_000]))
        return None if asked.slice.by == "owner" else Outlook([total, north])


def test_by_the_forecast_of_the_same_month_and_segment() -> None:
    fold = Foresee()
    chance = chances_of(lambda: fold, lambda: 0)({None, "team", "owner", "region"})  # type: ignore[arg-type,return-value]
    assert {one.slice for one in fold.asked} == {Slice("month"), Slice("month", "team"), Slice("month", "owner")}
    assert chance("revenue", "month", "total", 5, 0) == 0.5 and chance("revenue", "month", "team=north", 1, 0) == 0.5
    others = ("sales", "month", "total"), ("revenue", "week", "total"), ("revenue", "month", "team=x")
    for kpi, period, segment in others:
        assert chance(kpi, period, segment, 1, 0) is None


def test_where_forecasts_are_elsewhere() -> None:
    assert chances_of(lambda: None, lambda: 0)({None})("revenue", "month", "total", 1, 0) is None
