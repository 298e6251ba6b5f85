"""Is a question usable, and if not: what was found where, and what is accepted?"""

import re
from typing import Any, TypeVar

import msgspec

from models.unusable import UnusableQuestion, no_slip

Asked = TypeVar("Asked", bound=msgspec.Struct)

_KINDS = {"float": "a number", "int": "a whole number", "array": "a list", "object": "an object", "str": "a text"}


def converted(document: Any, kind: type[Asked], accepted: str) -> Asked:
    """Return a JSON document as a question of this kind; a key near to one that is known is a slip, others are let be.

    Raises:
        UnusableQuestion: at the first thing that is wrong; ``accepted`` says what is instead of something that is no object.
    """
    if not isinstance(document, dict):
        raise UnusableQuestion("", document, accepted)
    no_slip(document, kind.__struct_fields__)
    try:
        return msgspec.convert({name: value for name, value in document.items() if value is not None}, kind)
    except msgspec.ValidationError as error:
        raise _invalid(error, document) from None


def _invalid(error: msgspec.ValidationError, document: Any) -> UnusableQuestion:
    """Return what is wrong in our words; the reader's are ``Expected `float`, got `str` - at `$.deals[0].p```."""
    text, _, path = str(error).partition(" - at `$")
    where = path.rstrip("`").lstrip(".")
    if text.startswith("Object missing"):
        missing = text.split("`")[1]
        return UnusableQuestion(f"{where}.{missing}".lstrip("."), None, "a value")
    found = document
    for step in filter(None, re.split(r"[.\[\]]+", where)):
        found = found[int(step) if isinstance(found, list) else step]
    kinds = re.findall(r"`([^`]*)`", text.partition(", got")[0])
    return UnusableQuestion(where, found, " or ".join(_KINDS.get(kind, kind) for kind in "".join(kinds).split(" | ")))
