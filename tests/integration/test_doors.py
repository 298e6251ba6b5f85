"""The front door as installed: killed and started again under a sender that tries again, and with a clock that is wrong."""

import json
import time
from pathlib import Path

import httpx
import pytest

from bench import door_chaos
from bench.hubspot import PATH, SETTINGS, Crm, request
from tests.integration.installation import Installation, Worker
from tests.kafka_broker import KafkaBroker


@pytest.mark.kafka
@pytest.mark.redis
def test_each_event_counts_once_though_doors_are_killed(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    """`python -m bench.doors` makes 100,000 deliveries."""
    report = door_chaos.run(kafka, tmp_path, prefix, deliveries=1_500, seed=5, kills=2, pause=(0.5, 1.5), partitions=2)
    assert report.faults == [], report.facts
    assert report.facts["happened"].split()[:2] == ["k0", "k1"], report.facts
    assert report.facts["deliveries"] > 1_500 and report.facts["answers"]["200"] < report.facts["deliveries"], report.facts


def test_a_clock_that_is_ten_minutes_off_is_said_by_the_doctor(tmp_path: Path) -> None:
    settings = tmp_path / "vigie.yaml"
    settings.write_text(json.dumps(SETTINGS))
    site = Installation("embedded", "", tmp_path, CONFIG=str(settings))
    with Worker(site, {}, "up") as up:
        up.ready()
        now = time.time_ns() // 1_000_000
        for batch in list(Crm(1, now).batches(6))[:6]:
            head, _, body = request(batch, at=now - 600_000).partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
            assert httpx.post(up.url + PATH, content=body, headers=headers).status_code == 401
        (said,) = [line for line in up.readyz()["degraded"] if line.startswith("clock: ")]
        assert "10 min ahead of that of hubspot" in said and up.readyz()["ready"]
        report = json.loads(site.vigie("doctor", "--json").stdout)
    (found,) = [finding for finding in report["findings"] if "hubspot: the median" in finding["found"]]
    assert (found["check"], found["level"]) == ("clock", "WARN") and "NTP" in found["do"]
