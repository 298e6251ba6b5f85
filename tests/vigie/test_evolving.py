"""Does a worker say how far it is with state of another version?"""

import logging

import orjson
import pytest

from models.folds.partition import EntityPartition
from tests.models.test_evolve import Kept, without
from tests.models.test_partition import T0, event
from vigie.evolving import Evolving


def test_it_says_what_is_not_whole_until_it_is(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("models.folds.partition._RAISED", 1)
    caplog.set_level(logging.INFO)
    first = Kept("deals")
    first.take([event("deal.created", f"d{i}", T0, f"e{i}") for i in range(3)])
    kept = Kept("deals", without(first.rows, "deals_created", "won_amount"))
    folds: list[EntityPartition] = []
    evolving = Evolving(lambda: folds)
    assert evolving.sentences() == []
    folds += [kept.partition, EntityPartition("leads", 0, kept.business)]
    (line,) = evolving.sentences()
    assert line == "deals: deals_created, won_amount: being counted from the facts that are kept, 3 still to be looked at"
    evolving.log()
    evolving.log()  # not again so soon
    kept.checkpoint()
    assert "2 still to be looked at" in evolving.sentences()[0]
    kept.settled()
    assert evolving.sentences() == []
    evolving.log()
    evolving.log()
    assert [r.getMessage() for r in caplog.records] == [line, "all that is measured is counted from the facts that were kept"]
    assert orjson.loads(kept.rows[b"!"])["version"] == 1
