"""What does a customer spend on a purchase day? The Gamma–Gamma model of Fader and Hardie (2013).

A customer's amounts are Gamma(p, ν) around a mean of its own; ν is Gamma(q, γ) over the customers. All that counts of a customer
is on how many days it bought after the first (x) and what these brought on average (m).

The Gamma-Gamma Model of Monetary Value, http://www.brucehardie.com/notes/025/.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import digamma, gammaln

from models.customers.bgnbd import Floats


class GammaGamma(NamedTuple):
    """The model's parameters; ``gamma`` is in units of the currency."""

    p: float
    q: float
    gamma: float


def log_likelihood(model: GammaGamma, x: Floats, mean: Floats) -> Floats:
    """Return the logarithm of each customer's likelihood; x and mean are above 0."""
    p, q, gamma = model
    found: Floats = (
        gammaln(p * x + q)
        - gammaln(p * x)
        - gammaln(q)
        + q * np.log(gamma)
        + (p * x - 1) * np.log(mean)
        + p * x * np.log(x)
        - (p * x + q) * np.log(gamma + x * mean)
    )
    return found


def gradient(model: GammaGamma, x: Floats, mean: Floats) -> Floats:
    """Return each customer's derivatives of the log-likelihood by p, q and γ: one row a parameter."""
    p, q, gamma = model
    whole = np.log(gamma + x * mean)
    return np.array(
        [
            x * (digamma(p * x + q) - digamma(p * x) + np.log(mean) + np.log(x) - whole),
            digamma(p * x + q) - digamma(q) + np.log(gamma) - whole,
            q / gamma - (p * x + q) / (gamma + x * mean),
        ]
    )


def expected(model: GammaGamma, x: Floats, mean: Floats) -> Floats | None:
    """Return what each customer is expected to spend on a purchase day; ``mean`` counts for nothing where x is 0.

    None where q ≤ 1: the customers' means then have no mean.
    """
    p, q, gamma = model
    if q <= 1:
        return None
    found: Floats = p * (gamma + np.where(x > 0, x * mean, 0)) / (p * x + q - 1)
    return found
