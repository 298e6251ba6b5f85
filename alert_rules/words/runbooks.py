"""Where does a reader find what is to be done about an alert?

A rule names a page: an address, or one of those that come with Vigie (``docs/runbooks/win-rate-drop.md``), which every instance
shows.
"""

import functools
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

_NAMED = re.compile(r"docs/runbooks/([a-z0-9-]+)\.md")


@functools.cache
def pages() -> dict[str, Traversable]:
    """Return the pages that come with Vigie, by name: those beside this package once it is installed, else the source tree's."""
    packed = files("alert_rules") / "runbooks"
    folder = packed if packed.is_dir() else Path(__file__).parents[2] / "docs" / "runbooks"
    return {one.name.removesuffix(".md"): one for one in folder.iterdir() if one.name.endswith(".md")} if folder.is_dir() else {}


def name_of(runbook: str | None) -> str | None:
    """Return the name of the page that comes with Vigie; None where a rule names no such page."""
    found = _NAMED.fullmatch(runbook or "")
    return found[1] if found is not None and found[1] in pages() else None


def address(runbook: str | None, home: str = "") -> str:
    """Return the address at which a rule's page opens; "" where there is none.

    ``home`` is the address at which people reach Vigie's page, "" where nobody has said it.
    """
    if (runbook or "").startswith(("http://", "https://")):
        return str(runbook)
    name = name_of(runbook)
    return f"{home.rstrip('/')}/runbooks/{name}" if name is not None and home else ""
