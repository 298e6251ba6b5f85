"""Commands and the instance that the same user runs on this machine, on the broker in its memory."""

import asyncio
import http.server
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from typer.testing import CliRunner

from models.calendar import iso
from stream.config.settings import load
from stream.engine.options import wall_clock
from tests.models.learners.live import Loop
from tests.models.learners.test_live import jittered
from tests.tools import free_port
from vigie import local
from vigie.__main__ import app
from vigie.local import Local, announced
from vigie.remote import of_settings
from vigie.up import up

Vigie = Callable[..., Awaitable[tuple[int, str]]]


def event(number: int, kind: str, at: int, **data: Any) -> dict[str, Any]:
    told = {"specversion": "1.0", "id": f"e{number}", "source": "/test", "type": kind, "subject": f"D{number}", "time": iso(at)}
    return {**told, "data": data}


def history(now: int) -> list[dict[str, Any]]:
    """Return 700 won deals of ten each (two batches), and one that nobody can use."""
    events = []
    for number in range(700):
        at = now - 86_400_000 - number * 60_000
        events.append(event(number, "deal.won", at, amount=10, currency="EUR"))
    return [*events, event(9_999, "deal.won", now - 3_600_000, amount="plenty")]


async def test_events_get_in_and_dead_letters_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    port = free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")} | {
        "VIGIE_WEB__PORT": str(port),
        "COLUMNS": "80",
    }

    async def vigie(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "vigie", *arguments]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
        async with asyncio.timeout(120):
            out, _ = await process.communicate()
        return process.returncode or 0, " ".join(out.decode().split())

    code, said = await vigie("publish", "/dev/null")
    assert code == 1 and "(accepted: an instance that runs there, such as `vigie up`" in said, said
    code, said = await vigie("dead-letters", "list")
    assert code == 1 and "(accepted: an instance that runs there, such as `vigie up`" in said, said

    file, worse = tmp_path / "history.jsonl", tmp_path / "worse.jsonl"
    file.write_bytes(b"\n".join(orjson.dumps(one) for one in history(wall_clock())))
    worse.write_bytes(orjson.dumps({"type": "nonsense.happened"}))
    running = asyncio.create_task(up(load(environ={}, web__port=port, kafka__partitions=2), demo=False, seed=1))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as web, asyncio.timeout(480):
            await _ready(web, running)
            code, said = await vigie("publish", str(file))
            assert code == 0 and "701 events acknowledged" in said, said
            # It is folded by the time it is acknowledged; readings are shown for up to a second more.
            assert await _sales(web) == 700
            assert (await vigie("publish", str(file)))[0] == 0  # again: it counts once
            (sales,) = [r for r in (await web.get("/api/kpis?window=30d")).json() if r["kpi"] == "sales"]
            assert sales["value"] == 700
            code, said = await vigie("publish", str(worse))
            assert code == 1 and "belongs to no topic" in said, said
            code, said = await vigie("dead-letters", "list")
            assert code == 0 and "bad_amount data.amount: found 'plenty'" in said, said
            letter = said.split()[0]
            code, said = await vigie("dead-letters", "show", letter)
            assert code == 0 and '\\"amount\\":\\"plenty\\"' in said and f'"id": "{letter}"' in said, said
            code, said = await vigie("dead-letters", "redrive", "--all", "--url", f"http://127.0.0.1:{port}")
            assert "2 sent again, 0 not" in said, said

            own = local.found(port)
            assert own is not None and (await vigie("alerts", "token")) == (0, own.token)
            assert oct((local.folder() / f"{port}.json").stat().st_mode)[-3:] == "600"
            line = orjson.dumps(history(wall_clock())[0])
            for headers, status in (
                ({}, 401),
                ({"authorization": "Bearer guess"}, 401),
                ({"authorization": f"Bearer {own.token}"}, 200),
            ):
                assert (await web.post("/api/events", content=line, headers=headers)).status_code == status
            headers = {"authorization": f"Bearer {own.token}"}
            assert (await web.get("/api/dead-letters")).status_code == 401, "they hold what senders sent"
            for path, status, words in (
                ("?reason=taste", 400, "reason: found 'taste' (accepted: no_value, "),
                ("/deals-0-123456", 404, "no dead letter 'deals-0-123456'"),
            ):
                answer = await web.get(f"/api/dead-letters{path}", headers=headers)
                assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text
            for body, words in ((b"[]", "found []"), (b'{"id": []}', "found ['id']"), (b'{"force": 1}', "force: found 1")):
                answer = await web.post("/api/dead-letters/redrive", content=body, headers=headers)
                assert (answer.status_code, words in answer.json()["error"]) == (400, True), answer.text
            assert (await web.post("/api/events", content=b"x\n" * 501, headers=headers)).status_code == 413
            assert (await web.post("/api/events", content=b"x" * (1 << 20) + b"x", headers=headers)).status_code == 413
            mixed = (await web.post("/api/events", content=line + b"\nx", headers=headers)).json()
            assert mixed["acknowledged"] == 1 and mixed["refused"][0]["line"] == 2
            await _models(web, vigie, tmp_path, headers)
            # The local token closes nothing that was open without operators.
            assert (await web.get("/api/alerts/history")).status_code == 200
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert local.found(port) is None


