"""What will a period bring, in total and by segment: what is won, what open deals bring in time, what those not there yet bring?

Pure: of the deals (:mod:`models.foresight.book`), the calendar, what forecasts were off by (:mod:`models.foresight.blend`), and now.
Money is 1/10,000 of the business currency.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from models.calendar import Calendar
from models.foresight import pipeline, rate
from models.foresight.blend import FADES, Blend, Past, blended
from models.foresight.book import DIMENSIONS, OPEN, WON, Columns, won_by
from models.foresight.drawing import Part, draw_parts
from models.foresight.law import Reals, Units
from models.foresight.scenario import BASE, Scenario

#: What is told of a law: nineteen steps and the ends. By them a forecast is scored when its period is over.
SHARES = (0.01, *(round(0.05 * step, 2) for step in range(1, 20)), 0.99)
DRAWS = 4_000
#: Days of deals that are looked at.
HISTORY = 800
#: A deal's size counts as at most so many times the median one, for those to come: one whale is no school.
_WHALE = 100.0
#: Earlier stretches by which the rate is judged: how many, how far apart (days), after how many days of history.
_ROLLING, _APART, _BEFORE = 26, 7, 42
_LEAST_SIZES = 20
_DAY_MS = 86_400_000
_HISTORIC = 2.0  # months by which the share of open deals before is believed by half


class Span(NamedTuple):
    """A period [start, end) and the instant it is looked at from; epoch ms."""

    start: int
    end: int
    now: int

    @property
    def phase(self) -> float:
        """The share of the period that is over."""
        return min(max((self.now - self.start) / (self.end - self.start), 0.0), 1.0)


class Segment(NamedTuple):
    """What is expected of one segment; ``value`` None: the total. ``quantiles`` are at :data:`SHARES`, of the whole period."""

    value: str | None
    won: int
    won_deals: int
    open_deals: int
    open: tuple[float, float, float, float]  # mean, P10, P50, P90 of what open deals bring in time
    new: tuple[float, float, float, float]  # of what those not there yet bring
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

    span: Span
    segments: list[Segment]
    blend: Blend
    known: int  # days of history
    why: list[str]


def outlook(
    columns: Columns,
    span: Span,
    calendar: Calendar,
    by: str | None = None,
    past: Sequence[Past] = (),
    scenario: Scenario = BASE,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Outlook:
    """Return the outlook on a period, in total, and by a dimension's values where one is named."""
    why: list[str] = []
    deals = _Deals(columns, span, calendar, by)
    today, shares = _ahead(span, calendar)
    if not deals.wins.any():
        why.append("no deal was won before: how likely that is, and when, is the models' prior")
    spread = rate.learnt(deals.wins, deals.first, calendar.first_month)
    of_rate = spread.level * float(spread.effects(rate.places(today + np.arange(len(shares)), calendar.first_month)) @ shares)
    of_open = deals.open_by_group(deals.chances)
    coming = pipeline.arrivals(deals.created, deals.first, calendar.first_month)
    of_new = pipeline.new_wins(coming, deals.created, deals.wins, deals.incidence, today, shares, calendar.first_month)
    of_pipeline = of_open + of_new
    length = float(shares.sum())
    fit = blended(past, span.phase, *_rolling(deals.wins[:1], deals.first, length, calendar.first_month))
    said = fit.of(of_pipeline, of_rate) if length else np.zeros(len(of_rate))
    if not deals.wins.any():
        said = of_pipeline
    # Segments are told so that they come to the total; deals without a value in the dimension have a place of their own.
    parts = said[1:].sum()
    if by is not None and parts > 0:
        said[1:] *= said[0] / parts
    open_share = _shares_open(deals, span, calendar, of_open, of_pipeline)
    wins_open = np.minimum(said * open_share, 0.98 * deals.open_by_group(np.ones(len(deals.chances)))) * scenario.win_rate
    wins_new = np.maximum(said - said * open_share, 0.0) * scenario.win_rate * scenario.arrivals
    sizes = deals.sizes(why)
    random = np.random.default_rng(seed)
    places = range(1, len(said)) if by is not None else (0,)
    found = []
    for place in places:
        mine = deals.open_rows(place)
        brings = sizes[place] * scenario.amount
        found.append(Part(deals.open_amounts[mine], deals.chances[mine], float(wins_open[place]), float(wins_new[place]), brings))
    drawn = draw_parts(found, fit.shock, fit.own if by is not None else 0.0, draws, random) if length else []
    segments = [
        _segment(deals, place, one, (of_pipeline[place], of_rate[place], said[place]))
        for place, one in zip(places, drawn, strict=False)
    ]
    if not length:
        nothing = np.zeros(1, np.int64)
        segments = [_told(deals, place, nothing, nothing, (0.0, 0.0), (0.0, 0.0, 0.0)) for place in places]
    if by is not None:
        zero = np.zeros(draws if length else 1, np.int64)
        opened = sum((one.open for one in drawn), np.zeros_like(drawn[0].open) if drawn else zero)
        came = sum((one.new for one in drawn), np.zeros_like(drawn[0].new) if drawn else zero)
        means = sum(one.open_mean for one in drawn), sum(one.new_mean for one in drawn)
        total = _told(deals, 0, opened, came, means, (of_pipeline[0], of_rate[0], said[0]))
        segments = [total, *(segment for segment in segments[:-1])]
    return Outlook(span, segments, fit, deals.wins.shape[1] if deals.wins.any() else 0, why)


