"""The first hour of somebody with HubSpot and no Kafka: a webhook, an export of 45 days, a first alert, an acknowledgement."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.integration.installation import until
from tests.integration.test_one_machine import Machine

SECRET = "5ecret-of-the-walk"
STEPS = ("appointmentscheduled", "qualifiedtobuy", "presentationscheduled")
OWNERS = {"70": "Ann Lee", "71": "Bob Martin", "72": "Zoé de la Tour", "73": "Dan"}


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def changes(*values: tuple[datetime, str]) -> list[dict[str, str]]:
    """HubSpot's history of a property, newest first."""
    return [{"value": value, "timestamp": iso(at), "sourceType": "CRM_UI"} for at, value in reversed(values)]


class Export:
    """What HubSpot would export of the last 45 days, and what can be counted in it by hand."""

    def __init__(self, now: datetime, deals: int = 120, contacts: int = 90) -> None:
        self.dice, self.now = random.Random(5), now
        self.ends: list[tuple[str, int]] = []
        self.deals = [self._deal(number) for number in range(deals)]
        self.contacts = [self._contact(number) for number in range(contacts)]
        self.leads = sum(one["properties"]["lifecyclestage"] == "lead" for one in self.contacts)

    def _deal(self, number: int) -> dict[str, Any]:
        dice = self.dice
        created = at = self.now - timedelta(days=45 * dice.random(), hours=2)
        amount = dice.randrange(500, 20_000)
        steps = []
        for step in STEPS[: dice.randrange(1, 4)]:
            steps.append((at, step))
            at += timedelta(days=3 * dice.random())
        end = dice.choice(["won", "lost", "open", "open"])
        if end != "open" and at < self.now - timedelta(hours=1):
            steps.append((at, f"closed{end}"))
        else:
            end, steps = "open", [step for step in steps if step[0] < self.now]
        self.ends.append((end, amount))
        properties = {
            "dealname": f"Deal of customer {number}",
            "amount": str(amount),
            "dealstage": steps[-1][1],
            "hubspot_owner_id": str(70 + number % 4),
            "pipeline": "default",
            "createdate": iso(created),
            "hs_lastmodifieddate": iso(steps[-1][0]),
        }
        history = {name: changes((created, properties[name])) for name in ("amount", "hubspot_owner_id", "pipeline")}
        return self._object(9_000 + number, properties, {**history, "dealstage": changes(*steps)}, created)

    def _contact(self, number: int) -> dict[str, Any]:
        created = self.now - timedelta(days=45 * self.dice.random(), hours=2)
        stage = self.dice.choice(["lead", "lead", "subscriber"])
        properties = {
            "firstname": f"Ada{number}",
            "email": f"a{number}@example.com",
            "lifecyclestage": stage,
            "createdate": iso(created),
            "lastmodifieddate": iso(created),
            "hubspot_owner_id": str(70 + number % 4),
        }
        return self._object(50_000 + number, properties, {"lifecyclestage": changes((created, stage))}, created)

    @staticmethod
    def _object(number: int, properties: dict[str, str], history: dict[str, Any], created: datetime) -> dict[str, Any]:
        more = {"createdAt": iso(created), "updatedAt": iso(created), "archived": False}
        return {"id": str(number), "properties": properties, "propertiesWithHistory": history, **more}

    def count(self, end: str) -> int:
        return sum(found == end for found, _ in self.ends)


def signed(url: str, notes: list[dict[str, Any]], secret: str) -> Request:
    """A delivery as HubSpot signs it (v3)."""
    body, at = json.dumps(notes).encode(), str(int(time.time() * 1000))
    text = b"POST" + url.encode() + body + at.encode()
    signature = base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()
    headers = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": at}
    return Request(url, body, {**headers, "Content-Type": "application/json"})


