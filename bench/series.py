"""What do ten thousand readings cost, and a scrape of them? A simulated company's panes, in one process, CPU time."""

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Callable

from bench.profile_folds import company_records
from models.business import Business
from models.folds.partition import EntityPartition
from models.kpis.reading import Reading
from models.panes.view import View
from stream.collectors import KpiGauges
from stream.config.kpi_files import load_catalogue
from stream.readings.board import WINDOWS, Board, ViewSource

DIMENSIONS = ("owner", "source", "campaign", "product")
_MINUTE = 60_000


def view_of(events: int, business: Business) -> View:
    """Return what the folds make of the company's first events, at the last of them."""
    view = View(business)
    last = 0
    for topic, records in company_records(events).items():
        fold = EntityPartition(topic, 0, business)
        for begin in range(0, len(records), 2_000):
            fold.fold(records[begin : begin + 2_000])
            for output in fold.changes().outputs:
                if output.topic == "panes":
                    view.put(output.key, output.value)
        last = max(last, records[-1].timestamp)
    view.advance(last)
    view.live = True
    return view


def dearest(times: int, work: Callable[[], object]) -> float:
    """Return the least CPU (ms) that some work took: what others do to caches is not its own."""
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append((time.process_time() - began) * 1000)
    return min(found)


def main() -> int:
    """Print CPU milliseconds of all readings, and of a scrape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    business, catalogue = Business(timezone="Europe/Paris"), load_catalogue()
    view = view_of(arguments.events, business)
    now = [view.now]

    def readings(later: int) -> list[Reading]:
        now[0] += later
        view.advance(now[0])
        return catalogue.readings(view, now[0], None, WINDOWS, ("total", *DIMENSIONS))

    board = Board(ViewSource(lambda: view, catalogue), business.calendar, lambda: now[0])
    gauges = KpiGauges(board, WINDOWS, DIMENSIONS, 50)

    def scrape() -> str:
        now[0] += 1_000
        asyncio.run(gauges.refresh())
        return gauges.page("text/plain")

    series = len(readings(0))
    gc.collect()
    gc.disable()
    print(f"{series} series, CPU ms, the least of {arguments.times}:")
    print(f"  all read, a second later: {dearest(arguments.times, lambda: readings(1_000)):.0f}")
    print(f"  all read, a minute later: {dearest(arguments.times, lambda: readings(_MINUTE)):.0f}")
    whole, page = dearest(arguments.times, scrape), dearest(arguments.times, lambda: gauges.page("text/plain"))
    print(f"  a scrape: {whole:.0f}, of which the page is {page:.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
