"""How do the deals stand at an instant, for a forecast: won by day, open with their chances, and what they have brought?"""

from typing import Any, NamedTuple

import numpy as np

from models.calendar import DAY_MS, Calendar
from models.deal_outlook import DIMENSIONS
from models.foresight import pipeline, rate
from models.foresight.book import OPEN, WON, Columns, won_by
from models.foresight.law import Reals, Units

#: Days of deals that are looked at.
HISTORY = 800
#: A deal's size counts as at most so many times the median one, for those to come: one whale is no school.
_WHALE = 100.0
#: Deals by which a segment's sizes are told; else those of all, drawn to its mean. The latest so many are looked at.
_LEAST, _LATEST, _DRAWN_FROM = 20, 5_000, 1_000


class ForecastSpan(NamedTuple):
    """A period [start, end) and the instant it is looked at from; epoch ms."""

    start: int
    end: int
    now: int

    @property
    def phase(self) -> float:
        """The share of the period that is over."""
        return min(max((self.now - self.start) / (self.end - self.start), 0.0), 1.0)


class DealsAt:
    """The deals of a question, by the place of their segment: 0 all, then the dimension's values, then those without one."""

    def __init__(self, columns: Columns, span: ForecastSpan, calendar: Calendar, by: str | None) -> None:
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
        created_days, closed_days = days_of(columns.created, calendar), days_of(np.where(won, closed, span.now), calendar)
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
        ends = np.where((columns.status == OPEN) | (closed >= span.now), np.inf, closed / DAY_MS)
        self.incidence = pipeline.incidence(columns.created[seen] / DAY_MS, ends[seen], won[seen], span.now / DAY_MS)
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
        limit = _WHALE * float(np.median(np.abs(amounts))) if len(amounts) else 0.0
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
        order = np.argsort(self.columns.closed[self._sized])[-_LATEST:]
        amounts, groups = self._capped(raw[order]), self.groups[self._sized][order]
        if len(raw) and float(np.abs(raw).max()) > _WHALE * float(np.median(np.abs(raw))) > 0:
            why.append(f"a deal of more than {_WHALE:g} times the median counts as that much in what is to come")
        if not len(amounts):  # nothing was won yet: what is asked for, or was, is all that is known of sizes
            amounts = self._capped(self._amounts[self.columns.amount != -1])
            return [amounts] * (self._count + 1)
        found = [amounts[-_DRAWN_FROM:]]
        means = rate.sizes(amounts, groups, self._count) if self._count else np.zeros(0)
        for place in range(self._count):
            own = amounts[groups == place][-_DRAWN_FROM:]
            base = own if len(own) >= _LEAST else found[0]
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
