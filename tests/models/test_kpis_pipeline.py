"""What do the KPIs of the pipeline say? Each case with its arithmetic."""

from fractions import Fraction

import pytest

from models.business import Business
from models.calendar import DAY_MS
from models.money import Rates
from models.targets import Target, Targets
from tests.models.company import Company, at

DAY = 86_400


def test_pipeline_created_has_the_last_amount_at_the_rate_of_the_creation() -> None:
    rates = Rates("EUR", {"USD": [(0, Fraction("0.9")), (at("2026-03-10"), Fraction("0.8"))]})
    company = Company(Business(rates=rates))
    company.tell("deal.created D1 2026-03-02", amount="100", currency="USD", owner="ann")
    assert company.value("pipeline_created", "2026-03-05") == 90  # 100 × 0.9
    company.tell("deal.updated D1 2026-03-20", amount="200", owner="bob")  # told under another rate
    assert company.value("pipeline_created", "2026-04-01") == 180  # 200 × 0.9: the rate of the creation stands
    assert company.value("pipeline_created", "2026-04-01", segment="owner=ann") == 180  # whoever had it first
    company.tell("deal.created D2 2026-03-21", amount="-50")  # a credit note counts as what it is
    assert company.value("pipeline_created", "2026-04-01") == 130


def test_pipeline_age_is_the_mean_of_what_is_open() -> None:
    company = Company()
    company.tell("deal.created D1 2026-03-01", amount="1").tell("deal.created D2 2026-03-05").tell("deal.updated D3 2026-03-05")
    assert company.value("pipeline_age", "2026-03-11") == (10 + 6) / 2 * DAY
    company.tell("deal.lost D1 2026-03-12")
    assert company.value("pipeline_age", "2026-03-15") == 10 * DAY
    assert company.value("pipeline_age", "2026-03-11") == 8 * DAY  # as it was then
    company.tell("deal.won D2 2026-03-16")
    assert (company.read("pipeline_age", "2026-03-17").value, company.read("pipeline_age", "2026-03-17").why) == (
        None,
        "no deal whose creation is known is open",
    )


def test_what_is_due_in_the_period_over_what_lacks_to_its_target() -> None:
    targets = Targets([Target("revenue", "month", "total", 1000), Target("revenue", "month", "owner=ann", 100)])
    company = Company(targets=targets)
    company.tell("deal.created D1 2026-03-01", amount="300", owner="ann", expected_close_date="2026-03-10")  # overdue by then
    company.tell("deal.created D2 2026-03-01", amount="500", owner="bob", expected_close_date="2026-03-31")
    company.tell("deal.created D3 2026-03-01", amount="70", owner="bob", expected_close_date="2026-04-01")
    company.tell("deal.created D4 2026-03-01", amount="200", owner="ann", expected_close_date="2026-03-20")
    company.tell("deal.won D4 2026-03-12")
    reading = company.read("pipeline_coverage", "2026-03-15")
    assert (reading.value, reading.numerator, reading.denominator, reading.sample) == (1, 800, 800, 2)  # 300 + 500; 1000 − 200
    assert company.value("due_pipeline", "2026-03-15", "quarter") == 800
    assert company.value("due_pipeline", "2026-03-15", "30d") == 570  # today and 29 days more: D2 and D3, not what is overdue
    reached = company.read("pipeline_coverage", "2026-03-15", segment="owner=ann")
    assert (reached.value, reached.why) == (None, "the target is reached, so there is nothing left to cover")
    assert company.read("pipeline_coverage", "2026-03-15", "30d").why == (
        "a target is of a calendar period (month, quarter, year …), not of 30 days"
    )
    assert company.read("pipeline_coverage", "2026-03-15", "year").why == "no target of revenue is set in total for this year"


def test_a_close_date_that_stands_for_none_is_none() -> None:
    company = Company()
    company.tell("deal.created D1 2026-03-01", amount="300", expected_close_date="9999-12-31")
    company.tell("deal.created D2 2026-03-01", amount="300", expected_close_date="0001-01-01")
    assert company.value("due_pipeline", "2026-03-15", "year") == 0
    assert not company.letters


def test_pushed_deals_and_pushes() -> None:
    company = Company()
    company.tell("deal.created D1 2026-03-01", owner="ann", expected_close_date="2026-03-10")
    company.tell("deal.updated D1 2026-03-05", expected_close_date="2026-03-08")  # earlier: no push
    company.tell("deal.updated D1 2026-03-06", expected_close_date="2026-03-20")
    company.tell("deal.updated D1 2026-03-07", expected_close_date="2026-03-30")
    company.tell("deal.created D2 2026-03-01", owner="ann", expected_close_date="2026-03-10")
    company.tell("deal.won D2 2026-03-12", expected_close_date="2026-03-12")  # as CRMs say of the close: no push
    assert company.value("pushes", "2026-03-15") == company.value("pushes", "2026-03-15", segment="owner=ann") == 2
    assert company.value("pushed_deals", "2026-03-15") == 1
    company.tell("deal.lost D1 2026-03-16")
    assert (company.value("pushed_deals", "2026-03-17"), company.value("pushed_deals", "2026-03-15")) == (0, 1)


