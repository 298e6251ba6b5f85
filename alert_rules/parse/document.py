"""What may a rule file hold, as a JSON Schema that editors understand? (``docs/rule.schema.json``)

It knows the form; what only the catalogue and the settings know (KPIs, dimensions, thresholds that make sense) ``vigie rules
check`` says. Its keys are those of the reader: a test holds the two together.
"""

from collections.abc import Sequence
from typing import Any

from alert_rules.judge.entity_condition import QUANTILES
from alert_rules.judge.rule import GROUPS, Severity
from alert_rules.parse.entity_rule_file import (
    AMOUNT_KEYS,
    BEHIND_KEYS,
    ENTITIES,
    NO_KEYS,
    ODDS_KEYS,
    QUIET_KEYS,
    SILENT_KEYS,
    STALLED_KEYS,
    UNANSWERED_KEYS,
)
from alert_rules.parse.entity_test_file import HEARD
from alert_rules.parse.entity_test_file import MOMENT_KEYS as ENTITY_MOMENT_KEYS
from alert_rules.parse.entity_test_file import TEST_KEYS as ENTITY_TEST_KEYS
from alert_rules.parse.ladders import ANOMALY_KEYS, CHANGE_KEYS, STEP_KEYS, TARGET_KEYS
from alert_rules.parse.rule_file import ENTITY_KEYS, KEYS, MOST_GROUPS
from alert_rules.parse.rule_test_file import EXPECTED, MOMENT_KEYS, MORE, TEST_KEYS
from alert_rules.records.entity_facts import ATTRIBUTES
from models.kpis.earlier import PREVIOUS, WEEK_AGO
from models.panes.windows import PERIODS

