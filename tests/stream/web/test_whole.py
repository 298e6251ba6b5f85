"""Is a number ever made of a part of the view: while it is read back, taken over, or built anew?"""

from typing import Any

import pytest

from agents.roll_kpis import Roller
from models.business import Business
from models.calendar import Grain
from models.fold import Record
from stream.config.kpi_files import load_catalogue
from stream.metrics import Metrics
from stream.readings.board import Unavailable, ViewSource
from stream.readings.cache import CachePublisher, Snapshots
from tests.stream.demo import NOW, fresh
from tests.stream.web.web import application, board, client


class Taken:
    """A company whose view is taken away while a question is being answered: after ``reads`` slices, or readings of a segment."""

    def __init__(self, reads: int) -> None:
        self.acme = fresh(8)
        self.left = reads
        self.board = board(self.acme)
        read, busiest = self.board.source.read, self.board.source.busiest

        def count():
            self.left -= 1
            if not self.left:
                self.acme.view.live = False

        def counted(*asked, **more):
            found = read(*asked, **more)
            count()
            return found

        def counted_each(*asked):
            for reading in busiest(*asked):
                count()
                yield reading

        vars(self.board.source).update(read=counted, busiest=counted_each)


@pytest.mark.parametrize("query", ["kpis?window=24h,7d", "kpis?window=7d&by=source", "trend?window=7d"])
async def test_a_view_that_goes_away_within_an_answer_gives_none(query):
    async with client(application(Taken(1).board)) as web:
        answer = await web.get(f"/api/{query}")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_the_last_snapshot_answers_where_the_view_goes_away_within_an_answer():
    whole = board()
    async with client(application(Taken(1).board, cached=lambda: whole)) as web:
        answer = await web.get("/api/kpis?kpi=revenue&window=24h,7d")
    assert (answer.status_code, answer.headers["vigie-source"]) == (200, "cache")
    expected = [r for window in ("24h", "7d") for r in whole.source.read(NOW, window, None) if r["kpi"] == "revenue"]
    assert answer.json() == expected


@pytest.mark.parametrize("reads", [1, 3, 4, 5])
async def test_what_was_read_before_it_went_away_is_no_snapshot(reads):
    snapshots = Snapshots("memory://", f"taken-{reads}", lambda: NOW)
    taken = Taken(reads)
    assert await CachePublisher(snapshots, taken.board, dimensions=["source"]).publish()
    found = await snapshots.read()
    # Four windows: either all of the totals were read, and are whole, or there is nothing.
    assert (found is None) is (reads < 4)
    if found is not None:
        assert set(found.slices) == {"24h|", "7d|", "30d|", "month|"}
    await snapshots.close()


async def test_nor_is_it_a_metric():
    metrics = Metrics()
    metrics.show_kpis(Taken(1).board, ["7d", "30d"], ["source"], 20)
    assert "vigie_kpi_sales{" not in (await metrics.scrape(""))[0].decode()


def won(partition: int, day: int) -> Record:
    key = f"deals:{partition}:{Grain.DAY.value}:{day}:total".encode()
    return Record("panes", 0, partition, NOW, key, b'{"deals_won":10}', ())


def test_a_view_is_built_aside_and_changes_hands_on_the_loop():
    """Four partitions of ten won deals each: who looks sees 40, or nothing, never 10."""
    business = Business()
    roller = Roller(business, load_catalogue(), clock=lambda: NOW)
    source = ViewSource(lambda: roller.view, roller.catalogue)
    today = business.calendar.day(NOW) - 2
    spec = roller.spec()

    def seen() -> float | None:
        try:
            (sales,) = source.read(NOW, "7d", None, "sales")
        except Unavailable:
            return None
        return sales["value"]

    first: Any = spec.make(0)
    first.fold([won(partition, today) for partition in range(4)])
    assert seen() is None
    first.live()
    assert seen() == 40
    before = roller.view
    second: Any = spec.make(0)  # in the restoring thread
    second.fold([won(0, today)])
    assert seen() is None
    assert before.live and before is not roller.view  # who is in the middle of reading it has it whole
    first.fold([won(1, today)])  # a restore that was given up and has not noticed yet
    second.fold([won(partition, today) for partition in (2, 3)])
    second.live()
    assert seen() == 30
    assert roller.view.version > before.version