def won_now(number: int) -> list[dict[str, Any]]:
    """A deal that is created, gets its amount, and is won."""
    now = int(time.time() * 1000)
    kinds: list[dict[str, str]] = [
        {"subscriptionType": "deal.creation"},
        {"subscriptionType": "deal.propertyChange", "propertyName": "amount", "propertyValue": "1234"},
        {"subscriptionType": "deal.propertyChange", "propertyName": "dealstage", "propertyValue": "closedwon"},
    ]
    same = {"subscriptionId": 1, "portalId": 1, "appId": 1, "attemptNumber": 0, "objectId": number, "changeSource": "CRM"}
    return [{**same, **kind, "eventId": n, "occurredAt": now - 5_000 + 1_000 * n} for n, kind in enumerate(kinds)]


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A program that is told of alerts: where it listens, and what it has got."""
    got: list[dict[str, Any]] = []

    class Takes(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Takes)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_webhook_history_first_alert_acknowledged(tmp_path: Path, receiver: tuple[str, list[dict[str, Any]]]) -> None:
    machine = Machine(tmp_path)
    url, got = receiver
    here = f"http://127.0.0.1:{machine.port}"
    (tmp_path / "vigie.yaml").write_text(
        f"business: {{timezone: Europe/Paris}}\nweb: {{port: {machine.port}, public_url: '{here}'}}\n"
        f"owners: {json.dumps(OWNERS)}\nsources: {{hubspot: {{client_secret: {SECRET}, currency: EUR}}}}\n"
        f"receivers: [{{name: ops, type: http, url: '{url}'}}]\nalerting: {{route: {{receiver: ops, group_wait: 2s}}}}\n"
    )
    export = Export(datetime.now(UTC))
    (tmp_path / "deals.json").write_text(json.dumps({"results": export.deals}))
    (tmp_path / "contacts.json").write_text(json.dumps({"results": export.contacts}))

    def vigie(*words: str) -> str:
        command = [sys.executable, "-m", "vigie", *words]
        environment = machine.environment
        found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert found.returncode == 0, found.stdout + found.stderr
        return " ".join((found.stdout + found.stderr).split())

    machine.start()
    try:
        with pytest.raises(HTTPError) as refused:
            urlopen(signed(f"{here}/webhooks/hubspot", won_now(99_001), "guessed"), timeout=60)
        assert refused.value.code == 401
        refused.value.close()
        with urlopen(signed(f"{here}/webhooks/hubspot", won_now(99_001), SECRET), timeout=60) as answer:
            assert answer.status == 200
        until(lambda: machine.get("/api/kpis?kpi=sales&window=30d")[0]["value"] == 1)
        assert got == [], "nothing has happened that anybody must be told of"

        told = vigie("backfill", "hubspot", "deals.json", "--object", "deals")
        assert f"{export.count('won')} won, {export.count('lost')} lost, {export.count('open')} open, 0 unmapped" in told, told
        told = vigie("backfill", "hubspot", "contacts.json", "--object", "contacts")
        assert f"leads: {export.leads} created, {export.leads} waiting" in told, told
        machine.comes_to("sales", export.count("won") + 1)
        machine.comes_to("revenue", 1234 + sum(amount for end, amount in export.ends if end == "won"))

        def win_rate() -> tuple[int, int]:
            [found] = machine.get("/api/kpis?kpi=win_rate&window=90d")
            return found["numerator"], found["denominator"]

        until(lambda: win_rate() == (export.count("won") + 1, export.count("won") + export.count("lost") + 1))
        by_owner = machine.get("/api/kpis?kpi=sales&window=90d&by=owner")
        assert {one.get("name") for one in by_owner} >= set(OWNERS.values()), by_owner

        until(lambda: got, 300, lambda: (tmp_path / "up.log").read_text()[-3_000:])
        time.sleep(5)
        assert len(got) <= 3, f"history is no storm: {[one['type'] for one in got]}"
        alerts = machine.get("/api/alerts")
        # When a working day begins, some may follow: those have been told to nobody.
        assert {one["state"] for one in alerts} <= {"firing", "pending"}
        standing = [one for one in alerts if one["state"] == "firing"]
        assert standing
        first = standing[0]["id"]
        assert any(first in json.dumps(one) for one in got), "who is told of it is told by which name to acknowledge it"
        vigie("alerts", "ack", first)

        def acknowledged() -> bool:
            return any(one["id"] == first and one.get("acknowledged") for one in machine.get("/api/alerts"))

        until(acknowledged)
        assert machine.end(signal.SIGTERM) == 0
        machine.start()
        assert acknowledged(), "it is still known after a restart"
    finally:
        assert machine.end(signal.SIGTERM) == 0
    log = (tmp_path / "up.log").read_text()
    assert "Traceback" not in log and " ERROR " not in log, log
