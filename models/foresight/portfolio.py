"""What will the open deals of a portfolio bring, and is a target reached?

One question, one answer: amounts that are won for certain, deals with their own rates, and groups of deals with one common rate
that is only known from so many won and lost. Rates that are given are taken as certain, deals as independent but for groups.

A quantile is the smallest value that is not exceeded with at least its probability; ``p_target`` is the probability of the target
or more. Money is counted in cents; where an amount has smaller parts, in the coarsest unit in which all are whole.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np

from models.foresight.asked import converted
from models.foresight.law import Law, Units, coins, convolved, drawn, of_draws, shared
from models.unusable import UnusableQuestion

#: Draws where the exact law cannot be had and none were asked for, and the most that can be asked for.
DRAWS, MOST_DRAWS = 10_000, 1_000_000
#: The most deals of one common rate.
MOST_SHARED = 1_000_000
#: The most units of money that are summed: below 2 ** 62, so that sums stay whole numbers.
_MOST_UNITS = 4e18
#: In how many parts money is counted: the first of them in which all amounts are whole, else the finest that has room.
_CENTS = 100
_PARTS = (_CENTS, 10**4, 10**6, 10**9, 10**12)
#: Added to won and lost where one of them is 0: what is known then is not that it never happens.
_JEFFREYS = 0.5


class WinnableDeal(msgspec.Struct):
    """An open deal: its id, the probability that it is won in time, its amount."""

    p: float
    amount: float
    id: Any = None


class DealGroup(msgspec.Struct):
    """``n`` deals of one amount and one common rate, known from so many ``won`` and ``lost``."""

    n: int
    won: float
    lost: float
    amount: float


class Portfolio(msgspec.Struct):
    """A question: ``won`` is money that is certain, ``draws`` None or 0: the exact law, if it can be had."""

    id: Any = None
    seed: int = 0
    draws: int | None = None
    won: float = 0.0
    target: float | None = None
    deals: list[WinnableDeal] = []
    groups: list[DealGroup] = []


class PortfolioOutlook(NamedTuple):
    """An answer, in money; ``draws`` None: exact. ``why`` says what was decided for the asker."""

    p_target: float | None
    mean: float
    p10: float
    p50: float
    p90: float
    draws: int | None
    why: list[str]


def read(document: Any) -> Portfolio:
    """Return the question that a JSON document asks, checked.

    Raises:
        UnusableQuestion: at the first thing that is wrong with it.
    """
    asked = converted(document, Portfolio, "a JSON object with deals")
    for where, found, good, accepted in _checks(asked):
        if not good:
            raise UnusableQuestion(where, found, accepted)
    return asked


def _checks(asked: Portfolio) -> Iterator[tuple[str, object, bool, str]]:
    yield "seed", asked.seed, 0 <= asked.seed < 1 << 63, "0 to 2^63 - 1"
    yield "draws", asked.draws, asked.draws is None or 0 <= asked.draws <= MOST_DRAWS, f"null or 0 (exact), 1 to {MOST_DRAWS:,}"
    yield "won", asked.won, abs(asked.won) * _CENTS < _MOST_UNITS, "an amount below 4e16"
    yield (
        "target",
        asked.target,
        asked.target is None or abs(asked.target) * _CENTS < _MOST_UNITS,
        "an amount below 4e16, or null",
    )
    money = abs(asked.won)
    for number, deal in enumerate(asked.deals):
        if not 0 <= deal.p <= 1:
            yield f"deals[{number}].p", deal.p, False, "0 to 1"
        money += deal.amount
        if not (deal.amount >= 0 and money * _CENTS < _MOST_UNITS):
            yield f"deals[{number}].amount", deal.amount, False, "0 or more, all amounts together below 4e16"
    for number, group in enumerate(asked.groups):
        where = f"groups[{number}]"
        yield f"{where}.n", group.n, 0 <= group.n <= MOST_SHARED, f"0 to {MOST_SHARED:,}"
        yield f"{where}.won", group.won, 0 <= group.won < 1e12, "0 or more deals"
        yield f"{where}.lost", group.lost, 0 <= group.lost < 1e12, "0 or more deals"
        money += group.n * group.amount
        good = group.amount >= 0 and money * _CENTS < _MOST_UNITS
        yield f"{where}.amount", group.amount, good, "0 or more, all amounts together below 4e16"


def answer(asked: Portfolio) -> PortfolioOutlook:
    """Return what a checked question's portfolio will bring."""
    why: list[str] = []
    if not asked.deals and not any(group.n for group in asked.groups):
        why.append("no open deals: only what is won")
    why += _repeated(asked.deals)
    amounts, chances = np.array([deal.amount for deal in asked.deals]), np.array([deal.p for deal in asked.deals])
    beliefs = [_belief(number, group, why) for number, group in enumerate(asked.groups)]
    mean = asked.won + float(amounts @ chances) if len(amounts) else asked.won
    mean += sum(group.n * group.amount * won / (won + lost) for group, (won, lost) in zip(asked.groups, beliefs, strict=True))

    unit = fine = _parts(asked)
    law = None if asked.draws else convolved(list(_laws(asked, beliefs, fine)))
    if law is None and not asked.draws and fine > _CENTS:  # rounded a little is nearer than drawn
        law, unit = convolved(list(_laws(asked, beliefs, _CENTS))), _CENTS
    draws = None
    if law is None:
        draws, unit = asked.draws or DRAWS, fine
        if not asked.draws:
            why.append(f"amounts too many and too different for the exact law: {DRAWS:,} draws")
        law = of_draws(drawn(_laws(asked, beliefs, unit), draws, np.random.default_rng(asked.seed)))
    if not _whole(asked, unit):
        why.append(f"amounts are counted in steps of {1 / unit:g}: what is finer is rounded")

    won = round(asked.won * unit)
    p_target = None if asked.target is None else law.at_least(math.ceil(round(asked.target * unit, 3)) - won)
    p10, p50, p90 = ((law.quantile(share) + won) / unit for share in (0.1, 0.5, 0.9))
    return PortfolioOutlook(p_target, mean, p10, p50, p90, draws, why)


