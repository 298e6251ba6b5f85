"""What do the documents say of the kinds of receivers? All of it is made of their settings."""

from collections.abc import Mapping
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
    rows = [
        f"| `{field}` | {_form(found)} | {' '.join((found.description or '').split())} |"
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
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Receivers of alerts",
        "type": "array",
        "items": {"oneOf": forms},
    }


def examples(kinds: Mapping[str, type[ReceiverSettings]]) -> str:
    """Return an entry of each kind, commented out, for the example file; the last line is the comment that ends them."""
    return "".join(f"  # - {kind.EXAMPLE}\n" for name, kind in kinds.items() if name != "console") + "  # "
