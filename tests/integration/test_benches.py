"""Do the benches still run? Each contender of the whole job, on few events: what they find is of no interest here."""

import asyncio
import json
import sys

import pytest

from bench.before import printed
from bench.preload import preload
from tests.kafka_broker import ROOT, KafkaBroker

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("contender", ["decode", "rolled", "kpis", "everything", "faust"])
async def test_a_contender_comes_to_its_end(kafka: KafkaBroker, prefix: str, contender: str) -> None:
    ends = await asyncio.to_thread(preload, kafka.bootstrap, "whole", 1_500, prefix)
    listed = json.dumps([[topic, partition, end] for (topic, partition), end in ends.items()])
    asked = ["--job", "whole", "--contender", contender, "--prefix", prefix, "--ends", listed, "--brokers", kafka.bootstrap]
    found = await asyncio.to_thread(printed, [sys.executable, "-m", "bench.contend", *asked], ROOT, 120)
    assert 0 < found["events"] < 1_500 and found["wall"] > 0 and not found.get("lost")
