"""Is a customer still there, and how often will it buy? The BG/NBD model of Fader, Hardie and Lee (2005).

While a customer is there it buys at random at a rate of its own; after each purchase it may leave for good, with a probability of
its own. Rates are Gamma(r, α) over the customers, probabilities Beta(a, b). All that counts of a customer is x (purchase days
after the first), t_x (when the last was) and T (how long ago the first was); times are weeks since the first purchase.

"Counting Your Customers" the Easy Way: An Alternative to the Pareto/NBD Model, Marketing Science 24 (2).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln, hyp2f1

Floats = npt.NDArray[np.float64]


class Customers(NamedTuple):
    """x, t_x and T of customers, times in weeks."""

    x: Floats
    last: Floats
    age: Floats


class BgNbd(NamedTuple):
    """The model's parameters; ``alpha`` is in weeks."""

    r: float
    alpha: float
    a: float
    b: float


def log_likelihood(model: BgNbd, of: Customers) -> Floats:
    """Return the logarithm of each customer's likelihood."""
    shared, stays, left = _terms(model, of)
    whole: Floats = shared + np.logaddexp(stays, left)
    return whole


def gradient(model: BgNbd, of: Customers) -> Floats:
    """Return each customer's derivatives of the log-likelihood by r, α, a and b: one row a parameter."""
    r, alpha, a, b = model
    x, last, age = of
    _, stays, left = _terms(model, of)
    gone = np.exp(left - np.logaddexp(stays, left))
    here = 1 - gone
    again = np.maximum(b + x - 1, 1e-300)
    both = digamma(a + b) - digamma(a + b + x)
    return np.array(
        [
            digamma(r + x) - digamma(r) + np.log(alpha) - here * np.log(alpha + age) - gone * np.log(alpha + last),
            r / alpha - (r + x) * (here / (alpha + age) + gone / (alpha + last)),
            both + gone / a,
            both + digamma(b + x) - digamma(b) - np.where(x > 0, gone / again, 0),
        ]
    )


def p_alive(model: BgNbd, of: Customers) -> Floats:
    """Return the probability that each customer is still there. One that has bought once is: it leaves after a purchase."""
    return np.exp(-np.logaddexp(0, _odds_of_leaving(model, of)))


def expected(model: BgNbd, of: Customers, weeks: float) -> Floats:
    """Return on how many days each customer is expected to buy in the next ``weeks``."""
    r, alpha, a, b = model
    if abs(a - 1) < 1e-6:  # the formula is 0/0 there, and smooth around it
        above, below = (expected(model._replace(a=1 + by), of, weeks) for by in (1e-4, -1e-4))
        return (above + below) / 2
    x, age = of.x, of.age
    z = weeks / (alpha + age + weeks)
    c = a + b + x - 1
    c = np.where(np.abs(c) < 1e-9, 1e-9, c)
    # The paper's 2F1(r + x, b + x; c; z), or Euler's transformation of it: of both the one that stays small.
    plain = a - 1 > r + x
    first, second, power = (np.where(plain, one, other) for one, other in ((r + x, c - r - x), (b + x, a - 1), (r + x, a - 1)))
    left = (1 - z) ** power * hyp2f1(first, second, c, z)
    found: Floats = np.maximum(c / (a - 1) * (1 - left), 0) * p_alive(model, of)
    return found


def _terms(model: BgNbd, of: Customers) -> tuple[Floats, Floats, Floats]:
    """Return logarithms: of what both cases share, of the customer being there, of its having left with its last purchase."""
    r, alpha, a, b = model
    x, age = of.x, of.age
    shared = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + gammaln(a + b) - gammaln(a + b + x) + gammaln(b + x) - gammaln(b)
    stays = -(r + x) * np.log(alpha + age)
    return shared, stays, stays + _odds_of_leaving(model, of)


def _odds_of_leaving(model: BgNbd, of: Customers) -> Floats:
    """Return the logarithm of how much likelier each customer has left than not."""
    r, alpha, a, b = model
    x, last, age = of
    again = np.where(x > 0, b + x - 1, 1)
    odds = np.log(a) - np.log(again) + (r + x) * (np.log(alpha + age) - np.log(alpha + last))
    return np.where(x > 0, odds, -np.inf)
