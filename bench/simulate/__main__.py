"""``python -m bench.simulate --seeds 10000``: is nothing lost or doubled, whatever happens when? Exit code 1 where something is.

Each seed is a run of the real driver, lanes, feed, checkpoints and restoration on a simulated loop, clock and broker. A seed that
finds something is run again with ``--seed N --log``.
"""

import argparse
import functools
import logging
import multiprocessing
import sys
import time
from collections import Counter

from bench.simulate.telling import TellingWorld
from bench.simulate.world import Outcome, World, run


def main() -> int:
    """Run the seeds asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="so many, from --seed on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--telling", action="store_true", help="dispatch and delivery in place of the folds that add up")
    parser.add_argument("--log", action="store_true", help="show what the engine says")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    if not arguments.log:
        logging.disable(logging.CRITICAL)
    began = time.monotonic()
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    seen: Counter[str] = Counter()
    steps, seconds, failed = 0, 0.0, 0
    once = functools.partial(run, kind=TellingWorld if arguments.telling else World)
    with multiprocessing.Pool(arguments.jobs) as pool:
        outcomes = map(once, seeds) if arguments.log or len(seeds) < 20 else pool.imap(once, seeds, chunksize=10)
        for outcome in outcomes:
            seen.update(outcome.done)
            steps += outcome.steps
            seconds += outcome.seconds
            if outcome.wrong:
                failed += 1
                print(f"seed {outcome.seed}: {'; '.join(outcome.wrong[:4])}", flush=True)
            elif len(seeds) == 1:
                print(_line(outcome))
    what = ", ".join(f"{count} {kind}" for kind, count in sorted(seen.items()))
    took = time.monotonic() - began
    print(f"{len(seeds)} seeds, {failed} wrong: {steps} steps, {seconds / 3600:.1f} simulated hours in {took:.0f} s; {what}")
    return 1 if failed else 0


def _line(outcome: Outcome) -> str:
    return f"seed {outcome.seed}: {outcome.steps} steps, {outcome.seconds:.1f} s, trace {outcome.trace:x}: as it must be"


if __name__ == "__main__":
    sys.exit(main())
