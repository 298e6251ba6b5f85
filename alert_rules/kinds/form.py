"""How are the values of a rule file written, as JSON Schemas?"""

from collections.abc import Mapping
from typing import Any

STEP_KEYS = ("below", "above", "clear_above", "clear_below")
DURATION = {"anyOf": [{"const": 0}, {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$"}]}
PERCENT = {"type": "string", "pattern": r"^[+-]?\d+(\.\d+)?\s*%$"}
LEVEL = {
    "description": "in the KPI's unit: a number, a duration (4h), or with change a percentage (-30%)",
    "type": ["number", "string"],
}
TEXT = {"type": "string", "minLength": 1}
TEXTS = {"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]}


def an_object(form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a mapping with these keys only."""
    return {"type": "object", "properties": dict(form), "additionalProperties": False}
