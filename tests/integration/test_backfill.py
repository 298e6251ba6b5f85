"""Webhooks and a backfill of the same deals, on a real Kafka and a worker: the KPIs are those of the webhooks alone."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from models.calendar import DAY_MS
from stream.engine.options import wall_clock
from tests.integration.installation import CLOCKED, Installation
from tests.kafka_broker import KafkaBroker
from tests.stream.sources.backfill import worlds as w

pytestmark = pytest.mark.kafka


def lately(world: list[w.Deal]) -> list[w.Deal]:
    """Move a world to the last 80 days; what would come after today has not happened."""
    now = wall_clock()
    moved = (now - 80 * DAY_MS) // 1000 * 1000 - w.BEGIN
    for deal in world:
        deal.created += moved
        deal.changes = [(at + moved, change) for at, change in deal.changes if at + moved < now - DAY_MS]
        deal.done = [(at + moved, id, kind) for at, id, kind in deal.done if at + moved < now - DAY_MS]
    return world


def test_a_backfill_of_what_webhooks_told_changes_no_reading(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    site = Installation(kafka.bootstrap, prefix, tmp_path)
    config = tmp_path / "vigie.yaml"
    config.write_bytes(orjson.dumps({"sources": {"pipedrive": w.PIPEDRIVE}}))
    site.done("topics", "create")
    world = lately(w.deals(11, 30))
    live = tmp_path / "live.jsonl"
    live.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in w.pipedrive_live(world)))
    export = w.pipedrive_json(world, tmp_path)
    with site.worker().ready() as worker:

        def told() -> dict[str, Any]:
            site.settle()
            found = worker.readings("90d")
            return {name: one.get("value") for name, one in found.items() if name not in CLOCKED}

        site.done("publish", live)
        alone = told()
        assert alone["sales"] and alone["open_pipeline"] and alone["win_rate"], alone
        for _ in range(2):
            report = orjson.loads(site.done("backfill", "pipedrive", *export, "--json", "--config", config))
            assert report["acknowledged"] == report["events"] > len(world) and not report["rejected"] and not report["failed"]
            assert told() == alone
        assert worker.outcomes()["duplicate"] > len(world), "what the webhooks had told was known"
    assert site.letters() == []
