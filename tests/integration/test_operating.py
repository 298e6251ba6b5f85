"""From a message's button to the audit, through a whole worker on a real Kafka."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from aiohttp import web

from bench.tell import RULE
from models.calendar import iso
from stream.engine.options import wall_clock
from tests.agents.doubles import Receiver, receiver
from tests.integration.installation import Installation, Worker, event, until
from tests.kafka_broker import KafkaBroker

ANN, EVE = "ann-s-token-of-20-chars", "eve-s-token-of-20-chars"
PUBLIC = "http://vigie.example"


def told(server: Receiver, kind: str, rule: str = "bench-told") -> dict[str, Any] | None:
    """The first message of a kind about a rule, None while there is none."""
    trees = [orjson.loads(one.body) for one in server.received]
    return next((tree["data"] for tree in trees if tree["type"] == f"alert.{kind}" and tree["data"]["rule"] == rule), None)


def installation(brokers: str, prefix: str, directory: Path, urls: dict[str, str]) -> Installation:
    (directory / "rules").mkdir()
    (directory / "rules" / "bench-told.yaml").write_text(RULE)
    settings: dict[str, Any] = {
        "RULE_FOLDERS": [str(directory / "rules")],
        "RECEIVERS": [{"name": name, "type": "http", "url": url} for name, url in urls.items()],
        "ALERTING": {
            "route": {"receivers": list(urls), "group_by": ["..."], "group_wait": 0, "group_interval": 0},
            "fallback": {"receivers": ["good"], "after": "1s"},
        },
        "WEB__OPERATORS": [{"name": "ann", "token": ANN}, {"name": "eve", "token": EVE, "role": "read"}],
        "WEB__LINKS__KEYS": [{"id": "k1", "key": "k" * 32}],
    }
    encoded: dict[str, Any] = {name: orjson.dumps(value).decode() for name, value in settings.items()}
    return Installation(brokers, prefix, directory, WEB__PUBLIC_URL=PUBLIC, **encoded)


@pytest.mark.kafka
async def test_a_button_acts_once_and_everybody_can_see_who_pressed_it(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    async with receiver() as good, receiver(web.Response(status=410)) as bad, httpx.AsyncClient(timeout=60) as client:
        site = installation(kafka.bootstrap, prefix, tmp_path, {"good": good.url, "bad": bad.url})
        site.done("topics", "create")
        with Worker(site, {}) as worker:

            async def once(holds: Callable[[], Any]) -> Any:
                """As ``until``, while the receivers in this process go on serving."""
                return await asyncio.to_thread(until, holds, 60.0, lambda: worker.log)

            await asyncio.to_thread(worker.ready)
            lead = event("lead.created", "e1", "l1", iso(wall_clock() - 1_000), campaign="spring")
            site.produce([("leads", b"l1", orjson.dumps(lead), None)])
            fired = await once(lambda: told(good, "fired"))
            link = fired["links"]["ack"].replace(PUBLIC, worker.url)

            shown = await client.get(link)
            assert shown.status_code == 200 and "<form" in shown.text and told(good, "acknowledged") is None
            assert (await client.post(link)).status_code == 200
            taken = await once(lambda: told(good, "acknowledged"))
            assert taken["acknowledged"]["by"] == "good"
            assert (await client.post(link)).status_code == 410
            (standing,) = [a for a in (await client.get(f"{worker.url}/api/alerts")).json() if a["rule"] == "bench-told"]
            assert (standing["id"], standing["acknowledged"]["by"]) == (fired["incident"], "good")

            # The receiver that refuses everything: the other one hears of it.
            helped = await once(lambda: told(good, "fired", "vigie-cannot-notify"))
            assert helped["segment"] == {"receiver": "bad"} and "answered HTTP 410" in helped["message"]["text"]

            url, eve = f"{worker.url}/api/alerts/history?incident={fired['incident']}", {"Authorization": f"Bearer {EVE}"}
            assert (await client.get(url)).status_code == 401
            records = (await client.get(url, headers=eve)).json()["records"]
            (act,) = [one for one in records if one["type"] == "act"]
            assert (act["act"], act["by"], act["via"]) == ("ack", "good", "link")
            assert {one["type"] for one in records} == {"act", "decision", "transition", "notification"}
            assert {one["outcome"] for one in records if one["type"] == "notification"} == {"sent", "dead_lettered"}
            assert (await client.post(f"{worker.url}/api/alerts/{fired['incident']}/unack", headers=eve)).status_code == 403

            page = (await client.get(f"{worker.url}/metrics")).text
            for sample in (
                'vigie_notifications_total{outcome="rejected",receiver="bad"}',
                'vigie_notification_seconds_count{receiver="good"}',
                'vigie_alert_decisions_total{outcome="notified",stage="dedup"}',
                'vigie_outbox_messages{receiver="good"} 0.0',
                'vigie_receiver_failing_seconds{receiver="good"} 0.0',
                'vigie_alerts{rule="bench-told",severity="warn",state="firing"} 1.0',
            ):
                assert sample in page, sample
            assert 'vigie_receiver_failing_seconds{receiver="bad"} 0.0' not in page
