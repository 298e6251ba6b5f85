"""Is each example learnt exactly once when workers are killed while they learn? ``python -m bench.learning``.

A real Kafka, two workers, a known world of deals published in parts; in the middle of each part the worker that learns is
killed with −9 and started again. At the end the count of what was learnt must equal the distinct examples on the topic, every
one of them there once, and the model's version must only have grown. Exit code 1 if not.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import orjson

from tests.integration.installation import Installation, Worker, until
from tests.kafka_broker import KafkaBroker
from tests.kafka_records import records
from tests.models.learners.live import event
from tests.models.learners.test_live import jittered

#: Seconds within which something has to happen, on a machine with much else to do.
_LIMIT = 600


def committed(brokers: str, topic: str) -> list[bytes]:
    """The values of all committed records of a topic of one partition."""
    return [message.value() or b"" for message in records(brokers, topic)]


def status(workers: list[Worker]) -> dict[str, Any]:
    """What the one who learns says of the deals' model; the newest of what the workers say, ``{}`` while none answers."""
    found: list[dict[str, Any]] = []
    for worker in workers:
        try:
            found += [one for one in httpx.get(f"{worker.url}/api/models", timeout=5).json() if one["model"] == "deal"]
        except (httpx.TransportError, TypeError, KeyError, ValueError):
            continue
    return max(found, key=lambda one: int(one["version"]), default={})


def learner(workers: list[Worker]) -> Worker | None:
    """The worker that has the one partition of examples."""
    for worker in workers:
        if "learn" in (worker.readyz().get("partitions") or {}):
            return worker
    return None


def run(broker: KafkaBroker, directory: Path, deals: int, kills: int) -> dict[str, Any]:
    prefix = f"learning-{uuid.uuid4().hex[:6]}-"
    site = Installation(broker.bootstrap, prefix, directory, MODELS__INTERVAL="1s", KAFKA__SESSION_TIMEOUT="6s")
    site.done("topics", "create")
    values = [event(number, fact) for number, fact in enumerate(jittered(deals))]
    parts = [values[len(values) * n // (kills + 1) : len(values) * (n + 1) // (kills + 1)] for n in range(kills + 1)]
    topic = f"{prefix}examples"
    workers = [site.worker(INSTANCE=name) for name in ("a", "b")]
    names = {id(worker): name for worker, name in zip(workers, ("a", "b"), strict=True)}
    versions: list[int] = []
    killed = 0
    try:
        for number, part in enumerate(parts):
            before = status(workers).get("version", 0)
            site.produce([("deals", json.loads(value)["subject"].encode(), value, None) for value in part])
            if number == kills:
                break
            found: dict[str, Any] = until(lambda b=before: (s := status(workers)).get("version", 0) > b and s, _LIMIT)  # type: ignore[misc]
            versions.append(int(found["version"]))
            holder = until(lambda: learner(workers), _LIMIT)
            holder.end(signal.SIGKILL)
            killed += 1
            workers.remove(holder)
            fresh = site.worker(INSTANCE=names[id(holder)])
            names[id(fresh)] = names[id(holder)]
            workers.append(fresh)
        site.settle(_LIMIT)

        def all_learnt() -> dict[str, Any] | None:
            told = status(workers)
            total = sum((told.get("examples") or {}).values())
            sent = len(committed(broker.bootstrap, topic))
            return told if total == sent > 0 else None

        told = until(all_learnt, _LIMIT)
        sent = [orjson.loads(value)["id"] for value in committed(broker.bootstrap, topic)]
        return {
            "deals": deals,
            "events": len(values),
            "kills": killed,
            "examples_sent": len(sent),
            "examples_distinct": len(set(sent)),
            "examples_learnt": sum(told["examples"].values()),
            "refused": told["refused"],
            "versions_only_grew": versions == sorted(versions) and int(told["version"]) >= versions[-1],
            "lessons": told["lessons"],
        }
    finally:
        for worker in workers:
            worker.__exit__()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deals", type=int, default=200)
    parser.add_argument("--kills", type=int, default=3)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        broker = KafkaBroker(Path(directory) / "kafka", measured=True)
        broker.start()
        try:
            found = run(broker, Path(directory), arguments.deals, arguments.kills)
        finally:
            broker.stop()
    same = found["examples_sent"] == found["examples_distinct"] == found["examples_learnt"]
    found["seconds"] = round(time.monotonic() - began, 1)
    found["exact"] = same and not found["refused"] and found["versions_only_grew"]
    print(json.dumps(found, indent=2))
    return 0 if found["exact"] else 1


if __name__ == "__main__":
    sys.exit(main())
