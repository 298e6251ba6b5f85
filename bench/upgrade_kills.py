"""Does an upgrade lose anything, however often it is killed? ``python -m bench.upgrade_kills --days 90 --kills 10 --seed 1``

A simulated company's history is folded, and written to a real Kafka as the version with 22 KPIs would have left it: without what
the catalogue counts since. A worker of this version is started on it and killed with −9, again and again, at a random moment
while it brings the state up. At each start every reading that the old version could make (total, by owner, by source; 30 and 90
days, month, at the end of yesterday) equals that of the whole history folded in one go; at the end so does every new one that
the kept facts give, and what is counted from now on says ``since``, or that it has no value, and why. Exit code 1 if not.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import orjson

from models.business import Business
from models.calendar import DAY_MS, iso
from models.events.catalogue import TOPIC_OF
from models.fold import Record
from models.folds.partition import TOPICS, EntityPartition
from models.measures import BY_NAME, LOGGED, MEASURES, UNLOGGED
from models.panes.view import View
from models.simulator import Mischief, World
from stream.config.kpi_files import load_catalogue
from stream.engine.options import wall_clock
from stream.engine.topics import partition_for
from stream.readings.board import ViewSource
from stream.readings.past import PastQuestion, past
from tests.integration.installation import Installation, Worker, until
from tests.kafka_broker import KafkaBroker
from tests.models.test_evolve import without

#: So many measures each fold kept when there were 22 KPIs.
BEFORE = {"deals": 18, "leads": 12, "engagement": 16, "customers": 15, "spend": 4}
WINDOWS, BY = ("30d", "90d", "month"), (None, "owner", "source")
PARTITIONS = 2
Key = tuple[str, str, str]


def gone() -> set[str]:
    """What the old version did not count."""
    return {m.name for fold, count in BEFORE.items() for m in MEASURES[fold][count:]}


class History:
    """The company's events, folded by this version, and as the old one would have left them."""

    def __init__(self, days: int, seed: int, now: int) -> None:
        self.business, self.view, self.events = Business(), View(Business()), 0
        self.folds = {(name, p): EntityPartition(name, p, self.business) for name in TOPICS for p in range(PARTITIONS)}
        self.rows: dict[tuple[str, int], dict[bytes, bytes]] = defaultdict(dict)
        self.counted: dict[tuple[str, int], tuple[bytes, bytes]] = {}
        fold_of = {topic: name for name, topics in TOPICS.items() for topic in topics}
        start = datetime.fromtimestamp((now // DAY_MS - days) * 86_400, UTC)
        world = World(seed, start, days).events()
        waiting: dict[tuple[str, int], list[Record]] = defaultdict(list)
        for number, event in enumerate(Mischief(seed=seed, reopen=0.15, merge=0.05).apply(world)):
            assert isinstance(event, dict)
            topic, key = TOPIC_OF[event["type"]], event["subject"].encode()
            place = fold_of[topic], partition_for(key, PARTITIONS)
            waiting[place].append(Record(topic, place[1], number, now, key, orjson.dumps(event), ()))
            self.events += 1
        while waiting:
            todo, waiting = waiting, defaultdict(list)
            for place, records in todo.items():
                for begin in range(0, len(records), 2_000):
                    self.folds[place].fold(records[begin : begin + 2_000])
                    self._settle(place, waiting, now)

    def _settle(self, place: tuple[str, int], waiting: dict[tuple[str, int], list[Record]], now: int) -> None:
        changes = self.folds[place].changes()
        for row in changes.rows:
            if row.value is None:
                self.rows[place].pop(row.key, None)
            else:
                self.rows[place][row.key] = row.value
        for output in changes.outputs:
            if output.topic == "panes":
                self.view.put(output.key, output.value)
                if output.key.endswith(b"#counted"):
                    self.counted[place] = output.key, output.value or b"{}"
            elif output.topic.endswith("-merges"):
                other = place[0], partition_for(output.key, PARTITIONS)
                waiting[other].append(Record(output.topic, other[1], 0, now, output.key, output.value, ()))

    def older(self) -> Iterator[tuple[str, bytes, bytes, int | None]]:
        """Yield what lies on the topics: changelogs with positions, and the panes."""
        lost = gone()
        for (fold, partition), rows in self.rows.items():
            kept = without(rows, *lost) | {f"@{topic}".encode(): b"0" for topic in TOPICS[fold]}
            for key, value in kept.items():
                yield f"vigie-fold-{fold}-changelog", key, value, partition
                if key[:1] == b"P":
                    yield "panes", f"{fold}:{partition}:{key[1:].decode()}".encode(), value, 0
            key, value = self.counted[fold, partition]
            yield "panes", key, orjson.dumps({n: one for n, one in orjson.loads(value).items() if n not in lost}), 0


def keyed(found: Iterable[Any]) -> dict[Key, dict[str, Any]]:
    """Return readings by KPI, window and segment."""
    return {(one["kpi"], one["window"], str(one["segment"])): dict(one) for one in found}


def asked(url: str, day: str) -> dict[Key, dict[str, Any]]:
    """Return the readings of a worker, at the end of a day."""
    query: list[tuple[str, str | int | float | bool | None]] = [
        ("at", day),
        *(("window", window) for window in WINDOWS),
        *(("by", by or "total") for by in BY),
    ]
    return keyed(httpx.get(f"{url}/api/kpis", params=query, timeout=120).raise_for_status().json())


def batched(records: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield the records, so many at a time."""
    left = iter(records)
    while batch := list(islice(left, size)):
        yield batch


def finished(worker: Worker) -> bool:
    """Whether no reading of now is still being counted."""
    return not any("not whole yet" in str(one.get("why")) for one in worker.readings().values())


def main() -> int:
    """Run, show, and say by the exit code whether all is equal."""
    parser = argparse.ArgumentParser(prog="python -m bench.upgrade_kills", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    asked_for = parser.parse_args()
    dice, now = random.Random(asked_for.seed), wall_clock()
    history = History(asked_for.days, asked_for.seed, now)
    history.view.advance(now)
    history.view.live = True
    catalogue = load_catalogue()
    today = now // DAY_MS * DAY_MS
    day = iso(today - 1)[:10]
    source = ViewSource(lambda: history.view, catalogue)
    true = keyed(
        asyncio.run(past(PastQuestion(list(catalogue.kpis), WINDOWS, BY, [today]), source, history.view.calendar)).readings(0)
    )
    lost = gone()
    measures = {kpi.id: {name for formula in kpi.formulas for name in formula.measures} for kpi in catalogue.kpis.values()}
    old = {id for id, names in measures.items() if not names & lost and "predictions" not in {BY_NAME[n][0] for n in names}}
    given = {name for name in lost if BY_NAME[name][0] in LOGGED and name not in UNLOGGED}
    derived = {id for id, names in measures.items() if names & lost and names & lost <= given}
    levels = {kpi.id for kpi in catalogue.kpis.values() if not any(formula.summed for formula in kpi.formulas)}
    wrong: list[str] = []

    def compare(found: dict[Key, dict[str, Any]], kpis: set[str], when: str) -> int:
        compared = 0
        for key in found.keys() | true.keys():
            if key[0] in kpis:
                compared += 1
                if found.get(key) != true.get(key):
                    wrong.append(f"{when}: {key}: {found.get(key)}, not {true.get(key)}")
        return compared

    with KafkaBroker() as broker, tempfile.TemporaryDirectory(prefix="vigie-upgrade-") as scratch:
        site = Installation(broker.bootstrap, "up.", Path(scratch), partitions=PARTITIONS, MODELS__LIVE="false")
        site.done("topics", "create")
        for batch in batched(history.older(), 20_000):  # what waits for the broker is bounded
            site.produce(batch)
        print(
            f"{history.events:,} events of {asked_for.days} days; {len(old)} KPIs of before, {len(derived)} from kept facts",
            flush=True,
        )
        compared = whole = 0
        for kill in range(asked_for.kills + 1):
            with site.worker() as worker:
                worker.ready(300)
                found = asked(worker.url, day)
                compared += compare(found, old, f"after {kill} kills")
                behind = sum("being counted" in line for line in worker.readyz().get("degraded", ()))
                print(f"start {kill + 1}: ready, {behind} folds are being brought up, {len(wrong)} differ", flush=True)
                if kill < asked_for.kills:
                    time.sleep(dice.uniform(0.0, 1.5))
                    worker.end(signal.SIGKILL)
                    continue
                until(lambda: not any("being counted" in line for line in worker.readyz().get("degraded", ())), 600)
                # What readers of the panes know of it comes a moment later.
                until(lambda: finished(worker), 120)
                found = asked(worker.url, day)
                compared += compare(found, old, "at the end")
                whole = compare(found, derived, "derived")
                rest = [one for key, one in found.items() if key[0] not in old | derived and measures[key[0]] & lost]
                # A level alone is whole from its first recording on: before the upgrade there was none to be taken.
                mute = [one for one in rest if one["value"] is not None and "since" not in one and one["kpi"] not in levels]
                wrong += [f"counted from now on, and does not say so: {one}" for one in mute]
                print(f"{len(rest):,} readings of what counts from now on say so, or have no value", flush=True)
    print(f"{compared:,} readings of before compared, {whole:,} new ones from kept facts; {len(wrong)} differ")
    for line in wrong[:20]:
        print(f"  {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
