"""What is to be expected of each customer: is it there, how often will it buy, for how much, and what is that worth now?

The worth (customer lifetime value) is what is expected over the horizon, in money of today, times the margin. For single
customers there are intervals: of P(alive) over the parameters that the data allow, of purchases and worth over what chance can
make of them as well (80 %: P10 to P90, drawn with a seed).
"""

from typing import NamedTuple

import numpy as np

from models.customers import bgnbd, spend
from models.customers.bgnbd import BgNbd, Customers, Floats
from models.customers.fit import WEEK, Fit, Sample
from models.customers.segments import Terms
from models.customers.spend import GammaGamma

#: Purchases are said for so many weeks ahead: three quarters of a year, as in the literature.
WEEKS = 39
_YEAR = 365.25 / WEEK  # weeks
_PART = 13.0  # weeks: what is expected within a part is discounted from its middle
_DRAWS = 1000


class CustomerOutlook(NamedTuple):
    """Of each customer: P(alive), purchase days expected in :data:`WEEKS` weeks, what each brings, and the worth.

    The last two are None where there is no model of what they spend, and ``why`` says so.
    """

    p_alive: Floats
    expected: Floats
    spend: Floats | None
    worth: Floats | None
    why: str = ""


class Range(NamedTuple):
    """P10 and P90."""

    low: float
    high: float


class Ranges(NamedTuple):
    """The intervals of one customer."""

    p_alive: Range
    purchases: Range
    worth: Range | None


def outlook(
    fitted: Fit, sample: Sample, gone: np.ndarray[tuple[int], np.dtype[np.bool_]], terms: Terms
) -> CustomerOutlook | None:
    """Return what is expected; None where there is no model of who is there. ``gone`` are those who have said that they left."""
    model = fitted.buying
    if model is None:
        return None
    of, here = sample.customers(), ~gone
    alive, bought = bgnbd.p_alive(model, of) * here, bgnbd.expected(model, of, WEEKS) * here
    paying, why = fitted.paying_model, fitted.spend_why
    each = None if paying is None else spend.expected(paying, of.x, sample.mean)
    if each is None:
        why = why or "no mean: q is 1 or less, a few customers may spend without bound"
        return CustomerOutlook(alive, bought, None, None, why)
    return CustomerOutlook(alive, bought, each, _discounted(model, of, terms) * here * each * terms.margin, why)


def _discounted(model: BgNbd, of: Customers, terms: Terms) -> Floats:
    """Return the purchase days expected over the horizon, each by what the time until then leaves of it."""
    parts = max(int(np.ceil(terms.horizon / _PART)), 1)
    length = terms.horizon / parts
    found, before = np.zeros(len(of.x)), np.zeros(len(of.x))
    for part in range(1, parts + 1):
        until = bgnbd.expected(model, of, part * length)
        found += (until - before) * (1 + terms.discount) ** (-(part - 0.5) * length / _YEAR)
        before = until
    return found


def ranges(fitted: Fit, sample: Sample, terms: Terms) -> list[Ranges]:
    """Return the intervals of each customer; the model must have been fitted."""
    if fitted.bgnbd is None:
        raise ValueError("no model")
    drawn = np.random.default_rng(0)
    models = _drawn(drawn, fitted.bgnbd.parameters, fitted.bgnbd.covariance)
    paying = fitted.paying_model
    means = None
    if fitted.spend is not None and paying is not None and paying.q > 1:
        means = _drawn(drawn, fitted.spend.parameters, fitted.spend.covariance)
    return [_of_one(models, means, sample, place, terms) for place in range(len(sample.x))]


def _drawn(drawn: np.random.Generator, parameters: tuple[float, ...], covariance: Floats) -> Floats:
    logs = drawn.multivariate_normal(np.log(parameters), covariance, size=_DRAWS)
    return np.exp(logs).T


def _of_one(models: Floats, means: Floats | None, sample: Sample, place: int, terms: Terms) -> Ranges:
    x, last, age = float(sample.x[place]), sample.last_days[place] / WEEK, sample.age_days[place] / WEEK
    drawn = np.random.default_rng(int(x) * 1_000_003 + int(sample.age_days[place]))
    model, of = BgNbd(*models), Customers(np.full(_DRAWS, x), np.full(_DRAWS, last), np.full(_DRAWS, age))
    alive = bgnbd.p_alive(model, of)
    there = drawn.random(_DRAWS) < alive
    # Given that it is there, its rate and its chance to leave are independent; it leaves with one of its purchases.
    rate = drawn.gamma(model.r + x, 1 / (model.alpha + age))
    leaves = np.clip(drawn.beta(model.a, model.b + x), 1e-12, 1)
    until = drawn.geometric(leaves)

    def bought(weeks: float) -> Floats:
        found: Floats = there * np.minimum(drawn.poisson(rate * weeks), until)
        return found

    purchases = _range(bought(WEEKS))
    if means is None:
        return Ranges(_range(alive), purchases, None)
    paying = GammaGamma(*means)
    spent = x * float(sample.mean[place]) if x else 0.0
    each = drawn.gamma(paying.p * x + paying.q, 1 / (paying.gamma + spent))
    days = bought(terms.horizon)
    paid = np.where(days > 0, drawn.gamma(np.maximum(paying.p * days, 1e-12), 1 / each), 0)
    worth = paid * terms.margin * (1 + terms.discount) ** (-terms.horizon / 2 / _YEAR)
    return Ranges(_range(alive), purchases, _range(worth))


def _range(draws: Floats) -> Range:
    low, high = np.quantile(draws, (0.1, 0.9))
    return Range(float(low), float(high))
