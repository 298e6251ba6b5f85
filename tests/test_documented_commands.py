"""Do the commands of the documents exist, with the options they are shown with; and do those that can run, run?

What is not run here needs something beside it: each such command is named below with why, and with the tests that run it there.
"""

import os
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from vigie.__main__ import Commands, app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^(<!-- run -->\n)?```(?:console|sh|shell|bash)\n(.*?)^```", re.M | re.S)
#: A line of a block that is a command of ours: as it is, after a prompt, out of .venv, or with something given to it.
LINE = re.compile(r"^(?:\$ )?(?:echo '(?P<given>[^']*)' \| )?(?:\.venv/bin/)?(?P<command>vigie .*)$")
_ASKS = "asks a running instance"
_RUNS = "runs until it is ended"
_KAFKA = "needs a Kafka"
_FILES = "needs files of a CRM"
#: Why commands are not run here, by their first words, and the tests that run them.
ELSEWHERE = {
    "alerts": (_ASKS, "tests/vigie/test_remote.py"),
    "audit": ("needs a ledger with readers", "tests/vigie/test_erase.py"),
    "backfill": (_FILES, "tests/integration/test_backfill.py"),
    "backup": ("needs a ledger", "tests/stream/ledger/test_copies.py"),
    "customers": (_ASKS + ", or needs files of purchases", "tests/vigie/test_clientele.py"),
    "doctor": ("says what is wrong with this machine", "tests/vigie/test_doctor_fresh.py"),
    "export": (_ASKS, "tests/stream/web/feeds/test_export.py"),
    "forecast period": (_ASKS, "tests/vigie/test_forecast_period.py"),
    "forecast scores": (_ASKS, "tests/vigie/test_forecast_period.py"),
    "forecast series": ("shown with a history that is cut", "tests/vigie/test_forecast.py"),
    "kpis": (_ASKS, "tests/vigie/test_remote.py"),
    "models": (_ASKS + ", or learns for minutes", "tests/vigie/test_models.py"),
    "move": (_KAFKA, "tests/integration/test_moving.py"),
    "publish": (_ASKS, "tests/vigie/test_publish_counts.py"),
    "replay": ("is run whole, on a history", "tests/vigie/test_replay.py"),
    "rules backtest": (_FILES + ", or runs for a minute", "tests/vigie/test_backtest.py"),
    "sources try": ("needs requests of a sender", "tests/vigie/test_sources.py"),
    "topics create": (_KAFKA, "tests/integration/test_security.py"),
    "up": (_RUNS, "tests/integration/test_one_machine.py"),
    "upgrade": (_KAFKA, "tests/vigie/test_upgrade.py"),
    "web": (_RUNS, "tests/integration/test_roles.py"),
    "worker": (_RUNS, "tests/integration/test_roles.py"),
}


class Shown(NamedTuple):
    """A command of a document: on which page, whether its block is run, the line, and what it is given to read."""

    page: str
    run: bool
    line: str
    given: str | None

    @property
    def words(self) -> list[str]:
        """The words after ``vigie``, without comment, what is piped out, and what stands for a choice."""
        line = re.split(r"\s#|\s[|<>]\s|;|\s·\s", self.line)[0]
        return [word for word in shlex.split(re.sub(r"\[[^]]*\]", "", line)) if word not in ("…", "...")][1:]


def shown() -> list[Shown]:
    """All commands of all pages, in their order."""
    found = []
    for page in PAGES:
        for block in BLOCK.finditer(page.read_text("utf-8")):
            for match in filter(None, map(LINE.match, block[2].splitlines())):
                found.append(Shown(page.relative_to(ROOT).as_posix(), bool(block[1]), match["command"], match["given"]))
    return found


SHOWN = shown()


@pytest.mark.parametrize("command", [pytest.param(one, id=f"{one.page}: {one.line[:60]}") for one in SHOWN])
def test_a_command_exists_with_its_options(command: Shown) -> None:
    first, *rest = command.words
    assert first in Commands.places, command
    found: Any = Commands.places[first].load(first)
    while hasattr(found, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in found.commands, command
        found, rest = found.commands[rest[0]], rest[1:]
    options = {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    asked = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert asked <= options, f"{command}: {sorted(asked - options)}"


def test_each_is_run_here_or_elsewhere_and_why_is_said() -> None:
    assert len(SHOWN) > 60 and sum(one.run for one in SHOWN) > 10
    left = {" ".join(one.words[:2]) for one in SHOWN if not one.run}
    named = {name for name in ELSEWHERE for one in left if one == name or one.startswith(f"{name} ") or one.split()[0] == name}
    unknown = [one for one in left if not {one, one.split()[0]} & ELSEWHERE.keys()]
    assert not unknown, f"neither run nor named: {unknown}"
    assert named == ELSEWHERE.keys(), f"named for nothing: {ELSEWHERE.keys() - named}"
    assert all((ROOT / test).is_file() for _, test in ELSEWHERE.values())


def test_what_can_run_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tour first, in a folder of its own with nothing else there: what other pages read it has written."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("VIGIE_")]:
        monkeypatch.delenv(name)
    run = [one for one in SHOWN if one.run]
    for one in sorted(run, key=lambda one: one.page != "docs/tour.md"):
        told = CliRunner().invoke(app, one.words, input=one.given)
        assert told.exit_code == 0, f"{one.page}: {one.line}\n{told.output[-2000:]}"
        assert told.stdout or told.stderr, one.line
