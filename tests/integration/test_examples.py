"""Do the example producers do what their pages say: every event on its topic and partition, folded once, in both modes?"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Consumer

from models.business import Business
from models.calendar import iso
from models.events.catalogue import TOPIC_OF
from models.fold import Record
from models.folds.partition import EntityPartition
from stream.engine.options import wall_clock
from stream.engine.topics import partition_for
from tests.integration.installation import Installation, event
from tests.kafka_broker import KafkaBroker

pytestmark = pytest.mark.kafka

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def node(folder: Path) -> list[str]:
    """Install the JavaScript example where it can be installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("JAVASCRIPT PRODUCER NOT TESTED: no node and npm on the PATH")
    for name in ("producer.mjs", "package.json"):
        shutil.copy(EXAMPLES / name, folder)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        pytest.skip(f"JAVASCRIPT PRODUCER NOT TESTED: npm could not install its client: {done.stderr[-300:]}")
    return ["node", str(folder / "producer.mjs")]


def lines(mode: str, at: str) -> list[dict[str, object]]:
    deals = [event("deal.created", f"{mode}-c{n}", f"{mode}-Ü{n}", at, amount="12.50", currency="EUR") for n in range(40)]
    won = [event("deal.won", f"{mode}-w{n}", f"{mode}-Ü{n}", at) for n in range(40)]
    others = [
        event("lead.created", f"{mode}-l", f"{mode}-L", at),
        event("web.page_viewed", f"{mode}-p", f"{mode}-V", at, page="/pricing"),
        event("customer.invoiced", f"{mode}-i", f"{mode}-A", at, amount="5", currency="EUR"),
        event("spend.recorded", f"{mode}-s", "ads", at, amount="5", currency="EUR"),
    ]
    return deals + won + others


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_what_the_example_publishes_is_folded_once(language: str, kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "producer.py")] if language == "python" else node(tmp_path)
    site = Installation(kafka.bootstrap, prefix, tmp_path, partitions=4)
    site.done("topics", "create")
    environment = {"PATH": os.environ["PATH"], "KAFKA_BROKERS": kafka.bootstrap, "TOPIC_PREFIX": prefix}
    sent, at = [], iso(wall_clock() // 1000 * 1000 - 3_600_000)
    for mode in ("structured", "binary", "binary"):  # the last one a repeat
        text = b"\n".join(orjson.dumps(one) for one in lines(mode, at)) + b"\n"
        more = ["--binary"] if mode == "binary" else []
        done = subprocess.run([*command, *more], input=text, env=environment, capture_output=True, timeout=600, check=False)
        assert (done.returncode, done.stdout) == (0, b"84 sent, 0 not\n"), done.stderr.decode()
        sent += lines(mode, at)
    wrong = subprocess.run(
        command, input=b'{"type": "deal.won"}\n', env=environment, capture_output=True, timeout=600, check=False
    )
    assert wrong.returncode == 1 and b"line 1: missing" in wrong.stderr

    outcomes: Counter[str] = Counter()
    folds: dict[tuple[str, int], EntityPartition] = {}
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": f"{prefix}test", "auto.offset.reset": "earliest"})
    consumer.subscribe([prefix + topic for topic in set(TOPIC_OF.values()) if not topic.endswith("-merges")])
    taken = 0
    try:
        while taken < len(sent):
            for message in consumer.consume(500, 10) or pytest.fail(f"{taken} of {len(sent)}"):
                topic, partition = message.topic().removeprefix(prefix), message.partition()
                fold = folds.get((topic, partition))
                if fold is None:
                    home = partial(partition_for, partitions=4)
                    fold = folds[topic, partition] = EntityPartition(topic, partition, Business(), home)
                key, value, headers = message.key(), message.value(), message.headers()
                fold.fold([Record(topic, partition, message.offset(), message.timestamp()[1], key, value, headers)])
                taken += 1
    finally:
        consumer.close()
    for fold in folds.values():
        fold.changes()
        for (_, _, outcome), count in fold.outcomes.items():
            outcomes[outcome] += count
    # Nothing was in another partition than its entity's own, nothing was refused, and the repeat was known.
    assert outcomes == {"applied": 168, "duplicate": 84}
    assert {topic for topic, _ in folds} == {"deals", "leads", "engagement", "customers", "spend"}