async def _models(web: httpx.AsyncClient, vigie: Vigie, tmp_path: Path, headers: dict[str, str]) -> None:
    """A model that was learnt elsewhere is brought to an instance without a Kafka, taken away again, and forgotten."""
    taught = Loop(interval=0).run(jittered(12))
    document = tmp_path / "deal-model.json"
    document.write_bytes(taught.rows["learn"][b"M:deal"])
    (lessons,) = [one["lessons"] for one in taught.learner.status() if one["model"] == "deal"]

    async def begun(why: str) -> dict[str, Any]:
        while True:
            for one in (await web.get("/api/models")).json():
                if one["model"] == "deal" and one["began"] == why:
                    return dict(one)
            await asyncio.sleep(0.1)

    for wrong, status in (({}, 401), (headers, 400)):
        assert (await web.put("/api/models/deal/document", content=b"{}", headers=wrong)).status_code == status
        assert (await web.delete("/api/models/weather/document", headers=wrong)).status_code == (404 if wrong else 401)
    code, said = await vigie("models", "import", "deal", str(document))
    assert code == 0 and "imported from deal-model.json" in said, said
    assert (await begun("imported by local"))["lessons"] == lessons > 0
    code, said = await vigie("models", "reset", "deal")
    assert code == 0, said
    assert (await begun("reset by local"))["lessons"] == 0


async def _sales(web: httpx.AsyncClient) -> float:
    """The sales that are shown, once they no longer change."""
    before = -1.0
    while True:
        (found,) = [r for r in (await web.get("/api/kpis?window=30d")).json() if r["kpi"] == "sales"]
        if found["value"] == before:
            return before
        before = found["value"]
        await asyncio.sleep(2.5)


async def _ready(web: httpx.AsyncClient, running: asyncio.Task[None]) -> None:
    while True:
        if running.done():
            running.result()
        try:
            if (await web.get("/readyz")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    "command", [["kpis"], ["alerts", "list"], ["alerts", "silences"], ["alerts", "history"], ["models", "show"], ["doctor"]]
)
def test_who_asks_is_told_by_every_command_that_reads(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is what the instance here has left for its user, or that of VIGIE_TOKEN."""
    asked: list[tuple[str, str | None]] = []

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["authorization"]))
            self.send_response(401)
            self.end_headers()
            self.wfile.write(b'{"error": "who may read has a token"}')

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        Path("vigie.yaml").write_text(f"web: {{port: {server.server_port}}}")
        with announced(server.server_port, Local("left-for-its-user")):
            for token, expected in (("", "Bearer left-for-its-user"), ("an-operator-s-token", "Bearer an-operator-s-token")):
                monkeypatch.setenv("VIGIE_TOKEN", token)
                asked.clear()
                result = CliRunner().invoke(app, command)
                assert result.exit_code == 1 and asked, result.output
                assert {who for _, who in asked} == {expected}
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("host", "address"), [
    ("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("vigie.test", "vigie.test"),
])  # fmt: skip
def test_where_the_instance_of_some_settings_is(host: str, address: str) -> None:
    assert of_settings(load(environ={}, web__host=host, web__port=8080)) == f"http://{address}:8080"


def test_a_folder_that_is_not_ours_alone_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    told = Local("a-token")
    with announced(8080, told):
        assert local.found(8080) == told and local.found(8081) is None
        local.folder().chmod(0o755)
        assert local.found(8080) is None
        with announced(8081, told):
            assert not (local.folder() / "8081.json").exists()
        local.folder().chmod(0o700)
        with announced(8080, Local("the next one's")):
            pass
    other = tmp_path / "elsewhere"
    other.mkdir(mode=0o700)
    local.folder().rmdir()
    local.folder().symlink_to(other)
    with announced(8080, told):
        assert local.found(8080) is None and not list(other.iterdir())
