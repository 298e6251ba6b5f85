"""A part of a package outside is there once it is installed, and one that is broken is named and stops nothing else.

The packages are real: built, installed into a folder of their own, found through their entry points by a process of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

PAGER = '''
"""An outsider's kind of receiver, in one file."""

from typing import ClassVar, Literal

from agents.notifiers.base import SettingsDoubt, ReceiverSettings, SecretUrl
from agents.notifiers.post import Poster
from alert_rules.tell.outcome import Outcome


class PagerSettings(ReceiverSettings):
    """A pager of the last century."""

    type: Literal["pager"]
    url: SecretUrl

    EXAMPLE: ClassVar = "{name: belt, type: pager, url: …}"
    READS_SUMMARIES: ClassVar = False

    def notifier(self):
        return PagerNotifier(self.name, self.url.get_secret_value())

    def doubts(self):
        yield SettingsDoubt("a pager has one line", "keep titles short")


class PagerNotifier:
    follows = False

    def __init__(self, name, url):
        self.name, self._url, self._poster = name, url, Poster()

    async def send(self, delivery) -> Outcome:
        return await self._poster.post(self._url, b"beep", {})

    async def close(self):
        await self._poster.close()
'''
FAX = '''
"""An outsider's sender of webhooks, with a setting of its own."""

from stream.sources.crm import Adapter, SourceSettings
from stream.sources.crm.values import event


class FaxSettings(SourceSettings):
    line: int = 1


def verify(request, settings):
    return None


def read(request, settings):
    yield event(settings, "fax", "lead.created", f"fax-{settings.line}", request.received_at, "f1")


