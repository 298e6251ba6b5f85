"""The published schema accepts what the reader accepts, and refuses what it refuses the form of."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from alert_rules.parse.document import json_schema
from alert_rules.parse.rule_file import ENTITY_KEYS, KEYS

SHIPPED = sorted((Path(__file__).parents[2] / "alert_rules" / "rules").glob("*.yaml"))
SCHEMA = json_schema()


def wrong(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """What the schema says against a value: the few keywords that it uses."""
    if "if" in schema:
        branch = "else" if wrong(value, schema["if"], path) else "then"
        return wrong(value, schema[branch], path)
    unknown = set(schema) - {
        "type", "properties", "additionalProperties", "required", "items", "minItems", "anyOf", "enum", "const", "pattern",
        "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "default", "description",
        "title", "$schema",
    }  # fmt: skip
    assert not unknown, f"the test does not know {unknown}"
    if "anyOf" in schema and all(wrong(value, one, path) for one in schema["anyOf"]):
        return [f"{path}: none of the forms"]
    kinds = schema.get("type")
    names: dict[str, type | tuple[type, ...]] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "null": type(None),
        "boolean": bool,
    }
    if kinds and not any(isinstance(value, names[kind]) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return [f"{path}: {value!r} is not {kinds}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path}: {value!r} is none of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{path}: {value!r}")
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{path}: {value!r} does not match")
    if isinstance(value, dict):
        more = schema.get("additionalProperties", True)
        for key, below in value.items():
            if key in schema.get("properties", {}):
                found += wrong(below, schema["properties"][key], f"{path}.{key}")
            elif more is False:
                found.append(f"{path}.{key}: not allowed")
            elif more is not True:
                found += wrong(below, more, f"{path}.{key}")
        found += [f"{path}.{key}: missing" for key in schema.get("required", ()) if key not in value]
    if isinstance(value, list):
        for n, item in enumerate(value):
            found += wrong(item, schema.get("items", {}), f"{path}[{n}]")
    if isinstance(value, int | float) and (value < schema.get("minimum", value) or value > schema.get("maximum", value)):
        found.append(f"{path}: {value}")
    return found


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_it_accepts_the_shipped_rules(file: Path) -> None:
    assert wrong(yaml.safe_load(file.read_text("utf-8")), SCHEMA) == []


@pytest.mark.parametrize(
    "change",
    [{"treshold": 1}, {"warn": {"bellow": 1}}, {"for": "soon"}, {"by": 3}, {"change": {"vs": "previous"}}, {"labels": {"a": 1}},
     {"tests": [{"name": "x", "timeline": [{"at": "0m", "value": 1, "expect": "firing"}]}]}, {"id": "Not so"},
     {"window": "7 days"}],
)  # fmt: skip
def test_it_refuses(change: dict[str, Any]) -> None:
    sound = yaml.safe_load(SHIPPED[0].read_text("utf-8"))
    assert len(wrong(sound | change, SCHEMA)) == 1


def test_it_knows_every_key() -> None:
    for branch, keys in (("else", KEYS), ("then", ENTITY_KEYS)):
        assert set(SCHEMA[branch]["properties"]) == set(keys)
        assert SCHEMA[branch]["additionalProperties"] is False
