"""What are the parts of which the OpenAPI document of the routes is made (``schema_operations.py``)?"""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TIME: Schema = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}


def an_object(required: Mapping[str, Schema], **more: Schema) -> Schema:
    """An object with properties that are always there, and others."""
    return {"type": "object", "properties": {**required, **more}, "required": list(required)}


def a_list(of: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": of}


def or_null(schema: Schema) -> Schema:
    """A value, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


#: Of a problem (RFC 9457): ``error`` says the same as ``detail``.
PROBLEM = {"type": TEXT, "title": TEXT, "status": {"type": "integer"}, "detail": TEXT, "error": TEXT}
ERROR = an_object(PROBLEM)
_SAID = an_object({"error": TEXT})
RETRY = {"retry-after": {"description": "Seconds after which to try again", "schema": {"type": "string", "pattern": "^[0-9]+$"}}}
AGAIN = (429, 503)


def said(text: str, schema: Schema | None = None, *kinds: str, retry: bool = False) -> dict[str, Any]:
    """Return an answer: JSON of a schema, text of other kinds of content, or nothing at all."""
    content: dict[str, Any] = {} if schema is None else {"application/json": {"schema": schema}}
    content |= {kind: {"schema": TEXT} for kind in kinds}
    return {"description": text, **({"content": content} if content else {}), **({"headers": RETRY} if retry else {})}


def problem(text: str, schema: Schema = ERROR, *, retry: bool = False) -> dict[str, Any]:
    """Return a refusal: problem details, of a schema."""
    answer = {"description": text, "content": {"application/problem+json": {"schema": schema}}}
    return {**answer, "headers": RETRY} if retry else answer


def errors(**texts: str) -> dict[str, Any]:
    """Return refusals by status (``_404="…"``), each with a text that says why."""
    return {name[1:]: problem(text, retry=int(name[1:]) in AGAIN) for name, text in texts.items()}


def door_errors(**texts: str) -> dict[str, Any]:
    """Return refusals of the doors for senders: JSON, which senders know."""
    return {name[1:]: said(text, _SAID, retry=int(name[1:]) in AGAIN) for name, text in texts.items()}


def query(*names: str) -> list[Schema]:
    """Optional parameters of a query."""
    return [{"name": name, "in": "query", "required": False, "schema": TEXT} for name in names]


def body(*kinds: str, schema: Schema | None = None, required: bool = True) -> dict[str, Any]:
    """The body of a request, of these kinds of content."""
    return {"required": required, "content": {kind: {"schema": schema or {}} for kind in kinds}}
