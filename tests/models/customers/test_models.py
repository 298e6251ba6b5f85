"""Do the models say what their papers say, and what they can say where there is little to say?"""

import numpy as np
import pytest

from models.customers import bgnbd, outlook, spend
from models.customers.bgnbd import BgNbd, Customers
from models.customers.fit import Fit, Sample, fit
from models.customers.segments import Terms
from models.customers.spend import GammaGamma
from tests.models.customers import cdnow

PAPER = BgNbd(0.243, 4.414, 0.793, 2.426)


def of(x: float, last: float, age: float) -> Customers:
    return Customers(np.array([x]), np.array([last]), np.array([age]))


@pytest.fixture(scope="module")
def fitted() -> Fit:
    return fit(cdnow.sample_of(cdnow.summaries()))


def test_cdnow_as_published(fitted: Fit):
    assert fitted.bgnbd is not None and (fitted.customers, fitted.repeated) == (2357, 946)
    assert fitted.bgnbd.log_likelihood == pytest.approx(-9582.43, abs=0.05)
    assert fitted.bgnbd.parameters == pytest.approx(PAPER, abs=0.001)
    assert fitted.bgnbd.at_bound == ()


def test_spend_on_cdnow_as_published(fitted: Fit):
    assert fitted.spend is not None
    assert fitted.spend.parameters == pytest.approx((6.25, 3.74, 15.44), abs=0.01)


def test_the_39_weeks_held_out_are_foreseen(fitted: Fit):
    sample = cdnow.sample_of(cdnow.summaries())
    said = outlook.outlook(fitted, sample, np.zeros(len(sample.x), bool), Terms())
    assert said is not None and said.worth is not None
    assert -0.125 <= said.expected.sum() / cdnow.held_out() - 1 <= 0.125
    assert np.all((said.p_alive >= 0) & (said.p_alive <= 1)) and np.all(said.expected >= 0) and np.all(said.worth >= 0)


def test_the_order_of_customers_changes_nothing(fitted: Fit):
    turned = [*reversed(cdnow.summaries())]
    again = fit(cdnow.sample_of(turned))
    assert again.bgnbd is not None and fitted.bgnbd is not None
    assert again.bgnbd.parameters == fitted.bgnbd.parameters


def test_a_published_customer():
    """Customer 0001 of the authors' spreadsheet: 1.226 purchases in 39 weeks."""
    assert bgnbd.expected(PAPER, of(2, 30.43, 38.86), 39)[0] == pytest.approx(1.226, abs=0.001)


@pytest.mark.parametrize(
    "model", [PAPER, BgNbd(2, 5, 1.0, 3), BgNbd(0.5, 9, 0.1, 0.2), BgNbd(1, 4, 0.4, 0.6), BgNbd(3, 2, 5, 1), BgNbd(2, 4, 12, 3)]
)
@pytest.mark.parametrize("x, last, age", [(0, 0, 20), (0, 0, 0), (1, 3, 30), (40, 19, 20), (12, 300, 301)])
def test_expected_purchases_are_the_integral_over_who_it_may_be(model: BgNbd, x: float, last: float, age: float):
    """Given that it is there its rate is Gamma(r + x, α + T) and its chance to leave after a purchase Beta(a, b + x)."""
    from scipy.integrate import quad  # SciPy takes long to load
    from scipy.special import betaln

    weeks, a, b = 39.0, model.a, model.b + x

    def bought(leaving: float) -> float:
        """Purchases until one of them is the last, averaged over the rates: (1 − E e^(−λ p t)) / p."""
        return -np.expm1(-(model.r + x) * np.log1p(leaving * weeks / (model.alpha + age))) / max(leaving, 1e-300)

    whole, _ = quad(lambda leaving: bought(max(leaving, 1e-15)), 0, 1, weight="alg", wvar=(a - 1, b - 1), limit=200)
    found = bgnbd.expected(model, of(x, last, age), weeks)[0] / bgnbd.p_alive(model, of(x, last, age))[0]
    assert found == pytest.approx(whole / np.exp(betaln(a, b)), rel=1e-6)


