"""Does a worker on a real Kafka bring older state up by itself, however often it is killed, and say how far it is?"""

import signal
import time
from pathlib import Path

import orjson
import pytest

from models.business import Business
from models.calendar import iso
from models.folds.partition import EntityPartition
from stream.engine.options import wall_clock
from stream.engine.topics import partition_for
from tests.integration.installation import Installation, Worker, event, until
from tests.kafka_broker import KafkaBroker
from tests.models.test_evolve import without
from tests.models.test_partition import record

DEALS, KILLS = 20_000, 3


def older_state(partitions: int) -> list[tuple[str, bytes, bytes, int | None]]:
    """What a version without the measure ``deals_won`` has left: changelogs, and the panes that it told."""
    now = wall_clock()
    at = [iso(now - minutes * 60_000) for minutes in (600, 300)]
    found: list[tuple[str, bytes, bytes, int | None]] = []
    for partition in range(partitions):
        fold = EntityPartition("deals", partition, Business())
        mine = [f"d{i}" for i in range(DEALS) if partition_for(f"d{i}".encode(), partitions) == partition]
        events = [event("deal.created", f"c{id}", id, at[0], amount="10", currency="EUR", owner="ann") for id in mine]
        events += [event("deal.won", f"w{id}", id, at[1]) for id in mine]
        fold.fold([record("deals", each, i, now) for i, each in enumerate(events)])
        changes = fold.changes()
        rows = without({row.key: row.value for row in changes.rows if row.value is not None}, "deals_won")
        counted = next(output for output in changes.outputs if output.key.endswith(b"#counted"))
        found.append(("panes", counted.key, (counted.value or b"").replace(b'"deals_won":1,', b""), 0))
        rows |= {b"@deals": b"0", b"@deal-merges": b"0"}
        for key, value in rows.items():
            found.append(("vigie-fold-deals-changelog", key, value, partition))
            if key[:1] == b"P":
                found.append(("panes", f"deals:{partition}:{key[1:].decode()}".encode(), value, 0))
    return found


WORDS = "deals: deals_won: being counted from the facts that are kept, "


def told_of(worker: Worker) -> str:
    """What it says of how far it is, empty where it says nothing."""
    return next((line for line in worker.readyz().get("degraded", ()) if line.startswith(WORDS)), "")


@pytest.mark.kafka
def test_state_of_an_earlier_version_is_brought_up_over_kills(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    installation = Installation(kafka.bootstrap, prefix, tmp_path, MODELS__LIVE="false", CHECKPOINT_INTERVAL="250ms")
    installation.done("topics", "create")
    installation.produce(older_state(installation.partitions))
    told = orjson.loads(installation.done("upgrade", "--check", "--json"))
    assert [(fold["fold"], fold["entities"], fold["derived"]) for fold in told] == [("deals", DEALS, ["deals_won"])]
    for kill in range(KILLS):
        with installation.worker() as worker:
            # It is killed in the middle: some checkpoints have been made, and not all.
            until(lambda: told_of(worker), why=lambda: worker.log)
            worker.ready()
            if not kill:
                readings = worker.readings()
                assert readings["revenue"]["value"] == 10 * DEALS
                assert readings["sales"]["value"] is None and "not whole yet" in readings["sales"]["why"]
            time.sleep(0.7)
            worker.end(signal.SIGKILL)
    with installation.worker() as worker:
        worker.ready()
        until(lambda: worker.readings()["sales"]["value"] == DEALS, why=lambda: f"{worker.readyz()} {worker.log}")
        readings = worker.readings()
        assert readings["revenue"]["value"] == 10 * DEALS and "since" not in readings["sales"]
        assert not told_of(worker)
        # Who has said that something is being counted says when it is done; the last one may have had too little left to say it.
        done = "all that is measured is counted from the facts that were kept"
        until(lambda: done in worker.log or "being counted from the facts" not in worker.log, why=lambda: worker.log)
        # And what comes now counts once more, not twice.
        at = iso(wall_clock() - 60_000)
        installation.produce([("deals", b"new", orjson.dumps(event("deal.won", "wnew", "new", at, amount="10")), None)])
        until(lambda: worker.readings()["sales"]["value"] == DEALS + 1)
    after = orjson.loads(installation.done("upgrade", "--check", "--json"))
    assert [(fold["fold"], fold["changed"]) for fold in after if fold["fold"] == "deals"] == [("deals", [])]
