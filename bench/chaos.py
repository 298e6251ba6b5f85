"""Do the numbers stay exact when everything that can be killed, paused or restarted is? See ``bench/chaos_run.py``.

Exit code 1 if not.
"""

import argparse
import contextlib
import importlib
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from bench.chaos_cluster import Cluster
from bench.chaos_cluster_run import ClusterRun
from bench.chaos_net import BROKERS, enter
from bench.chaos_roles import RoleRun
from bench.chaos_run import WORKER, Run
from tests.kafka_broker import KafkaBroker


def main() -> int:
    """Run the seeds asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="so many seeds, from --seed on")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=int, default=2000, help="events per second")
    parser.add_argument("--job", default="bench.real_job", help="module with TOPICS, specs, stream_of, truth, totals")
    parser.add_argument("--worker", default=WORKER, help="command of a worker, with the same {placeholders}")
    parser.add_argument("--roles", action="store_true", help="whole workers, of a process for each role (bench/chaos_roles.py)")
    parser.add_argument(
        "--cluster", action="store_true", help="three brokers, leaders die, networks are cut (bench/chaos_cluster_run.py)"
    )
    parser.add_argument(
        "--no-cuts", action="store_true", help="with --cluster: no networks of their own for workers (needs no root)"
    )
    parser.add_argument("--keep", type=Path, help="directory for the workers' logs")
    arguments = parser.parse_args()
    job = importlib.import_module(arguments.job)
    directory = arguments.keep or Path(tempfile.mkdtemp(prefix="vigie-chaos-"))
    directory.mkdir(parents=True, exist_ok=True)
    # Whoever ends us with SIGTERM must not leave workers and a broker behind: leave through the finally blocks.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if arguments.cluster and not arguments.no_cuts:
        enter()
    kind = RoleRun if arguments.roles else Run
    failed = 0
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        with contextlib.ExitStack() as stack:
            told = (seed, arguments.seconds, arguments.rate, job)
            if arguments.cluster:
                cluster = stack.enter_context(Cluster(BROKERS if not arguments.no_cuts else "127.0.0.1"))
                run: Run = ClusterRun(*told, cast(Any, cluster), arguments.worker, directory, cuts=not arguments.no_cuts)
            else:
                run = kind(*told, stack.enter_context(KafkaBroker(measured=True)), arguments.worker, directory)
            exact = run.go()
            failed += not exact
            events = int(arguments.rate * arguments.seconds)
            verdict = "EXACT" if exact else "MISMATCH " + "; ".join(run.faults) + f" (log: {run.log.name})"
            print(f"seed {seed}: {events} events, {' '.join(run.operations)}: {verdict}", flush=True)
            if arguments.cluster:
                print(f"{sum(one[0] != 'x' for one in run.operations)} faults", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    os._exit(130)
