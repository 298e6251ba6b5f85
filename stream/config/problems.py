"""What is said of a settings file that cannot be used: where, and what is accepted; never what was found there.

A misspelt key may hold a password, and what is said here goes to logs, to ``/readyz`` and to the page. Names of keys are
told, where they look like names; values are not, whatever they are.
"""

import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from models.config.suggest import meant
from models.config.yaml_text import Place

#: Of a setting with two forms: which one is meant. They are no part of a path that people read.
TABLE, FILE, ONE, LIST = "(table)", "(file)", "(one)", "(list)"
_KINDS = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number", type(None): "nothing"}

#: What is said of a key that is none.
UNKNOWN = "there is no such setting"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,60}")


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[tuple[Place, str]]:
    """Return all that is wrong: the path of each, and what to say of it."""
    found = []
    for item in error.errors(include_url=False):
        loc, text = item["loc"], item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            accepted = _keys(model, loc[:-1])
            text = f"{UNKNOWN}{meant(loc[-1], accepted)}"
            if item["input"] is None:  # `token:abc` without a space is a key with nothing behind it
                loc, text = (*loc[:-1], "…"), "a key without a value; a colon needs a space behind it"
        elif loc and loc[-1] == "[key]":
            loc, text = loc[:-1], "a key that is no text (accepted: text, in quotation marks)"
        elif item["type"] == "dict_type":
            also = ", or the path of a file" if loc[-1] == TABLE else ""
            text = f"found {_KINDS.get(type(item['input']), 'something else')} (accepted: a table{also})"
        elif item["type"] == "literal_error":
            text += meant(item["input"], re.findall("'([^']*)'", text))
        found.append((tuple(part for part in loc if part not in (TABLE, FILE, ONE, LIST)), text))
    return found


def path_of(loc: Sequence[int | str]) -> str:
    """Return a path as text; what does not look like the name of a key is left out."""
    parts = (str(part) for part in loc)
    return ".".join(part if part.isdecimal() or _NAME.fullmatch(part) else "…" for part in parts) or "(top)"


def _keys(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Return the keys that are accepted at a path; what is no field of a section is taken for an entry's name or place."""
    for part in loc:
        names = {field.alias or name: field for name, field in model.model_fields.items()}
        if isinstance(part, str) and part in names:
            below = _model(names[part].annotation)
            if below is None:
                return []
            model = below
    return [field.alias or name for name, field in model.model_fields.items()]


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model(one)) is not None), None)
