"""Is what the engine uses of Faust and aiokafka without their word still there, and is it used in one place only?

``make newest`` runs this, and the engine's other tests, with the newest releases instead of the pinned ones.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream.engine.app import build_app
from stream.engine.options import EngineOptions
from stream.engine.seam_names import NAMES, TESTED, Unsupported, check

ROOT = Path(__file__).parents[3]
#: Of ``collections.namedtuple``, and of os: they begin with ``_`` and are documented.
PROMISED = {"_replace", "_fields", "_asdict", "_make", "_exit"}
ROOMS = ("models", "alert_rules", "stream", "agents", "vigie")


def test_all_that_is_used_is_there() -> None:
    check()


@pytest.mark.parametrize("place", NAMES)
def test_what_a_release_has_renamed_is_named_at_the_start(place: str) -> None:
    changed = {place: (*NAMES[place], "_gone")}
    with pytest.raises(Unsupported, match=rf"{place.replace(':', '.')}\._gone, which the engine uses; install .*pip install"):
        check(changed)


def test_a_name_that_a_method_no_longer_sets_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    from aiokafka.consumer import fetcher

    class Renamed:
        def __init__(self) -> None:
            self._problem = None

        def check_raise(self) -> None:
            raise self._error  # type: ignore[attr-defined]  # reading is not having

    monkeypatch.setattr(fetcher, "FetchError", Renamed)
    with pytest.raises(Unsupported) as caught:
        build_app(EngineOptions(brokers="b:1"))
    text = str(caught.value)
    assert "aiokafka.consumer.fetcher.FetchError._error" in text
    assert text.startswith("aiokafka ")
    assert all(f"'{package}=={version}'" in text for package, version in TESTED.items())


def test_a_module_or_a_class_that_is_gone_is_missed() -> None:
    with pytest.raises(Unsupported, match=r"faust-streaming .*: not found: faust\.nowhere, faust\.tables\.recovery\.Gone"):
        check({"faust.nowhere": ("x",), "faust.tables.recovery:Gone": ("x",)})


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path, ast.parse(path.read_text())


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PROMISED


LIBRARIES = ("faust", "mode", "aiokafka")


def has_libraries(tree: ast.Module) -> bool:
    """Whether a module imports something of theirs."""
    found = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    found += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return any(name.split(".")[0] in LIBRARIES for name in found)


def used(tree: ast.Module) -> set[str]:
    """Private names that a module takes from others, or overrides in what it inherits from others."""
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    return {name for name in found if private(name)}


def test_only_the_seam_uses_private_names_of_the_libraries() -> None:
    known = {name for names in NAMES.values() for name in names if private(name)}
    wrong = []
    for path, tree in modules():
        where = path.relative_to(ROOT).as_posix()
        if path.stem in ("seam", "seam_names"):
            continue
        libraries = has_libraries(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
                wrong += [f"{where}:{node.lineno}: {alias.name}" for alias in node.names if private(alias.name)]
            if isinstance(node, ast.Attribute) and private(node.attr):
                own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
                foreign = libraries and not node.attr[1:].isupper()  # librdkafka's error codes begin with _ as well
                if (foreign or node.attr in known) if not own else (libraries and node.attr in known):
                    wrong.append(f"{where}:{node.lineno}: {ast.unparse(node)}")
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and libraries and node.name in known:
                wrong.append(f"{where}:{node.lineno}: def {node.name}")
    assert wrong == [], "only stream/engine/seam.py knows these; give them a name there"


def test_the_list_is_what_the_seam_uses() -> None:
    [tree] = [tree for path, tree in modules() if path.stem == "seam"]
    listed = {name for names in NAMES.values() for name in names}
    ours = {"_fetcher", "_Lenient", "_next", "_batches"}  # of classes that are the seam's own
    assert used(tree) - ours <= listed
    assert {name for name in listed if private(name)} <= used(tree)


def test_the_pinned_releases_are_those_that_were_tested() -> None:
    lock = (ROOT / "requirements" / "run.txt").read_text()
    assert dict(re.findall(rf"(?m)^({'|'.join(TESTED)})(?:\[.*\])?==(\S+)", lock)) == TESTED


def test_the_seam_is_imported_after_the_check() -> None:
    """Else a name that is missing would be an ImportError before anyone could say what to do."""
    source: Any = importlib.import_module("stream.engine.app")
    tree = ast.parse(Path(source.__file__).read_text())
    top = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert not any(alias.name == "seam" or (node.module or "").endswith("seam") for node in top for alias in node.names)
