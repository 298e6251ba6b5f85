"""How good is the outlook on a month, on the public CRM data: at its start, its quarter and its half, in total and by segment?

``python -m bench.forecast_period ../shared/data/crm/sales_pipeline.csv``, some minutes. Nothing was chosen by these data. The
yardstick is the month before: what is there so far, and what was sold in the rest of that month; its band is by how far off it
was in the months before.
"""

import argparse
import csv
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from models.foresight.period import whole

SHARES = (0.1, 0.5, 0.9)
#: Days of a month that have gone when it is asked.
ASKED = {"start": 0, "quarter": 7, "half": 15}


def sold(path: Path) -> dict[str, dict[date, float]]:
    """Return what was won by day, in total and by product and agent."""
    found: dict[str, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["deal_stage"] == "Won":
                for name in ("total", row["product"], row["sales_agent"]):
                    found[name][date.fromisoformat(row["close_date"])] += float(row["close_value"])
    return found


def pinball(actual: float, said: tuple[float, ...]) -> float:
    return float(np.mean([max(q * (actual - one), (q - 1) * (actual - one)) for q, one in zip(SHARES, said, strict=True)]))


def main() -> None:
    """Print coverage and pinball."""
    parser = argparse.ArgumentParser(description="The outlook on months of public CRM data.")
    parser.add_argument("path", type=Path)
    days = sold(parser.parse_args().path)
    first, last = min(days["total"]), max(days["total"])
    months = sorted({(day.year, day.month) for day in days["total"]})
    print("| asked at the month's | of | outlooks | coverage | pinball below that of the month before |\n|---|---|---|---|---|")
    for when, gone in ASKED.items():
        for kind in ("total", "segments"):
            hits, ours, theirs = [], [], []
            for name in days if kind == "segments" else ("total",):
                if kind == "segments" and name == "total":
                    continue
                misses: list[float] = []  # of the yardstick so far
                for year, month in months[1:]:
                    start = date(year, month, 1)
                    until = (start + timedelta(32)).replace(day=1)
                    now, before = start + timedelta(gone), (start - timedelta(1)).replace(day=1)
                    if until > last + timedelta(1):
                        continue
                    series = [days[name].get(first + timedelta(n), 0.0) for n in range((until - first).days)]
                    at, begin, end = ((day - first).days for day in (now, start, until))
                    so_far, actual = sum(series[begin:at]), sum(series[begin:end])
                    naive = so_far + sum(series[(before - first).days + gone : begin])
                    found = whole(series[:at], so_far, float(end - at))
                    if found is not None and misses:
                        wide = float(np.quantile(np.abs(misses), 0.8))
                        hits.append(found.p10 <= actual <= found.p90)
                        ours.append(pinball(actual, (found.p10, found.p50, found.p90)))
                        theirs.append(pinball(actual, (naive - wide, naive, naive + wide)))
                    misses.append(actual - naive)
            better = 1 - np.sum(ours) / np.sum(theirs)
            print(f"| {when} | {kind} | {len(hits)} | {np.mean(hits):.2f} | {better:+.0%} |")


if __name__ == "__main__":
    main()
