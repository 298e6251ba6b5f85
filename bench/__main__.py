"""What does Vigie cost beside its peers, how late is it, how soon is it back? ``make bench`` answers on this machine.

A real Kafka is started; every contender runs in a process of its own, one at a time, in turn; figures are medians. Results go to
``docs/performance.json`` and, as tables, to ``docs/performance.md``; sections that were not run keep what was found before.
"""

import argparse
import contextlib
import fcntl
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import latency, restoring
from bench.machine import Others, described, wait_until_quiet
from bench.preload import Ends, preload
from bench.profile_folds import profiles
from bench.report import write
from tests.kafka_broker import ROOT, KafkaBroker, Unavailable

RESULTS = ROOT / "docs" / "performance.json"
SECTIONS = ("whole", "small", "latency", "restore", "profile")
QUIX = ROOT / ".venv-bench"

#: Contenders of each job, and events: slow ones get fewer, so that one run stays under a minute.
SMALL = ("raw", "orjson", "fold", "durable", "faust", "quix")
WHOLE = ("raw", "orjson", "decode", "fold", "rolled", "durable", "faust")
SLOW = ("faust", "quix")


class Bench:
    """One session of measurements on one broker."""

    def __init__(self, broker: KafkaBroker, *, runs: int, quick: bool, patience: float, lock: Path | None) -> None:
        self.broker = broker
        self.runs = runs
        self.quick = quick
        self._patience = patience
        self._lock = lock

    @contextlib.contextmanager
    def turn(self) -> Iterator[Others]:
        """Take turns with whoever uses the same lock, and wait for the machine to be quiet."""
        with contextlib.ExitStack() as stack:
            if self._lock is not None:
                file = stack.enter_context(self._lock.open("a"))
                fcntl.flock(file, fcntl.LOCK_EX)
            wait_until_quiet(self._patience)
            yield Others(self.broker.pid)

    def said(self, *what: object) -> None:
        """Tell how it goes."""
        print(f"{datetime.now(UTC):%H:%M:%S}", *what, file=sys.stderr, flush=True)

    # -- throughput ----------------------------------------------------------------------------------------------------

    def throughput(self, job: str, contenders: tuple[str, ...], many: int, few: int) -> dict[str, Any]:
        """Run all contenders of a job in turn; medians, and every run."""
        brokers = self.broker.bootstrap
        self.said(job, f"preloading {many} and {few} events")
        loaded: dict[str, Ends] = {"": preload(brokers, job, many), "few.": preload(brokers, job, few, "few.")}
        if "quix" in contenders:
            loaded["quix."] = preload(brokers, job, few, "quix.", by_partition=True)
        runs: dict[str, list[dict[str, float]]] = {contender: [] for contender in contenders}
        for _ in range(self.runs):
            for contender in contenders:
                prefix = "quix." if contender == "quix" else "few." if contender in SLOW else ""
                with self.turn() as others:
                    try:
                        found = self._run(job, contender, prefix, loaded[prefix])
                    except (RuntimeError, subprocess.TimeoutExpired) as error:
                        self.said(f"{job} {contender}: this run failed and is in no figure: {error}")
                        continue
                    found["others"] = others.cores()
                runs[contender].append(found)
                rate, used = found["events"] / found["wall"], found["cpu"] / found["events"] * 1e6
                self.said(f"{job:6s} {contender:8s} {rate:10,.0f} ev/s {used:8.2f} CPU s/M, others {found['others']} cores")
        return {"events": {"many": many, "few": few}, "contenders": {c: _medians(found) for c, found in runs.items() if found}}

    def _run(self, job: str, contender: str, prefix: str, ends: Ends) -> dict[str, float]:
        if contender == "quix":
            command = [str(quix_python()), "bench/quix_small.py", "--topic", prefix + job, "--events", str(sum(ends.values()))]
        else:
            listed = json.dumps([[topic, partition, end] for (topic, partition), end in ends.items()])
            command = [sys.executable, "-m", "bench.contend", "--job", job, "--contender", contender]
            command += ["--prefix", prefix, "--ends", listed]
        result = subprocess.run(
            [*command, "--brokers", self.broker.bootstrap], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        if result.returncode or not result.stdout.strip():
            raise RuntimeError(f"{job} {contender}: exit {result.returncode}: {result.stderr[-3000:]}")
        found: dict[str, float] = json.loads(result.stdout.strip().splitlines()[-1])
        return found

    # -- the sections --------------------------------------------------------------------------------------------------

    def small(self) -> dict[str, Any]:
        """The small job: what the engine costs."""
        return self.throughput("small", SMALL, *((200_000, 20_000) if self.quick else (400_000, 30_000)))

    def whole(self) -> dict[str, Any]:
        """The real contract and catalogue."""
        return self.throughput("whole", WHOLE, *((100_000, 10_000) if self.quick else (150_000, 15_000)))

    def latency(self) -> dict[str, Any]:
        """From production to each stage, at 500 events a second."""
        found = []
        for _ in range(1 if self.quick else self.runs):
            with self.turn() as others:
                found.append(latency.measure(self.broker.bootstrap, 15 if self.quick else 25, 500))
                missing = {"folded", "durable", "visible", "alerted"} - set(found[-1]["stages"])
                if missing:
                    raise RuntimeError(f"latency: no samples of {', '.join(sorted(missing))}")
                found[-1]["others"] = others.cores()
            self.said("latency", found[-1])
        stages = {
            stage: {
                "n": sum(run["stages"][stage]["n"] for run in found),
                **{q: round(statistics.median(run["stages"][stage][q] for run in found), 1) for q in ("p50", "p99")},
                "p99s": [run["stages"][stage]["p99"] for run in found],
            }
            for stage in found[0]["stages"]
        }
        return {"rate": 500, "stages": stages, "others": [run["others"] for run in found]}

    def restore(self) -> dict[str, Any]:
        """A million open deals, back in memory."""
        deals = 100_000 if self.quick else 1_000_000
        self.said("restore", f"filling the changelog with {deals} deals")
        filled = restoring.fill(self.broker.bootstrap, deals)
        found = []
        for _ in range(1 if self.quick else self.runs):
            with self.turn() as others:
                found.append(restoring.measure(self.broker.bootstrap))
                found[-1]["others"] = others.cores()
            self.said("restore", found[-1])
        medians = {name: statistics.median(run[name] for run in found) for name in ("seconds", "ready_seconds", "bytes_per_deal")}
        return {"deals": deals, **filled, **medians, "runs": found}

    def profile(self) -> dict[str, Any]:
        """Where the time of the folds goes."""
        with self.turn():
            return profiles(60_000 if self.quick else 120_000)


def _medians(runs: list[dict[str, float]]) -> dict[str, Any]:
    return {
        "events_per_second": round(statistics.median(run["events"] / run["wall"] for run in runs)),
        "cpu_seconds_per_million": round(statistics.median(run["cpu"] / run["events"] * 1e6 for run in runs), 2),
        "others": statistics.median(run["others"] for run in runs),
        "runs": runs,
    }


def quix_python() -> Path:
    """The interpreter of Quix' own environment, made where it is missing."""
    python = QUIX / "bin" / "python"
    mark = QUIX / ".made"
    if not mark.exists():
        subprocess.run([sys.executable, "-m", "venv", str(QUIX)], check=True)
        install = [str(python), "-m", "pip", "--disable-pip-version-check", "-q", "install", "-r", "bench/requirements.txt"]
        subprocess.run(install, cwd=ROOT, check=True)
        mark.touch()
    return python


def _commit() -> str:
    result = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return result.stdout.strip() or "unknown"


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer events: whether it runs, not how fast; writes no report")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--patience", type=float, default=30, help="seconds to wait before each run for a quiet machine")
    parser.add_argument("--lock", type=Path, help="a file to lock during each run, to take turns on a shared machine")
    parser.add_argument("--report", action="store_true", help="only write the report anew, from the results there are")
    arguments = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    if arguments.report:
        print(write(results))
        return 0
    if not arguments.quick and arguments.runs < 3:
        parser.error("--runs: found fewer than 3; accepted: 3 or more, since figures are medians (or --quick)")
    quix_python()
    try:
        broker = KafkaBroker(measured=True)
    except Unavailable as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    with broker:
        bench = Bench(
            broker, runs=1 if arguments.quick else arguments.runs, quick=arguments.quick,
            patience=arguments.patience, lock=arguments.lock,
        )  # fmt: skip
        sections: dict[str, Callable[[], dict[str, Any]]] = {
            "small": bench.small,
            "whole": bench.whole,
            "latency": bench.latency,
            "restore": bench.restore,
            "profile": bench.profile,
        }
        if arguments.quick:
            results = {}
        for name in SECTIONS:
            if name not in arguments.only:
                continue
            began = time.monotonic()
            found = sections[name]()
            stamp = {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}", "commit": _commit(), "took": round(time.monotonic() - began)}
            results[name] = {**found, **stamp}
            results["machine"] = described()
            if not arguments.quick:
                RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(write(results, keep=not arguments.quick))
    return 0


if __name__ == "__main__":
    sys.exit(main())
