"""What does each fold of a worker cost under a steady load? All of them in this process, without a broker, in CPU time.

The mix of the whole job comes at a steady rate, on a clock of its own. Records go from fold to fold as a Kafka would give them:
what a lane writes is read when its checkpoint is over, and a lane makes one as often as it would. So as little falls together
between two checkpoints, and as much between two readings, as with a broker. What broker, clients and loop cost is not in it.
"""

import argparse
import cProfile
import gc
import heapq
import pstats
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import orjson

from bench.latency import PARTITIONS, PROBES, probe_rule
from bench.whole_job import Mix
from models.calendar import iso
from models.fold import Output, PartitionFold, Record
from stream.config.settings import Settings
from stream.engine.address import address
from stream.engine.options import FoldSpec
from stream.engine.topics import partition_for

#: Between a fetch and the next, and what a checkpoint takes until others see it (ms).
FETCH, COMMIT = 20, 15
START = 1_790_000_000_000


class Steady:
    """Every partition of every fold, on a clock that stands still while they work."""

    def __init__(self, specs: Sequence[FoldSpec], options: Any) -> None:
        self.now = START
        self.spent: dict[tuple[str, str], float] = defaultdict(float)
        self.calls: Counter[tuple[str, str]] = Counter()
        self.written: Counter[str] = Counter()
        self.profile: cProfile.Profile | None = None
        self.profiled = ""
        self._options = options
        self._specs = {spec.name: spec for spec in specs}
        self._readers: dict[str, list[str]] = defaultdict(list)
        self._folds: dict[tuple[str, int], PartitionFold] = {}
        self._touched: dict[str, dict[tuple[str, int], None]] = defaultdict(dict)
        self._interval: dict[str, float] = {}
        self._next: dict[str, int] = {}
        self._under_way: list[tuple[int, int, Any]] = []
        self._offsets: Counter[tuple[str, int]] = Counter()
        self._number = 0
        for spec in specs:
            for topic in spec.topics:
                self._readers[topic].append(spec.name)
            usual = options.lane_intervals.get(spec.lane, options.checkpoint_interval)
            self._interval[spec.lane], self._next[spec.lane] = max(usual * 1000, COMMIT + 5), self.now
            for partition in range(options.partitions_of(spec.topics[0])):
                fold = spec.make(partition)
                fold.restore([])
                if spec.at_hand is not None:
                    spec.at_hand(partition, fold)
                if (live := getattr(fold, "live", None)) is not None:
                    live()
                self._folds[spec.name, partition] = fold

    def clock(self) -> int:
        """The time."""
        return self.now

    def run(self, name: str, what: str, work: Any, *given: Any) -> Any:
        """Have a fold do something, timed."""
        profile = self.profile if self.profiled in ("", name) else None
        if profile is not None:
            profile.enable()
        began = time.process_time_ns()
        found = work(*given)
        self.spent[name, what] += (time.process_time_ns() - began) / 1e9
        if profile is not None:
            profile.disable()
        self.calls[name, what] += 1
        return found

    def write(self, outputs: Sequence[Output], at: int) -> None:
        """Have outputs read at a time."""
        by: dict[tuple[str, int], list[Record]] = defaultdict(list)
        for output in outputs:
            where = output.partition
            if where is None:
                where = partition_for(output.key, self._options.partitions_of(output.topic))
            place = output.topic, where
            offset = self._offsets[place]
            self._offsets[place] += 1
            self.written[output.topic] += 1
            by[place].append(Record(output.topic, where, offset, at, output.key, output.value, output.headers, at))
        for place, records in by.items():
            if self._readers.get(place[0]):
                self._number += 1
                heapq.heappush(self._under_way, (at, self._number, (place, records)))

    def pass_to(self, now: int) -> None:
        """Let time pass: what has come is folded, lanes whose turn it is make their checkpoints, and each second all tick."""
        second = now // 1000 != self.now // 1000
        self.now = now
        while self._under_way and self._under_way[0][0] <= now:
            (topic, partition), records = heapq.heappop(self._under_way)[2]
            for name in self._readers[topic]:
                self.run(name, "fold", self._folds[name, partition].fold, records)
                self._touched[self._specs[name].lane][name, partition] = None
        if second:
            for key, fold in self._folds.items():
                self.run(key[0], "tick", fold.tick, now)
                self._touched[self._specs[key[0]].lane][key] = None
        for lane, due in self._next.items():
            if due <= now and self._touched[lane]:
                touched, self._touched[lane] = self._touched[lane], {}
                self._next[lane] = now + int(self._interval[lane])
                outputs: list[Output] = []
                for key in touched:
                    changes = self.run(key[0], "changes", self._folds[key].changes)
                    outputs += changes.outputs
                    self.written[f"rows of {key[0]}"] += len(changes.rows)
                self.write(outputs, now + COMMIT)


