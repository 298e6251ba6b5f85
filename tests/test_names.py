"""Is each public class called by a name of its own, in all rooms?"""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("models", "alert_rules", "stream", "agents", "vigie")
#: The authority of the contract, and the structs that read it fast, name the same events.
TWINS = ROOT / "models/events/contract.py"


def twice() -> dict[str, list[str]]:
    """Return the names of public classes that are there more than once, with their files."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py") if path != TWINS):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name[0] != "_":
                found[node.name].append(str(path.relative_to(ROOT)))
    assert len(found) > 600
    return {name: files for name, files in found.items() if len(files) > 1}


def test_no_public_class_is_there_twice() -> None:
    assert twice() == {}
