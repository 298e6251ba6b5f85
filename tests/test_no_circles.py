"""Does any module need itself, by way of others? Imports inside functions and for types only count as well."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("models", "alert_rules", "stream", "agents", "vigie", "bench", "tests")


def imports(root: Path) -> dict[str, set[str]]:
    """Module → the modules of ours that it imports, wherever in it."""
    paths = {path: path.relative_to(root).with_suffix("").parts for folder in FOLDERS for path in (root / folder).rglob("*.py")}
    names = {path: ".".join(parts[:-1] if parts[-1] == "__init__" else parts) for path, parts in paths.items()}
    known = set(names.values())
    return {name: {found for found in _imported(path, known) if found != name} for path, name in names.items()}


def _imported(path: Path, known: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                if submodule in known or node.module in known:
                    yield submodule if submodule in known else node.module


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle, in order, if there is any."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_no_module_needs_itself() -> None:
    graph = imports(ROOT)
    assert len(graph) > 300
    assert circle(graph) == []


@pytest.mark.parametrize("how", ["from stream.b import x", "import stream.b", "def f():\n    from stream import b"])
def test_a_circle_is_found(how: str, tmp_path: Path) -> None:
    (tmp_path / "stream").mkdir()
    (tmp_path / "stream" / "a.py").write_text(how)
    (tmp_path / "stream" / "b.py").write_text("from stream.a import y")
    assert set(circle(imports(tmp_path))) == {"stream.a", "stream.b"}
