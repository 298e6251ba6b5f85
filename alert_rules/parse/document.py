"""What may a rule file hold, as a JSON Schema that editors understand? (``docs/rule.schema.json``)

It knows the form; what only the catalogue and the settings know (KPIs, dimensions, thresholds that make sense) ``vigie rules
check`` says. Its keys are those of the reader: a test holds the two together.
"""

from collections.abc import Sequence
from typing import Any

from alert_rules.judge.rule import GROUPS, Severity
from alert_rules.kinds import ENTITY_KINDS, KPI_KINDS
from alert_rules.kinds.form import DURATION, LEVEL, STEP_KEYS, TEXT, TEXTS
from alert_rules.parse.entity_rule_file import ENTITIES
from alert_rules.parse.entity_test_file import HEARD
from alert_rules.parse.entity_test_file import MOMENT_KEYS as ENTITY_MOMENT_KEYS
from alert_rules.parse.entity_test_file import TEST_KEYS as ENTITY_TEST_KEYS
from alert_rules.parse.ladders import CONDITIONS
from alert_rules.parse.rule_file import ENTITY_KEYS, KEYS, MOST_GROUPS
from alert_rules.parse.rule_test_file import EXPECTED, MOMENT_KEYS, TEST_KEYS
from alert_rules.records.entity_facts import ATTRIBUTES
from models.panes.windows import PERIODS

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
            "kpi": TEXT | {"description": "of the catalogue: vigie kpis list"},
            "window": {
                "description": "rolling hours or days, or a calendar period to date",
                "anyOf": [{"enum": list(PERIODS)}, {"type": "string", "pattern": r"^[1-9]\d{0,3}[hd]$"}],
            },
            "title": TEXT | {"description": "what its alerts are called; left out: the name of the KPI", "maxLength": 80},
            "by": TEXT | {"description": "one alert for each value of this dimension; left out: the total"},
            "groups": _GROUPS,
            **{severity.value: _step() for severity in Severity},
            **{kind.KEY: kind.schema() for kind in KPI_KINDS if kind.KEY in CONDITIONS},
            "severity": {"enum": [severity.value for severity in Severity], "default": Severity.WARN.value},
            "for": DURATION | {"description": "a step must be breached so long before it speaks"},
            "keep_firing_for": DURATION | {"description": "a step must be clear so long before it ends"},
            "active": {
                "description": "names of time intervals in which it may begin to speak",
                "anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}],
            },
            "min_samples": {"description": "fewer cases than this say nothing", "type": "number", "minimum": 0},
            "sure": {"description": "speak only with this probability", "type": "number", "minimum": 0.5, "exclusiveMaximum": 1},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "summary": TEXT | {"description": "fields in braces: {value}, {value:.0%}, {threshold}, …"},
            "runbook": TEXT | {"description": "a page, or a URL"},
            "tests": {"type": "array", "items": _test(), "minItems": 2},
        },
    )  # fmt: skip
    rule["required"] = ["id", "kpi", "window", "summary", "runbook", "tests"]
    return rule


def _of_entity() -> dict[str, Any]:
    rule = _object(
        ENTITY_KEYS,
        {
            "id": _ID,
            "title": TEXT | {"description": "what its alerts are called; left out: what is watched", "maxLength": 80},
            "entity": {"description": "one alert for each of them", "enum": list(ENTITIES)},
            "where": _object(_ATTRIBUTES, dict.fromkeys(_ATTRIBUTES, TEXTS)),
            **{kind.KEY: kind.schema() for kind in ENTITY_KINDS},
            **{severity.value: _object(STEP_KEYS[1:2], {"above": LEVEL}) for severity in Severity},
            "severity": {"enum": [severity.value for severity in Severity], "default": Severity.WARN.value},
            "groups": _GROUPS,
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "summary": TEXT
            | {"description": "fields in braces: {deal}, {owner}, {stage}, {amount}, {stage_age}, {usual}, {waited}, …"},
            "runbook": TEXT | {"description": "a page, or a URL"},
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
    return _object(STEP_KEYS, dict.fromkeys(STEP_KEYS, LEVEL))


def _test() -> dict[str, Any]:
    moments: dict[str, Any] = {
        "at": DURATION,
        "value": _VALUE,
        "sample": {"type": ["number", "null"]},
        "expect": {"enum": list(EXPECTED)},
        "says": TEXT | {"description": "what the message of this moment must contain"},
        **{name: _VALUE for kind in KPI_KINDS for name in kind.MOMENT},
        "low": _VALUE,
        "high": _VALUE,
    }
    moment = _object((*MOMENT_KEYS, *(name for kind in KPI_KINDS for name in kind.MOMENT), "low", "high"), moments)
    moment["required"] = ["at", "value", "expect"]
    test = _object(TEST_KEYS, {"name": TEXT, "timeline": {"type": "array", "items": moment, "minItems": 1}})
    test["required"] = list(TEST_KEYS)
    return test


def _entity_test() -> dict[str, Any]:
    heard = tuple(dict.fromkeys((*_ATTRIBUTES, *(name for names in HEARD.values() for name in names))))
    moment = _object(
        ENTITY_MOMENT_KEYS,
        {
            "at": DURATION,
            "set": _object(heard, {name: {"type": ["string", "number", "boolean", "null"]} for name in heard}),
            "expect": {"enum": list(EXPECTED)},
            "says": TEXT | {"description": "what the message of this moment must contain"},
        },
    )
    moment["required"] = ["at", "expect"]
    limits = {"description": "usual stays by stage", "type": "object", "additionalProperties": DURATION}
    timeline = {"type": "array", "items": moment, "minItems": 1}
    test = _object(ENTITY_TEST_KEYS, {"name": TEXT, "limits": limits, "usual": TEXT, "timeline": timeline})
    test["required"] = ["name", "timeline"]
    return test
