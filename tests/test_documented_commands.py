"""Do the commands of the documents exist, with the options they are shown with; and do those that can run, run?"""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vigie.__main__ import Commands

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^(<!-- run -->\n)?```(?:console|sh|shell|bash)\n(.*?)^```", re.M | re.S)


def lines(*, marked: bool) -> list[Any]:
    """The command lines of all pages, with where they stand; ``marked``: of blocks that are run only."""
    found = []
    for page in PAGES:
        for block in BLOCK.finditer(page.read_text("utf-8")):
            for line in block[2].splitlines() if block[1] or not marked else ():
                if line.startswith("$ vigie "):
                    found.append(pytest.param(line[2:], id=f"{page.relative_to(ROOT)}: {line[2:60]}"))
    return found


def words(line: str) -> list[str]:
    """The words of a command, without its comment, what is piped in and out, and what stands for a choice."""
    line = re.split(r"\s#|\s[|<>]\s|;|\s·\s", line)[0]
    return [word for word in shlex.split(re.sub(r"\[[^]]*\]", "", line)) if word not in ("…", "...")][1:]


@pytest.mark.parametrize("line", lines(marked=False))
def test_a_command_exists_with_its_options(line: str) -> None:
    first, *rest = words(line)
    assert first in Commands.places, line
    command: Any = Commands.places[first].load(first)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, line
        command, rest = command.commands[rest[0]], rest[1:]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    asked = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert asked <= options, f"{line}: {sorted(asked - options)}"


def test_there_are_many_of_them() -> None:
    assert len(lines(marked=False)) > 30 and len(lines(marked=True)) > 5


def test_what_can_run_runs(tmp_path: Path) -> None:
    """In the order of the page, in a folder of its own, with nothing else there."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": "100", "PYTHONDONTWRITEBYTECODE": "1"}
    for parameter in lines(marked=True):
        command = [sys.executable, "-m", "vigie", *words(parameter.values[0])]
        told = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert told.returncode == 0, f"{parameter.values[0]}\n{told.stdout[-500:]}{told.stderr[-2000:]}"
