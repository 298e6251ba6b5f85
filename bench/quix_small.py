"""What does the small job cost on Quix Streams, with its State (RocksDB) and changelog topics?

Runs in an environment of its own (``bench/requirements.txt``), so it imports nothing of this project. State belongs to the
record's key; so that one partition's panes can be kept as the other contenders keep them, this job's records are keyed by
their partition (``--topic`` is loaded so). The other way, a repartition topic for each of four dimensions, would send every
event four times.
"""

import argparse
import json
import logging
import os
import tempfile
import time
import uuid
from typing import Any

from quixstreams import Application, State

MEASURES = 12


def fold(event: dict[str, Any], state: State) -> None:
    """One event into its four vectors and its deal."""
    minute = event["ts"] // 60_000
    vectors = []
    for name in ("a", "c" + event["channel"], "r" + event["region"], "o" + event["owner"]):
        key = f"{minute}|{name}"
        vectors.append((key, state.get(key) or [0] * MEASURES))
    kind = event["type"]
    if kind == "deal":
        deal, amount, stage = event["deal_id"], event["amount"], event["stage"]
        old = state.get(deal)
        was = old[1] if old is not None and old[0] not in ("won", "lost") else 0
        moved = 1 if old is not None and old[0] != stage else 0
        opened = (amount if stage not in ("won", "lost") else 0) - was
        state.set(deal, [stage, amount])
        won = 1 if stage == "won" else 0
        lost = 1 if stage == "lost" else 0
        for _, v in vectors:
            v[0] += 1
            v[1] += amount
            v[2] += won
            v[3] += amount if won else 0
            v[4] += lost
            v[5] += opened
            v[6] += moved
    elif kind == "lead":
        converted = 1 if event["status"] == "converted" else 0
        score = event["score"]
        for _, v in vectors:
            v[7] += 1
            v[8] += converted
            v[9] += score
    else:
        duration = event["duration_s"]
        for _, v in vectors:
            v[10] += 1
            v[11] += duration
    for key, vector in vectors:
        state.set(key, vector)


def cpu() -> float:
    """CPU seconds of this process so far."""
    times = os.times()
    return times.user + times.system


class Clock:
    """Begins with the first record; at the last one prints the figures and ends the process."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.seen = 0
        self.began = self.used = 0.0

    def __call__(self, topic: str, partition: int, offset: int) -> None:
        """One record has been processed."""
        if not self.seen:
            self.began, self.used = time.perf_counter(), cpu()
        self.seen += 1
        if self.seen == self.expected:
            wall = time.perf_counter() - self.began
            print(json.dumps({"wall": wall, "cpu": cpu() - self.used, "events": self.seen - 1}), flush=True)
            os._exit(0)


def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--commit-interval", type=float, default=1.0)
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="vigie-quix-") as directory:
        app = Application(
            broker_address=arguments.brokers,
            consumer_group=f"quix-{uuid.uuid4().hex[:6]}",
            auto_offset_reset="earliest",
            commit_interval=arguments.commit_interval,
            state_dir=directory,
            loglevel="ERROR",
            on_message_processed=Clock(arguments.events),
        )
        frame = app.dataframe(app.topic(arguments.topic, key_deserializer="bytes", value_deserializer="json"))
        frame.update(fold, stateful=True)
        app.run()


if __name__ == "__main__":
    main()