def _repeated(deals: list[WinnableDeal]) -> list[str]:
    """Say which id is there twice: each is a deal of its own, as nothing tells which of them is meant."""
    seen: set[str] = set()
    for number, deal in enumerate(deals):
        name = repr(deal.id)
        if deal.id is not None and name in seen:
            return [f"deals[{number}].id: {name} is there more than once: each counts as a deal of its own"]
        seen.add(name)
    return []


def _belief(number: int, group: DealGroup, why: list[str]) -> tuple[float, float]:
    if group.won > 0 and group.lost > 0:
        return group.won, group.lost
    known = f"groups[{number}]: {group.won:g} won, {group.lost:g} lost"
    why.append(f"{known}: that makes no rate certain; half a deal is added to both (Jeffreys)")
    return group.won + _JEFFREYS, group.lost + _JEFFREYS


def _money(asked: Portfolio) -> list[float]:
    return [asked.won, *(deal.amount for deal in asked.deals), *(group.amount for group in asked.groups)]


def _whole(asked: Portfolio, parts: int) -> bool:
    """Whether all amounts are whole numbers of such parts of a unit of money (but for what a float cannot tell)."""
    money = np.array(_money(asked)) * parts
    return bool((np.abs(money - np.rint(money)) <= 1e-6 + 4e-16 * np.abs(money)).all())


def _parts(asked: Portfolio) -> int:
    most = abs(asked.won) + sum(deal.amount for deal in asked.deals) + sum(group.n * group.amount for group in asked.groups)
    room = [parts for parts in _PARTS if parts == _CENTS or most * parts < _MOST_UNITS]
    return next((parts for parts in room if _whole(asked, parts)), room[-1])


def _laws(asked: Portfolio, beliefs: list[tuple[float, float]], unit: int) -> Iterator[Law]:
    amounts: Units = np.rint(np.array([deal.amount for deal in asked.deals]) * unit).astype(np.int64)
    yield from coins(amounts, np.array([deal.p for deal in asked.deals]))
    for group, (won, lost) in zip(asked.groups, beliefs, strict=True):
        if group.n:
            yield shared(group.n, won, lost, round(group.amount * unit))
