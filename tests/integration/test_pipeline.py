"""From a file or a producer to an exact reading: the commands and a worker process on a real Kafka."""

import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from models.calendar import iso
from models.events.refused import Reason
from stream.engine.options import wall_clock
from tests.integration.installation import CLOCKED, Installation, event, until
from tests.kafka_broker import KafkaBroker

pytestmark = pytest.mark.kafka


@pytest.fixture
def site(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> Installation:
    return Installation(kafka.bootstrap, prefix, tmp_path)


@pytest.fixture
def created(site: Installation) -> Iterator[Installation]:
    site.done("topics", "create")
    yield site


def now(minutes: float = 60) -> str:
    """So many minutes ago."""
    return iso(wall_clock() // 1000 * 1000 - round(minutes * 60_000))


# -- topics ----------------------------------------------------------------------------------------------------------------


def test_topics_are_created_once_and_found_sound(site: Installation) -> None:
    result = site.vigie("topics", "check")
    assert result.exit_code == 1
    assert "missing (run: vigie topics create)" in result.stderr
    names = site.done("topics", "create").split()
    assert f"{site.prefix}deals" in names and f"{site.prefix}vigie-fold-deals-changelog" in names
    assert site.done("topics", "create") == "", "what is there is left as it is"
    assert site.done("topics", "check", "--json") == "[]\n"
    site.set(KAFKA__PARTITIONS="4")
    wrong = site.vigie("topics", "check")
    assert wrong.exit_code == 1
    assert "found 2 partitions; accepted: 4 (kafka.partitions; see: vigie doctor)" in wrong.stderr


# -- a simulated company ---------------------------------------------------------------------------------------------------


def simulated(site: Installation, *more: object) -> tuple[Path, list[dict[str, Any]]]:
    """A file of nine days up to last midnight, with bad lines; and the good events in it, each once."""
    out = site.directory / "events.jsonl"
    start = datetime.now(UTC).date() - timedelta(days=9)
    site.done("simulate", "--out", out, "--seed", 5, "--days", 9, "--scale", 0.4, "--start", start, *more)
    return out, [orjson.loads(line) for line in out.read_bytes().splitlines() if _is_json(line)]


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except ValueError:
        return False
    return True


def test_a_published_file_is_counted_exactly_whatever_ends_the_worker(created: Installation) -> None:
    site = created
    kinds = ["broken_json", "unknown_type", "missing_id", "wrong_currency", "naive_time", "time_1970", "too_large"]
    chosen = [argument for kind in kinds for argument in ("--bad-kind", kind)]
    out, events = simulated(site, "--bad", 0.01, "--duplicates", 0.1, "--disorder", 0.5, *chosen)
    lines = len(out.read_bytes().splitlines())
    # Refused before the first event where no broker answers in five seconds: a busy one may not, just after topics were created.
    result = until(lambda: (one := site.vigie("publish", out)).stdout and one, why=lambda: site.vigie("doctor").output)
    told = orjson.loads(result.stdout)
    assert result.exit_code == 1, "not every line was an event"
    assert told["failed"] == 1, "the record of 20 MB is refused by the broker"
    assert "Message size too large" in result.stderr
    assert told["acknowledged"] + told["failed"] + told["rejected"] == lines
    assert told["rejected"] == sum(not _is_json(line) for line in out.read_bytes().splitlines()) > 0
    assert "not JSON" in result.stderr

    with site.worker() as worker:
        worker.ready()
        site.settle()
        outcomes = until(lambda: (found := worker.outcomes()).total() >= told["acknowledged"] and found)
        letters = site.letters()
        assert outcomes["dead_letter"] == len(letters) > 0
        assert {letter["reason"] for letter in letters} >= {Reason.MISSING_ID, Reason.UNKNOWN_TYPE, Reason.NAIVE_TIME}
        assert outcomes["readdressed"] == 0
        assert told["acknowledged"] == outcomes["applied"] + outcomes["duplicate"] + outcomes["dead_letter"]
        before = worker.readings()
        assert {kpi: before[kpi]["value"] for kpi in ("sales", "revenue", "leads")} == counted(events)
        (printed,) = orjson.loads(site.done("kpis", "--json", "--window", "30d", "--kpi", "sales"))
        assert printed["value"] == before["sales"]["value"]
        assert worker.end(signal.SIGTERM) == 0
        assert "stopped" in worker.log.splitlines()[-1]
    with site.worker() as second:
        second.ready()
        assert numbers(second.readings()) == numbers(before), "after SIGTERM: the same"
        assert second.end(signal.SIGKILL) == -9
    with site.worker() as third:
        third.ready()
        assert numbers(third.readings()) == numbers(before), "after kill -9: the same"
        assert third.readyz()["notices"] == []


def counted(events: list[dict[str, Any]]) -> dict[str, float]:
    """What the file says, counted straight from it: nothing is reopened, merged or deleted in it, and all is in euros."""
    good = [e for e in events if e.get("id") and "~bad" not in e["id"]]
    won = {e["subject"] for e in good if e["type"] == "deal.won"}
    amounts: dict[str, tuple[str, float]] = {}
    for e in good:
        if e["subject"] in won and e["type"].startswith("deal.") and e["data"].get("amount") is not None:
            amounts[e["subject"]] = max(amounts.get(e["subject"], ("", 0.0)), (e["time"], float(e["data"]["amount"])))
    leads = {e["subject"] for e in good if e["type"] == "lead.created"}
    revenue = round(sum(amount for _, amount in amounts.values()), 2)
    return {"sales": len(won), "revenue": revenue, "leads": len(leads)}


def numbers(readings: dict[str, dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """What does not depend on the second in which it is read, nor on what a model, which goes on learning, says of open deals."""
    return {k: (r["value"], r.get("numerator"), r.get("denominator")) for k, r in readings.items() if k not in CLOCKED}


# -- bad input -------------------------------------------------------------------------------------------------------------


def bad_records() -> dict[str, tuple[bytes, str]]:
    """Every line of bad input there is: the record, and the reason it is refused for."""
    won = event("deal.won", "bad", "d-bad", now(), amount="100.00", currency="EUR")

    def record(**changes: Any) -> bytes:
        return orjson.dumps({name: value for name, value in (won | changes).items() if value is not None})

    body = record()
    return {
        "broken JSON": (body[:-7], Reason.BAD_JSON),
        "no object": (b"[1, 2]", Reason.NOT_AN_OBJECT),
        "empty": (b"", Reason.BAD_JSON),
        "not UTF-8": (body.replace(b"d-bad", b"d-\xff"), Reason.BAD_JSON),
        "unknown type": (record(type="deal.teleported"), Reason.UNKNOWN_TYPE),
        "another topic's type": (record(type="lead.created", data={}), Reason.WRONG_TOPIC),
        "missing id": (record(id=None), Reason.MISSING_ID),
        "wrong currency": (record(data={"amount": "1", "currency": "QQQ"}), Reason.UNKNOWN_CURRENCY),
        "amount NaN": (record(data={"amount": "NaN", "currency": "EUR"}), Reason.BAD_AMOUNT),
        "amount NaN, not even JSON": (body.replace(b'"100.00"', b"NaN"), Reason.BAD_JSON),
        "amount 1e400": (body.replace(b'"100.00"', b"1e400"), Reason.BAD_JSON),
        "naive time": (record(time="2026-01-01T00:00:00"), Reason.NAIVE_TIME),
        "a time in 1970": (record(time="1970-01-01T00:00:00Z"), Reason.TIME_OUT_OF_RANGE),
        "a time in 2100": (record(time="2100-01-01T00:00:00Z"), Reason.TIME_OUT_OF_RANGE),
        "a subject of 10,000 characters": (record(subject="s" * 10_000), Reason.BAD_ENVELOPE),
        "20 MB": (record(data={"reason": "x" * 20_000_000}), Reason.TOO_LARGE),
        "nested 100,000 deep": (b'{"data":' + b"[" * 100_000, Reason.BAD_JSON),
    }


def test_every_bad_record_ends_as_a_dead_letter_and_can_be_sent_again(created: Installation) -> None:
    site = created
    bad = bad_records()
    good = [event("deal.won", f"good{i}", f"d{i}", now(), amount="10.00", currency="EUR") for i in range(len(bad))]
    # A duplicate id with another content. The rule (models/entities/entity_log.py): the later by time, then by content,
    # stands, whichever came first; so it replaces the first one here, and when the first one comes again that is a duplicate.
    other = good[0] | {"data": {"amount": "999.00", "currency": "EUR"}}
    records: list[tuple[str, bytes, bytes, int | None]] = []
    for i, (value, _) in enumerate(bad.values()):
        records.append(("deals", f"d{i}".encode(), orjson.dumps(good[i]), None))
        records.append(("deals", b"bad", value, 0))
    records += [("deals", b"d0", orjson.dumps(again), None) for again in (other, good[0])]
    revenue = 10.0 * (len(bad) - 1) + 999.0
    acknowledged = site.produce(records)
    assert acknowledged == len(records)

    with site.worker() as worker:
        worker.ready()
        site.settle()
        outcomes = until(lambda: (found := worker.outcomes()).total() >= acknowledged and found)
        assert outcomes == Counter(applied=len(bad) + 1, duplicate=1, dead_letter=len(bad))
        letters = site.letters()
        # In the order in which they were sent: all are in one partition.
        assert dict(zip(bad, [letter["reason"] for letter in letters], strict=True)) == {
            name: reason for name, (_, reason) in bad.items()
        }
        assert worker.readings()["revenue"]["value"] == revenue
        for (value, _), letter in zip(bad.values(), letters, strict=True):
            assert (letter.get("size", 0), letter["topic"], letter["partition"]) == (len(value), "deals", 0)
        for name in ("broken JSON", "wrong currency", "a subject of 10,000 characters"):
            shown = orjson.loads(site.done("dead-letters", "show", letters[list(bad).index(name)]["id"]))
            assert shown["value"] == bad[name][0].decode(), "the original bytes are kept"
        assert worker.alive
        assert worker.end(signal.SIGTERM) == 0

    # The rate is known now: what was refused for it is sent again, and counts.
    site.set(BUSINESS__RATES="{QQQ: 2.0}")
    refused = site.vigie("dead-letters", "redrive")
    assert refused.exit_code == 2 and "--reason or --all" in refused.stderr
    assert site.vigie("dead-letters", "redrive", "--reason", "no_such_reason").exit_code == 2
    result = site.vigie("dead-letters", "redrive", "--reason", "unknown_currency")
    assert result.exit_code == 0 and "1 sent again, 0 not" in result.stderr
    (large,) = [letter["id"] for letter in letters if letter["reason"] == Reason.TOO_LARGE]
    result = site.vigie("dead-letters", "redrive", large, "nonsense-0-0")
    assert result.exit_code == 1
    assert "too large to be kept whole" in result.stderr and "no dead letter 'nonsense-0-0'" in result.stderr
    site.done("dead-letters", "redrive", "--reason", "missing_id")
    with site.worker() as worker:
        worker.ready()
        site.settle()
        assert worker.readings()["revenue"]["value"] == revenue + 2.0
        after = site.letters()
        assert len(after) == len(letters) - 1, "what counts now is done with, what is still wrong is refused again under its id"
        assert after[-1]["reason"] == Reason.MISSING_ID
        assert after[-1]["id"] in {letter["id"] for letter in letters}
        assert "(sent again 1×)" in site.done("dead-letters", "list").splitlines()[-1]


def test_an_event_in_another_partition_than_its_entity_is_counted_once(created: Installation) -> None:
    site = created
    records: list[tuple[str, bytes, bytes, int | None]] = []
    for i in range(40):
        opened = event("deal.created", f"c{i}", f"d{i}", now(120), amount="10.00", currency="EUR")
        won = event("deal.won", f"w{i}", f"d{i}", now(60))
        # Two producers that agree on nothing: one by its own partitioner, one without a key.
        records.append(("deals", f"d{i}".encode(), orjson.dumps(opened), i % 2))
        records.append(("deals", b"", orjson.dumps(won), (i // 2) % 2))
        records.append(("deals", f"d{i}".encode(), orjson.dumps(won), (i // 3) % 2))
    acknowledged = site.produce(records)
    with site.worker() as worker:
        worker.ready()
        site.settle()
        outcomes = until(lambda: (f := worker.outcomes()).total() - f["readdressed"] >= acknowledged and f)
        assert outcomes["readdressed"] > 0 and outcomes["dead_letter"] == 0
        assert acknowledged == outcomes["applied"] + outcomes["duplicate"]
        assert outcomes["applied"] == 80
        readings = worker.readings()
        assert (readings["sales"]["value"], readings["revenue"]["value"]) == (40, 400.0)


# -- doctor ----------------------------------------------------------------------------------------------------------------


def found(site: Installation, code: int) -> dict[str, list[tuple[str, str]]]:
    report = orjson.loads(site.done("doctor", "--json", code=code))
    assert report["ok"] is (code == 0)
    by_check: dict[str, list[tuple[str, str]]] = {}
    for finding in report["findings"]:
        assert finding["do"] or finding["level"] == "OK", "what is wrong comes with what to do"
        by_check.setdefault(finding["check"], []).append((finding["level"], finding["found"]))
    return by_check


def test_doctor_sees_topics_workers_lag_and_dead_letters(site: Installation) -> None:
    before = found(site, 1)
    assert before["broker"][0][0] == "OK"
    (level, text) = before["topics"][0]
    assert level == "FAIL" and "missing" in text
    site.done("topics", "create")
    ahead = event("deal.won", "e1", "d1", now(), amount="1", currency="XYZ")
    site.produce([("deals", b"d1", orjson.dumps(ahead), None)])
    # A busy broker is still settling for a moment after topics were created, and doctor says that then.
    idle = until(lambda: (now_ := found(site, 0)).keys() >= {"workers"} and now_)
    assert idle["workers"][0][0] == "WARN"
    assert ("WARN", "fold-deals: 1 records behind in deals, deal-merges (0 of 4 partitions have a position)") in idle["lag"]
    assert idle["dead letters"] == [("OK", "none")]
    with site.worker() as worker:
        worker.ready()
        site.settle()
        busy = found(site, 0)
    groups = [f"{site.prefix}vigie{role}" for role in ("", "-serve", "-predict")]
    assert busy["workers"] == [("OK", f"1 in group {group}, stable") for group in groups]
    assert busy["instance"][0][0] == "OK" and "running" in busy["instance"][0][1]
    assert {level for level, _ in busy["lag"]} == {"OK"}
    assert busy["clock"][0][0] == "OK"
    assert busy["dead letters"][0][0] == "WARN" and "1 × unknown_currency" in busy["dead letters"][0][1]
    site.set(KAFKA__PARTITIONS="3")
    assert any(level == "FAIL" and "found 2 partitions; accepted: 3" in text for level, text in found(site, 1)["topics"])
