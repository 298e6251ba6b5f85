"""What will the period bring, under which scenario, and how good have forecasts been? As JSON."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from fastapi import APIRouter, Request, Response

from models.calendar import Calendar, iso
from models.foresight.scenario import BASE, Scenario, ScenarioError, parse
from models.money import UNIT
from stream.config.forecast_settings import EXPECTED, ForecastSettings
from stream.readings.board import UnknownName
from stream.web.api import refuse, to_json
from stream.web.context import Context, context
from stream.web.people import REFUSED, sees_people

if TYPE_CHECKING:  # numpy takes a while to import
    from models.foresight.foresee import Asked, Foresee
    from models.foresight.kept import Said
    from models.foresight.outlook import Outlook, Segment
    from models.foresight.scores import Scored, ScoreSummary

PERIODS = ("month", "quarter", "year")
BY = ("team", "owner", "product", "region", "source")
OFF = "there are no forecasts here: models.live is false in the settings"
AWAY = "the deals are still being read, or another worker makes the forecasts (accepted: ask that one, or `vigie web`)"
#: The fiscal year is the business's year.
_ALSO = {"fiscal_year": "year"}
#: The most that one answer tells: segments, segments of which scores are told, and periods.
_SEGMENTS, _SCORED, _PERIODS_TOLD = 200, 20, 36
_SCENARIOS = 5


class Forecasts(Protocol):
    """Who makes forecasts."""

    @property
    def owned(self) -> "Callable[[], Foresee | None]":
        """Gives the fold that keeps them, where it is here."""

    async def outlooks(self, asked: "Sequence[Asked]") -> "list[Outlook] | None":
        """Return what is asked for; None where it is elsewhere, or being read."""


def router(source: Forecasts | None, settings: ForecastSettings, calendar: Calendar) -> APIRouter:
    """Return the routes; without a source (``models.live`` is off) they say so."""
    routes = APIRouter(prefix="/api")

    @routes.get("/forecast", summary="What the month, the quarter or the year will bring")
    async def forecast(request: Request) -> Response:
        """Return P10, P50, P90 and mean of the period's revenue, and the probability of its target.

        ``period``: month, quarter, year (the fiscal one); ``by``: team, owner, product, region, source; ``scenario``: a name of
        the settings, or such as ``win_rate +10 %, arrivals -20 %``, may be repeated. What is won, what open deals bring in time,
        and what those not there yet bring are told apart. 503 where another process knows.
        """
        try:
            period, by = _slice(request, ("period", "by", "scenario"))
            scenarios = _scenarios(request, settings)
        except UnknownName as error:
            return refuse(error)
        if by == "owner" and not sees_people(request):
            return to_json({"error": f"by: {REFUSED}"}, 403)
        if source is None:
            return _off()
        from models.foresight.foresee import Asked
        from models.foresight.kept import Slice

        where = Slice(period, by)
        found = await source.outlooks([Asked(where, scenario) for scenario in scenarios.values()])
        fold = source.owned()
        if found is None or fold is None:
            return _away()
        return to_json(_told(context(request), fold, where, scenarios, found))

    @routes.get("/forecast/scores", summary="How good forecasts of the period have been")
    async def scores(request: Request) -> Response:
        """Return what was said of the periods that are over and what came: CRPS, pinball, coverage, bias, PIT; and yardsticks."""
        try:
            period, by = _slice(request, ("period", "by"))
        except UnknownName as error:
            return refuse(error)
        if by == "owner" and not sees_people(request):
            return to_json({"error": f"by: {REFUSED}"}, 403)
        if source is None:
            return _off()
        fold = source.owned()
        if fold is None or not fold.live_:
            return _away()
        return to_json(_scores(context(request), fold, period, by, calendar))

    return routes


def _off() -> Response:
    return to_json({"error": OFF}, 404)


def _away() -> Response:
    return to_json({"error": AWAY}, 503, {"retry-after": "2"})


def _slice(request: Request, accepted: Sequence[str]) -> tuple[str, str | None]:
    query = request.query_params
    for parameter in query:
        if parameter not in accepted:
            raise UnknownName("parameter", parameter, accepted)
    period, by = query.get("period", "month"), query.get("by")
    period = _ALSO.get(period, period)
    if period not in PERIODS:
        raise UnknownName("period", period, (*PERIODS, *_ALSO))
    if by is not None and by not in BY:
        raise UnknownName("by", by, BY)
    return period, by


def _scenarios(request: Request, settings: ForecastSettings) -> dict[str, Scenario]:
    found = {EXPECTED: BASE}
    texts = request.query_params.getlist("scenario")
    if len(texts) > _SCENARIOS:
        raise UnknownName("scenario", f"{len(texts)} of them", [f"{_SCENARIOS} at most"])
    for text in texts:
        named = settings.scenario(text)
        if text == EXPECTED:
            continue
        try:
            found[text] = parse(text) if named is None else named
        except ScenarioError as error:
            names = (EXPECTED, *settings.scenarios, "such as win_rate +10 %, arrivals -20 %")
            raise UnknownName("scenario", text, names, f" ({error})") from None
    return found


def money(value: float) -> float:
    """Return 1/10,000 as units, as readings tell money."""
    return round(value / UNIT, 4)


def _told(
    ctx: Context, fold: "Foresee", where: Any, scenarios: Mapping[str, Scenario], found: "Sequence[Outlook]"
) -> dict[str, Any]:
    from models.foresight import kept, scores
    from models.foresight.foresee import target_of
    from models.foresight.yardsticks import NAMES

    first = found[0]
    rows = []
    for (name, _), one in zip(scenarios.items(), found, strict=True):
        ranked = sorted(one.segments[1:], key=lambda segment: -segment.mean)[:_SEGMENTS]
        for segment in (one.segments[0], *ranked):
            aim = target_of(fold.targets, where, segment.value, one.span.start, fold.business)
            rows.append(forecast_document(ctx, name, where.by, segment, aim))
    lately = scores.best_lately(scores.scored(kept.series(_of(fold, where.period), kept.TOTAL, "")))
    points = fold.made.points.get(where.period, ()) if fold.made is not None else ()
    return {
        "kpi": "revenue", "period": where.period, "by": where.by,
        "from": iso(first.span.start), "until": iso(first.span.end), "at": iso(first.span.now),
        "phase": round(first.span.phase, 4),
        "unit": "money", "currency": fold.business.currency,
        "scenarios": [{"name": name, **scenario._asdict()} for name, scenario in scenarios.items()],
        "forecasts": rows,
        "yardsticks": {
            name: None if value is None else money(value)
            for name, value in zip(NAMES, (*points, *[None] * len(NAMES)), strict=False)
        },
        "best_lately": _best(lately),
        "why": first.why,
    }  # fmt: skip


def forecast_document(ctx: Context, scenario: str, by: str | None, segment: "Segment", target: int | None) -> dict[str, Any]:
    """Return what the API has of a segment."""
    from models.foresight.outlook import SHARES

    owner = ctx.people.get(segment.value) if by == "owner" and segment.value is not None else None
    found: dict[str, Any] = {
        "scenario": scenario,
        "segment": {} if segment.value is None or by is None else {by: segment.value},
        "name": None if owner is None else owner.name,
        "mean": money(segment.mean),
        "p10": money(segment.quantile(0.1)), "p50": money(segment.quantile(0.5)), "p90": money(segment.quantile(0.9)),
        "quantiles": [[share, money(value)] for share, value in zip(SHARES, segment.quantiles, strict=True)],
        "target": None if target is None else money(target),
        "target_probability": None if target is None else round(segment.at_least(target), 4),
        "parts": {
            "won": {"value": money(segment.won), "deals": segment.won_deals},
            "open": {"deals": segment.open_deals, **_part(segment.open)},
            "new": {"deals": round(segment.new_wins, 2), **_part(segment.new)},
        },
        "why": [],
    }  # fmt: skip
    return found


def _part(four: tuple[float, float, float, float]) -> dict[str, float]:
    return {name: money(value) for name, value in zip(("mean", "p10", "p50", "p90"), four, strict=True)}


def _of(fold: "Foresee", period: str) -> "list[Said]":
    return [one for one in fold.records.values() if one.period == period]


def _best(found: tuple[str, int, dict[str, float]] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    name, periods, crps = found
    return {"name": name, "periods": periods, "crps": {which: money(value) for which, value in crps.items()}}


def _scores(ctx: Context, fold: "Foresee", period: str, by: str | None, calendar: Calendar) -> dict[str, Any]:
    from models.foresight import kept, scores

    mine = [one for one in _of(fold, period) if one.by == (by or kept.TOTAL) and one.quantiles and one.actual is not None]
    ranked = scores.scored(mine)
    sections = [(asked, [one for one in ranked if one.asked == asked]) for asked in scores.ASKED]
    ece, bins = scores.calibration(mine)
    return {
        "kpi": "revenue", "period": period, "by": by, "unit": "money", "currency": fold.business.currency,
        "best_lately": _best(scores.best_lately(ranked)),
        "summary": [
            {"asked": asked, "forecasts": len(some), "scores": {name: _sum(one) for name, one in scores.summary(some).items()}}
            for asked, some in sections if some
        ],
        "target_probability": {
            "forecasts": sum(count for _, _, count in bins),
            "ece": None if ece is None else round(ece, 4),
            "bins": [{"said": round(said, 4), "came": round(came, 4), "forecasts": count} for said, came, count in bins],
        },
        "periods": _periods(ctx, ranked, by),
    }  # fmt: skip


def _sum(found: "ScoreSummary") -> dict[str, Any]:
    return {
        "forecasts": found.forecasts, "crps": money(found.crps), "pinball": money(found.pinball),
        "coverage": round(found.coverage, 4), "bias": round(found.bias, 4), "pit": round(found.pit, 4),
    }  # fmt: skip


def _periods(ctx: Context, ranked: "Sequence[Scored]", by: str | None) -> list[dict[str, Any]]:
    from models.foresight.yardsticks import NAMES

    groups: dict[tuple[int, str], list[Scored]] = {}
    for one in ranked:
        groups.setdefault((one.said.start, one.said.value), []).append(one)
    last = max((start for start, _ in groups), default=0)
    told = sorted(groups, key=lambda key: (-key[0], -(groups[key][0].said.actual or 0)))
    told = told[:_PERIODS_TOLD] if by is None else [key for key in told if key[0] == last][:_SCORED]
    rows = []
    for start, value in told:
        some = groups[start, value]
        first = some[0].said
        owner = ctx.people.get(value) if by == "owner" else None
        rows.append(
            {
                "from": iso(start), "until": iso(first.end), "segment": {} if by is None else {by: value},
                "name": None if owner is None else owner.name, "actual": money(first.actual or 0),
                "said": [_said(one, NAMES) for one in some],
            }
        )  # fmt: skip
    return rows


def _said(one: "Scored", names: Sequence[str]) -> dict[str, Any]:
    from datetime import date

    said = one.said
    p10, p50, p90 = (money(said.quantiles[n]) for n in (2, 10, 18))
    return {
        "day": date.fromordinal(said.day).isoformat(), "phase": round(said.phase, 4),
        "p10": p10, "p50": p50, "p90": p90, "mean": money(said.mean),
        "crps": money(one.score.crps), "pinball": money(one.score.pinball), "pit": round(one.score.pit, 4),
        "covered": one.score.covered,
        "target": None if said.target is None else money(said.target), "target_probability": said.p_target,
        "crps_of": {
            name: None if score is None else money(score.crps)
            for name, score in zip(names, (*one.yardsticks, *[None] * len(names)), strict=False)
        },
    }  # fmt: skip
