"""Benches are run by hand: what they do with what they find is tested here."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import before, report
from bench.forecast_live import within
from bench.preload import company
from bench.written import into
from models.events.decode import decoder
from stream.engine.options import wall_clock
from tests.kafka_broker import ROOT


def test_the_page_of_performance_says_what_was_measured() -> None:
    results = json.loads((ROOT / "docs" / "performance.json").read_text("utf-8"))
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert page.partition(report.MARK)[0] == report.write(results, keep=False) + "\n"


@pytest.mark.parametrize("name", ["bench/contend.py", "bench/latency.py"])
def test_a_bench_of_another_commit_takes_our_settings(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.py"
    copy.write_text((ROOT / name).read_text("utf-8"), "utf-8")
    before._let_settings_in(copy)
    assert copy.read_text("utf-8").count("BENCH_SETTINGS") == 1
    compile(copy.read_text("utf-8"), name, "exec")


def test_one_whose_settings_are_not_found_says_so(tmp_path: Path) -> None:
    copy = tmp_path / "copy.py"
    copy.write_text("settings = load(None)\n", "utf-8")
    with pytest.raises(RuntimeError, match="found no settings that begin with an application"):
        before._let_settings_in(copy)


def test_a_company_sends_what_the_contract_takes() -> None:
    decoders: dict[str, Any] = {}
    now, seen = wall_clock(), 0
    for topic, _, value in company(2_000):
        read = decoders.setdefault(topic, decoder(topic))
        read(value, (), now)  # raises where it is refused
        seen += 1
    assert 1_000 < seen < 3_000


@pytest.mark.parametrize(
    ("below", "upto", "held"),
    [
        (0.0, 1.0, 0.8),  # one value is certain, and came: as a right law has it
        (0.0, 0.9, 0.8 / 0.9),
        (0.5, 0.5, 1.0),  # between two draws
        (0.95, 0.95, 0.0),
        (0.05, 0.15, 0.5),  # half of its ranks are below P10
        (0.9, 1.0, 0.0),
    ],
)
def test_ranks_that_are_equal_are_shared_out(below: float, upto: float, held: float) -> None:
    assert within(below, upto) == pytest.approx(held)


def test_a_table_goes_into_its_place_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x: begin -->\nold\n<!-- x: end -->\nafter\n", "utf-8")
    into(page, "x", ["| a |"])
    assert page.read_text("utf-8") == "before\n<!-- x: begin -->\n| a |\n<!-- x: end -->\nafter\n"
    with pytest.raises(ValueError, match=r"found no <!-- y: begin --> … <!-- y: end -->"):
        into(page, "y", [])
