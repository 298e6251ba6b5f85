"""Is there a function, a class or an import that nothing in the program uses? (`make check` runs this.)

Only what is used by the program counts, not by its tests. Fields and constants are left out: most of them are read by name.
"""

from pathlib import Path

import pytest
from vulture import Vulture

ROOT = Path(__file__).parent.parent
ROOMS = ("models", "alert_rules", "stream", "agents", "vigie")

#: Called by a library, which knows them by name.
CALLED_BY = {
    "Faust": ["loads_key", "loads_value", "on_first_start", "on_start", "perform_seek", "verify_event_path", "FoldTables"],
    "Faust, behind the seam": ["_new_consumer_thread", "_new_offset", "_drain_messages", "_restart_recovery"],
    "Faust's recovery": ["_slurp_changelogs", "_publish_stats"],
    "aiokafka": ["size_in_bytes"],
    "pydantic": ["field_title_should_be_set"],
    "PyYAML": ["ignore_aliases"],
    "Typer": ["list_commands"],
    "uvicorn": ["capture_signals"],
    "the tests' clock": ["next_wake"],
    "nobody yet": ["mention"],  # the owners' Slack ids
}
DECORATED = [
    "@*.command",
    "@*.callback",
    "@*.get",
    "@*.post",
    "@*.put",
    "@*.delete",
    "@*.options",
    "@*.api_route",
    "@*validator",
    "@*.head",
]


def dead(folder: Path) -> list[str]:
    found = Vulture(ignore_decorators=DECORATED)
    found.scavenge([str(folder / room) for room in ROOMS])
    kinds = {"function", "method", "class", "property", "import"}
    return [f"{item.filename}:{item.first_lineno}: {item.name}" for item in found.get_unused_code() if item.typ in kinds]


@pytest.fixture(scope="module")
def unused() -> list[str]:
    """What the program itself does not use, libraries' names with it."""
    return dead(ROOT)


def test_nothing_is_dead(unused: list[str]) -> None:
    called = {name for group in CALLED_BY.values() for name in group}
    assert [line for line in unused if line.rpartition(" ")[2] not in called] == []


def test_every_exception_is_one(unused: list[str]) -> None:
    names = {line.rpartition(" ")[2] for line in unused}
    assert [name for group in CALLED_BY.values() for name in group if name not in names] == []


@pytest.mark.parametrize("text", ["def lost():\n    pass\n", "class Lost:\n    def gone(self): ...\n"])
def test_what_is_dead_is_found(text: str, tmp_path: Path) -> None:
    for room in ROOMS:
        (tmp_path / room).mkdir()
    (tmp_path / "stream" / "x.py").write_text(text)
    assert dead(tmp_path)
