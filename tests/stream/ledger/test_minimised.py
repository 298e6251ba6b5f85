"""What settings say is not to be written is in no file, by whatever way an event comes."""

import base64
import hmac
from pathlib import Path
from typing import Any

import orjson
import pytest

from models.privacy.subject import Subject
from stream.config.settings import Settings, SettingsError, load
from stream.engine.publisher import Publisher
from stream.ingest.collect import Collector
from stream.ingest.door import Door, sources_of
from stream.ingest.event_ids import InMemory
from stream.ingest.intake import Intake
from stream.ledger.on_ledger import OnLedger
from stream.ledger.store import Ledger
from stream.sources.crm import Request
from tests.stream.web.test_collect import KEY, NOW, ORIGIN, body, call
from vigie.lanes import engine_options
from vigie.privacy_api import as_kept

SECRET = b"a key of this test and nobody's else"
EVENT: dict[str, Any] = {
    "specversion": "1.0", "id": "e1", "source": "crm", "type": "lead.created", "subject": "L1", "time": "2026-11-21T11:00:00Z",
    "data": {"name": "Annabel Quill", "email_hash": "ab" * 32, "source": "web"},
}  # fmt: skip
PRIVACY = {"minimise": {"name": 1, "email_hash": "hash", "referrer": "drop"}, "salt": "0123456789abcdef"}


def settings_of(**privacy: Any) -> Settings:
    sources = {"crm": {"adapter": "standard", "secrets": ["whsec_" + base64.b64encode(SECRET).decode()]}}
    collect = {"sites": {"shop": {"key": KEY, "origins": [ORIGIN]}}}
    return load(environ={}, privacy=privacy, sources=sources, collect=collect)


def webhook(event: dict[str, Any], now: int = NOW) -> Request:
    content = orjson.dumps(event)
    signature = base64.b64encode(hmac.digest(SECRET, f"m1.{now // 1000}.".encode() + content, "sha256")).decode()
    headers = {"webhook-id": "m1", "webhook-timestamp": str(now // 1000), "webhook-signature": f"v1,{signature}"}
    return Request("POST", "https://vigie/webhooks/crm", headers, content, now)


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_by_webhook_tracker_and_file_only_so_much_is_written(tmp_path: Path) -> None:
    settings = settings_of(**PRIVACY)
    ledger = Ledger(tmp_path / "vigie.db")
    backend = OnLedger(ledger)
    options = engine_options(settings, "", backend=backend)
    backend.create(options, ())
    intake = Intake(options)
    ids, change = InMemory(lambda: NOW), options.minimise
    sources = sources_of(settings)
    verdict, new = await Door(sources, intake, ids, clock=lambda: NOW, minimise=change).take(sources["crm"], webhook(EVENT))
    assert (verdict.accepted, new) == (True, 1)
    collector = Collector(settings.collect, intake, ids, clock=lambda: NOW, minimise=change)
    visit = body(call(referrer="https://search.example/q"))
    assert (await collector.take(collector.sites[KEY], visit, NOW))[1] == 1
    await intake.close()
    with Publisher(options) as publisher:
        publisher.publish(orjson.dumps({**EVENT, "id": "e2", "subject": "L2"}))
        assert publisher.flush() == 0
    found = [
        orjson.loads(record.value or b"")
        for topic, partition, first, stop in ledger.logs()
        if topic in ("leads", "engagement") and stop > first
        for record in ledger.read(topic, partition, first, stop).records
    ]
    ledger.close()
    leads = [event["data"] for event in found if event["type"] == "lead.created"]
    assert [lead["name"] for lead in leads] == ["A", "A"]
    kept = as_kept(Subject("email", "ab" * 32), settings).id
    assert [lead["email_hash"] for lead in leads] == [kept, kept], "who asks for what is held gives the hash that the CRM has"
    assert "referrer" not in next(event["data"] for event in found if event["type"] == "web.page_viewed")
    written = all_bytes(tmp_path)
    assert b"L2" in written
    for gone in (b"Annabel", b"ab" * 32, b"search.example"):
        assert gone not in written


def test_who_is_asked_for_by_an_address_that_is_not_kept_is_not_said_to_be_unknown() -> None:
    with pytest.raises(ValueError, match="not kept here"):
        as_kept(Subject("email", "ab" * 32), settings_of(minimise={"email_hash": "drop"}))
    assert as_kept(Subject("lead", "L1"), settings_of(minimise={"email_hash": "drop"})).id == "L1"


def test_what_figures_are_made_of_is_refused_where_it_is_set() -> None:
    with pytest.raises(SettingsError, match="amount: no such field"):
        settings_of(minimise={"amount": "drop"})
    with pytest.raises(SettingsError, match="salt: not set"):
        settings_of(minimise={"name": "hash"})
