"""Which parameters fit these customers best, and how sure is that?

Maximum likelihood within bounds, from several starts, with the derivatives in closed form; the same customers give the same
parameters, in whatever order they come. Where there is nothing to learn from, there is a reason instead.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from models.customers import bgnbd, spend
from models.customers.bgnbd import BgNbd, Customers, Floats
from models.customers.rfm import Ints
from models.customers.spend import GammaGamma

#: Fewer customers, or fewer that have bought on two days, say nothing of the others.
LEAST, LEAST_REPEATED = 20, 5
#: So many different customers are looked at, evenly chosen where there are more.
MOST = 20_000
WEEK = 7
_LOW, _HIGH = np.log(1e-3), np.log(1e4)
_STARTS = ((1.0, 1.0, 1.0, 1.0), (0.3, 0.15, 0.8, 2.5), (2.0, 0.5, 0.2, 5.0))
_SPEND_STARTS = ((1.0, 2.0, 1.0), (6.0, 4.0, 0.5), (2.0, 10.0, 5.0))
_WIDEST = 2.0  # standard deviation of a parameter's logarithm where the customers say nothing about it


class Sample(NamedTuple):
    """What both models are fitted to: purchase days after the first, days until the last one, days since the first, and what
    these brought on average (units of the currency, 0 for nothing); one row a customer."""

    x: Ints
    last_days: Ints
    age_days: Ints
    mean: Floats

    def one(self, place: int) -> "Sample":
        """Return one of them."""
        only = slice(place, place + 1)
        return Sample(self.x[only], self.last_days[only], self.age_days[only], self.mean[only])

    def customers(self) -> Customers:
        """Return them as the BG/NBD model has them, in weeks."""
        return Customers(self.x.astype(float), self.last_days / WEEK, self.age_days / WEEK)


class Fitted(NamedTuple):
    """Parameters, the log-likelihood of all customers, and the covariance of the parameters' logarithms."""

    parameters: tuple[float, ...]
    log_likelihood: float
    covariance: Floats
    at_bound: tuple[str, ...] = ()  # the parameters that would go further: the data are not what the model is made for


class Fit(NamedTuple):
    """Both models, None each where it cannot be fitted, with the reason."""

    customers: int
    repeated: int  # customers that have bought on two days
    paying: int  # of these, those whose later days brought something
    bgnbd: Fitted | None
    spend: Fitted | None
    why: str = ""
    spend_why: str = ""

    @property
    def buying(self) -> BgNbd | None:
        """The BG/NBD model."""
        return None if self.bgnbd is None else BgNbd(*self.bgnbd.parameters)

    @property
    def paying_model(self) -> GammaGamma | None:
        """The Gamma–Gamma model."""
        return None if self.spend is None else GammaGamma(*self.spend.parameters)


def _customers(count: int) -> str:
    return f"{count:,} customer{'' if count == 1 else 's'}"


def fit(sample: Sample) -> Fit:
    """Return the parameters for these customers."""
    n, repeated = len(sample.x), int(np.count_nonzero(sample.x))
    paid = (sample.x > 0) & (sample.mean > 0)
    paying = int(np.count_nonzero(paid))
    if n < LEAST or repeated < LEAST_REPEATED:
        why = f"{_customers(n)}, {repeated} of them with a second purchase day: {LEAST} and {LEAST_REPEATED} are needed"
        return Fit(n, repeated, paying, None, None, why, why)
    buying = _fit_buying(sample)
    if paying < LEAST_REPEATED:
        return Fit(n, repeated, paying, buying, None, "", f"{_customers(paying)} paid on a second purchase day: 5 are needed")
    x, mean = sample.x[paid].astype(float), sample.mean[paid]
    if np.all(mean == mean[0]):
        why = "all customers pay the same on average: there is nothing to tell them apart by"
        return Fit(n, repeated, paying, buying, None, "", why)
    return Fit(n, repeated, paying, buying, _fit_spend(x, mean))


def _fit_buying(sample: Sample) -> Fitted:
    rows = np.column_stack((sample.x, sample.last_days, sample.age_days))
    distinct, weight = np.unique(rows, axis=0, return_counts=True)
    all_of = Customers(distinct[:, 0].astype(float), distinct[:, 1] / WEEK, distinct[:, 2] / WEEK)
    chosen = _evenly(len(distinct))
    few, heavy = Customers(*(column[chosen] for column in all_of)), weight[chosen].astype(float)
    scale = np.array([1.0, max(float(np.average(all_of.age, weights=weight)), 1 / WEEK), 1.0, 1.0])

    def likelihood(parameters: Floats) -> tuple[float, Floats]:
        model = BgNbd(*parameters)
        return float(heavy @ bgnbd.log_likelihood(model, few)), bgnbd.gradient(model, few) @ heavy

    found = _best(likelihood, scale, _STARTS, BgNbd._fields)
    whole = float(weight @ bgnbd.log_likelihood(BgNbd(*found.parameters), all_of))
    return found._replace(log_likelihood=whole)


def _fit_spend(x: Floats, mean: Floats) -> Fitted:
    order = np.lexsort((mean, x))
    x, mean = x[order], mean[order]
    chosen = _evenly(len(x))
    few, means = x[chosen], mean[chosen]
    scale = np.array([1.0, 1.0, float(mean.mean())])

    def likelihood(parameters: Floats) -> tuple[float, Floats]:
        model = GammaGamma(*parameters)
        return float(spend.log_likelihood(model, few, means).sum()), spend.gradient(model, few, means).sum(axis=1)

    found = _best(likelihood, scale, _SPEND_STARTS, GammaGamma._fields)
    return found._replace(log_likelihood=float(spend.log_likelihood(GammaGamma(*found.parameters), x, mean).sum()))


def _evenly(n: int) -> Ints:
    """Return which of ``n`` sorted rows are looked at."""
    return np.arange(n) if n <= MOST else np.linspace(0, n - 1, MOST).astype(np.int64)


def _best(
    likelihood: Callable[[Floats], tuple[float, Floats]],
    scale: Floats,
    starts: Sequence[Sequence[float]],
    names: Sequence[str],
) -> Fitted:
    """Maximise over the logarithms of the parameters, in units of ``scale``."""

    def lower(logs: Floats) -> tuple[float, Floats]:
        parameters = np.exp(logs) * scale
        value, by = likelihood(parameters)
        return -value, -by * parameters

    ways = [
        minimize(lower, np.log(start), jac=True, method="L-BFGS-B", bounds=[(_LOW, _HIGH)] * len(scale), options=_PATIENCE)
        for start in starts
    ]
    best = min(ways, key=lambda way: float(way.fun))
    at = np.asarray(best.x)
    bound = tuple(name for name, log in zip(names, at, strict=True) if min(log - _LOW, _HIGH - log) < 1e-6)
    parameters = tuple(float(value) for value in np.exp(at) * scale)
    return Fitted(parameters, -float(best.fun), _covariance(lambda logs: lower(logs)[1], at), bound)


_PATIENCE = {"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-6}


def _covariance(slope: Callable[[Floats], Floats], at: Floats) -> Floats:
    """Return the inverse of the curvature at the best parameters, no wider than ``_WIDEST`` in any direction."""
    step = 1e-4
    rows = []
    for place in range(len(at)):
        by = np.zeros(len(at))
        by[place] = step
        rows.append((slope(at + by) - slope(at - by)) / (2 * step))
    curvature = np.array(rows)
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    spread = 1 / np.maximum(values, 1 / _WIDEST**2)
    covariance: Floats = (vectors * spread) @ vectors.T
    return covariance
