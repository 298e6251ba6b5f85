"""What is kept in thousands takes what it is long: orjson gives bytes that hold some 4 KB as long as they live."""

import gc
from collections.abc import Callable

import psutil
import pytest

from models.kpis.reading import Reading
from models.panes.store import dumps
from stream.ingest.intake import outgoing

KEPT = 10_000
READING = Reading("sales", "30d", {}, 0, 1, 3, 3, None, None, None, "count")
EVENT = {"type": "deal.won", "subject": "D-1", "data": {"amount": "1.00"}}


@pytest.mark.parametrize(
    "made",
    [lambda: dumps({"won": 1}, plain=True), READING.encode, lambda: outgoing(EVENT, None).value],
    ids=["pane", "reading", "event"],
)
def test_what_is_kept_takes_what_it_is_long(made: Callable[[], bytes]) -> None:
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    kept = [made() for _ in range(KEPT)]
    grown = process.memory_info().rss - before
    assert grown < 1_000 * KEPT, f"{grown / KEPT:.0f} bytes each"
    assert kept
