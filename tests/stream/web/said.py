"""What the forecast and the explanation of a figure answer, as docs/forecast.md and docs/explaining.md have it."""

from typing import Any

from fastapi import APIRouter, Request

from models.calendar import DAY_MS, iso


def _law(mean: float, target: float | None) -> dict[str, Any]:
    low, high = 0.87 * mean, 1.14 * mean
    return {
        "mean": mean,
        "p10": low,
        "p50": mean,
        "p90": high,
        "target": target,
        "target_probability": None if target is None else 0.37,
        "quantiles": [[0.05, 0.8 * mean], [0.1, low], [0.9, high], [0.95, 1.2 * mean]],
        "why": [],
        "parts": {
            "won": {"value": 0.6 * mean, "deals": 31},
            "open": {"deals": 214, "mean": 0.3 * mean},
            "new": {"deals": 6.2, "mean": 0.1 * mean},
        },
    }


def answers(now: int) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix="/api")

    @routes.get("/forecast")
    async def forecast(request: Request) -> dict[str, Any]:
        names = ["expected", *request.query_params.getlist("scenario")]
        by = request.query_params.get("by")
        rows = [
            {"scenario": one, "segment": {}, "name": None, **_law(208_112.4 * (1 + 0.1 * n), 215_000.0)}
            for n, one in enumerate(names)
        ]
        rows += [
            {"scenario": "expected", "segment": {by: one}, "name": None, **_law(90_000.0, None)}
            for one in ("north", "جنوب")
            if by
        ]
        return {
            "kpi": "revenue",
            "period": "month",
            "by": by,
            "from": iso(now - 19 * DAY_MS),
            "until": iso(now + 11 * DAY_MS),
            "at": iso(now),
            "phase": 0.63,
            "unit": "money",
            "currency": "EUR",
            "forecasts": rows,
            "why": [],
            "scenarios": [{"name": one, "win_rate": 1.0, "arrivals": 1.0, "amount": 1.0} for one in names],
            "yardsticks": {"last_period": 198_400.0, "season_ago": None, "last_year_growth": None, "stage_weighted": 640_200.0},
            "best_lately": {"name": "forecast", "periods": 6, "crps": {"forecast": 11_800.0, "last_period": 21_000.0}},
        }

    @routes.get("/forecast/scores")
    async def scores() -> dict[str, Any]:
        said = {"day": "2026-10-01", "phase": 0.0, "p10": 160_000.0, "p50": 201_000.0, "p90": 243_000.0, "covered": True}
        return {
            "summary": [{"asked": "start", "forecasts": 6, "scores": {"forecast": {"forecasts": 6, "coverage": 0.83}}}],
            "periods": [
                {
                    "from": iso(now - 30 * month * DAY_MS),
                    "until": iso(now - 30 * (month - 1) * DAY_MS),
                    "segment": {},
                    "name": None,
                    "actual": 150_000.0 + 20_000 * month,
                    "said": [said | {"covered": month < 4}],
                }
                for month in range(1, 6)
            ],
        }

    @routes.get("/kpis/{kpi}/explain")
    async def explain(kpi: str) -> dict[str, Any]:
        parts = [{"segment": "web", "effect": -0.05}, {"segment": None, "effect": 0.01}]
        return {
            "kpi": kpi,
            "whole": True,
            "previous": {"value": 0.46},
            "change": -0.04,
            "moved_by": [{"dimension": "source", "segments": parts}],
            "counted": {"deals": 2, "leads": 0, "of_others_now": 1, "unreadable": 0},
            "events": {"counting": ["deal.won"], "correcting": ["deal.reopened"], "refused": {"deal.won": {"amount": 3}}},
            "differences": [
                {
                    "definition": "created_date_cohort",
                    "says": "…",
                    "value": 0.5,
                    "difference": 0.08,
                    "count_otherwise": 4,
                    "examples": [],
                }
            ],
        }

    @routes.get("/kpis/{kpi}/deals")
    async def deals(kpi: str) -> dict[str, Any]:
        one = {
            "entity": "deal",
            "id": "D-21",
            "name": "<b>Acme</b>: renewal",
            "counted_at": iso(now - DAY_MS),
            "status": "won",
            "amount": 1_234_567.0,
            "currency": "EUR",
            "owner": "ada",
            "owner_name": "Ada",
            "link": "https://crm.example.com/D-21",
        }
        return {"kpi": kpi, "count": 2, "of_others_now": 1, "deals": [one, one | {"id": "D-22", "amount": None, "link": None}]}

    return routes