ADAPTER = Adapter("fax", verify, read, needs=("token",), settings=FaxSettings)
'''
POINTS = """
[project.entry-points."vigie.notifiers"]
pager = "acme_vigie.pager:PagerSettings"
broken = "acme_vigie.broken:BrokenSettings"
slack = "acme_vigie.pager:PagerSettings"
nonsense = "acme_vigie.fax:ADAPTER"
[project.entry-points."vigie.sources"]
fax = "acme_vigie.fax:ADAPTER"
gone = "acme_vigie.nowhere:ADAPTER"
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package is installed."""
    source, target = tmp_path_factory.mktemp("acme"), tmp_path_factory.mktemp("site")
    package = source / "acme_vigie"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "pager.py").write_text(PAGER)
    (package / "fax.py").write_text(FAX)
    (package / "broken.py").write_text("raise RuntimeError('no pagers any more')\n")
    head = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    (source / "pyproject.toml").write_text(f'{head}[project]\nname = "acme-vigie"\nversion = "1.2"\n{POINTS}')
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True, capture_output=True)
    return target


#: Runs commands, each with settings of its own, and says as JSON what came of them: one process, as each imports everything.
RUNNER = """
import json, sys
from pathlib import Path
from typer.testing import CliRunner
from vigie.__main__ import app

found = {}
for name, settings, arguments in json.load(sys.stdin):
    Path("vigie.yaml").write_text(json.dumps(settings))
    result = CliRunner().invoke(app, arguments)
    found[name] = [result.exit_code, result.stdout, result.stderr, repr(result.exception)]
print("\\n" + json.dumps(found))
"""
BELT = {"name": "belt", "type": "pager", "url": "http://127.0.0.1:9/beep"}
SETTINGS = {"receivers": [BELT], "sources": {"fax": {"token": "0123456789abcdef0123456789", "line": 7}}}
PLAN = {"route": {"receiver": "belt"}}
CALLS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("doctor", SETTINGS, ["doctor", "--json"]),
    ("asked for", {"receivers": [BELT | {"type": "broken"}, BELT | {"name": "two", "urll": "x"}]}, ["routes", "check"]),
    ("gone", {"sources": {"gone": {}}}, ["sources", "list"]),
    ("a summary", {"receivers": [BELT], "alerting": {**PLAN, "digest": {"receivers": ["belt"]}}}, ["routes", "check"]),
    ("a plan", {"receivers": [BELT], "alerting": PLAN}, ["routes", "check"]),
    ("try", SETTINGS, ["sources", "try", "fax", "--request", "requests.jsonl"]),
    ("misspelt", {"sources": {"fax": {"lin": 7}}}, ["sources", "list"]),
]


class Result(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str
    error: str


Ran = dict[str, Result]


def run(target: Path | None, folder: Path) -> Ran:
    """Run the commands with what is installed in the target; return what came of each."""
    line = {"method": "POST", "path": "/webhooks/fax", "headers": {}, "body": "{}", "received_at": 1_795_262_400_000}
    (folder / "requests.jsonl").write_text(json.dumps(line) + "\n")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *([str(target)] if target is not None else [])])}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        env=environ,
        cwd=folder,
        input=json.dumps(CALLS),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {name: Result(*found) for name, found in json.loads(done.stdout.splitlines()[-1]).items()}


@pytest.fixture(scope="module")
def ran(target: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """What came of the commands where the package is installed."""
    return run(target, tmp_path_factory.mktemp("run"))


def test_a_package_outside_adds_a_receiver_and_a_sender(ran: Ran) -> None:
    found = {(one["check"], one["level"], one["found"]) for one in json.loads(ran["doctor"].out)["findings"]}
    assert ("receivers", "OK", "belt (pager)") in found
    assert ("receivers", "WARN", "belt: a pager has one line") in found
    assert ("sources", "OK", "fax: fax, 0 secrets") in found
    assert ("packages", "OK", "receivers of other packages: pager") in found
    assert ("packages", "OK", "senders of webhooks of other packages: fax") in found


def test_what_is_broken_is_named_and_stops_nothing(ran: Ran) -> None:
    findings = json.loads(ran["doctor"].out)["findings"]
    said = [one["found"] for one in findings if (one["check"], one["level"]) == ("packages", "FAIL")]
    for name, why in (
        ("broken", "acme_vigie.broken:BrokenSettings of acme-vigie 1.2: RuntimeError: no pagers any more"),
        ("gone", "acme_vigie.nowhere:ADAPTER of acme-vigie 1.2: ModuleNotFoundError: No module named 'acme_vigie.nowhere'"),
        ("nonsense", "acme_vigie.fax:ADAPTER of acme-vigie 1.2: it is no subclass of agents.notifiers.base.ReceiverSettings"),
        ("slack", "acme_vigie.pager:PagerSettings of acme-vigie 1.2: the name is that of a part of Vigie's own"),
    ):
        assert f"{name}: {why}" in said
    assert len(said) == 4
    assert all(
        f"{group} cannot be used: " in ran["doctor"].err for group in ("vigie.notifiers: broken", "vigie.notifiers: slack")
    )


def test_who_asks_for_the_broken_one_hears_why(ran: Ran) -> None:
    found = ran["asked for"]
    assert found.code == 1
    assert "receivers.0.type: its package cannot be used: acme_vigie.broken:BrokenSettings of acme-vigie 1.2" in found.err
    assert 'receivers.1.urll: there is no such setting (did you mean "url"?)' in found.err
    assert "sources.gone: its package cannot be used: acme_vigie.nowhere:ADAPTER" in ran["gone"].err


def test_the_plan_knows_that_it_takes_no_summary(ran: Ran) -> None:
    assert (ran["a summary"].code, "takes incidents only" in ran["a summary"].err) == (1, True)
    assert (ran["a plan"].code, "→ belt" in ran["a plan"].out) == (0, True)


def test_its_requests_are_read_with_its_own_settings(ran: Ran) -> None:
    assert [event["subject"] for event in json.loads(ran["try"].out)["events"]] == ["fax-7"]
    assert 'sources.fax.lin: there is no such setting (did you mean "line"?)' in ran["misspelt"].err


def test_without_the_package_it_is_a_type_that_there_is_not(tmp_path: Path) -> None:
    found = run(None, tmp_path)["a plan"]
    assert (found.code, found.error) == (1, "SystemExit(1)")
    assert "receivers.0.type: there is no such type" in found.err
