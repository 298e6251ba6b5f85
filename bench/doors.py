"""Does the front door lose or double anything, and how much does it take? ``python -m bench.doors --deliveries 100000 --seed 1``

``--load`` measures instead: one ``vigie web`` on one core, HubSpot requests, each on a real Kafka before it is answered; beside
the same application writing nothing, and a FastAPI application that only answers. ``--memory N`` sends N requests to one door
and watches its memory.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import door_chaos
from bench.door_load import Load
from bench.hubspot import SETTINGS
from bench.machine import Others, wait_until_quiet
from bench.site import VARIANTS, Door, installed
from tests.kafka_broker import KafkaBroker
from tests.redis_server import Redis
from tests.tools import program


def chaos(broker: KafkaBroker, directory: Path, deliveries: int, seed: int) -> int:
    """Kill and compare; 0 where all is exact."""
    report = door_chaos.run(broker, directory, f"c{seed}.", deliveries=deliveries, seed=seed)
    print(json.dumps(report.facts, indent=1))
    if report.faults:
        print("\n".join(f"MISMATCH {fault}" for fault in report.faults), f"(logs: {directory})", sep="\n")
        return 1
    print("EXACT")
    return 0


def load(broker: KafkaBroker, directory: Path, requests: int, runs: int, patience: float) -> int:
    """Measure each variant in turn, ``runs`` times."""
    redis = Redis(directory)
    redis.start()
    found: dict[str, list[dict[str, Any]]] = {variant: [] for variant in VARIANTS}
    paced: list[dict[str, Any]] = []
    _apart(broker)
    try:
        site = installed(broker.bootstrap, "load.", directory, SETTINGS, partitions=8, REDIS__URL=redis.url)
        for number in range(runs):
            for variant in VARIANTS:
                door = Door(site, f"{variant}{number}", variant=variant, cores={0}).start()
                try:
                    door.up()
                    sender = Load(door, 1 + number * len(VARIANTS) + VARIANTS.index(variant))
                    asyncio.run(sender.closed(2_000))  # warm
                    wait_until_quiet(patience)
                    others = Others(broker.pid)
                    run = asyncio.run(sender.closed(requests))
                    run["others"] = others.cores()
                    found[variant].append(run)
                    print(variant, run, dict(sender.statuses), flush=True)
                    if variant == "real":
                        paced.append(asyncio.run(sender.paced(500, 10)))
                        print("at 500 a second", paced[-1], flush=True)
                    if set(sender.statuses) != {200}:
                        print(f"MISMATCH answers: found {dict(sender.statuses)}; accepted: 200")
                        return 1
                finally:
                    door.kill()
    finally:
        redis.stop()
    rate = {variant: statistics.median(run["rate"] for run in all_) for variant, all_ in found.items()}
    # The least disturbed run: others on the same core and cache only ever add to what a request costs.
    cpu = {variant: min(run["cpu_us"] for run in all_) for variant, all_ in found.items()}
    summary = {
        "requests a second": rate,
        "cpu us a request, at least": cpu,
        "requests a second of one core, by cpu": {variant: round(1e6 / used) for variant, used in cpu.items()},
        "real / silent": {"clock": round(rate["real"] / rate["silent"], 2), "cpu": round(cpu["silent"] / cpu["real"], 2)},
        "real / bare": {"clock": round(rate["real"] / rate["bare"], 2), "cpu": round(cpu["bare"] / cpu["real"], 2)},
        "p99 at 500 a second, ms": [run["p99_ms"] for run in paced],
    }
    print(json.dumps(summary, indent=1))
    return 0


def memory(broker: KafkaBroker, directory: Path, requests: int) -> int:
    """Send many, and say what the process holds on the way."""
    redis = Redis(directory)
    redis.start()
    _apart(broker)
    site = installed(broker.bootstrap, "memory.", directory, SETTINGS, partitions=8, REDIS__URL=redis.url)
    door = Door(site, "web", cores={0}).start()
    held: list[tuple[int, float]] = []
    try:
        door.up()
        sender = Load(door, 1)
        step = max(1, requests // 10)
        for number in range(10):
            run = asyncio.run(sender.closed(step))
            held.append(((number + 1) * step, round(door.memory() / 1e6, 1)))
            print(*held[-1], "MB", run, flush=True)
    finally:
        door.kill()
        redis.stop()
    print(json.dumps({"answers": dict(sender.statuses), "events": sender.events, "resident MB after requests": dict(held)}))
    grown = held[-1][1] / held[1][1] - 1
    print(f"from {held[1][0]} to {held[-1][0]} requests: {grown:+.1%}")
    return 0 if set(sender.statuses) == {200} and grown < 0.1 else 1


def _apart(broker: KafkaBroker) -> None:
    """The door has the first core for itself: all that is ours goes to the others."""
    others = os.sched_getaffinity(0) - {0}
    os.sched_setaffinity(0, others)
    assert broker.pid is not None
    for task in Path(f"/proc/{broker.pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), others)


def main() -> int:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.doors", description=__doc__)
    parser.add_argument("--deliveries", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--load", action="store_true", help="requests a second, latency, ratios")
    parser.add_argument("--requests", type=int, default=20_000, help="of each run of --load")
    parser.add_argument("--runs", type=int, default=3, help="of --load")
    parser.add_argument("--memory", type=int, metavar="N", help="send N requests and watch the memory")
    parser.add_argument(
        "--patience", type=float, default=15, help="seconds to wait before each run of --load for a quiet machine"
    )
    parser.add_argument("--keep", type=Path, help="directory for the logs")
    arguments = parser.parse_args()
    program("redis-server", "valkey-server")
    directory = arguments.keep or Path(tempfile.mkdtemp(prefix="vigie-doors-"))
    directory.mkdir(parents=True, exist_ok=True)
    # Whoever ends us with SIGTERM must not leave processes behind: leave through the finally blocks.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with KafkaBroker(measured=True) as broker:
        if arguments.load:
            return load(broker, directory, arguments.requests, arguments.runs, arguments.patience)
        if arguments.memory:
            return memory(broker, directory, arguments.memory)
        return chaos(broker, directory, arguments.deliveries, arguments.seed)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    os._exit(130)
