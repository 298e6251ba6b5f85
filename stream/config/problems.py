"""What is said of a settings file that cannot be used: where, and what is accepted; never what was found there.

A misspelt key may hold a password, and what is said here goes to logs, to ``/readyz`` and to the page. Names of keys are
told, where they look like names; values are not, whatever they are.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,60}")
_QUOTED = re.compile(r"'.*'|\".*\"", re.DOTALL)


def near(found: object, accepted: Iterable[str]) -> str:
    """Return `` (did you mean …?)`` for a text that is close to one of those accepted, else nothing."""
    close = difflib.get_close_matches(found, list(accepted), 1) if isinstance(found, str) else []
    return f' (did you mean "{close[0]}"?)' if close else ""


def not_yaml(error: yaml.YAMLError | ValueError | RecursionError) -> str:
    """Return where a text stops being YAML and why, without any of it: YAML's own message quotes the line."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        place = getattr(error, "position", None)
        return "not YAML" if place is None else f"not YAML: at character {place + 1}: a character that is not allowed"
    why = _QUOTED.sub("…", str(getattr(error, "problem", "") or ""))
    return f"not YAML: line {mark.line + 1}, column {mark.column + 1}: {why}".rstrip(": ")


class Lines:
    """On which line of a YAML text is what?"""

    def __init__(self, text: str = "") -> None:
        self._root = yaml.compose(text, yaml.SafeLoader) if text else None

    def of(self, path: Sequence[int | str]) -> int | None:
        """Return the line (from 1) of what is at the path, or of the last part of it that there is; None for nothing."""
        node, line = self._root, None
        for part in path:
            if isinstance(node, yaml.MappingNode):
                found = next(((key, value) for key, value in node.value if key.value == part), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                break
        return line


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[tuple[tuple[int | str, ...], str]]:
    """Return all that is wrong: the path of each, and what to say of it."""
    found = []
    for item in error.errors(include_url=False):
        loc, text = item["loc"], item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            accepted = _keys(model, loc[:-1])
            text = f"there is no such setting{near(loc[-1], accepted)}"
            if item["input"] is None:  # `token:abc` without a space is a key with nothing behind it
                loc, text = (*loc[:-1], "…"), "a key without a value; a colon needs a space behind it"
        elif item["type"] == "literal_error":
            text += near(item["input"], re.findall("'([^']*)'", text))
        found.append((loc, text))
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
