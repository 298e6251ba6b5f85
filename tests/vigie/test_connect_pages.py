"""Do the pages of docs/connect work for somebody who does what they say?"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from typer.testing import CliRunner

from tests.kafka_broker import free_port
from vigie.__main__ import app

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "examples/sources"


def tried(name: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    for variable in [variable for variable in os.environ if variable.startswith("VIGIE_")]:
        monkeypatch.delenv(variable)
    given = ["sources", "try", name, "--request", str(SOURCES / f"{name}.jsonl"), "--config", str(SOURCES / f"{name}.yaml")]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def test_zohos_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = tried("zoho", monkeypatch)
    assert [(answer["status"], answer["reason"]) for answer in answers] == [(200, None)] * 3 + [(401, "bad_credentials")]
    events = [event for answer in answers for event in answer["events"]]
    assert [(event["type"], event["source"], event["time"]) for event in events] == [
        ("deal.created", "crm/zoho", "2026-03-31T15:05:02Z"),
        ("deal.won", "crm/zoho", "2026-04-02T09:00:00Z"),
        ("lead.contacted", "crm/zoho", "2026-04-02T09:10:00Z"),
    ]
    created = {"amount": "1250.00", "default_currency": "EUR", "stage": "Qualification", "owner": "ann", "source": "Web"}
    assert events[0]["data"] == created | {"expected_close_date": "2026-06-30"}


def test_nomadias_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = tried("nomadia", monkeypatch)
    assert all(answer["status"] == 200 and answer["reason"] is None for answer in answers)
    events = [event for answer in answers for event in answer["events"]]
    assert [(event["type"], event["subject"], event["data"].get("amount")) for event in events] == [
        ("deal.created", "OP-77", "1250.50"),
        ("deal.activity", "OP-77", None),
        ("deal.won", "OP-77", "1400.00"),
        ("customer.invoiced", "C-9", "1400.00"),
    ]
    assert answers[0]["ignored"] == ["no rule of the mapping applies"], "a visit that did not take place"


def test_requests_sent_by_hand_arrive(tmp_path: Path) -> None:
    """The commands of docs/connect/README.md, to the letter but for the port."""
    if missing := [program for program in ("sh", "openssl", "curl", "od") if shutil.which(program) is None]:
        pytest.skip(f"REQUESTS BY HAND NOT TESTED: {', '.join(missing)} not on the PATH")
    page = (ROOT / "docs/connect/README.md").read_text()
    page = page[page.index("## Send one by hand") :]
    port = str(free_port())
    settings, commands = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("yaml", "sh"))
    assert settings is not None and commands is not None
    (tmp_path / "vigie.yaml").write_text(settings[1].replace("8080", port))
    plain = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")}
    with (tmp_path / "log").open("wb") as log:
        environment = plain | {"VIGIE_WEB__PORT": port}
        command = [sys.executable, "-m", "vigie", "up"]
        up = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 300
        while not _ready(url):
            assert up.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.2)
        script = ["sh", "-e", "-c", commands[1].replace("8080", port)]
        sent = subprocess.run(script, env=plain, capture_output=True, text=True, timeout=600, check=False)
        assert sent.returncode == 0 and not sent.stderr, sent.stderr
        assert sent.stdout.startswith('{"accepted":1,"unusable":0}{"accepted":1,"unusable":0}{"accepted":2,"unusable":0}['), (
            sent.stdout
        )
        asked = f"{url}/api/kpis?kpi=sales&window=24h"
        while (sales := httpx.get(asked, timeout=60).json()[0]["value"]) != 3:
            assert time.monotonic() < end, sales
            time.sleep(0.2)
    finally:
        up.terminate()
        up.wait(120)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=60).status_code == 200
    except httpx.TransportError:
        return False
