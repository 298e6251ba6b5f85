"""Objectives to begin with, as the settings and the API have them; names, people and numbers are to be put in."""

from typing import Any

_DISCOUNT: dict[str, Any] = {"kpi": "discount_rate", "guard": True, "at_most": 0.12}
_CANCELLED: dict[str, Any] = {"kpi": "cancellation_rate", "guard": True, "at_most": 0.05}

TEMPLATES: dict[str, dict[str, Any]] = {
    "team-growth": {
        "name": "TEAM, every month", "team": "TEAM", "period": "month", "main": {"kpi": "revenue", "target": 100_000},
        "indicators": [{"kpi": "win_rate", "target": 0.25}, {"kpi": "pipeline_created", "target": 300_000}, _DISCOUNT],
    },
    "team-new-business": {
        "name": "TEAM, new business", "team": "TEAM", "period": "month", "main": {"kpi": "sales", "target": 20},
        "indicators": [{"kpi": "average_deal_size", "target": 5_000}, _CANCELLED],
    },
    "team-first-answer": {
        "name": "TEAM, leads answered", "team": "TEAM", "period": "week", "main": {"kpi": "response_within_sla", "target": 0.9},
        "indicators": [{"kpi": "lead_conversion", "guard": True, "at_least": 0.1}],
    },
    "closer-month": {
        "name": "PERSON, every month", "owner": "OWNER", "period": "month", "main": {"kpi": "revenue", "target": 40_000},
        "indicators": [_DISCOUNT],
    },
    "opener-week": {
        "name": "PERSON, every week", "owner": "OWNER", "period": "week", "main": {"kpi": "meetings", "target": 12},
    },
    "learning": {
        "name": "PERSON learns", "owner": "OWNER", "period": "month", "main": {"text": "What is to be learnt"},
    },
}  # fmt: skip
