"""A worker of several processes, by role, on a real Kafka: one to whoever looks at it, and exact whatever dies of it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from models.calendar import iso
from stream.engine.options import wall_clock
from tests.integration.installation import Installation, Worker, event, until
from tests.kafka_broker import KafkaBroker
from vigie.roles import STANDS_BACK

pytestmark = pytest.mark.kafka


def deals(first: int, count: int) -> Iterator[tuple[str, bytes, bytes, int | None]]:
    """Deals created two hours ago and won an hour ago, worth 10.00 each; every tenth stays open. Each fact comes twice."""
    now = wall_clock() // 1000 * 1000
    for i in range(first, first + count):
        subject = f"d{i}"
        said = {"amount": "10", "currency": "EUR", "owner": f"o{i % 3}", "stage": "demo"}
        facts = [event("deal.created", f"c{i}", subject, iso(now - 7_200_000), **said)]
        if i % 10:
            facts.append(event("deal.won", f"w{i}", subject, iso(now - 3_600_000), amount="10", currency="EUR"))
        for fact in facts + facts:
            yield "deals", subject.encode(), orjson.dumps(fact), None


def won(count: int) -> int:
    return sum(1 for i in range(count) if i % 10)


def sales(worker: Worker) -> float:
    return float(worker.readings()["sales"]["value"] or 0)


def ask(worker: Worker, path: str) -> Any:
    return httpx.get(f"{worker.url}/api/{path}", timeout=60)


def samples(worker: Worker) -> dict[str, float]:
    text = httpx.get(f"{worker.url}/metrics", timeout=60).text
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    names = [name for name, _ in lines]
    assert len(names) == len(set(names)), "a series twice"
    return {name: float(value) for name, value in lines}


def pids(worker: Worker) -> dict[str, int]:
    return {name: role["pid"] for name, role in worker.readyz()["roles"].items()}


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_totals_are_exact_whichever_process_dies_and_however_roles_are_shared_out(
    kafka: KafkaBroker, prefix: str, tmp_path: Path
) -> None:
    site = Installation(kafka.bootstrap, prefix, tmp_path, PROCESSES="3")
    site.done("topics", "create")
    with site.worker() as worker:
        worker.ready(120)
        before = pids(worker)
        assert set(before) == {"fold", "serve", "predict"} and len({*before.values(), worker.process.pid}) == 4
        back = {name: os.getpriority(os.PRIO_PROCESS, pid) - os.getpriority(os.PRIO_PROCESS, 0) for name, pid in before.items()}
        assert back == {"fold": 0, "serve": 0, "predict": min(STANDS_BACK, 19 - os.getpriority(os.PRIO_PROCESS, 0))}
        site.produce(deals(0, 100))
        os.kill(before["fold"], signal.SIGKILL)
        until(lambda: "fold: was killed (signal 9)" in str(worker.readyz()["reasons"]))
        site.produce(deals(100, 100))
        worker.ready(120)
        site.settle()
        until(lambda: sales(worker) == won(200), why=lambda: f"{sales(worker)} {worker.log}")
        after = pids(worker)
        assert after["fold"] != before["fold"] and (after["serve"], after["predict"]) == (before["serve"], before["predict"])
        assert "fold: was killed (signal 9) at " in str(worker.readyz()["notices"])

        found = samples(worker)
        assert found['vigie_role_restarts_total{process="fold"}'] == 1 and found["vigie_ready"] == 1
        assert found[f'vigie_lag_records{{group="{prefix}vigie",topic="deals"}}'] == 0
        # What only another process knows is asked of it.
        story = ask(worker, "entities/deal/d10").json()
        assert [fact["kind"] for fact in story["facts"]] == ["created"] and story["facts"][0]["said"]["owner"] == "o1"
        until(lambda: ask(worker, "predictions/d10").status_code == 200, why=lambda: ask(worker, "predictions/d10").text)
        assert ask(worker, "predictions/d1").status_code == 404
        assert {model["model"] for model in ask(worker, "models").json()} == {"deal", "lead"}

        os.kill(after["serve"], signal.SIGKILL)
        told = until(lambda: (found := worker.readyz()) and not found["ready"] and found)
        assert "serve: was killed (signal 9)" in str(told["reasons"]), "the supervisor answers on the port"
        worker.ready(120)
        assert sales(worker) == won(200)

        # Another worker, all in one process, takes its share of each role; then it has all of them.
        with Worker(site, {"PROCESSES": "1", "INSTANCE": "w1"}) as other:
            other.ready(120)
            site.produce(deals(200, 100))
            site.settle()
            assert worker.end(signal.SIGTERM) == 0
            assert all(map(gone, pids_of(worker, after)))
            other.ready(120)
            site.produce(deals(300, 100))
            site.settle()
            until(lambda: sales(other) == won(400), why=lambda: f"{sales(other)} {other.log}")
            assert "roles" not in other.readyz()


def pids_of(worker: Worker, before: dict[str, int]) -> list[int]:
    return [before["fold"], before["predict"], worker.process.pid]


def test_a_supervisor_that_is_killed_takes_its_processes_with_it(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    site = Installation(kafka.bootstrap, prefix, tmp_path)
    site.done("topics", "create")
    with Worker(site, {}, "worker", "--role", "fold") as worker:
        worker.ready(120)
        assert worker.readyz()["view"] == "none" and set(pids(worker)) == {"fold"}
        assert ask(worker, "kpis").status_code == 503
        assert samples(worker)["vigie_ready"] == 1
        running = list(pids(worker).values())
        worker.end(signal.SIGKILL)
        until(lambda: all(map(gone, running)))
        assert worker.log.count("the supervisor has gone: stopping") == 1