def test_slippage_is_of_those_first_expected_to_close_by_a_day_that_is_over() -> None:
    company = Company(Business(timezone="Europe/Paris"))
    company.tell("deal.created D1 2026-03-01", expected_close_date="2026-03-29")  # a day of 23 hours
    company.tell("deal.created D2 2026-03-01", expected_close_date="2026-03-29")
    company.tell("deal.created D3 2026-03-01", expected_close_date="2026-03-10")
    company.tell("deal.created D4 2026-03-01")
    company.tell("deal.updated D3 2026-03-05", expected_close_date="2026-05-01")  # slips: the first promise counts
    company.tell("deal.won D1 2026-03-29T23:59")
    company.tell("deal.lost D2 2026-03-30T00:00")  # a moment too late
    assert company.value("slippage", "2026-03-29T20:00") == 1  # D3 of one; the day of the others is not over
    reading = company.read("slippage", "2026-04-01")
    assert reading.value == pytest.approx(2 / 3) and (reading.numerator, reading.denominator) == (2, 3)
    company.tell("deal.reopened D1 2026-04-02")  # so it was not closed by then after all
    assert company.value("slippage", "2026-04-01") == 1


def test_stalled_deals_wait_for_whole_days_in_one_stage() -> None:
    company = Company(Business(stalled_after=10 * DAY_MS))
    company.tell("deal.created D1 2026-03-01T15:00", stage="demo", owner="ann")
    company.tell("deal.created D2 2026-03-01", owner="ann")  # without a stage: since it was opened
    company.tell("deal.updated D1 2026-03-05", amount="5")  # an edit moves no stage
    assert company.value("stalled_deals", "2026-03-11T23:00") == 0
    assert company.value("stalled_deals", "2026-03-12T01:00") == 2  # 2 to 11 March: ten whole days
    assert company.value("stalled_deals", "2026-03-12T01:00", segment="stage=demo") == 1
    company.tell("deal.updated D1 2026-03-14", owner="bob")
    assert company.value("stalled_deals", "2026-03-15", segment="owner=bob") == 1
    assert company.value("stalled_deals", "2026-03-15", segment="owner=ann") == 1
    assert company.value("stalled_deals", "2026-03-13", segment="owner=ann") == 2  # as it was then
    company.tell("deal.stage_changed D1 2026-03-16", stage="offer").tell("deal.won D2 2026-03-17")
    assert company.value("stalled_deals", "2026-03-18") == 0
    assert company.value("stalled_deals", "2026-03-15") == 2
    assert company.value("stalled_deals", "2026-03-28") == 1  # the offer is ten days old


def closed(company: Company, number: int, stage: str, outcome: str) -> None:
    company.tell(f"deal.created {stage}{number} 2026-01-01", stage=stage)
    company.tell(f"deal.{outcome} {stage}{number} 2026-01-20")


def test_stages_odds_are_drawn_to_each_other() -> None:
    company = Company()
    for number in range(10):
        closed(company, number, "demo", "won" if number < 2 else "lost")  # 2 of 10
        closed(company, number, "offer", "won" if number < 8 else "lost")  # 8 of 10
    company.tell("deal.created X 2026-02-01", stage="demo", amount="1000")
    company.tell("deal.created Y 2026-02-01", stage="offer", amount="1000")
    company.tell("deal.created Z 2026-02-01", amount="1000")
    # p = 10/20; Σ n (x/n − p)² = 2 · 10 · 0.09 = 1.8; less (2 − 1) · 0.25 = 1.55; Σ n − Σ n²/Σ n = 20 − 200/20 = 10
    # τ² = 0.155; m = 0.25/0.155 − 1 = 19/31, so the least, 1; demo (2 + 1/2)/(10 + 1)
    assert company.value("weighted_pipeline", "2026-03-01", segment="stage=demo") == pytest.approx(1000 * 2.5 / 11, abs=1e-4)
    assert company.value("weighted_pipeline", "2026-03-01", segment="stage=offer") == pytest.approx(1000 * 8.5 / 11, abs=1e-4)
    # In total the two, and half of what has no stage.
    assert company.value("weighted_pipeline", "2026-03-01") == 1500
    assert company.read("weighted_pipeline", "2025-12-01").why is not None


def test_stages_that_differ_by_chance_alone_have_one_rate() -> None:
    company = Company()
    for number in range(4):
        closed(company, number, "demo", "won" if number < 2 else "lost")
        closed(company, number, "offer", "won" if number < 2 else "lost")
    company.tell("deal.created X 2026-02-01", stage="demo", amount="1000")
    assert company.value("weighted_pipeline", "2026-03-01") == 500


def test_a_stage_that_nobody_knows_has_the_odds_of_all() -> None:
    company = Company()
    closed(company, 1, "demo", "won")
    closed(company, 2, "demo", "lost")
    company.tell("deal.created X 2026-02-01", stage="never heard of", amount="1000")
    assert company.value("weighted_pipeline", "2026-03-01") == 500
