"""How good is the live forecast of the month, on public data, beside the yardsticks? At its start, its quarter and its half.

``python -m bench.forecast_live DATA [--answers FOLDER] [--write docs]``: the deals' events are gone through in their order, the
models learn from them as they do live, and on days of each month a forecast is made of nothing but what is known by then, by
the instance's own parts (``Job``, ``kept``, ``scores``). What was said is put on record and learnt from once its month is over.
Some four minutes of CPU, most of them the models'. ``--answers FOLDER`` keeps what the models said of each deal, as it would
travel on ``deal-outlooks``; where it is there already nothing is asked of them, so that a trial of the forecasts takes seconds.
"""

import argparse
import gzip
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from bench.models_plots import calibration_svg
from bench.written import into
from models.business import Business
from models.deal_outlook import DIMENSIONS, KNOTS, DealOutlook, encode, rounded
from models.foresight import kept, scores
from models.foresight.book import Book
from models.foresight.foresee import Asked, Job
from models.foresight.kept import Said, Slice
from models.foresight.yardsticks import NAMES
from models.learners.curve import EDGES
from models.learners.evaluation import DealEvaluation, DealFact
from models.learners.features import SEASON_MS
from models.targets import Targets
from stream.config.settings import load
from vigie.model_history import History

#: Days of the month on which is asked: those that are scored, and some between, to learn from.
ASKED = {1: "start", 8: "quarter", 16: "half"}
BETWEEN = (4, 12, 20, 24, 28)
#: Targets of which the probability is judged: so many times what came in the month before.
TIMES = (0.8, 0.9, 1.0, 1.1, 1.25)
BUSINESS = Business()


class Data(NamedTuple):
    """One history: where it is, by what is told, which months are scored, and whether amounts are known before the close."""

    name: str
    path: str
    format: str
    by: tuple[str, ...]
    first: str
    last: str
    sized: bool


DATA = (
    Data("CRM", "crm", "crm", ("owner", "product"), "2017-06", "2017-12", sized=False),
    Data("BPIC-2012", "bpic12/bpic2012.csv.gz", "bpic12", ("owner",), "2011-12", "2012-02", sized=True),
)


class TargetCase(NamedTuple):
    """A segment's month that was asked about: which, its law (draws, sorted), the targets, and what came."""

    month: tuple[str, str, int]
    sums: Any
    targets: tuple[float, ...]
    came: float

    def rows(self, came: float) -> list[tuple[float, bool]]:
        """Return what was said of each target, and whether so much reaches it."""
        return [(1 - float(np.searchsorted(self.sums, math.ceil(one))) / len(self.sums), came >= one) for one in self.targets]


#: Of a forecast (by, value, the period's start, the day as an ordinal): the shares of its law below what came, and up to it.
Ranks = dict[tuple[str, str, int, int], tuple[float, float]]


def within(below: float, upto: float, low: float = 0.1, high: float = 0.9) -> float:
    """Return how much of what came lies between two quantiles, where what is as probable as it is shared out among its ranks.

    A right law has .8 of it between P10 and P90, however few deals it counts: the randomised rank of Smith (1985) and of
    Czado, Gneiting and Held (2009), in expectation. Whether P10 ≤ what came ≤ P90 is true more often where a step is large.
    """
    if upto <= below:  # what came lies between two draws
        return float(low <= below <= high)
    return max(0.0, min(upto, high) - max(below, low)) / (upto - below)


