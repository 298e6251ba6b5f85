"""The readings of a forecast, as rules judge them: like those of a KPI, but of what will be."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from models.deal_outlook import DIMENSIONS
from models.kpis.reading import Reading
from models.money import UNIT

if TYPE_CHECKING:  # numpy is not needed to know the names
    from models.foresight.outlook import Outlook, Segment

#: What a rule may watch: unit and label. Windows are month, quarter, year; dimensions those of a forecast.
KPIS = {
    "forecast_p10": ("money", "Revenue forecast, P10"),
    "forecast_p50": ("money", "Revenue forecast, P50"),
    "forecast_p90": ("money", "Revenue forecast, P90"),
    "forecast_mean": ("money", "Revenue forecast, mean"),
    "target_probability": ("ratio", "Probability of reaching the revenue target"),
}
#: By what, and of which windows.
BY = DIMENSIONS
WINDOWS = ("month", "quarter", "year")
_SHARES = {"forecast_p10": 0.1, "forecast_p50": 0.5, "forecast_p90": 0.9}


def readings(
    kpi: str,
    period: str,
    by: str | None,
    outlook: "Outlook",
    target: "Callable[[Segment, Outlook], int | None]",
    now: int,
    currency: str,
) -> list[Reading]:
    """Return one reading for the total, or one for each segment; ``target`` gives a segment's (1/10,000)."""
    unit = KPIS[kpi][0]
    found = []
    for segment in outlook.segments[:1] if by is None else outlook.segments[1:]:
        value, why = _value(kpi, segment, target(segment, outlook)), None
        if value is None:
            why = f"no target of revenue is set {f'for {by}={segment.value}' if by else 'in total'} for this {period}"
        named = {} if by is None else {by: str(segment.value)}
        found.append(
            Reading(
                kpi, period, named, outlook.span.start, now, value, None, None, None, None, unit, why,
                segment.won_deals + segment.open_deals, currency if unit == "money" else None,
            )
        )  # fmt: skip
    return found


def _value(kpi: str, segment: "Segment", target: int | None) -> float | None:
    if kpi == "target_probability":
        return None if target is None else round(segment.at_least(target), 4)
    value = segment.mean if kpi == "forecast_mean" else segment.quantile(_SHARES[kpi])
    return round(value / UNIT, 4)
