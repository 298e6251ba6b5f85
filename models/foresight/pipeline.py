"""What do the open deals bring by a day, and those that are not there yet?

Open ones by their own hazards (:mod:`models.foresight.book`). Of new ones so many come a day (:mod:`models.foresight.rate`, of
the deals' creation), and of those that come, so many are won within so many days: the incidence of winning beside that of losing
(Aalen and Johansen), told from the deals of the year before. Segments have their own arrivals and their own conversion, drawn to
that of all.

O. Aalen, S. Johansen, "An empirical transition matrix for non-homogeneous Markov chains based on censored observations",
Scandinavian Journal of Statistics 5 (3), 1978, pp. 141-150.
"""

import numpy as np

from models.foresight.law import Reals
from models.foresight.rate import PLAIN, Days, Rate, Year, learnt, places

#: Ages (days) up to which winning is looked at, and how far back deals are.
AGES, BACK = 400, 365
#: A segment's conversion is drawn to that of all by so many deals won; it is told from so many days.
_SHRUNK, _SINCE = 8.0, 120


def incidence(created: Reals, closed: Reals, won: np.ndarray[tuple[int], np.dtype[np.bool_]], now: float) -> Reals:
    """Return P(won within n days of its creation), n from 0 to :data:`AGES`. Times are days; ``closed`` is inf while open."""
    taken = (created < now) & (np.minimum(closed, now) >= now - BACK)
    began, ended, wins = created[taken], np.minimum(closed[taken], now), won[taken] & (closed[taken] < now)
    ages = np.clip(np.floor(ended - began), 0, AGES).astype(np.int64)
    entered = np.clip(np.floor(np.maximum(now - BACK - began, 0)), 0, AGES).astype(np.int64)
    over = closed[taken] < now
    at_risk = (
        np.cumsum(np.bincount(entered, minlength=AGES + 2))
        - np.concatenate(((0,), np.cumsum(np.bincount(ages, minlength=AGES + 2))))[: AGES + 2]
    )
    risk = np.maximum(at_risk[: AGES + 1], 1).astype(float)
    ends = np.minimum(np.bincount(ages[over], minlength=AGES + 1)[: AGES + 1] / risk, 1.0)
    winning = np.minimum(np.bincount(ages[wins], minlength=AGES + 1)[: AGES + 1] / risk, 1.0)
    stays = np.concatenate(((1.0,), np.cumprod(1 - ends)))
    found: Reals = np.concatenate(((0.0,), np.cumsum(stays[:-1] * winning)))[: AGES + 1]
    return found


def arrivals(counts: Reals, first: int, year: Year = PLAIN) -> Rate:
    """Return the rate at which deals come: ``counts`` a day of each series (the first is of all), from day ``first`` on."""
    return learnt(counts, first, year)


def new_wins(rate: Rate, counts: Reals, wins: Reals, winning: Reals, today: int, shares: Reals, year: Year = PLAIN) -> Reals:
    """Return how many deals that come from now on are won within the days to come, of each series.

    ``counts`` of deals created and ``wins`` of deals won are of the days before ``today``; ``shares`` says how much of each day
    to come is still ahead (the first is today), ``winning`` is :func:`incidence`.
    """
    coming = np.arange(today, today + len(shares), dtype=np.int64)
    daily = rate.effects(places(coming, year)) * shares
    left = np.minimum(np.cumsum(shares[::-1])[::-1] - shares / 2, AGES)  # from the middle of what is ahead of a day, to the end
    within = np.interp(left, np.arange(AGES + 1), winning)
    found: Reals = rate.level * float(daily @ within) * _conversion(counts, wins, winning)
    return found


def _conversion(counts: Reals, wins: Reals, winning: Reals) -> Reals:
    """Return by how much each series wins more of what comes than all do, drawn to 1."""
    length = counts.shape[1]
    since = min(_SINCE, length)
    ages = np.arange(length)[::-1] + 0.5
    steps = np.arange(AGES + 1)
    due = np.interp(ages, steps, winning) - np.interp(ages - since, steps, winning, left=0.0)
    expected = counts @ due
    level = (float(wins[0, length - since :].sum()) + _SHRUNK) / (float(expected[0]) + _SHRUNK) if length else 1.0
    own = (wins[:, length - since :].sum(1) + _SHRUNK * level) / (expected + _SHRUNK)
    found: Reals = own / max(level, 1e-9)
    return found


def daily(groups: Days, days: Days, count: int, first: int, stop: int) -> Reals:
    """Return a row for all, and one for each group (-1: none), of how many there were each day ``first <= day < stop``."""
    length = max(stop - first, 0)
    inside = (days >= first) & (days < stop)
    places_, groups = days[inside] - first, groups[inside]
    found = np.zeros((count + 1, length))
    found[0] = np.bincount(places_, minlength=length)
    known = groups >= 0
    found[1:] = np.bincount(groups[known] * length + places_[known], minlength=count * length).reshape(count, length)
    return found
