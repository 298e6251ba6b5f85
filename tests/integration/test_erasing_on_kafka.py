"""Is somebody gone from a Kafka to the last byte, and is every figure what it was: after a restart, and after a rebuild?"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from models.calendar import DAY_MS
from models.privacy.audit import about
from models.privacy.requests import ErasureRequest
from models.privacy.subject import Subject
from stream.config.settings import Settings, load
from stream.engine.backend import Message, Superseded
from stream.engine.erasing import AskedBy
from stream.engine.errors import EngineStopped
from stream.engine.kafka_cells import KafkaCells
from stream.engine.kafka_erasing import EraseRefused, KafkaPrivacy
from stream.engine.on_kafka import backend_of
from stream.engine.options import EngineOptions
from stream.engine.publisher import Publisher
from stream.engine.rewriting import Crossed, Rewriting
from stream.engine.topics import create
from tests.kafka_broker import KafkaBroker
from tests.stream.ledger.test_erasing import HASH, JANE, NAMES, NOW, event, forms, of_jane, others, readings, wrong
from vigie.auditing import note
from vigie.instance import Instance
from vigie.running import prepared, running

pytestmark = pytest.mark.kafka


class Office:
    """An installation on a Kafka, and what is on that one's disk."""

    def __init__(self, kafka: KafkaBroker, prefix: str) -> None:
        self.kafka, self.prefix = kafka, prefix

    def settings(self, **more: Any) -> Settings:
        kafka = {"brokers": self.kafka.bootstrap, "topic_prefix": self.prefix, "partitions": 2}
        return load(environ={"VIGIE_MODELS__LIVE": "false"}, kafka=kafka, **more)

    @asynccontextmanager
    async def instance(self, **more: Any) -> AsyncIterator[Instance]:
        async with running(self.settings(**more), clock=lambda: NOW, delivering=False) as found:
            await found.engine.ready()
            yield found

    def files(self) -> Iterator[Path]:
        for folder in (self.kafka.directory / "data").glob(f"{self.prefix}*"):
            # Indexes hold offsets and times alone, in files of 10 MB of which hardly anything is written.
            yield from (file for file in folder.iterdir() if file.is_file() and file.suffix not in (".index", ".timeindex"))

    def holding(self, *texts: str) -> list[tuple[str, bytes]]:
        """Return what of a person is where on the broker's disk: plain, hashed, encoded."""
        wanted = {form for text in texts for form in forms(text)}
        found = []
        for file in self.files():
            there = file.read_bytes()
            found += [(f"{file.parent.name}/{file.name}", form) for form in wanted if form in there]
        return found


#: Erases, and is killed once it has said a line that begins with this.
ERASER = """
import os, signal, sys
from stream.engine.erasing import AskedBy
from stream.engine.errors import EngineStopped
from stream.engine.kafka_erasing import KafkaPrivacy
from stream.engine.on_kafka import backend_of
from stream.engine.options import EngineOptions
from models.privacy.subject import Subject

def say(line):
    if line.startswith(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

KafkaPrivacy(EngineOptions(brokers=sys.argv[1], topic_prefix=sys.argv[2], partitions=2), say).erase(
    [Subject("lead", sys.argv[4])], AskedBy("ann"))
"""


def killed(office: Office, line: str, lead: str) -> None:
    arguments = [sys.executable, "-c", ERASER, office.kafka.bootstrap, office.prefix, line, lead]
    assert subprocess.run(arguments, timeout=600, check=False).returncode == -signal.SIGKILL


async def take(found: Instance, events: Iterator[Any]) -> None:
    with Publisher(found.options) as publisher:
        for one in events:
            publisher.publish(one if isinstance(one, bytes) else orjson.dumps(one))
        assert not await publisher.flushed(30)
        ends = publisher.ends
    await found.engine.driver.settled(ends, cascade=True)


