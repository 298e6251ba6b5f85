"""``vigie alerts`` against what a running instance answers."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner, Result

from tests.agents.doubles import receiver
from vigie.alerts import app

ALERT = {"id": "i1", "severity": "critical", "state": "firing", "rule": "win-rate-drop", "segment": {"source": "web"},
         "since": "2026-01-01T00:00:00Z", "acknowledged": {"by": "ann"}, "held": [{"stage": "silence"}]}  # fmt: skip
RUN = CliRunner()


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIGIE_TOKEN", raising=False)


async def ask(*arguments: str, body: Any = None, status: int = 200, token: str | None = "t0p") -> tuple[Result, list[Any]]:
    """Run the command beside a server that answers this."""
    async with receiver(web.Response(status=status), body=json.dumps(body).encode()) as server:
        url = server.url.removesuffix("/hook")
        environ = {"VIGIE_TOKEN": token}
        result = await asyncio.to_thread(RUN.invoke, app, [*arguments, "--url", url], env=environ)
        return result, server.received


async def test_list_and_show() -> None:
    result, _ = await ask("list", body=[ALERT])
    assert result.exit_code == 0 and "i1" in result.stdout and "ann" in result.stdout
    result, _ = await ask("show", "i1", body=[ALERT])
    assert json.loads(result.stdout) == ALERT
    assert (await ask("show", "i2", body=[ALERT]))[0].exit_code == 1


async def test_acts_carry_the_token() -> None:
    for arguments, method_path, sent in (
        (["ack", "i/1"], "/api/alerts/i%2F1/ack", b""),
        (["unack", "i1"], "/api/alerts/i1/unack", b""),
        (
            ["silence", "team=x", "rule=y", "--for", "2h"],
            "/api/silences",
            {"matchers": ["team=x", "rule=y"], "duration": "2h", "comment": ""},
        ),
        (["unsilence", "s1"], "/api/silences/s1", b""),
    ):
        result, received = await ask(*arguments, body={"type": "act"}, status=202)
        assert result.exit_code == 0, result.output
        assert (received[0].path, received[0].headers["authorization"]) == (method_path, "Bearer t0p")
        assert (json.loads(received[0].body) if isinstance(sent, dict) else received[0].body) == sent


async def test_what_is_refused() -> None:
    result, received = await ask("ack", "i1", token=None)
    assert (result.exit_code, received) == (2, [])
    result, _ = await ask("ack", "i1", status=401, body={"error": "no operator's token"})
    assert result.exit_code == 1 and "no operator's token" in result.stderr and "t0p" not in result.output
    assert RUN.invoke(app, ["list", "--url", "ftp://x"]).exit_code == 2
    assert RUN.invoke(app, ["list", "--url", "http://127.0.0.1:9"]).exit_code == 1


async def test_the_history_is_told_oldest_first() -> None:
    records = [
        {"offset": 9, "type": "notification", "at": "T4", "outcome": "sent", "incident": "i1", "receiver": "chat"},
        {
            "offset": 8,
            "type": "decision",
            "at": "T3",
            "outcome": "held",
            "stage": "silence",
            "incidents": ["i1"],
            "reason": "until",
        },
        {"offset": 7, "type": "act", "at": "T2", "act": "ack", "incident": "i1", "by": "ann", "via": "link"},
        {"offset": 6, "type": "transition", "at": "T1", "kind": "fired", "severity": "warn", "incident": "i1", "rule": "r"},
    ]
    body = {"records": records, "next": 6}
    result, received = await ask("history", "--incident", "i1", "--limit", "4", body=body)
    assert received[0].path == "/api/alerts/history?incident=i1&limit=4"
    assert received[0].headers["authorization"] == "Bearer t0p"
    places = [result.stdout.index(text) for text in ("T1", "fired (warn)", "T2", "over link", "T3", "held", "T4", "sent")]
    assert result.exit_code == 0 and places == sorted(places)
    result, _ = await ask("history", "--json", body=body, token=None)
    assert result.exit_code == 0 and json.loads(result.stdout) == body