@pytest.mark.parametrize("x, last, age", [(1, 3, 30), (60, 300, 301)])
def test_who_leaves_nearly_at_once_is_expected_to_buy_as_the_draws_say(x: float, last: float, age: float):
    from scipy.stats import beta

    model, weeks = BgNbd(2, 4, 900, 50), 39.0
    leaving = beta.ppf((np.arange(20_000) + 0.5) / 20_000, model.a, model.b + x)
    drawn = -np.expm1(-(model.r + x) * np.log1p(leaving * weeks / (model.alpha + age))) / leaving
    found = bgnbd.expected(model, of(x, last, age), weeks)[0] / bgnbd.p_alive(model, of(x, last, age))[0]
    assert found == pytest.approx(drawn.mean(), rel=1e-4)


def test_who_never_came_back_is_there_and_who_came_often_and_stopped_is_not():
    assert bgnbd.p_alive(PAPER, of(0, 0, 500))[0] == 1
    assert bgnbd.p_alive(PAPER, of(30, 20, 38))[0] < 0.01
    assert bgnbd.p_alive(PAPER, of(2000, 500, 1000))[0] == pytest.approx(0, abs=1e-9)  # beyond what e^x can hold


@pytest.mark.parametrize("x, last, age", [(0, 0, 10), (1, 5, 10), (12, 9, 10)])
def test_the_slopes_are_those_of_the_likelihoods(x: float, last: float, age: float):
    step = 1e-6
    for place, value in enumerate(PAPER):
        ways = [PAPER._replace(**{PAPER._fields[place]: value + by}) for by in (step, -step)]
        rise = np.subtract(*[bgnbd.log_likelihood(one, of(x, last, age)) for one in ways]) / (2 * step)
        assert bgnbd.gradient(PAPER, of(x, last, age))[place] == pytest.approx(rise, abs=1e-5)
    paying = GammaGamma(6.0, 4.0, 15.0)
    count, mean = np.array([x + 1]), np.array([22.0])
    for place, value in enumerate(paying):
        either = [paying._replace(**{paying._fields[place]: value + by}) for by in (step, -step)]
        rise = np.subtract(*[spend.log_likelihood(one, count, mean) for one in either]) / (2 * step)
        assert spend.gradient(paying, count, mean)[place] == pytest.approx(rise, abs=1e-5)


def test_no_mean_has_no_value_and_says_why(fitted: Fit):
    model = GammaGamma(2.0, 1.0, 15.0)
    assert spend.expected(model, np.array([0.0, 3.0]), np.array([0.0, 10.0])) is None
    sample = cdnow.sample_of(cdnow.summaries()[:100])
    assert fitted.spend is not None
    unbounded = fitted._replace(spend=fitted.spend._replace(parameters=(2.0, 0.9, 15.0)))
    said = outlook.outlook(unbounded, sample, np.zeros(100, bool), Terms())
    assert said is not None and said.worth is None and said.why.startswith("no mean")


def test_who_has_said_that_it_left_is_worth_nothing(fitted: Fit):
    sample = cdnow.sample_of(cdnow.summaries()[:2])
    said = outlook.outlook(fitted, sample, np.array([True, False]), Terms())
    assert said is not None and said.worth is not None
    assert said.p_alive[0] == said.expected[0] == said.worth[0] == 0 < said.p_alive[1]


def test_nothing_to_learn_from_says_why():
    nobody = fit(cdnow.sample_of([]))
    assert nobody.bgnbd is None and nobody.why.startswith("0 customers")
    once = [one for one in cdnow.summaries() if not one.repeats]
    assert fit(cdnow.sample_of(once)).bgnbd is None


def test_all_of_one_amount_says_why():
    same = [one._replace(repeat_total=one.repeats * 200_000) for one in cdnow.summaries()]
    found = fit(cdnow.sample_of(same))
    assert found.bgnbd is not None and found.spend is None and "the same" in found.spend_why


