"""What do the documents say of the kinds of receivers? All of it is made of their settings."""

import ast
import inspect
from collections.abc import Mapping
from itertools import pairwise
from textwrap import dedent
from typing import Any

from pydantic.fields import FieldInfo

from agents.notifiers.base import ReceiverSettings

_HEAD = """# Receivers
Generated from agents/notifiers: change the code, then run `python -m vigie.schemas --write docs`.

An entry of `receivers` in `vigie.yaml` has a `name` (what routes call it), a `type`, and what this type takes; any may have a
`timezone`, on whose clock the times of its messages are (default: `business.timezone`), and a `language` in which it is told:
`en` or `fr` (default: `business.language`). What is marked *secret* is never shown, logged or told; give it as
`VIGIE_RECEIVERS='[…]'` or in a file that only Vigie reads.
What each kind shows and promises is in [alerts.md](alerts.md).
"""


def markdown(kinds: Mapping[str, type[ReceiverSettings]]) -> str:
    """Return the page of all kinds, a section each."""
    return "\n".join([_HEAD, *(_section(name, kind) for name, kind in kinds.items())])


def _section(name: str, kind: type[ReceiverSettings]) -> str:
    about = " ".join((kind.__doc__ or "").replace("``", "`").split())
    meant = described(kind)
    rows = [
        f"| `{field}` | {_form(found)} | {' '.join(meant.get(field, '').split())} |"
        for field, found in kind.model_fields.items()
        if field not in ReceiverSettings.model_fields
    ]
    table = ["", "| setting | | |", "|---|---|---|", *rows] if rows else []
    only = [] if kind.READS_SUMMARIES else ["", "Takes incidents only, no morning's summary."]
    guide = ["", f"How to set it up: [{kind.GUIDE}]({kind.GUIDE})."] if kind.GUIDE else []
    return "\n".join([f"## {name}", about, *guide, "", "```yaml", f"- {kind.EXAMPLE}", "```", *table, *only, ""])


def _form(field: FieldInfo) -> str:
    """Return whether a setting is needed, else what it is without being set; and whether it is a secret."""
    secret = "secret, " if "Secret" in str(field.annotation) else ""
    default = field.get_default(call_default_factory=True)
    if field.is_required():
        return f"{secret}needed"
    return f"{secret}optional" if default in (None, "") or secret else f"`{default}`"


def json_schema(kinds: Mapping[str, type[ReceiverSettings]]) -> dict[str, Any]:
    """Return the JSON Schema of ``receivers``: for editors, and for who writes the settings with a program."""
    forms = [kind.model_json_schema() for kind in kinds.values()]
    for kind, form in zip(kinds.values(), forms, strict=True):
        for field, meant in described(kind).items():
            form["properties"][field] = dict(sorted({**form["properties"][field], "description": meant}.items()))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Receivers of alerts",
        "type": "array",
        "items": {"oneOf": forms},
    }


def described(kind: type[ReceiverSettings]) -> Mapping[str, str]:
    """Return what the strings below a kind's fields say. Read from its source, and for documents only: a start needs none."""
    found: dict[str, str] = {}
    for part in reversed(kind.__mro__):
        if issubclass(part, ReceiverSettings):
            tree = ast.parse(dedent(inspect.getsource(part))).body[0]
            assert isinstance(tree, ast.ClassDef)
            for field, text in pairwise(tree.body):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    found.pop(field.target.id, None)  # what was said of it where it was declared first
                    if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str):
                        found[field.target.id] = inspect.cleandoc(text.value.value)
    return found


def examples(kinds: Mapping[str, type[ReceiverSettings]]) -> str:
    """Return an entry of each kind, commented out, for the example file; the last line is the comment that ends them."""
    return "".join(f"  # - {kind.EXAMPLE}\n" for name, kind in kinds.items() if name != "console") + "  # "
