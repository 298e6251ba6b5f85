"""What is said before an upgrade, and does a worker do it by itself?"""

import asyncio
from dataclasses import replace
from pathlib import Path

import confluent_kafka
import pytest
from typer.testing import CliRunner

from agents.worker import entity_folds
from models.calendar import DAY_MS
from models.folds.evolve import made_of
from models.measures import MEASURES
from models.money import Rates
from models.panes.windows import Window
from stream.config.settings import Settings
from stream.engine.backend import Message
from stream.engine.embedded import EmbeddedBroker
from stream.engine.options import EngineOptions
from stream.engine.topics import declared
from stream.ledger.on_ledger import OnLedger
from stream.ledger.store import Ledger
from tests.models.test_evolve import Kept, without
from tests.models.test_partition import BUSINESS, MAKERS, T0, event
from vigie.__main__ import app
from vigie.ledger import place
from vigie.running import prepared
from vigie.upgrade import _WHAT as WHAT
from vigie.upgrade import check

Records = list[tuple[str, int, bytes, bytes | None]]


def test_there_are_words_for_all_that_numbers_depend_on() -> None:
    names = {name for fold in MEASURES for name in made_of(fold, BUSINESS, 0)}
    assert names - WHAT.keys() == {"business.keep_days"}, "which changes nothing that is kept"


def write(brokers: str, records: Records) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers})
    for topic, partition, key, value in records:
        producer.produce(topic, value, key, partition)
    assert producer.flush(120) == 0


def changelog(options: EngineOptions, partition: int, kept: Kept, *gone: str) -> Records:
    """What an earlier worker has left that did not know some measures."""
    topic = options.changelog(f"fold-{kept.fold}")
    return [(topic, partition, key, value) for key, value in without(kept.rows, *gone).items()]


def test_it_says_what_is_kept_derived_counted_from_now_and_lost() -> None:
    deals, more, visits, customers = Kept("deals"), Kept("deals"), Kept("engagement"), Kept("customers")
    for seed, kept in enumerate((deals, more, visits, customers)):
        kept.take(MAKERS[kept.fold](seed, 40))
    with EmbeddedBroker() as broker:
        options = EngineOptions(brokers=broker.bootstrap, partitions=2, embedded=True)
        specs = entity_folds(BUSINESS, 2)
        broker.create(declared(options, specs))
        assert [kept.partitions for kept in check(options, specs, BUSINESS)] == [0] * 5
        records = changelog(options, 0, deals, "deals_won", "stage_left", "meetings") + changelog(options, 1, more, "deals_won")
        records += changelog(options, 0, visits) + changelog(options, 0, customers)
        records.append((options.changelog("fold-deals"), 0, next(k for k in deals.rows if k[:1] == b"E"), None))
        write(broker.bootstrap, records)
        found = {kept.fold: kept for kept in check(options, specs, BUSINESS)}
        entities = sum(key[:1] == b"E" for kept in (deals, more) for key in kept.rows) - 1
        assert (found["deals"].partitions, found["deals"].entities) == (2, entities)
        assert found["deals"].panes == sum(key[:1] == b"P" for _, _, key, _ in records[: len(deals.rows) + len(more.rows)])
        assert found["deals"].derived == ["deals_won", "stage_left"] and found["deals"].from_now == ["meetings"]
        assert found["engagement"].changed == [] and found["engagement"].kept
        assert list(found["customers"].lines())[1:] == ["  kept as it is"]
        told = "\n".join(found["deals"].lines())
        assert "deals_won, stage_left: new, counted from the facts that are kept" in told
        assert "stage_left may be whole only since then" in told and "meetings: new, counted from now on" in told
        dollars = replace(BUSINESS, currency="USD", rates=Rates("USD", {}))
        lost = {kept.fold: kept for kept in check(options, specs, dollars)}
        money = ["first_amount", "invoiced_amount", "renewed_amount", "term_amount", "terms_due_amount", "terms_kept_amount"]
        assert sorted(lost["customers"].lost) == money and "lost:" in "\n".join(lost["customers"].lines())
        assert lost["deals"].changed == ["measures", "currency"]


async def test_a_worker_brings_the_state_up_by_itself(tmp_path: Path) -> None:
    events = [event("deal.created", f"d{i}", T0, f"e{i}", amount="5") for i in range(20)]
    events += [event("deal.won", f"d{i}", T0 + DAY_MS, f"w{i}") for i in range(15)]
    settings = Settings.model_validate({"kafka": {"partitions": 1}, "data_dir": tmp_path, "checkpoint_interval": "20ms"})
    kept = Kept("deals", business=settings.business.business())
    kept.take(events)
    panes = {key[1:]: value for key, value in without(kept.rows, "deals_won").items() if key[:1] == b"P"}
    at = T0 + 2 * DAY_MS
    async with prepared(settings, clock=lambda: at, alerting=False, predicting=False) as instance:
        options = instance.options
        records = changelog(options, 0, kept, "deals_won")
        records += [(options.changelog("fold-deals"), 0, b"@" + topic, b"0") for topic in (b"deals", b"deal-merges")]
        records += [("panes", 0, b"deals:0:" + name, value) for name, value in panes.items()]
        await asyncio.to_thread(write, options.brokers, records)
        await instance.start()
        sales, revenue = (instance.catalogue.get(name) for name in ("sales", "revenue"))
        view = instance.roller.view
        async with asyncio.timeout(120):
            while not view.live or instance.catalogue.reading(sales, view, Window.parse("7d"), "total", at).value != 15:  # noqa: ASYNC110 - the view tells nobody
                await asyncio.sleep(0.05)
        assert instance.catalogue.reading(revenue, view, Window.parse("7d"), "total", at).value == 75
        assert instance.evolving.sentences() == [] and view.since == {}


def test_the_command_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    alone = CliRunner().invoke(app, ["upgrade"])
    assert alone.exit_code == 2 and "vigie upgrade --check" in alone.stderr
    nothing = CliRunner().invoke(app, ["upgrade", "--check"])
    assert nothing.exit_code == 1 and "no such file" in nothing.stderr


def test_it_reads_the_ledger_of_one_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.model_validate({"data_dir": tmp_path / "data", "kafka": {"partitions": 1}})
    business = settings.business.business()
    kept = Kept("deals", business=business)
    kept.take(MAKERS["deals"](3, 40))
    path = place(settings)
    path.parent.mkdir()
    ledger = Ledger(path)
    options = EngineOptions(brokers="", partitions=1, backend=OnLedger(ledger))
    specs = entity_folds(business, 1)
    OnLedger(ledger).create(options, specs)
    rows = [Message(topic, value, key, partition) for topic, partition, key, value in changelog(options, 0, kept, "deals_won")]
    ledger.write(rows, []).result()
    # Also while an instance has it.
    found = {kept.fold: kept for kept in check(options, specs, business, path)}
    ledger.close()
    assert (found["deals"].partitions, found["deals"].derived, found["deals"].lost) == (1, ["deals_won"], [])
    assert found["deals"].entities == sum(key[:1] == b"E" for key in kept.rows)
    told = CliRunner().invoke(
        app, ["upgrade", "--check"], env={"VIGIE_DATA_DIR": str(path.parent), "VIGIE_KAFKA__PARTITIONS": "1"}
    )
    assert told.exit_code == 0 and "deals_won: new, counted from the facts" in told.output.replace("\n", " ")
