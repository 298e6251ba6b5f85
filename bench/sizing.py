"""How much memory and CPU do a pod's roles take: with nothing to do, with a company's history, and at work?

``python -m bench.sizing [--days 90] [--scale 1] [--rate 5]``: a real Kafka, one ``vigie worker --role`` each for fold, serve
and predict and a ``vigie web``, each as the chart runs it (``VIGIE_PROCESSES=1``). Memory is what a container is charged for: the
resident memory of the role with its supervisor. A simulated company's history is published and folded, then ``--rate`` events a
second for half a minute.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.scraped import page, waiting
from tests.kafka_broker import KafkaBroker, free_port

ROLES = ("fold", "serve", "predict", "web")


class Pod:
    """One role, and what it takes."""

    def __init__(self, name: str, brokers: str, folder: Path) -> None:
        self.port = free_port()
        self.environment = {
            "PATH": os.environ["PATH"], "VIGIE_KAFKA__BROKERS": brokers, "VIGIE_WEB__PORT": str(self.port),
            "VIGIE_PROCESSES": "1", "VIGIE_INSTANCE": name, "VIGIE_DATA_DIR": str(folder),
        }  # fmt: skip
        words = ["web"] if name == "web" else ["worker", "--role", name]
        command = [sys.executable, "-m", "vigie", *words]
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=(folder / f"{name}.log").open("wb")
        )

    def all(self) -> list[psutil.Process]:
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def memory(self) -> float:
        """Resident, MB."""
        return sum(float(one.memory_info().rss) for one in self.all()) / 1e6

    def cpu(self) -> float:
        """CPU seconds so far."""
        return sum(sum(one.cpu_times()[:2]) for one in self.all())


def quiet(pods: dict[str, Pod], patience: float = 900) -> None:
    """Wait until all are ready and nothing waits."""
    end = time.monotonic() + patience
    while not all(page(pod.port, "/readyz") for pod in pods.values()) or sum(waiting(pods[name].port) for name in ROLES[:3]) > 0:
        if time.monotonic() > end:
            raise TimeoutError({name: waiting(pod.port) for name, pod in pods.items()})
        time.sleep(1)
    time.sleep(10)  # what follows from what was folded


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rate", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = KafkaBroker(folder / "kafka").start()
        pods: dict[str, Pod] = {}

        def vigie(*words: str) -> None:
            environment = {"PATH": os.environ["PATH"], "VIGIE_KAFKA__BROKERS": broker.bootstrap}
            subprocess.run([sys.executable, "-m", "vigie", *words], env=environment, check=True, capture_output=True)

        def told(what: str) -> None:
            row = ", ".join(f"{name} {pod.memory():.0f} MB" for name, pod in pods.items())
            print(f"{what}: {row}", flush=True)

        try:
            vigie("topics", "create")
            history, live = folder / "history.jsonl", folder / "live.jsonl"
            vigie("simulate", "--out", str(history), "--days", str(asked.days), "--scale", str(asked.scale), "--seed", "3")
            pods = {name: Pod(name, broker.bootstrap, folder) for name in ROLES}
            quiet(pods)
            told("nothing")
            before = {name: pod.cpu() for name, pod in pods.items()}
            vigie("publish", str(history))
            quiet(pods)
            lines = history.read_bytes().splitlines(keepends=True)
            told(f"{len(lines):,} events of {asked.days} days")
            print("CPU seconds for them:", {name: round(pod.cpu() - before[name], 1) for name, pod in pods.items()}, flush=True)
            before, began = {name: pod.cpu() for name, pod in pods.items()}, time.monotonic()
            for second in range(30):
                live.write_bytes(b"".join(lines[-(second + 1) * asked.rate :][: asked.rate]))
                vigie("publish", str(live))
                time.sleep(max(0.0, began + second + 1 - time.monotonic()))
            took = time.monotonic() - began
            told(f"{asked.rate} events a second")
            shares = {name: f"{(pod.cpu() - before[name]) / took:.1%}" for name, pod in pods.items()}
            print("of a core:", shares, f"({30 * asked.rate / took:.0f} events a second)", flush=True)
        finally:
            for pod in pods.values():
                pod.process.terminate()
            for pod in pods.values():
                pod.process.wait(60)
            broker.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