_DURATION = {"anyOf": [{"const": 0}, {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$"}]}
_PERCENT = {"type": "string", "pattern": r"^[+-]?\d+(\.\d+)?\s*%$"}
_LEVEL = {
    "description": "in the KPI's unit: a number, a duration (4h), or with change a percentage (-30%)",
    "type": ["number", "string"],
}
_TEXT = {"type": "string", "minLength": 1}
_ID = {"description": "the file's name", "type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 60}
_GROUPS = {
    "description": "so many of its alerts stand at once at most",
    "type": "integer", "minimum": 1, "maximum": MOST_GROUPS, "default": GROUPS,
}  # fmt: skip
_ATTRIBUTES = tuple(dict.fromkeys(name for names in ATTRIBUTES.values() for name in names))
_VALUE = {"type": ["number", "string", "null"]}


def json_schema() -> dict[str, Any]:
    """Return the schema of one rule file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A rule of Vigie",
        "description": "docs/alerts.md explains every key; `vigie rules check` finds what a schema cannot.",
        "if": {"required": ["entity"]},
        "then": _of_entity(),
        "else": _of_kpi(),
    }


def _of_kpi() -> dict[str, Any]:
    rule = _object(
        KEYS,
        {
            "id": _ID,
            "kpi": _TEXT | {"description": "of the catalogue: vigie kpis list"},
            "window": {
                "description": "rolling hours or days, or a calendar period to date",
                "anyOf": [{"enum": list(PERIODS)}, {"type": "string", "pattern": r"^[1-9]\d{0,3}[hd]$"}],
            },
            "title": _TEXT | {"description": "what its alerts are called; left out: the name of the KPI", "maxLength": 80},
            "by": _TEXT | {"description": "one alert for each value of this dimension; left out: the total"},
            "groups": _GROUPS,
            **{severity.value: _step() for severity in Severity},
            "change": _object(CHANGE_KEYS, {"versus": {"enum": [PREVIOUS, WEEK_AGO]}} | dict.fromkeys(STEP_KEYS, _LEVEL)),
            "anomaly": _object(
                ANOMALY_KEYS,
                {
                    "mad": {"description": "so many deviations from what is usual", "type": "number", "exclusiveMinimum": 0},
                    "clear": {"type": "number"},
                    "side": {"enum": ["both", "below", "above"]},
                },
            ),
            "target": _object(
                TARGET_KEYS,
                {
                    "pace_below": {"description": "as a share of what is due by now", "type": "number"},
                    "clear_above": {"type": "number"},
                    "after": _PERCENT | {"description": "of the period: not judged before"},
                },
            ),
            "absent": _DURATION | {"description": "nothing was counted for so long"},
            "severity": {"enum": [severity.value for severity in Severity], "default": Severity.WARN.value},
            "for": _DURATION | {"description": "a step must be breached so long before it speaks"},
            "keep_firing_for": _DURATION | {"description": "a step must be clear so long before it ends"},
            "active": {
                "description": "names of time intervals in which it may begin to speak",
                "anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}],
            },
            "min_samples": {"description": "fewer cases than this say nothing", "type": "number", "minimum": 0},
            "sure": {"description": "speak only with this probability", "type": "number", "minimum": 0.5, "exclusiveMaximum": 1},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "summary": _TEXT | {"description": "fields in braces: {value}, {value:.0%}, {threshold}, …"},
            "runbook": _TEXT | {"description": "a page, or a URL"},
            "tests": {"type": "array", "items": _test(), "minItems": 2},
        },
    )  # fmt: skip
    rule["required"] = ["id", "kpi", "window", "summary", "runbook", "tests"]
    return rule


def _of_entity() -> dict[str, Any]:
    values = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}
    rule = _object(
        ENTITY_KEYS,
        {
            "id": _ID,
            "title": _TEXT | {"description": "what its alerts are called; left out: what is watched", "maxLength": 80},
            "entity": {
                "description": "one alert for each deal, lead, sender of events, test, objective, challenge or customer",
                "enum": list(ENTITIES),
            },
            "where": _object(_ATTRIBUTES, dict.fromkeys(_ATTRIBUTES, values)),
            "stalled": _object(STALLED_KEYS, {"beyond": {"enum": list(QUANTILES), "default": "p90"}, "at_least": _DURATION}),
            "unanswered": _object(
                UNANSWERED_KEYS,
                {"sla": _DURATION, "hours": values | {"description": "names of intervals: only time in them counts"}},
            ),
            "amount": _object(AMOUNT_KEYS, {"above": {"type": "number", "exclusiveMinimum": 0}}),
            "win_probability": _object(
                ODDS_KEYS,
                {"fallen": {"description": "30 points are 0.3", "type": "number", "exclusiveMinimum": 0}, "within": _DURATION},
            ),
            "silent": _object(
                SILENT_KEYS, {"missed": {"description": "so many of its busy hours", "type": "number", "exclusiveMinimum": 0}}
            ),
            "decided": _object(NO_KEYS, {}),
            "worse": _object(NO_KEYS, {}),
            "annulled": _object(NO_KEYS, {}),
            "behind": _object(
                BEHIND_KEYS,
                {"by": {"description": "of what was due by now; 0.2 is a fifth", "type": "number", "exclusiveMinimum": 0}},
            ),
            "quiet": _object(
                QUIET_KEYS,
                {
                    "above": {"description": "what it brought in a year", "type": "number", "exclusiveMinimum": 0},
                    "left": values | {"description": "segments of customers it was in"},
                    "joined": values | {"description": "segments it is in now"},
                },
            ),
            **{severity.value: _object(STEP_KEYS[1:2], {"above": _LEVEL}) for severity in Severity},
            "severity": {"enum": [severity.value for severity in Severity], "default": Severity.WARN.value},
            "groups": _GROUPS,
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "summary": _TEXT
            | {"description": "fields in braces: {deal}, {owner}, {stage}, {amount}, {stage_age}, {usual}, {waited}, …"},
            "runbook": _TEXT | {"description": "a page, or a URL"},
            "tests": {"type": "array", "items": _entity_test(), "minItems": 2},
        },
    )
    rule["required"] = ["id", "entity", "summary", "runbook", "tests"]
    return rule


def _object(keys: Sequence[str], properties: dict[str, Any]) -> dict[str, Any]:
    if set(keys) != set(properties):
        raise ValueError(f"the schema and the reader differ: {set(keys) ^ set(properties)}")
    return {"type": "object", "properties": {key: properties[key] for key in keys}, "additionalProperties": False}


def _step() -> dict[str, Any]:
    return _object(STEP_KEYS, dict.fromkeys(STEP_KEYS, _LEVEL))


def _test() -> dict[str, Any]:
    moments: dict[str, Any] = {
        "at": _DURATION,
        "value": _VALUE,
        "sample": {"type": ["number", "null"]},
        "expect": {"enum": list(EXPECTED)},
        "says": _TEXT | {"description": "what the message of this moment must contain"},
        **{name: _VALUE for names in MORE.values() for name in names},
        "low": _VALUE,
        "high": _VALUE,
    }
    moment = _object((*MOMENT_KEYS, *(name for names in MORE.values() for name in names), "low", "high"), moments)
    moment["required"] = ["at", "value", "expect"]
    test = _object(TEST_KEYS, {"name": _TEXT, "timeline": {"type": "array", "items": moment, "minItems": 1}})
    test["required"] = list(TEST_KEYS)
    return test


def _entity_test() -> dict[str, Any]:
    heard = tuple(dict.fromkeys((*_ATTRIBUTES, *(name for names in HEARD.values() for name in names))))
    moment = _object(
        ENTITY_MOMENT_KEYS,
        {
            "at": _DURATION,
            "set": _object(heard, {name: {"type": ["string", "number", "boolean", "null"]} for name in heard}),
            "expect": {"enum": list(EXPECTED)},
            "says": _TEXT | {"description": "what the message of this moment must contain"},
        },
    )
    moment["required"] = ["at", "expect"]
    limits = {"description": "usual stays by stage", "type": "object", "additionalProperties": _DURATION}
    timeline = {"type": "array", "items": moment, "minItems": 1}
    test = _object(ENTITY_TEST_KEYS, {"name": _TEXT, "limits": limits, "usual": _TEXT, "timeline": timeline})
    test["required"] = ["name", "timeline"]
    return test
