"""Is all that gets installed named with its version and hashes, and with no address?"""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def locked(file: Path) -> dict[str, str]:
    """Return the locked entries by name, each with its hashes."""
    entries = re.split(r"^(?=\S)", file.read_text("utf-8"), flags=re.MULTILINE)
    return {canonicalize_name(re.split(r"[=[]", entry)[0]): entry for entry in entries if entry.strip()}


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.name)
def test_every_entry_is_pinned_and_hashed(file: Path) -> None:
    assert "://" not in file.read_text("utf-8")
    for name, entry in locked(file).items():
        assert re.match(r"[\w.-]+(\[[^]]+\])?==\S+", entry), name
        assert "--hash=sha256:" in entry, name


@pytest.mark.parametrize(("name", "wanted"), [("run", []), ("dev", ["dev"])])
def test_every_dependency_is_locked_as_the_project_asks(name: str, wanted: list[str]) -> None:
    asked = [Requirement(line) for extra in wanted for line in PROJECT["optional-dependencies"][extra]]
    asked += map(Requirement, PROJECT["dependencies"])
    found = locked(ROOT / "requirements" / f"{name}.txt")
    for requirement in asked:
        entry = found[canonicalize_name(requirement.name)]
        version = re.search(r"==([^\s;]+)", entry)
        assert version is not None and requirement.specifier.contains(version[1]), str(requirement)


def test_what_runs_is_what_is_tested() -> None:
    run, dev = (locked(ROOT / "requirements" / f"{name}.txt") for name in ("run", "dev"))
    assert {name: dev.get(name) for name in run} == run
