"""Can somebody be shown, and erased, from the command line: while an instance runs, when none does, and when it is killed?"""

import getpass
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from models.privacy.subject import Subject
from stream.config.settings import load
from tests.integration.test_one_machine import Machine
from vigie.__main__ import app
from vigie.privacy_api import asked, named

LEAD, DEAL = "contact-90210-q", "deal-4400-q"


def event(kind: str, subject: str, number: int = 1, **data: Any) -> dict[str, Any]:
    at = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    return {
        "specversion": "1.0", "id": f"{subject}-{kind}-{number}", "source": "crm/test", "type": kind, "time": at,
        "subject": subject, "data": data,
    }  # fmt: skip


def some() -> list[dict[str, Any]]:
    jane = event("lead.created", LEAD, name="Jane Quillfeather", email_hash="5d41402abc4b2a76b9719d911017c592", source="web")
    deal = event("deal.created", DEAL, name="Jane Quillfeather, renewal", lead_id=LEAD, amount="99.50", currency="EUR", stage="x")
    rest = [event("deal.created", f"other-{n}-deal", amount="10", currency="EUR", stage="x") for n in range(300)]
    return [jane, deal, event("deal.won", DEAL), *rest]


def command(machine: Machine, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "vigie", *words], cwd=machine.folder, text=True, capture_output=True, timeout=120,
        env={**machine.environment, "VIGIE_WEB__PORT": str(machine.port)},
    )  # fmt: skip
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return done


def until(said: Callable[[], str], part: str) -> str:
    """Return what is said once a part is in it: entries are written after the answer."""
    end = time.monotonic() + 300
    while part not in (found := said()):
        assert time.monotonic() < end, found
    return found


def kept(folder: Path) -> bytes:
    [ledger] = folder.rglob("vigie.db")
    return b"\0".join(path.read_bytes() for path in ledger.parent.glob("vigie.db*"))


def killed_while_it_erases(machine: Machine) -> None:
    command_ = [sys.executable, "-m", "vigie", "privacy", "erase", "--lead", LEAD]
    environment = {**machine.environment, "VIGIE_WEB__PORT": str(machine.port)}
    log = machine.folder / "up.log"
    size = log.stat().st_size
    asking = subprocess.Popen(command_, cwd=machine.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while b"revoked" not in log.read_bytes()[size:] and asking.poll() is None:
        time.sleep(0.005)
    time.sleep(0.02)
    machine.end()
    asking.wait(120)


def test_somebody_is_shown_and_erased_while_an_instance_runs_and_is_killed_and_when_none_does(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.start()
    assert machine.send(some())
    machine.comes_to("revenue", 99.5)
    told = json.loads(command(machine, "privacy", "export", "--lead", LEAD).stdout)
    assert told["known_as"] == [{"kind": "lead", "id": LEAD}]
    assert {"leads", "fold-leads", "lead-states", "deals", "fold-deals"} <= {one["where"] for one in told["held"]}
    [first] = [one for one in told["held"] if one["where"] == "leads"]
    assert first["value"]["data"]["name"] == "Jane Quillfeather"
    machine.get(f"/api/entities/lead/{LEAD}")
    machine.get(f"/api/entities/lead/{LEAD}")
    read = json.loads(
        until(lambda: command(machine, "audit", "list", "--lead", LEAD, "--json").stdout, '"GET /api/entities/lead/{id}"')
    )
    assert [(one["what"], one["by"], one["status"]) for one in read] == [("GET /api/entities/lead/{id}", "", 200)], "once an hour"
    assert "whole: " in command(machine, "audit", "verify").stdout
    killed_while_it_erases(machine)
    machine.start()
    machine.comes_to("revenue", 99.5)
    certificate = json.loads(command(machine, "privacy", "erase", "--lead", LEAD, "--why", "a letter", "--json").stdout)
    # Either it had been done, or it had not been begun.
    assert (certificate["outcome"], certificate["by"]) == ("erased", "local") and certificate["gone"]
    there = kept(tmp_path)
    assert LEAD.encode() not in there and b"Quillfeather" not in there and DEAL.encode() in there
    machine.comes_to("revenue", 99.5)
    assert machine.send(some()[:1])  # it comes again
    assert LEAD.encode() not in kept(tmp_path)
    noted = command(machine, "audit", "verify").stdout.rpartition(" ")[2].strip()
    machine.end(signal.SIGTERM)
    acts = json.loads(command(machine, "audit", "list", "--json").stdout)
    assert [one["what"] for one in acts].count("POST /api/privacy/erase") >= 1
    assert "whole: " in command(machine, "audit", "verify", "--head", noted).stdout
    assert "is not there" in command(machine, "audit", "verify", "--head", "0" * 64, code=1).stdout
    assert "gone: 20" in command(machine, "privacy", "erase", "--deal", DEAL).stdout
    assert DEAL.encode() not in kept(tmp_path)
    acts = json.loads(command(machine, "audit", "list", "--deal", DEAL, "--json").stdout)
    assert [(one["what"], one["by"]) for one in acts] == [("vigie privacy erase", getpass.getuser())], "no instance was running"
    assert "whole: " in command(machine, "audit", "verify").stdout


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "accepted"),
        (b'{"kind":"lead"}', "id"),
        (b'{"kind":"cat","id":"a"}', "lead, deal, customer"),
        (b'{"kind":"lead","id":" "}', "as events have it"),
        (b'{"kind":"lead","id":"a1","why":"a1 asked"}', "without the id"),
        (b'{"kind":"lead","id":"a","more":1}', "more"),
        (b"\xff", "accepted"),
    ],
)
def test_what_is_asked_wrongly_is_told(body: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        asked(body)


def test_an_owner_whom_the_settings_name_is_not_erased_before_they_do_no_longer() -> None:
    settings = load(environ={}, owners={"1734": {"name": "Anna Moss"}})
    assert {where.split(".")[0] for where in named(Subject("owner", "1734"), settings)} == {"owners"}
    assert named(Subject("lead", "1734"), settings) == [] and named(Subject("owner", "17"), settings) == []


def test_the_register_is_told() -> None:
    told = CliRunner().invoke(app, ["privacy", "register", "--json"])
    tree = json.loads(told.stdout)
    assert tree["fields"]["email_hash"]["personal"] == "yes" and any(place["where"] == "topic leads" for place in tree["places"])


@pytest.mark.parametrize("words", [["export"], ["erase", "--lead", "a", "--deal", "b"], ["erase", "--lead", ""]])
def test_whom_is_one(words: list[str]) -> None:
    assert CliRunner().invoke(app, ["privacy", *words]).exit_code == 2
