"""The rooms of the alerts: each public name is one thing."""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = [path for room in ("alert_rules", "agents") for path in sorted((ROOT / room).rglob("*.py"))]


def test_no_public_class_is_there_twice() -> None:
    trees = [ast.parse(path.read_text("utf-8")) for path in FILES]
    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_")
    assert len(names) > 80 and [name for name, count in names.items() if count > 1] == []