def main() -> int:
    """Print CPU microseconds an event by fold, and what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--warm", type=int, default=5)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--no-predictions", action="store_true")
    parser.add_argument("--profile", default="", metavar="FOLD", help="the dearest functions of a fold (all: of all)")
    parser.add_argument("--top", type=int, default=40)
    arguments = parser.parse_args()
    from vigie import instance as wiring

    holder: list[Steady] = []

    def clock() -> int:
        return holder[0].now if holder else START

    wiring.wall_clock = clock  # type: ignore[attr-defined]
    with probe_rule() as directory:
        settings = Settings.model_validate(
            {
                "application": "bench",
                "models": {"live": not arguments.no_predictions},
                "kafka": {"brokers": "none:1", "partitions": PARTITIONS},
                "rule_folders": [directory],
                "receivers": [{"name": "bench", "type": "http", "url": "http://127.0.0.1:9/"}],
                "alerting": {"route": {"receiver": "bench", "group_by": ["..."], "group_wait": 0, "group_interval": 0}},
            }
        )
        instance = wiring.Instance(settings, "none:1", clock=clock)
    steady = Steady(instance.engine.specs, instance.options)
    holder.append(steady)
    warm, total = arguments.warm * arguments.rate, (arguments.warm + arguments.seconds) * arguments.rate
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    events: list[Output] = []
    step = START // FETCH
    for number, (topic, key, value) in enumerate(Mix(total, START, rate=arguments.rate)):
        at = START + number * 1000 // arguments.rate
        if at // FETCH != step:
            step = at // FETCH
            steady.write(events, step * FETCH)
            events = []
            for now in range(steady.now + 5, step * FETCH + 1, 5):
                steady.pass_to(now)
        events.append(Output(topic, key, value))
        if number % (arguments.rate // PROBES) == 0:
            name = f"probe-{number}"
            lead = {
                "specversion": "1.0",
                "id": name,
                "source": "/bench",
                "type": "lead.created",
                "time": iso(at),
                "subject": name,
            }
            value = orjson.dumps(lead | {"data": {"campaign": name}})
            events.append(Output(*address(value), value))
        if number == warm:
            steady.spent.clear()
            steady.calls.clear()
            steady.written.clear()
            if arguments.profile:
                steady.profiled = "" if arguments.profile == "all" else arguments.profile
                steady.profile = cProfile.Profile()
    count = total - warm
    names = dict.fromkeys(name for name, _ in steady.spent)
    print(f"{count} events, CPU µs an event (calls):")
    for name in names:
        parts = {what: steady.spent[name, what] / count * 1e6 for what in ("fold", "tick", "changes")}
        said = ", ".join(f"{what} {cost:.1f} ({steady.calls[name, what]})" for what, cost in parts.items())
        print(f"  {name:24} {sum(parts.values()):7.1f}  {said}")
    print("written an event: " + ", ".join(f"{name} {number / count:.2f}" for name, number in steady.written.most_common()))
    if steady.profile is not None:
        pstats.Stats(steady.profile).sort_stats("tottime").print_stats(arguments.top)
        pstats.Stats(steady.profile).sort_stats("cumtime").print_stats(arguments.top)
    return 0


if __name__ == "__main__":
    sys.exit(main())