def _segment(deals: "_Deals", place: int, drawn: Any, wins: tuple[float, float, float]) -> Segment:
    return _told(deals, place, drawn.open, drawn.new, (drawn.open_mean, drawn.new_mean), wins)


def _told(
    deals: "_Deals", place: int, opened: Units, came: Units, means: tuple[float, float], wins: tuple[float, float, float]
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


class _Deals:
    """The deals of a question, by the place of their segment: 0 all, then the dimension's values, then those without one."""

    def __init__(self, columns: Columns, span: Span, calendar: Calendar, by: str | None) -> None:
        self.names: tuple[str, ...] = () if by is None else (*columns.names[by], "")
        count = len(self.names) - 1
        values = columns.values[:, DIMENSIONS.index(by)] if by is not None else np.full(len(columns.status), -1)
        self.groups = np.where(values >= 0, values, count).astype(np.int64) if by is not None else values.astype(np.int64)
        self._count = count + 1 if by is not None else 0
        closed = np.where(columns.status == OPEN, 1 << 62, columns.closed)
        seen = columns.created < span.now
        won = (columns.status == WON) & (closed < span.now)
        self.columns, self._now = columns, span.now
        self.opened = np.flatnonzero(seen & (closed >= span.now))
        self.chances = won_by(columns, self.opened, span.now, span.end)
        today = calendar.day(span.now)
        created_days, closed_days = days_of(columns.created, calendar), days_of(np.where(won, closed, 0), calendar)
        began = created_days[columns.created > 0]
        first = int(closed_days[won].min()) if won.any() else today
        self.first = max(min(first, int(began.min()) if len(began) else today), today - HISTORY)
        self.wins = pipeline.daily(self.groups[won], closed_days[won], self._count, self.first, today)
        if first > self.first:  # before the first one was won nothing says that none is
            self.wins = self.wins[:, first - self.first :] if first < today else np.zeros((self._count + 1, 0))
        self.created = pipeline.daily(self.groups[seen], created_days[seen], self._count, self.first, today)
        self.created = self.created[:, self.created.shape[1] - self.wins.shape[1] :] if self.wins.shape[1] else self.created
        self.first = today - self.wins.shape[1]
        if not self.wins.shape[1]:
            self.first, self.wins = today - self.created.shape[1], np.zeros_like(self.created)
        ends = np.where((columns.status == OPEN) | (closed >= span.now), np.inf, closed / _DAY_MS)
        self.incidence = pipeline.incidence(columns.created[seen] / _DAY_MS, ends[seen], won[seen], span.now / _DAY_MS)
        inside = won & (closed >= span.start) & (closed < span.end)
        amounts = np.maximum(columns.amount, -(1 << 62)).astype(float)
        self.won_counts = self._sums(inside, np.ones(len(won)))
        self.won_sums = self._sums(inside, np.where(columns.amount == -1, 0, amounts))
        sized = won & (columns.amount != -1)
        self._sized, self._amounts = np.flatnonzero(sized), amounts
        self.open_amounts = self._known(np.where(columns.amount[self.opened] == -1, 0, columns.amount[self.opened]))
        self._opened_groups = self.groups[self.opened]

    def _sums(self, rows: np.ndarray[Any, np.dtype[np.bool_]], values: Reals) -> Reals:
        found = np.zeros(self._count + 1)
        found[0] = values[rows].sum()
        if self._count:
            found[1:] = np.bincount(self.groups[rows], values[rows], self._count)
        return found

    def _known(self, amounts: Units) -> Units:
        """Return the amounts of the open deals; one that is not known is what deals of the same product have brought."""
        unknown = self.columns.amount[self.opened] == -1
        if not unknown.any() or not len(self._sized):
            return amounts
        products = self.columns.values[:, DIMENSIONS.index("product")]
        count = len(self.columns.names["product"])
        groups = np.where(products >= 0, products, count).astype(np.int64)
        means = rate.sizes(self._capped(self._amounts[self._sized]), groups[self._sized], count + 1)
        return np.where(unknown, np.rint(means[groups[self.opened]]).astype(np.int64), amounts)

    @staticmethod
    def _capped(amounts: Reals) -> Reals:
        limit = _WHALE * float(np.median(np.abs(amounts)))
        found: Reals = np.clip(amounts, -limit, limit) if limit > 0 else amounts
        return found

    def open_rows(self, place: int) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Return which of the open deals are in a place."""
        return np.arange(len(self.opened)) if place == 0 else np.flatnonzero(self._opened_groups == place - 1)

    def open_by_group(self, chances: Reals) -> Reals:
        """Return the sums over the open deals."""
        found = np.zeros(self._count + 1)
        found[0] = chances.sum()
        if self._count:
            found[1:] = np.bincount(self._opened_groups, chances, self._count)
        return found

    def sizes(self, why: list[str]) -> list[Reals]:
        """Return what deals of each place have brought, of the latest thousand: all, or drawn to all where there are few."""
        raw = self._amounts[self._sized]
        order = np.argsort(self.columns.closed[self._sized])[-5_000:]
        amounts, groups = self._capped(raw[order]), self.groups[self._sized][order]
        if len(raw) and float(np.abs(raw).max()) > _WHALE * float(np.median(np.abs(raw))) > 0:
            why.append(f"a deal of more than {_WHALE:g} times the median counts as that much in what is to come")
        if not len(amounts):
            return [np.zeros(0)] * (self._count + 1)
        found = [amounts[-1_000:]]
        means = rate.sizes(amounts, groups, self._count) if self._count else np.zeros(0)
        for place in range(self._count):
            own = amounts[groups == place][-1_000:]
            base = own if len(own) >= _LEAST_SIZES else found[0]
            usual = float(base.mean())
            found.append(base * (means[place] / usual) if usual > 0 else base)
        return found


def days_of(times: Units, calendar: Calendar) -> Units:
    """Return the business days (ordinals) of many instants."""
    if not len(times):
        return np.zeros(0, np.int64)
    first, last = calendar.day(int(times.min())), calendar.day(int(times.max()))
    if last - first > 40_000:  # a time that is none
        return np.array([calendar.day(int(at)) for at in times], np.int64)
    starts = np.array([calendar.day_start(day) for day in range(first, last + 1)], np.int64)
    found: Units = first + np.searchsorted(starts, times, "right") - 1
    return found


def _ahead(span: Span, calendar: Calendar) -> tuple[int, Reals]:
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


def _rolling(wins: Reals, first: int, length: float, first_month: int) -> tuple[float, float]:
    """Return the mean square of the rate's errors (log-ratios) at earlier stretches of this length, and for how many they count."""
    whole, squares, weights = max(round(length), 1), list[float](), list[float]()
    stop = wins.shape[1] - whole
    for at in range(stop, _BEFORE, -_APART):
        if len(squares) >= _ROLLING:
            break
        then = rate.learnt(wins[:, :at], first, first_month)
        said = float(then.level[0] * then.effects(rate.places(first + at + np.arange(whole), first_month)).sum())
        actual = float(wins[0, at : at + whole].sum())
        off = min(abs(np.log((actual + 0.5) / (said + 0.5))), 0.8)
        squares.append(max(off**2 - 1 / max(said, 1.0), 0.0))
        weights.append(FADES ** ((stop - at) / max(whole, _APART)))
    if not squares:
        return 0.0, 0.0
    counts = np.array(weights)
    return float(counts @ np.array(squares) / counts.sum()), float(counts.sum()) * min(_APART / max(whole, _APART), 1.0)


def _shares_open(deals: _Deals, span: Span, calendar: Calendar, opened: Reals, pipeline_: Reals) -> Reals:
    """Return which share of what the rest wins comes of deals that are open: as their hazards say, and as it was before."""
    raw = np.divide(opened + 0.25, pipeline_ + 0.5)
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
        return raw
    belief = len(logits) / (len(logits) + _HISTORIC)
    logit = (1 - belief) * np.log(raw / (1 - raw)) + belief * (
        float(np.mean(logits)) + np.log(raw / (1 - raw)) - np.log(raw[0] / (1 - raw[0]))
    )
    found: Reals = 1 / (1 + np.exp(-logit))
    return found
