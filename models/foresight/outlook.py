"""What will a period bring, in total and by segment: what is won, what open deals bring in time, what those not there yet bring?

Pure: of the deals (:mod:`models.foresight.book`), the calendar, what forecasts were off by (:mod:`models.foresight.blend`), now.
Money is 1/10,000 of the business currency.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from models.calendar import Calendar
from models.foresight import pipeline, rate
from models.foresight.again import APART, NONE, STRETCHES, Earlier, SeasonAgo
from models.foresight.blend import FADES, Blend, Past, blended
from models.foresight.book import WON, Columns
from models.foresight.deals_at import DealsAt, ForecastSpan
from models.foresight.drawing import SegmentPart, draw_parts
from models.foresight.law import Reals, Units
from models.foresight.scenario import BASE, Scenario

#: What is told of a law: nineteen steps and the ends. By them a forecast is scored when its period is over.
SHARES = (0.01, *(round(0.05 * step, 2) for step in range(1, 20)), 0.99)
DRAWS = 4_000
#: Days of history after which the rate is judged by earlier stretches.
_BEFORE = 42
#: Days that hazards and conversions mostly tell of.
_LATELY = 30
_HISTORIC = 2.0  # months by which the share of open deals before is believed by half


class Segment(NamedTuple):
    """What is expected of one segment; ``value`` None: the total. ``quantiles`` are at :data:`SHARES`, of the whole period."""

    value: str | None
    won: int
    won_deals: int
    open_deals: int
    open: tuple[float, float, float, float]  # mean, P10, P50, P90 of what open deals bring in time
    new: tuple[float, float, float, float]  # of what those not there yet bring
    new_wins: float
    mean: float
    quantiles: tuple[float, ...]
    sums: Units  # the draws, sorted
    pipeline: float  # deals that each of both says the rest of the period wins
    rate: float
    said: float

    def at_least(self, target: int) -> float:
        """Return the probability that the period comes to this much or more."""
        return float(len(self.sums) - np.searchsorted(self.sums, target)) / len(self.sums)

    def quantile(self, share: float) -> float:
        """Return one of the quantiles, by its share."""
        return self.quantiles[SHARES.index(share)]


class Outlook(NamedTuple):
    """A period's; the total comes first. ``why`` says what was decided, or is missing."""

    span: ForecastSpan
    segments: list[Segment]
    blend: Blend
    known: int  # days of history
    why: list[str]


def outlook(
    columns: Columns,
    span: ForecastSpan,
    calendar: Calendar,
    by: str | None = None,
    past: Sequence[Past] = (),
    scenario: Scenario = BASE,
    *,
    earlier: Earlier = NONE,
    draws: int = DRAWS,
    seed: int = 0,
) -> Outlook:
    """Return the outlook on a period, in total, and by a dimension's values where one is named.

    ``earlier`` says when the periods before began: without it no season ago is known.
    """
    why: list[str] = []
    deals = DealsAt(columns, span, calendar, by)
    today, shares = _ahead(span, calendar)
    if not deals.wins.any():
        why.append("no deal was won before: how likely that is, and when, is the models' prior")
    year = rate.Year(calendar.first_month, calendar.countries)
    spread = rate.learnt(deals.wins, deals.first, year)
    of_rate = spread.level * float(spread.effects(rate.places(today + np.arange(len(shares)), year)) @ shares)
    of_open = deals.open_by_group(deals.chances)
    coming = pipeline.arrivals(deals.created, deals.first, year)
    of_new = pipeline.new_wins(coming, deals.created, deals.wins, deals.incidence, today, shares, year)
    turned = _turned(spread, today, len(shares), year)
    of_open, of_new = of_open * turned, of_new * turned
    of_pipeline = of_open + of_new
    length = float(shares.sum())
    ago = SeasonAgo(deals.wins[0], deals.first, calendar.day(span.end - 1) + 1, earlier)
    past = ago.judged(past, [calendar.day(one.period) for one in past])
    fit = blended(past, span.phase, *_rolling(deals.wins[:1], deals.first, length, year), ago.season(today, shares))
    said = fit.of(of_pipeline, of_rate) if length else np.zeros(len(of_rate))
    if not deals.wins.any():
        said = of_pipeline
    # Segments are told so that they come to the total; deals without a value in the dimension have a place of their own.
    parts = said[1:].sum()
    if by is not None and parts > 0:
        said[1:] *= said[0] / parts
    open_share = _shares_open(deals, span, calendar, of_open, of_pipeline)
    open_wins = np.minimum(said * open_share, 0.98 * deals.open_by_group(np.ones(len(deals.chances))))
    new_wins = (said - open_wins) * scenario.win_rate * scenario.arrivals
    open_wins = open_wins * scenario.win_rate
    sizes = deals.sizes(why)
    random = np.random.default_rng(seed)
    places = range(1, len(said)) if by is not None else (0,)
    found = []
    for place in places:
        mine = deals.open_rows(place)
        brings = sizes[place] * scenario.amount
        found.append(
            SegmentPart(deals.open_amounts[mine], deals.chances[mine], float(open_wins[place]), float(new_wins[place]), brings)
        )
    drawn = draw_parts(found, fit.shock, fit.own if by is not None else 0.0, draws, random) if length else []
    segments = [
        _segment(deals, place, one, (of_pipeline[place], of_rate[place], said[place]))
        for place, one in zip(places, drawn, strict=False)
    ]
    if not length:
        nothing = np.zeros(1, np.int64)
        segments = [_told(deals, place, nothing, nothing, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)) for place in places]
    if by is not None:
        zero = np.zeros(draws if length else 1, np.int64)
        opened = sum((one.open for one in drawn), np.zeros_like(drawn[0].open) if drawn else zero)
        came = sum((one.new for one in drawn), np.zeros_like(drawn[0].new) if drawn else zero)
        means = (sum(one.open_mean for one in drawn), sum(one.new_mean for one in drawn), sum(one.new_wins for one in drawn))
        total = _told(deals, 0, opened, came, means, (of_pipeline[0], of_rate[0], said[0]))
        segments = [total, *(segment for segment in segments[:-1])]
    return Outlook(span, segments, fit, deals.wins.shape[1] if deals.wins.any() else 0, why)