def test_worth_is_less_the_more_a_year_takes_off_it(fitted: Fit):
    sample = cdnow.sample_of(cdnow.summaries()[:50])
    gone = np.zeros(50, bool)
    plain, taxed, half = (
        outlook.outlook(fitted, sample, gone, terms) for terms in (Terms(discount=0.0), Terms(), Terms(discount=0.0, margin=0.5))
    )
    assert plain is not None and taxed is not None and half is not None and plain.spend is not None
    whole = bgnbd.expected(fitted.buying or PAPER, sample.customers(), 52) * plain.spend
    assert plain.worth == pytest.approx(whole)
    assert taxed.worth is not None and np.all(taxed.worth < plain.worth) and np.all(taxed.worth > plain.worth / 1.1)
    assert half.worth == pytest.approx(whole / 2)


def test_what_is_drawn_has_the_mean_of_the_formula_and_covers_what_came(fitted: Fit):
    found = cdnow.customers()
    some = [(name, one) for name, one in sorted(found.items())[::12] if one.summary(cdnow.END) is not None]
    sample = cdnow.sample_of([one.summary(cdnow.END) for _, one in some])  # type: ignore[misc]
    later = [len({day for name, day, _ in cdnow.bought() if name == customer and day > cdnow.END}) for customer, _ in some]
    said = outlook.ranges(fitted, sample, Terms())
    inside = [one.purchases.low <= bought <= one.purchases.high for one, bought in zip(said, later, strict=True)]
    assert sum(inside) / len(inside) >= 0.8
    assert all(one.p_alive.low <= one.p_alive.high <= 1 and one.worth is not None for one in said)
    assert said == outlook.ranges(fitted, sample, Terms())


def test_an_alternative_reading_of_one_purchase():
    """x = 1 by hand: the paper's likelihood with numbers put in."""
    from scipy.integrate import quad
    from scipy.stats import gamma

    r, alpha, a, b = 1.0, 2.0, 1.0, 1.0
    rate_alive = quad(lambda v: gamma(r, scale=1 / alpha).pdf(v) * v * np.exp(-v * 10), 0, np.inf)[0] * 0.5
    rate_gone = quad(lambda v: gamma(r, scale=1 / alpha).pdf(v) * v * np.exp(-v * 4), 0, np.inf)[0] * 0.5
    said = bgnbd.log_likelihood(BgNbd(r, alpha, a, b), of(1, 4, 10))[0]
    assert said == pytest.approx(np.log(rate_alive + rate_gone), abs=1e-6)


ODD = {
    "all alike": ([5] * 40, [70] * 40, 70, [10.0] * 40),
    "gone at once": ([3] * 40, [2] * 40, 900, [1.0 + i for i in range(40)]),
    "one of 10^6 times the median": (
        [i % 7 for i in range(40)], [i % 7 * 9 for i in range(40)], 400, [10.0, 1e7, *(10.0 + i for i in range(38))],
    ),
    "every day for years": ([1000 + i for i in range(40)], [1100] * 40, 1200, [10.0 + i for i in range(40)]),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_odd_customers_have_finite_values(case: str):
    x, last, age, mean = (np.array(column) for column in ODD[case])
    sample = Sample(x, last, np.full(40, age), np.where(x > 0, mean, 0))
    found = fit(sample)
    said = outlook.outlook(found, sample, np.zeros(40, bool), Terms())
    assert found.bgnbd is not None and found.bgnbd.at_bound and said is not None
    columns = [said.p_alive, said.expected, *(column for column in (said.spend, said.worth) if column is not None)]
    assert all(np.all(np.isfinite(column)) and np.all(column >= 0) for column in columns)
    assert np.all(said.p_alive <= 1) and (said.worth is not None or said.why)
    one = outlook.ranges(found, sample.one(3), Terms())[0]
    assert 0 <= one.p_alive.low <= one.p_alive.high <= 1 and one.purchases.high < 1e6
