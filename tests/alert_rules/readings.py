"""Rules and readings as the tests of the alerts write them."""

from typing import Any

import orjson

from alert_rules.judge.rule import Known, KpiFacts, Rule
from alert_rules.parse.rule_file import parse_rules
from models.calendar import HOUR_MS, MINUTE_MS
from models.fold import Record
from models.kpis.reading import Reading

#: 2026-01-01T00:00:00Z.
BASE = 1_767_225_600_000

KNOWN = Known(
    {
        "win_rate": KpiFacts("ratio", "Win rate", ("source", "owner"), bounded=True),
        "revenue": KpiFacts("money", "Revenue", ("source",), sampled=False),
        "lead_response_time": KpiFacts("seconds", "Lead response time", ("source",)),
        "nps": KpiFacts("score", "Net Promoter Score", ()),
    }
)


def tree(**changes: Any) -> dict[str, Any]:
    """A sound rule as parsed YAML, with changes; a change to None removes the key."""
    sound: dict[str, Any] = {
        "id": "win-rate-drop",
        "kpi": "win_rate",
        "window": "7d",
        "by": "source",
        "warn": {"below": 0.20, "clear_above": 0.22},
        "critical": {"below": 0.15, "clear_above": 0.17},
        "for": "30m",
        "min_samples": 20,
        "labels": {"team": "sales"},
        "summary": "Win rate from {source} is {value:.0%}",
        "runbook": "docs/runbooks/win-rate-drop.md",
        "tests": [
            {
                "name": "fires",
                "timeline": [
                    {"at": "0m", "value": 0.1, "sample": 20, "expect": "pending"},
                    {"at": "30m", "value": 0.1, "sample": 20, "expect": "critical"},
                ],
            },
            {"name": "silent", "timeline": [{"at": "0m", "value": 0.3, "sample": 20, "expect": "inactive"}]},
        ],
    }
    sound.update(changes)
    return {key: value for key, value in sound.items() if value is not None}


def rule(**changes: Any) -> Rule:
    """A sound rule."""
    made = tree(**changes)
    rules, problems = parse_rules({f"rules/{made['id']}.yaml": made}, KNOWN)
    assert not problems, problems
    return rules[0]


def reading(minutes: float, value: float | None, sample: float | None = 40, **changes: Any) -> Reading:
    """The win rate of source=web so many minutes after the beginning."""
    at = BASE + round(minutes * MINUTE_MS)
    numerator = None if value is None or sample is None else value * sample
    fields: dict[str, Any] = {
        "kpi": "win_rate", "window": "7d", "segment": {"source": "web"}, "start": at - 168 * HOUR_MS, "at": at,
        "value": value, "numerator": numerator, "denominator": sample, "low": None, "high": None, "unit": "ratio",
    }  # fmt: skip
    return Reading(**(fields | changes))


def records(topic: str, *values: Any, offset: int = 0, timestamp: int = BASE) -> list[Record]:
    """Records of a topic; what is not bytes becomes JSON."""
    return [
        Record(topic, 0, offset + n, timestamp, b"k", value if isinstance(value, bytes) else orjson.dumps(value), ())
        for n, value in enumerate(values)
    ]