def _segment(deals: DealsAt, place: int, drawn: Any, wins: tuple[float, float, float]) -> Segment:
    return _told(deals, place, drawn.open, drawn.new, (drawn.open_mean, drawn.new_mean, drawn.new_wins), wins)


def _told(
    deals: DealsAt, place: int, opened: Units, came: Units, means: tuple[float, float, float], wins: tuple[float, float, float]
) -> Segment:
    won = int(deals.won_sums[place])
    sums = np.sort(opened + came) + won
    return Segment(
        None if place == 0 else deals.names[place - 1],
        won,
        int(deals.won_counts[place]),
        len(deals.open_rows(place)),
        _four(means[0], opened),
        _four(means[1], came),
        means[2],
        won + means[0] + means[1],
        tuple(float(value) for value in _quantiles(sums)),
        sums,
        *(float(one) for one in wins),
    )


def _four(mean: float, draws: Units) -> tuple[float, float, float, float]:
    p10, p50, p90 = (float(value) for value in np.quantile(draws, (0.1, 0.5, 0.9), method="inverted_cdf"))
    return mean, p10, p50, p90


def _quantiles(sums: Units) -> Reals:
    found: Reals = np.quantile(sums, SHARES, method="inverted_cdf").astype(float)
    return found


def _turned(spread: rate.Rate, today: int, length: int, year: rate.Year) -> float:
    """Return by what factor the months ahead are above those that hazards and conversions were lately learnt from.

    Hazards know how long a deal is open, not that the last months of a quarter win more than its first.
    """
    if not length:
        return 1.0

    def usual(days: rate.Days) -> float:
        at = rate.places(days, year)
        return float(np.exp(spread.of_quarter[at.of_quarter] + spread.of_year[at.of_year]).mean())

    return usual(today + np.arange(length)) / usual(today - 1 - np.arange(_LATELY))


def _ahead(span: ForecastSpan, calendar: Calendar) -> tuple[int, Reals]:
    """Return today, and how much of each day of the period is still ahead; of today what the clock says."""
    today = calendar.day(span.now)
    if span.now >= span.end:
        return today, np.zeros(0)
    first = max(today, calendar.day(span.start))
    shares = np.ones(calendar.day(span.end - 1) - first + 1)
    if first == today:
        begin, end = calendar.day_start(today), calendar.day_start(today + 1)
        shares[0] = (end - span.now) / (end - begin)
    return first, shares


def _rolling(wins: Reals, first: int, length: float, year: rate.Year) -> tuple[float, float]:
    """Return the mean square of the rate's errors (log-ratios) at earlier stretches as long, and for how many they count."""
    whole, squares, weights = max(round(length), 1), list[float](), list[float]()
    stop = wins.shape[1] - whole
    for at in range(stop, _BEFORE, -APART):
        if len(squares) >= STRETCHES:
            break
        then = rate.learnt(wins[:, :at], first, year)
        said = float(then.level[0] * then.effects(rate.places(first + at + np.arange(whole), year)).sum())
        actual = float(wins[0, at : at + whole].sum())
        off = min(abs(np.log((actual + 0.5) / (said + 0.5))), 0.8)
        squares.append(max(off**2 - 1 / max(said, 1.0), 0.0))
        weights.append(FADES ** ((stop - at) / max(whole, APART)))
    if not squares:
        return 0.0, 0.0
    counts = np.array(weights)
    return float(counts @ np.array(squares) / counts.sum()), float(counts.sum()) * min(APART / max(whole, APART), 1.0)


def _shares_open(deals: DealsAt, span: ForecastSpan, calendar: Calendar, opened: Reals, pipeline_: Reals) -> Reals:
    """Return which share of what the rest wins comes of deals that are open: as their hazards say, and as it was before."""
    raw: Reals = np.clip(np.divide(opened, pipeline_, out=np.full(len(opened), 0.5), where=pipeline_ > 0), 0.001, 0.999)
    columns, length = deals.columns, span.end - span.now
    wins = columns.status == WON
    logits = []
    period = span.end - span.start
    for back in range(1, 13):
        # The same stretch so many periods before, to some days.
        at = span.now - back * period
        if at < int(columns.created.min(initial=1 << 62)) + period:
            break
        ours = wins & (columns.closed >= at) & (columns.closed < at + length)
        of_open = int((ours & (columns.created < at)).sum())
        of_new = int((ours & (columns.created >= at)).sum())
        if of_open + of_new:
            logits.append(np.log((of_open + 0.5) / (of_new + 0.5)))
    if not logits:
        return np.asarray(raw)
    belief = len(logits) / (len(logits) + _HISTORIC)
    logit = (1 - belief) * np.log(raw / (1 - raw)) + belief * (
        float(np.mean(logits)) + np.log(raw / (1 - raw)) - np.log(raw[0] / (1 - raw[0]))
    )
    found: Reals = 1 / (1 + np.exp(-logit))
    return found
