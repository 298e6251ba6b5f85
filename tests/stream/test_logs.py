"""Is a line of the log one line, one form, with the ids it has; and what Vigie tells Prometheus of itself?"""

import asyncio
import json
import logging
import subprocess
from typing import Any

import pytest

from agents.deliver_notifications import Deliverer
from alert_rules.tell.delivery import Delivery
from stream.logs import HEADER, INCIDENT, REQUEST, JsonLines
from stream.metrics import Metrics
from stream.web.health import Health
from tests.stream.web.web import application, client
from tests.tools import eventually, program


def line(message: str, *arguments: Any, error: BaseException | None = None) -> str:
    info = None if error is None else (type(error), error, error.__traceback__)
    return JsonLines().format(logging.LogRecord("stream.test", logging.WARNING, "f", 1, message, arguments, info))


@pytest.mark.parametrize("said", ["a\nb", '"} {"level":"error"', "\x1b[31m", "\u2028\u202e", "[bold]"])
def test_a_line_is_one_object_whatever_others_wrote(said: str) -> None:
    text = line("source %s: odd", said)
    assert "\n" not in text and text.isascii() and text.isprintable()
    found = json.loads(text)
    assert found.keys() == {"at", "level", "logger", "message"} and found["message"] == f"source {said}: odd"


def test_a_traceback_is_a_field() -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        text = line("it failed", error=error)
    assert "\n" not in text and "ValueError: no" in json.loads(text)["trace"]


async def test_lines_of_a_request_have_its_id_which_is_ours(caplog: pytest.LogCaptureFixture) -> None:
    app, lines = application(), []

    @app.get("/said")
    async def said() -> dict[str, str]:
        lines.append(json.loads(line("within")))
        return {}

    async with client(app) as asking:
        first = await asking.get("/said", headers={HEADER: "the caller's"})
        second = await asking.get("/said")
    assert [one["request"] for one in lines] == [first.headers[HEADER], second.headers[HEADER]]
    assert len({first.headers[HEADER], second.headers[HEADER], "the caller's"}) == 3 and REQUEST.get() == ""


async def test_lines_of_a_delivery_have_the_incidents_id() -> None:
    class Fails:
        async def send(self, delivery: Delivery) -> None:
            lines.append(json.loads(line("sending")))
            raise RuntimeError

    lines: list[dict[str, Any]] = []
    deliverer = Deliverer({"boss": Fails()})  # type: ignore[dict-item]
    await asyncio.create_task(deliverer._attempt(Delivery("m", "boss", "incident-7", 0, 0, 0, 0, None, {})))
    assert lines[0]["incident"] == "incident-7" and INCIDENT.get() == ""


@pytest.mark.prometheus
async def test_what_it_tells_of_itself_is_as_prometheus_wants_it() -> None:
    metrics, state = Metrics(), {"state": "up"}
    health = [Health("running", (), ("redis: away",))]
    metrics.show_health(lambda: health[0], lambda: state)
    metrics.late(0.002)
    page = (await metrics.scrape(""))[0].decode()
    for sample in (
        "vigie_ready 1.0",
        "vigie_degraded 1.0",
        "vigie_redis_up 1.0",
        'vigie_loop_delay_seconds_bucket{le="0.005",role="all"} 1.0',
    ):
        assert sample in page, sample
    health[0], state["state"] = Health("restoring", ("restoring",)), "away"
    page = (await metrics.scrape(""))[0].decode()
    assert "vigie_ready 0.0" in page and "vigie_redis_up 0.0" in page
    asking = [program("promtool"), "check", "metrics"]
    checked = await asyncio.to_thread(subprocess.run, asking, input=page, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


async def test_the_loops_delay_is_looked_at_while_the_application_runs() -> None:
    seen: list[float] = []
    app = application(late=seen.append)
    async with app.router.lifespan_context(app):
        await eventually(lambda: len(seen) >= 2)
    assert min(seen) >= 0
