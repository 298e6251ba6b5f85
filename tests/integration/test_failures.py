"""What fails around a worker: the broker, the topics, Redis, the port. Each is said, and gone when the cause is gone."""

import contextlib
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from models.calendar import iso
from stream.engine.options import wall_clock
from tests.integration.installation import Installation, Worker, event, until
from tests.kafka_broker import KafkaBroker
from tests.redis_server import Redis
from tests.tools import free_port


def won(first: int, count: int) -> Iterator[tuple[str, bytes, bytes, int | None]]:
    """Deals won an hour ago, worth 10.00 each."""
    at = iso(wall_clock() // 1000 * 1000 - 3_600_000)
    for i in range(first, first + count):
        subject = f"d{i}"
        yield "deals", subject.encode(), orjson.dumps(event("deal.won", f"w{i}", subject, at, amount="10", currency="EUR")), None


def sales(worker: Worker) -> float:
    return float(worker.readings()["sales"]["value"])


def shown(*workers: Worker) -> list[float]:
    """What those say who hold a view."""
    found = []
    for worker in workers:
        if worker.alive and worker.readyz().get("view") == "live":
            with contextlib.suppress(httpx.HTTPStatusError):
                found.append(sales(worker))
    return found


# -- the broker ------------------------------------------------------------------------------------------------------------


@pytest.mark.kafka
def test_a_worker_waits_for_its_kafka_and_outlives_its_death(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    """``kafka`` is asked for only to skip where there is none: this one is started and killed."""
    own = KafkaBroker()
    try:
        site = Installation(own.bootstrap, prefix, tmp_path)
        with site.worker() as worker:
            until(lambda: "no broker answers at" in str(worker.readyz().get("reasons")))
            assert worker.readyz()["state"] == "starting"
            assert worker.log.count("no broker answers at") == 1, "said once, not at every try"
            own.start()
            until(lambda: "missing (run: vigie topics create)" in str(worker.readyz().get("reasons")))
            site.done("topics", "create")
            worker.ready()
            site.produce(won(0, 50))
            site.settle()
            assert sales(worker) == 50
            generation = worker.readyz()["generation"]

            own.kill()
            until(lambda: "broker" in str(worker.readyz().get("reasons")), why=lambda: f"{worker.readyz()} {worker.log}")
            assert worker.alive and sales(worker) == 50, "what is known is still shown"
            own.start()
            site.produce(won(50, 50))
            site.settle()
            worker.ready()
            assert sales(worker) == 100
            # Neither restarted nor restored: the same process, and memory that was never thrown away unless the group said so.
            assert worker.alive and worker.readyz()["generation"] >= generation
            assert worker.end(signal.SIGTERM) == 0
            client_lines = [line for line in worker.log.splitlines() if "aiokafka" in line or "stream.kafka" in line]
            assert len(client_lines) < 40, "the client's ten lines a second are held back"
        with site.worker() as fresh:
            fresh.ready()
            assert sales(fresh) == 100
    finally:
        own.close()


@pytest.mark.kafka
def test_a_frozen_worker_ends_with_the_reason_and_its_successor_is_exact(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    """SIGSTOP for longer than the session: the group gives its partitions away; it must not write what it holds."""
    site = Installation(kafka.bootstrap, prefix, tmp_path)
    site.done("topics", "create")
    with site.worker() as frozen:
        frozen.ready()
        site.produce(won(0, 20))
        site.settle()
        frozen.process.send_signal(signal.SIGSTOP)
        with site.worker(INSTANCE="w1") as successor:
            successor.ready()
            site.produce(won(20, 20))
            until(lambda: successor.readings()["sales"]["value"] == 40)
            frozen.process.send_signal(signal.SIGCONT)
            # Either it comes back into the group, restored, or it ends and says why: then a supervisor starts it again.
            until(lambda: not frozen.alive or frozen.readyz().get("ready"), why=lambda: frozen.log)
            if not frozen.alive:
                assert frozen.process.returncode == 1
                # Refused by the group, or, where a transaction was open for as long as it slept, by its coordinator.
                assert "the broker refused a checkpoint" in frozen.log or "stayed open for longer" in frozen.log
            site.produce(won(40, 20))
            site.settle()
            # A frozen worker learns what has happened with its next heartbeat; then one view is left, and it is whole.
            until(lambda: shown(frozen, successor) == [60], why=lambda: f"{shown(frozen, successor)} {frozen.log}")


# -- topics ----------------------------------------------------------------------------------------------------------------


@pytest.mark.kafka
def test_too_few_partitions_are_named_with_the_command_that_tells_more(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    site = Installation(kafka.bootstrap, prefix, tmp_path)
    site.done("topics", "create")
    site.set(KAFKA__PARTITIONS="4")
    with site.worker() as worker:
        reasons = until(lambda: str(worker.readyz().get("reasons", "")))
        until(lambda: "found 2 partitions; accepted: 4" in str(worker.readyz()["reasons"]), 10, lambda: reasons)
        assert "vigie doctor" in worker.log
        file = tmp_path / "one.jsonl"
        file.write_bytes(b"{}\n")
        refused = site.vigie("publish", file)
        assert refused.exit_code == 1 and "found 2 partitions; accepted: 4" in refused.stderr


@pytest.mark.parametrize("command", ["topics check", "dead-letters list", "publish one.jsonl"])
def test_commands_say_that_no_kafka_answers(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.jsonl").write_bytes(b"{}\n")
    result = Installation(f"127.0.0.1:{free_port()}", "", tmp_path).vigie(*command.split())
    assert result.exit_code == 1
    assert re.search(r"^vigie: kafka.brokers: 127.0.0.1:\d+: .*is Kafka running there", result.stderr), result.stderr
    assert "Traceback" not in result.output


# -- Redis -----------------------------------------------------------------------------------------------------------------


@pytest.mark.kafka
@pytest.mark.redis
def test_redis_may_be_away_at_the_start_and_at_any_time(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    server = Redis(tmp_path)
    site = Installation(kafka.bootstrap, prefix, tmp_path, REDIS__URL=server.url)
    site.done("topics", "create")

    def degraded(worker: Worker) -> bool:
        return "redis: " in str(worker.readyz()["degraded"])

    try:
        with site.worker() as worker:
            worker.ready()
            site.produce(won(0, 10))
            site.settle()
            until(lambda: degraded(worker))
            assert sales(worker) == 10, "away at the start: nothing waits for it"
            server.start()
            until(lambda: not degraded(worker))
            server.stop()
            until(lambda: degraded(worker))
            site.produce(won(10, 10))
            site.settle()
            assert sales(worker) == 20 and worker.readyz()["ready"]
            server.start()
            until(lambda: not degraded(worker))
            assert worker.log.count("is away") == 2, "said once each time"
    finally:
        server.stop()


# -- the port, and what is on the console ----------------------------------------------------------------------------------


def test_a_taken_port_is_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for command, brokers in (("up", "embedded"), ("worker", "127.0.0.1:1")):
            site = Installation(brokers, "", tmp_path)
            result = site.vigie(command, "--port", port)
            assert result.exit_code == 1
            assert f"127.0.0.1:{port} is taken by another process" in result.stderr
            assert "VIGIE_WEB__PORT" in result.stderr and "Traceback" not in result.output


def test_the_console_of_up_is_quiet_and_says_what_matters(tmp_path: Path) -> None:
    site = Installation("embedded", "", tmp_path)
    with Worker(site, {}, "up", "--demo") as up:
        up.ready()
        until(lambda: up.readings()["sales"]["value"])
        assert up.end(signal.SIGTERM) == 0
        lines = up.log.splitlines()
    assert [line for line in lines if "[^" in line or "Starting..." in line or "rdkafka" in line] == []
    assert f"Vigie is up: {up.url}   (nothing is kept over a restart)" in lines, "not wrapped"
    told = "\n".join(lines)
    for what in (r"restored \d+ partitions", r"generation \d+", "stopping: last checkpoint", "stopped$"):
        assert len(re.findall(what, told, re.MULTILINE)) == 1, (what, told)
    assert len([line for line in lines if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (ERROR|WARNING)", line)]) == 0, told