async def test_one_who_is_erased_is_gone_from_the_brokers_disk_and_no_figure_moves(kafka: KafkaBroker, prefix: str) -> None:
    office = Office(kafka, prefix)
    async with office.instance() as found:
        options = found.options
        await take(found, others(NOW - DAY_MS, 30))
        await take(found, of_jane(NOW - DAY_MS))
        await take(found, wrong())
        before = readings(found)
        privacy = KafkaPrivacy(options, print)
        with pytest.raises(EraseRefused, match="stop them first"):
            await asyncio.to_thread(privacy.erase, [Subject("lead", JANE[0])], AskedBy("ann"))
    assert len(before) > 300 and {text for text in JANE if office.holding(text)} == {*JANE}
    # Before its commit nothing is so, and no worker begins on what is half set; after it all is.
    await asyncio.to_thread(killed, office, "writing copies", JANE[0])
    with pytest.raises(EngineStopped, match=r"cleanup.policy: found delete"):
        async with prepared(office.settings(), clock=lambda: NOW, delivering=False) as stopped:
            await stopped.start(patience=0)
    await asyncio.to_thread(killed, office, "cutting off", JANE[0])
    assert [one.gone for one in await asyncio.to_thread(privacy.certificates)] == [None]
    erased = await asyncio.to_thread(privacy.erase, [Subject("lead", JANE[0])], AskedBy("bob", "a letter"))
    certificate = erased.certificate
    assert certificate.known_as == {"lead": 3, "visitor": 2} and certificate.outcome == "erased" and certificate.gone
    assert certificate.by == "ann", "it had been done, and was only to be finished"
    assert {"leads", "engagement", "fold-leads", "fold-engagement", "lead-states", "dead-letters", "deals"} <= {
        *certificate.found
    }
    assert office.holding(*JANE, *NAMES, HASH) == []
    async with office.instance() as found:
        assert readings(found) == before
        await take(found, of_jane(NOW - DAY_MS))  # a backfill brings them again
        outcomes = [fold.outcomes for fold in found.partitions()]
        assert sum(count for one in outcomes for (_, _, outcome), count in one.items() if outcome == "erased") == 16
        assert readings(found) == before
        with Publisher(found.options) as publisher:  # and their CRM wants them to be forgotten
            asked = ErasureRequest("lead", JANE[1], "hubspot", "")
            publisher.send("erasure-requests", b"drawn", asked.encode())
            assert not await publisher.flushed(30)
    assert await asyncio.to_thread(privacy.requests) == [asked]
    # What others have written to the Kafka itself is there until somebody looks.
    again = await asyncio.to_thread(privacy.erase, [Subject("lead", JANE[1]), Subject("deal", "deal-4400-q")], AskedBy("ann"))
    assert [one.outcome for one in again.certificates] == ["erased", "erased"]
    await note(options, "ann", "vigie privacy erase", Subject("lead", JANE[1]))
    with closing(backend_of(options).log(options, "audit")) as log:
        acts = [value for _, value in log.block(*log.bounds())]
    assert [one["what"] for one in about(acts, "lead", JANE[1])] == ["vigie privacy erase"]
    assert office.holding(*JANE, *NAMES, HASH, "deal-4400-q") == []
    assert await asyncio.to_thread(privacy.requests) == []
    # Twice at once: who began first is told, and has done nothing.
    first = Rewriting(options, KafkaCells(options))
    nobody = await asyncio.to_thread(privacy.erase, [Subject("lead", "nobody-1")], AskedBy("ann"))
    assert (nobody.certificate.outcome, bool(nobody.certificate.gone)) == ("nothing held", True)
    first.begin()
    first.write(Message(options.physical("erasures"), b"{}", b"work", 0))
    with pytest.raises(Superseded):
        first.commit()
    async with office.instance() as found:
        assert readings(found) == before
        await take(found, iter([event("deal.won", "deal-0-x", NOW - 1, 9)]))
        after = readings(found)
        assert after != before
    async with office.instance(application="anew") as found:  # folded anew from the topics
        assert readings(found) == after


def test_whoever_else_writes_to_a_log_meanwhile_is_noticed(kafka: KafkaBroker, prefix: str) -> None:
    options = EngineOptions(brokers=kafka.bootstrap, topic_prefix=prefix, partitions=1)
    create(options)
    log = (options.physical("leads"), 0)
    rewriting = Rewriting(options, KafkaCells(options))
    rewriting.begin()
    rewriting.fill({log: 0}, {}, {log[0]: True})
    with Publisher(options) as other:
        other.send("leads", b"k", b"{}")
        assert other.flush(30) == 0
    rewriting.write(Message(log[0], b"a copy", b"k", 0))
    with pytest.raises(Crossed, match=r"somebody writes to .*leads"):
        rewriting.commit()
    rewriting.abort()
