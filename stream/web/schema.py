"""What do the routes answer, for the OpenAPI document? JSON Schemas of the answers that are no models."""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}

#: Whatever is refused says why.
ERROR: Schema = {"type": "object", "properties": {"error": _TEXT}, "required": ["error"]}
#: What came of a webhook.
ACCEPTED: Schema = {
    "type": "object",
    "properties": {"accepted": _COUNT, "unusable": _COUNT},
    "required": ["accepted", "unusable"],
    "additionalProperties": False,
}
#: When to come back, in seconds.
RETRY: Schema = {
    "retry-after": {"description": "Seconds after which to try again", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
}


def described(text: str, schema: Schema, *kinds: str, headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return an answer of the document: JSON of this schema, or text of the other ``kinds`` of content."""
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    content |= {kind: {"schema": _TEXT} for kind in kinds}
    return {"description": text, "content": content, **({"headers": dict(headers)} if headers else {})}