class Walk:
    """Goes through a history, and keeps the book of deals as of each day that is asked about."""

    def __init__(self, facts: list[DealFact], data: Data) -> None:
        self.evaluation, self.book, self.data = DealEvaluation(), Book(), data
        self.told: dict[str, str | None] = {}  # what the book was told on the last of these days
        self._facts, self._attributes, self._status = facts, dict[str, dict[str, Any]](), dict[str, str]()

    def days(self) -> Iterator[int]:
        """Yield each day's beginning that is asked about, once everything before it has been taken."""
        at = datetime.fromtimestamp(self._facts[0].at / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        end = datetime.fromtimestamp(self._facts[-1].at / 1000, UTC) + timedelta(1)
        place = 0
        while at <= end:
            now = int(at.timestamp() * 1000)
            while place < len(self._facts) and self._facts[place].at < now:
                fact = self._facts[place]
                self.evaluation.take(fact)
                known = self._attributes.setdefault(fact.deal, {})
                known |= {name: value for name, value in fact.data.items() if value is not None}
                place += 1
            if at.day in (*ASKED, *BETWEEN):
                self._look(now)
                yield now
            at += timedelta(1)

    def _look(self, now: int) -> None:
        evaluation, self.told = self.evaluation, {}
        evaluation._pass(now)
        for name, deal in evaluation.deals.items():
            if deal.gone:
                self._tell(name, None)
            elif deal.status in ("won", "lost"):
                if self._status.get(name) != deal.status:
                    self._status[name] = deal.status
                    self._tell(name, encode(self._outlook(name, deal, now)))
            elif deal.status == "open":
                self._status[name] = "open"
                self._tell(name, encode(self._outlook(name, deal, now)))

    def _tell(self, name: str, outlook: bytes | None) -> None:
        self.book.put(name, outlook)
        self.told[name] = None if outlook is None else outlook.decode()

    def _outlook(self, name: str, deal: Any, now: int) -> DealOutlook:
        attributes = self._attributes[name]
        amount = attributes.get("amount")
        values = tuple(str(one) if (one := attributes.get(dimension)) else None for dimension in DIMENSIONS)
        stages = (*(stage for stage in deal.past.visits if stage != deal.past.stage), deal.past.stage)
        if deal.status != "open":
            return DealOutlook(deal.status, deal.past.created, deal.closed, amount, values, stages)
        x = deal.past.features(now, season=now - self.evaluation.start >= SEASON_MS)
        curve = self.evaluation.model.predict_one(x).curve
        won = np.interp(KNOTS, (0.0, *EDGES), np.concatenate(((0.0,), np.add.accumulate(curve.won))))
        closes = tuple(round(min(curve.closes_within(days), 1.0), 5) for days in KNOTS[-2:])
        return DealOutlook("open", deal.past.created, 0, amount, values, stages, now, rounded(won), closes)  # type: ignore[arg-type]


def days(data: Data, root: Path, answers: Path | None) -> Iterator[tuple[int, Book]]:
    """Yield each day that is asked about, with the deals' book as of then: by the answers kept in a folder, or keeping them."""
    path = None if answers is None else answers / f"{data.name.lower()}.jsonl.gz"
    if path is not None and path.exists():
        book = Book()
        with gzip.open(path) as lines:
            for now, told in map(orjson.loads, lines):
                for name, outlook in told.items():
                    book.put(name, None if outlook is None else outlook.encode())
                yield now, book
        return
    walk = Walk(History(load(None), [root / data.path], data.format, None).facts(), data)
    if path is None:
        yield from ((now, walk.book) for now in walk.days())
        return
    part = path.with_suffix(".part")  # one that was not gone through to its end is no pass
    with gzip.open(part, "wb", compresslevel=1) as lines:
        for now in walk.days():
            lines.write(orjson.dumps([now, walk.told]) + b"\n")
            yield now, walk.book
    part.rename(path)


def month_of(at: int) -> str:
    """Return such as 2017-06."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m")


def run(
    data: Data, root: Path, answers: Path | None = None
) -> tuple[list[Said], list[TargetCase], list[tuple[int, float, float, float, float]], Ranks]:
    """Return what was said with what came, the targets asked about, the totals asked at the start, for the plot, and ranks."""
    records = dict[str, Said]()
    chances: dict[tuple[int, str, str, int], tuple[Any, int]] = {}
    for now, book in days(data, root, answers):
        slices = [Slice("month"), *(Slice("month", by) for by in data.by)]
        made = Job(book.columns(), records, BUSINESS, Targets(), now, 0, [Asked(one) for one in slices], slices).run()
        records |= made.records
        for asked, outlook in made.outlooks.items():
            for segment in outlook.segments if asked.slice.by is None else outlook.segments[1:]:
                chances[now, asked.slice.by or kept.TOTAL, segment.value or "", outlook.span.start] = (segment, outlook.span.end)
    came = {(one.by, one.value, one.start): one.actual for one in records.values() if one.quantiles and one.actual is not None}
    starts = sorted({start for _, _, start in came})
    targets: list[TargetCase] = []
    ranks: Ranks = {}
    for (now, by, value, start), (segment, _) in chances.items():
        asked_on = datetime.fromtimestamp(now / 1000, UTC)
        day = asked_on.day
        if (by, value, start) in came:
            found = [float(np.searchsorted(segment.sums, came[by, value, start], side)) for side in ("left", "right")]
            ranks[by, value, start, asked_on.toordinal()] = found[0] / len(segment.sums), found[1] / len(segment.sums)
        if day in ASKED and data.first <= month_of(start) <= data.last and (by, value, start) in came:
            before = [one for one in starts if one < start]
            last = came.get((by, value, before[-1])) if before else None
            if last:
                aims = tuple(last * one for one in TIMES)
                targets.append(TargetCase((by, value, start), segment.sums, aims, came[by, value, start]))
    wanted = [
        one for one in records.values()
        if one.quantiles and one.actual is not None and data.first <= month_of(one.start) <= data.last
    ]  # fmt: skip
    drawn = [
        (one.start, one.quantiles[2] / 1e4, one.quantiles[10] / 1e4, one.quantiles[18] / 1e4, (one.actual or 0) / 1e4)
        for one in sorted(wanted, key=lambda one: one.start)
        if one.by == kept.TOTAL and datetime.fromordinal(one.day).day == 1
    ]
    return list(records.values()), targets, drawn, ranks


def lines_of(data: Data, records: Iterable[Said], ranks: Ranks) -> list[str]:
    """Return the table's lines of one history."""
    due = scores.scored(one for one in records if one.actual is not None)
    ranked = [one for one in due if data.first <= month_of(one.said.start) <= data.last]
    lines = []
    for by in (kept.TOTAL, *data.by):
        for day, asked in ASKED.items():
            mine = [one for one in ranked if one.said.by == by and datetime.fromordinal(one.said.day).day == day]
            if not mine:
                continue
            beside = {name: _beside(mine, number) for number, name in enumerate(NAMES)}
            known = {name: found for name, found in beside.items() if found is not None}
            best = min(known, key=lambda name: known[name][1] / known[name][0], default=None)
            ours = scores.summary(mine)["forecast"]
            several = [one for one in mine if one.said.won_deals + one.said.said >= 5]
            some = f"{np.mean([one.score.covered for one in several]):.2f} ({len(several)})" if several else "–"
            told = (
                "–"
                if best is None
                else f"{best} {known[best][0] / known[best][1] - 1:+.0%} ({known[best][2]}{_spread(mine, best)})"
            )
            shared = f"{np.mean([within(*ranks[one.said.by, one.said.value, one.said.start, one.said.day]) for one in mine]):.2f}"
            rest = ", ".join(f"{name} {one[0] / one[1] - 1:+.0%}" for name, one in known.items() if name != best)
            cells = (data.name, asked, by, ours.forecasts, f"{ours.coverage:.2f}", some, shared, f"{ours.bias:+.0%}", told, rest)
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _beside(mine: list[scores.Scored], number: int) -> tuple[float, float, int] | None:
    """Return the forecast's CRPS and a yardstick's, where both were scored, and of how many."""
    both = [(one.score.crps, other.crps) for one in mine if (other := one.yardsticks[number]) is not None]
    return (float(np.mean([a for a, _ in both])), float(np.mean([b for _, b in both])), len(both)) if both else None


def _spread(mine: list[scores.Scored], name: str, times: int = 2_000) -> str:
    """Return by what the ratio would differ with other segments (of the total: other months), as words; none for fewer than five.

    A bootstrap of whole histories: P10 to P90. Segments share their months, so what is common to all of them is not in it.
    """
    number = NAMES.index(name)
    rows: dict[Any, list[tuple[float, float]]] = {}
    for one in mine:
        if (other := one.yardsticks[number]) is not None:
            rows.setdefault(one.said.value or one.said.start, []).append((one.score.crps, other.crps))
    if len(rows) < 5:
        return ""
    sums = np.array([np.sum(found, axis=0) for found in rows.values()])
    drawn = sums[np.random.default_rng(0).integers(len(sums), size=(times, len(sums)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1] - 1, (0.1, 0.9))
    return f", {low:+.0%} to {high:+.0%}"


def calibration(targets: list[tuple[float, bool]]) -> tuple[float, list[tuple[float, float, int]]]:
    """Return the ECE and its bins."""
    bins = []
    for step in range(10):
        rows = [(said, came) for said, came in targets if min(int(said * 10), 9) == step]
        if rows:
            bins.append((float(np.mean([a for a, _ in rows])), float(np.mean([b for _, b in rows])), len(rows)))
    return sum(abs(a - b) * n for a, b, n in bins) / max(len(targets), 1), bins


def by_chance(cases: list[TargetCase], times: int = 300) -> tuple[float, float]:
    """Return the ECE that would be, on average and in the worst of ten, were every law right: each month drawn from its own."""
    random, found = np.random.default_rng(0), []
    for _ in range(times):
        places: dict[tuple[str, str, int], float] = {}
        rows: list[tuple[float, bool]] = []
        for case in cases:
            place = places.setdefault(case.month, random.random())
            rows += case.rows(float(case.sums[int(place * len(case.sums))]))
        found.append(calibration(rows)[0])
    return float(np.mean(found)), float(np.quantile(found, 0.9))


def months_svg(title: str, drawn: list[tuple[int, float, float, float, float]]) -> str:
    """Draw P10 to P90 and P50 at each month's start, and what came."""
    wide, high, edge = 90 * len(drawn) + 80, 260, 50
    top = 1.1 * max(max(row[1:]) for row in drawn)

    def y(value: float) -> float:
        return high - edge - value / top * (high - 2 * edge)

    body = []
    for number, (start, p10, p50, p90, actual) in enumerate(drawn):
        x = 80 + 90 * number
        bar = f'x1="{x}" y1="{y(p10):.1f}" x2="{x}" y2="{y(p90):.1f}"'
        body.append(f'<line {bar} stroke="#2563eb" stroke-width="8" stroke-opacity="0.4"/>')
        body.append(f'<line x1="{x - 8}" y1="{y(p50):.1f}" x2="{x + 8}" y2="{y(p50):.1f}" stroke="#2563eb" stroke-width="2"/>')
        body.append(f'<circle cx="{x + 14}" cy="{y(actual):.1f}" r="4" fill="#111"/>')
        body.append(f'<text x="{x}" y="{high - 28}" text-anchor="middle">{month_of(start)}</text>')
    ticks = "".join(f'<text x="4" y="{y(v) + 4:.1f}">{v / 1000:,.0f}k</text>' for v in (0, top / 2, top))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" '
        f'font-family="sans-serif" font-size="11"><title>{title}</title><rect width="{wide}" height="{high}" fill="#fff"/>'
        f'<text x="{wide / 2}" y="20" text-anchor="middle" font-weight="bold">{title}</text>{ticks}{"".join(body)}</svg>\n'
    )


def main() -> None:
    """Print the table; write it and the plots where asked to."""
    parser = argparse.ArgumentParser(description="The live forecast of the month, on public data.")
    parser.add_argument("root", type=Path)
    parser.add_argument("--only", choices=[data.name for data in DATA])
    parser.add_argument("--answers", type=Path, help="a folder for the models' answers: taken from it, or kept in it")
    parser.add_argument("--write", type=Path, help="also write table and plots into this folder (docs)")
    options = parser.parse_args()
    head = ["data", "asked at its", "by", "forecasts", "held by P10 to P90", "of five deals or more", "held by rank", "bias"]
    head += ["CRPS beside the best yardstick", "and the others"]
    table = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    notes: list[str] = []
    plots: dict[str, str] = {}
    for data in DATA:
        if options.only in (None, data.name):
            records, targets, drawn, ranks = run(data, options.root, options.answers)
            table += lines_of(data, records, ranks)
            asked = [row for case in targets for row in case.rows(case.came)]
            ece, bins = calibration(asked)
            usual, worst = by_chance(targets)
            notes.append(
                f"{data.name}: probability of a target, ECE {ece:.3f} ({len(asked):,} asked); were every probability right, it "
                f"would be {usual:.3f} by chance, and {worst:.3f} or more in one of ten."
            )
            plots[f"months-{data.name.lower()}"] = months_svg(f"{data.name}: said at the month's start (bar), came (dot)", drawn)
            plots[f"targets-{data.name.lower()}"] = calibration_svg(f"{data.name}: P(target)", bins)
    text = "\n".join([*table, "", *notes])
    print(text)
    if options.write:
        _write(options.write, text, plots)


def _write(folder: Path, text: str, plots: Mapping[str, str]) -> None:
    images = folder / "forecast"
    images.mkdir(exist_ok=True)
    shown = []
    for name, svg in plots.items():
        (images / f"{name}.svg").write_text(svg, encoding="utf-8")
        shown.append(f"![{name}](forecast/{name}.svg)")
    into(folder / "forecast.md", "forecast_live", [text, "", *shown])


if __name__ == "__main__":
    main()
