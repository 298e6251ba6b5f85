"""What does Vigie cost beside its peers, how late is it, how soon is it back? ``make bench`` answers on this machine.

A real Kafka is started; every contender runs in a process of its own, one at a time, in turn; figures are medians. Results go to
``docs/performance.json`` and, as tables, to ``docs/performance.md``; sections that were not run keep what was found before.
"""

import argparse
import contextlib
import fcntl
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import by_role, jvm, latency, restoring
from bench.before import COMMIT, Checkout, printed
from bench.machine import Others, described, wait_until_quiet
from bench.preload import Ends, preload
from bench.profile_folds import profiles
from bench.report import write
from tests.kafka_broker import ROOT, KafkaBroker, Unavailable

RESULTS = ROOT / "docs" / "performance.json"
SECTIONS = ("whole", "company", "small", "latency", "restore", "profile")
QUIX = ROOT / ".venv-bench"

#: Contenders of each job, and events: slow ones get fewer, so that one run stays under a minute.
SMALL = ("raw", "orjson", "fold", "durable", "before", "streams", "faust", "quix")
WORKERS = ("kpis", "durable", "everything", "roles", "before", "before_everything")
WHOLE = ("raw", "orjson", "decode", "fold", "rolled", *WORKERS, "faust")
COMPANY = ("fold", "rolled", *WORKERS)
SLOW = ("faust", "quix")
#: How latency is measured: predictions on or off, of this commit or of the one before.
MODES = {"predictions": True, "no_predictions": False}


class Bench:
    """One session of measurements on one broker."""

    def __init__(
        self, broker: KafkaBroker, *, runs: int, quick: bool, patience: float, lock: Path | None, before: Checkout | None
    ) -> None:
        self.broker = broker
        self.runs = runs
        self.quick = quick
        self.before = before
        self._number = 0
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
        if self.before is None:
            contenders = tuple(contender for contender in contenders if not contender.startswith("before"))
        self.said(job, f"preloading {many} and {few} events")
        loaded: dict[str, Ends] = {"": preload(brokers, job, many)}
        if set(SLOW) & set(contenders):
            loaded["few."] = preload(brokers, job, few, "few.")
        if "quix" in contenders:
            loaded["quix."] = preload(brokers, job, few, "quix.", by_partition=True)
        runs: dict[str, list[dict[str, float]]] = {contender: [] for contender in contenders}
        stood_still = set[str]()  # is not waited for again
        for _ in range(self.runs):
            for contender in contenders:
                if contender in stood_still:
                    continue
                prefix = "quix." if contender == "quix" else "few." if contender in SLOW else ""
                ends = loaded[prefix]
                if contender in WORKERS and job != "small":  # what a worker writes, the next one would read
                    self._number += 1
                    prefix = f"{contender}-{self._number}."
                    ends = {} if contender == "roles" else preload(brokers, job, many, prefix)
                with self.turn() as others:
                    try:
                        found = self._run(job, contender, prefix, ends, many)
                    except (RuntimeError, TimeoutError, subprocess.TimeoutExpired) as error:
                        self.said(f"{job} {contender}: this run failed and is in no figure: {str(error)[-2000:]}")
                        if isinstance(error, subprocess.TimeoutExpired):
                            stood_still.add(contender)
                        continue
                    found["others"] = others.cores()
                runs[contender].append(found)
                rate, used = found["events"] / found["wall"], found["cpu"] / found["events"] * 1e6
                self.said(f"{job:7s} {contender:17s} {rate:10,.0f} ev/s {used:8.2f} CPU s/M, others {found['others']} cores")
        return {"events": {"many": many, "few": few}, "contenders": {c: _medians(found) for c, found in runs.items() if found}}

    def _run(self, job: str, contender: str, prefix: str, ends: Ends, count: int) -> dict[str, float]:
        brokers = self.broker.bootstrap
        if contender == "roles":
            return by_role.measure(brokers, job, count, prefix)
        listed = json.dumps([[topic, partition, end] for (topic, partition), end in ends.items()])
        asked = ["--prefix", prefix, "--ends", listed, "--brokers", brokers]
        if contender.startswith("before"):
            assert self.before is not None
            # The company's events are in the topics of the whole job: that is all that a job is to a worker.
            of = ["--job", "small" if job == "small" else "whole", "--contender", "durable"]
            return self.before.run("bench.contend", *of, *asked, predictions=contender == "before_everything", timeout=120)
        if contender == "quix":
            command = [str(quix_python()), "bench/quix_small.py", "--topic", prefix + job, "--events", str(sum(ends.values()))]
            command += ["--brokers", brokers]
        elif contender == "streams":
            command = jvm.command(brokers, prefix + job, sum(ends.values()))
        else:
            command = [sys.executable, "-m", "bench.contend", "--job", job, "--contender", contender, *asked]
        return printed(command, ROOT, 120)

    # -- the sections --------------------------------------------------------------------------------------------------

    def small(self) -> dict[str, Any]:
        """The small job: what the engine costs."""
        return self.throughput("small", SMALL, *((200_000, 20_000) if self.quick else (400_000, 30_000)))

    def whole(self) -> dict[str, Any]:
        """The real contract and catalogue."""
        return self.throughput("whole", WHOLE, *((100_000, 10_000) if self.quick else (150_000, 15_000)))

    def company(self) -> dict[str, Any]:
        """The same for a simulated company's history: owners and sources as they are, each event in a minute of its own."""
        return self.throughput("company", COMPANY, *((40_000, 0) if self.quick else (150_000, 0)))

    def latency(self) -> dict[str, Any]:
        """From production to each stage, at 500 events a second: predictions on and off, this commit and the one before."""
        runs: dict[str, list[dict[str, Any]]] = {}
        seconds = 15 if self.quick else 25
        for _ in range(1 if self.quick else self.runs):
            for mode, live in MODES.items():
                for who in ("", *(["before_"] if self.before else [])):
                    with self.turn() as others:
                        found = self._late(seconds, live, before=bool(who))
                        found["others"] = others.cores()
                    missing = set(STAGES) - set(found["stages"])
                    if missing:
                        raise RuntimeError(f"latency: no samples of {', '.join(sorted(missing))}")
                    runs.setdefault(who + mode, []).append(found)
                    self.said("latency", who + mode, found["stages"])
        return {"rate": 500, "seconds": seconds, "modes": {mode: _late_medians(found) for mode, found in runs.items()}}

    def _late(self, seconds: int, live: bool, before: bool) -> dict[str, Any]:
        brokers = self.broker.bootstrap
        if not before:
            return latency.measure(brokers, seconds, 500, live=live)
        assert self.before is not None
        asked = ["--brokers", brokers, "--seconds", str(seconds), "--rate", "500"]
        return self.before.run("bench.latency", *asked, predictions=live, timeout=180)

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


