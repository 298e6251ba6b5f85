"""Which fields of a Salesforce change event are meant: what has changed, and what was cleared?

Over CometD a field that has not changed is absent, and a null clears. Over Pub/Sub every field is there, null where it has not
changed, and the header says which are meant; by name, or as bitmaps that only the event's schema could read.
"""

import re
from collections.abc import Mapping
from typing import Any

#: Fields that no record is without: where one of them is null, nulls stand for what has not changed.
_NEVER_NULL = ("CreatedDate", "OwnerId", "StageName", "CloseDate", "IsClosed", "IsWon", "IsDeleted", "Status", "IsConverted")
#: Fields with fields in them; change events have those a level down.
_COMPOUND = ("Name", "Address")
_BITMAP = re.compile(r"(?:\d+-)?0[xX]([0-9A-Fa-f]+)", re.ASCII)


def said(change: Mapping[str, Any], header: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the fields that a change of a ``kind`` tells: null for one that was cleared, none that has not changed."""
    flat = {name: value for name, value in change.items() if name != "ChangeEventHeader"}
    changed, nulled = _names(header.get("changedFields")), _names(header.get("nulledFields"))
    for name in _COMPOUND:
        if isinstance(flat.get(name), dict):
            inner = flat.pop(name)
            flat = {**inner, **flat}
            if name in changed:
                changed += [part for part, value in inner.items() if value is not None]
    cleared = dict.fromkeys(nulled) if kind == "UPDATE" else {}
    if kind == "UPDATE" and changed:
        return {name: flat[name] for name in changed if name in flat} | cleared
    whole = any(name in header for name in ("changedFields", "nulledFields", "diffFields"))
    if kind != "UPDATE" or whole or any(flat.get(name, "") is None for name in _NEVER_NULL):
        flat = {name: value for name, value in flat.items() if value is not None}
    return flat | cleared


def _names(listed: Any) -> list[str]:
    """Return the fields that a header lists; none where there is no list, or one of bitmaps."""
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    if any(_BITMAP.fullmatch(name) for name in names):
        return []
    return [name.rpartition(".")[2] for name in names]


def cleared_unnamed(header: Mapping[str, Any]) -> bool:
    """Whether the header says that fields were cleared, in a bitmap."""
    listed = header.get("nulledFields")
    bits = [_BITMAP.fullmatch(one) for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
    return any(found is not None and int(found[1], 16) for found in bits)
