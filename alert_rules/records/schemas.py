"""How is the form of the records of ``alerts`` and ``outbox`` told to programs: as JSON Schema?"""

import inspect
from typing import Any

import msgspec

from alert_rules.records.alerts import AlertRecord
from alert_rules.records.message import AlertMessage

_DIALECT = "http://json-schema.org/draft-07/schema#"


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema (draft 7) of a record of ``alerts`` as ``alert-record``, of ``outbox`` as ``outbox-message``.

    More fields may come with any version: a reader passes over those that it does not know.
    """
    return {
        "alert-record": _schema("alert-record", AlertRecord, "A record of the topic alerts, by its type."),
        "outbox-message": _schema("outbox-message", AlertMessage, "A record of the topic outbox."),
    }


def _schema(name: str, form: Any, about: str) -> dict[str, Any]:
    (schema,), parts = msgspec.json.schema_components([form], ref_template="#/definitions/{name}")
    schema.pop("discriminator", None)  # no word of draft 7's; each type names its own
    for part in parts.values():
        if "description" in part:
            part["description"] = inspect.cleandoc(part["description"]).partition("\n")[0]
    found = {"$schema": _DIALECT, "$id": f"urn:vigie:{name}", "description": about, **schema, "definitions": parts}
    return _draft_7(found)  # type: ignore[no-any-return]  # a mapping stays one


def _draft_7(tree: Any) -> Any:
    """Return a schema in draft 7's words: it has no ``prefixItems``, and what stands beside a ``$ref`` is not read."""
    if isinstance(tree, list):
        return [_draft_7(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    found = {name: _draft_7(value) for name, value in tree.items()}
    if "prefixItems" in found:
        found.update(items=found.pop("prefixItems"), additionalItems=False)
    return {"$ref": found["$ref"]} if "$ref" in found and "$schema" not in found else found
