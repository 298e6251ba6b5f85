"""One engine in one process, as a supervisor would run it: for chaos and for measuring.

Exit codes: 0 stopped by SIGTERM or SIGINT, or totals written; 3 the engine stopped itself (fenced, a fold failed).
"""

import argparse
import asyncio
import importlib
import json
import logging
import os
import signal
import sys
from pathlib import Path

from stream.engine.app import build_app
from stream.engine.errors import EngineStopped
from stream.engine.options import EngineOptions


def _targets(path: str) -> dict[tuple[str, int], int]:
    return {(topic, partition): offset for topic, partition, offset in json.loads(Path(path).read_text())}


def _write(path: str, found: object) -> None:
    part = Path(path + ".part")
    part.write_text(json.dumps(found))
    part.rename(path)


async def run(arguments: argparse.Namespace) -> int:
    """Run until a signal, or until the totals are written."""
    job = importlib.import_module(arguments.job)
    options = EngineOptions(
        brokers=arguments.brokers,
        application=arguments.application,
        instance=arguments.instance,
        topic_prefix=arguments.prefix,
        partitions=arguments.partitions,
        topics=job.TOPICS,
        session_timeout=arguments.session_timeout,
        rebalance_timeout=arguments.session_timeout,
    )
    engine = build_app(options, job.specs())
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)

    async def life() -> None:
        await engine.start()
        if arguments.totals:
            await engine.driver.settled(_targets(arguments.targets), cascade=True)
            _write(arguments.totals, {"totals": job.totals(engine), "status": engine.status()})
            stopping.set()
            return
        await engine.run_until_stopped()

    task = asyncio.create_task(life())
    waiting = asyncio.create_task(stopping.wait())
    code = 0
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        try:
            task.result()
        except EngineStopped as error:
            print(f"stopped: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            code = 3
    await engine.stop()
    for pending in (task, waiting):
        pending.cancel()
    await asyncio.gather(task, waiting, return_exceptions=True)
    return code


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--application", required=True)
    parser.add_argument("--instance", default="0")
    parser.add_argument("--prefix", default="", help="of topics and group")
    parser.add_argument("--job", default="bench.small_job")
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--session-timeout", type=float, default=6.0)
    parser.add_argument("--targets", help="JSON list of [topic, partition, offset]")
    parser.add_argument("--totals", help="settle the targets, write the totals there, and end")
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.WARNING, format=f"%(asctime)s [{arguments.instance} {os.getpid()}] %(name)s %(levelname)s %(message)s"
    )
    for name in ("stream.engine.driver", "stream.engine.checkpoint", "stream.engine.restore", "stream.engine.app"):
        logging.getLogger(name).setLevel(logging.INFO)
    return asyncio.run(run(arguments))


if __name__ == "__main__":
    sys.exit(main())