STAGES = ("folded", "durable", "visible", "alerted")


def _late_medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    stages = {
        stage: {
            "n": sum(run["stages"][stage]["n"] for run in runs),
            **{q: round(statistics.median(run["stages"][stage][q] for run in runs), 1) for q in ("p50", "p99")},
            **{f"{q}s": [run["stages"][stage][q] for run in runs] for q in ("p50", "p99")},
        }
        for stage in STAGES
    }
    found: dict[str, Any] = {"stages": stages, "others": [run["others"] for run in runs]}
    if "cpu" in runs[0]:  # not every commit before says
        found["cpu"] = {role: round(statistics.median(run["cpu"][role] for run in runs), 1) for role in runs[0]["cpu"]}
        found["turns"] = {role: _turns([run["turns"][role] for run in runs]) for role in runs[0]["turns"]}
        found["loop"] = {role: _buckets([run["loop"][role] for run in runs]) for role in runs[0]["loop"]}
    return found


def _turns(runs: list[dict[str, Any]]) -> dict[str, Any]:
    over = {bound: sum(run["over_ms"][bound] for run in runs) for bound in runs[0]["over_ms"]}
    return {"count": sum(run["count"] for run in runs), "over_ms": over, "longest_ms": max(run["longest_ms"] for run in runs)}


def _buckets(runs: list[list[list[Any]]]) -> dict[str, float]:
    counted: dict[str, float] = {}
    for run in runs:
        for bound, n in run:
            counted[bound] = counted.get(bound, 0) + n
    return counted


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
    parser.add_argument("--before", default=COMMIT, metavar="COMMIT", help="the one to compare with; '' for none")
    parser.add_argument("--report", action="store_true", help="only write the report anew, from the results there are")
    arguments = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    if arguments.report:
        print(write(results))
        return 0
    if not arguments.quick and arguments.runs < 3:
        parser.error("--runs: found fewer than 3; accepted: 3 or more, since figures are medians (or --quick)")
    # Who is told to end takes what is being measured along: it would go on for ever, and be in all that is measured after.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    quix_python()
    before = Checkout(arguments.before) if arguments.before else None
    try:
        broker = KafkaBroker(measured=True)
    except Unavailable as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    with broker:
        bench = Bench(
            broker, runs=1 if arguments.quick else arguments.runs, quick=arguments.quick,
            patience=arguments.patience, lock=arguments.lock, before=before,
        )  # fmt: skip
        sections: dict[str, Callable[[], dict[str, Any]]] = {
            "small": bench.small,
            "whole": bench.whole,
            "company": bench.company,
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
            stamp: dict[str, Any] = {
                "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
                "commit": _commit(),
                "took": round(time.monotonic() - began),
            }
            if before is not None:
                stamp["before"] = arguments.before
            results[name] = {**found, **stamp}
            results["machine"] = described()
            if not arguments.quick:
                RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(write(results, keep=not arguments.quick))
    return 0


if __name__ == "__main__":
    sys.exit(main())
