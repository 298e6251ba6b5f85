"""What do the KPIs of economics, loyalty and people say? Each case with its arithmetic."""

from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest

from models.business import Business
from models.money import Rates
from models.panes.windows import Window
from stream.config.kpi_files import load_catalogue
from tests.models.company import Company, at

DAY = 86_400


def test_costs_by_source_and_campaign() -> None:
    company = Company()
    company.tell("spend.recorded ads 2026-03-03", amount="600", currency="EUR", channel="ads", campaign="spring")
    company.tell("spend.recorded ads 2026-03-03", amount="-100", currency="EUR", channel="ads")  # a credit note
    for number in range(4):
        company.tell(f"lead.created L{number} 2026-03-0{number + 2}", source="ads" if number else "web", campaign="spring")
    company.tell("lead.qualified L1 2026-04-10", level="mql")
    company.tell("deal.created D1 2026-03-09", amount="2000", source="ads", campaign="spring", cost="500").tell(
        "deal.won D1 2026-03-20"
    )
    assert company.value("cost_per_lead", "2026-04-01") == 125  # 500 / 4
    assert company.value("cost_per_lead", "2026-04-01", segment="campaign=spring") == 150  # 600 / 4
    assert company.value("cost_per_mql", "2026-04-01", segment="source=ads") == 500
    assert company.value("cost_per_opportunity", "2026-04-01") == 500
    assert company.value("roas", "2026-04-01", segment="campaign=spring") == pytest.approx(2000 / 600)
    assert company.value("campaign_roi", "2026-04-01", segment="campaign=spring") == 1.5  # (2000 − 500 − 600) / 600
    assert company.read("roas", "2026-05-01").why is not None


def test_gross_margin_is_of_deals_that_have_amount_and_cost_at_the_rate_of_the_close() -> None:
    rates = Rates("EUR", {"USD": [(0, Fraction("0.9")), (at("2026-03-10"), Fraction("0.5"))]})
    company = Company(Business(rates=rates))
    company.tell(
        "deal.created D1 2026-03-01", amount="1000", cost="600", currency="USD", product="team", category="software", market="EU"
    )
    company.tell("deal.won D1 2026-03-12")
    company.tell("deal.created D2 2026-03-01", amount="300", product="team").tell(
        "deal.won D2 2026-03-12"
    )  # its cost is not known
    company.tell("deal.created D3 2026-03-01", cost="300").tell("deal.won D3 2026-03-12")  # won without an amount: a sale
    assert company.value("gross_margin", "2026-04-01") == 0.4
    assert company.value("gross_margin_amount", "2026-04-01", segment="category=software") == 200  # (1000 − 600) · 0.5
    assert company.value("gross_margin", "2026-04-01", segment="market=EU") == 0.4
    assert (company.value("sales", "2026-04-01"), company.value("revenue", "2026-04-01")) == (3, 800)
    company.tell("deal.created D4 2026-03-01", amount="100", cost="700").tell("deal.won D4 2026-03-13")  # sold at a loss
    assert company.value("gross_margin", "2026-04-01") == pytest.approx((500 + 100 - 300 - 700) / 600)


def invoice(company: Company, account: str, day: str, amount: str = "1200", *, kind: str = "invoiced", **more: str) -> None:
    company.tell(f"customer.{kind} {account} {day}", amount=amount, currency="EUR", **more)


def test_retention_is_of_the_terms_that_came_due() -> None:
    company = Company()
    for account in ("A", "B", "C", "D"):
        invoice(company, account, "2025-03-01", term_end="2026-02-28", product="team")
    invoice(company, "A", "2026-02-20", "1500", kind="renewed", product="team", term_end="2027-02-28")
    invoice(company, "B", "2026-03-05", "900", product="other")  # billed after the end, no renewal told
    invoice(company, "C", "2026-02-20", kind="renewed", product="team", term_end="2027-02-28")
    company.tell("customer.churned C 2026-03-15")  # renewed, and left after all
    # They come due on 31 March: the day after the end, and 30 days of grace.
    assert company.read("renewal_rate", "2026-03-31").why == "no term came due in the window"
    reading = company.read("renewal_rate", "2026-04-01")
    assert (reading.value, reading.denominator) == (0.5, 4)  # A and C
    assert company.value("retention_rate", "2026-04-01") == 0.5  # A and B
    assert company.value("churn_rate", "2026-04-01") == 0.5
    assert company.value("net_revenue_retention", "2026-04-01") == (1500 + 900) / 4800
    assert company.value("renewal_rate", "2026-04-01", segment="product=team") == 0.5
    assert company.value("clv", "2026-04-01") == 2400  # 4800 / 2: a mean term of 1,200 over a churn of a half
    assert company.value("customers_lost", "2026-04-01") == 1
    invoice(company, "D", "2026-03-30", "1200", kind="renewed")  # a product that is not named may be any; in time
    assert company.value("renewal_rate", "2026-04-01") == 0.75


def test_a_lifetime_without_end_has_no_value() -> None:
    company = Company()
    invoice(company, "A", "2025-03-01", term_end="2026-02-28")
    invoice(company, "A", "2026-02-20", kind="renewed", term_end="2027-02-28")
    reading = company.read("clv", "2026-04-01")
    assert (reading.value, reading.why) == (
        None,
        "no account was lost after a term that came due in the window, and at a churn of 0 a customer's value has no end",
    )


def test_a_term_that_ends_before_it_is_billed_is_none() -> None:
    company = Company()
    invoice(company, "A", "2026-01-10", term_end="2026-01-09")
    invoice(company, "B", "2026-01-10", term_end="2026-01-10")
    assert company.read("retention_rate", "2026-03-01", "90d").denominator == 1
    assert company.value("retention_rate", "2026-03-01", "90d") == 0


def test_what_an_account_counts_for_does_not_depend_on_the_order() -> None:
    told: list[tuple[str, dict[str, Any]]] = [
        ("customer.invoiced A 2025-03-01", {"amount": "100", "currency": "EUR", "term_end": "2026-02-28"}),
        ("customer.renewed A 2026-02-20", {"amount": "150", "currency": "EUR", "term_end": "2027-02-28"}),
        ("customer.churned A 2026-03-10", {}),
        ("customer.recommended A 2025-06-01", {}),
    ]
    found = set()
    for order in permutations(told):
        company = Company()
        for line, data in order:
            company.tell(line, **data)
        names = ("retention_rate", "renewal_rate", "net_revenue_retention", "clv", "customers_lost")
        readings = [company.value(kpi, "2026-04-01") for kpi in names]
        readings += [company.value(kpi, "2025-04-01") for kpi in ("recommendation_rate", "repeat_purchase_rate")]
        found.add(tuple(readings))
    assert found == {(0, 1, 0, 100, 1, 1, 0)}


def test_time_until_a_customer_has_paid_what_it_cost() -> None:
    company = Company()
    company.tell("spend.recorded ads 2026-03-03", amount="730", currency="EUR")
    invoice(company, "A", "2026-03-01", "3650", term_end="2027-02-28")  # 365 days for 3,650: ten a day
    company.tell("deal.created D1 2026-03-01", amount="1000", cost="500").tell("deal.won D1 2026-03-02")  # a margin of a half
    assert company.value("cac", "2026-04-01") == 730
    assert company.value("cac_payback_revenue", "2026-04-01") == 73 * DAY
    assert company.value("cac_payback", "2026-04-01") == 146 * DAY


def test_clv_over_cac() -> None:
    company = Company()
    invoice(company, "A", "2025-03-01", "1200", term_end="2026-02-28")
    company.tell("spend.recorded ads 2026-03-03", amount="400", currency="EUR")
    invoice(company, "B", "2026-03-10", "10")
    assert company.value("clv_to_cac", "2026-04-01") == 3
    assert company.value("clv_margin", "2026-04-01") is None


def test_repeat_purchases_and_recommendations_are_of_those_first_invoiced_in_the_window() -> None:
    company = Company()
    for account in ("A", "B", "C"):
        invoice(company, account, "2026-03-10")
    invoice(company, "A", "2026-05-01")
    company.tell("customer.recommended B 2026-06-01", lead_id="L1").tell("customer.recommended B 2026-06-02")
    company.tell("customer.recommended Z 2026-06-02")  # no customer of ours: it counts once it is one
    assert company.value("repeat_purchase_rate", "2026-04-01") == pytest.approx(1 / 3)
    assert company.value("recommendation_rate", "2026-04-01") == pytest.approx(1 / 3)
    invoice(company, "C", "2026-02-10")  # a late record: C was a customer in February, and bought again in March
    assert company.value("repeat_purchase_rate", "2026-03-01") == 1
    assert company.value("repeat_purchase_rate", "2026-04-01") == 0.5


def test_nps_with_passives_satisfaction_complaints_and_answers() -> None:
    company = Company()
    for number, score in enumerate((10, 9, 8, 7, 6)):
        company.tell(f"customer.surveyed A{number} 2026-03-02", kind="nps", score=score)
    assert company.value("nps", "2026-04-01") == 20  # 100 · (2 − 1) / 5: the two passives are in the count
    for number, score in enumerate((5, 4, 3, 1)):
        company.tell(f"customer.surveyed A{number} 2026-03-02", kind="csat", score=score)
    assert company.value("csat", "2026-04-01") == 0.5
    invoice(company, "A", "2026-03-05")
    company.tell("customer.complained A 2026-03-06", response_seconds=60).tell("customer.complained A 2026-03-07")
    company.tell("customer.supported A 2026-03-07", response_seconds=180)
    assert company.value("complaint_rate", "2026-04-01") == 2
    assert company.value("support_response_time", "2026-04-01") == 120


def test_a_rate_per_rep_is_drawn_to_that_of_all() -> None:
    company = Company()
    for owner, won, lost in (("ann", 7, 3), ("bob", 4, 6), ("new", 1, 0)):
        for number in range(won + lost):
            company.tell(f"deal.created {owner}{number} 2026-03-02", owner=owner)
            company.tell(f"deal.{'won' if number < won else 'lost'} {owner}{number} 2026-03-05")
    p = Fraction(12, 21)
    between = 10 * (Fraction(7, 10) - p) ** 2 + 10 * (Fraction(4, 10) - p) ** 2 + (1 - p) ** 2 - 2 * p * (1 - p)
    lent = p * (1 - p) * (21 - Fraction(201, 21)) / between - 1
    for owner, won, closed in (("ann", 7, 10), ("new", 1, 1)):
        reading = company.read("win_rate_per_rep", "2026-04-01", segment=f"owner={owner}")
        assert reading.value == pytest.approx(float((won + lent * p) / (closed + lent)))
        assert reading.low is not None and reading.high is not None and reading.value is not None
        assert reading.low < reading.value < reading.high
    assert company.value("win_rate", "2026-04-01", segment="owner=new") == 1  # one of one is no proof
    assert company.value("win_rate_per_rep", "2026-04-01", segment="owner=new") < 0.6
    assert company.value("win_rate_per_rep", "2026-04-01") == pytest.approx(12 / 21)


def test_time_to_first_sale_counts_those_who_wait() -> None:
    company = Company()
    for owner, day in (("ann", "2026-03-01"), ("bob", "2026-03-02"), ("cy", "2026-03-03")):
        company.tell(f"rep.hired {owner} {day}T09:00", owner=owner, steps=4)
    company.tell("deal.created D1 2026-03-02", owner="ann").tell("deal.won D1 2026-03-21T08:00")
    company.tell("deal.created D2 2026-03-02", owner="bob").tell("deal.won D2 2026-04-01")
    assert company.read("time_to_first_sale", "2026-03-31").why == "2 of 3 wait still: half of them have to be there first"
    # Ann after 20 days, Bob after 30, Cy waits for 29 by 1 April, 31 by the 3rd: S(20) = 2/3, S(30) = 2/3 · 1/2.
    assert company.value("time_to_first_sale", "2026-04-03", "90d") == 30 * DAY
    assert company.value("time_to_first_sale", "2026-04-03", "90d", "owner=ann") == 20 * DAY


def test_training_and_onboarding() -> None:
    company = Company()
    company.tell("rep.hired ann 2026-03-01", owner="ann", steps=4).tell("rep.hired bob 2026-03-01", owner="bob", steps=6)
    company.tell("rep.trained ann 2026-03-02", owner="ann", hours=7.5)
    for step, day in (("crm", "2026-03-05"), ("first call", "2026-03-06"), ("crm", "2026-03-03")):  # told twice: once, when first
        company.tell(f"rep.onboarded ann {day}", owner="ann", step=step)
    assert company.value("training_hours", "2026-04-01", segment="owner=ann") == 7.5 * 3600
    assert company.value("onboarding_progress", "2026-04-01") == 0.2
    assert company.value("onboarding_progress", "2026-04-01", segment="owner=ann") == 0.5
    assert company.value("onboarding_progress", "2026-03-04", segment="owner=ann") == 0.25


def own(formula: str, **more: Any) -> dict[str, Any]:
    return {
        "stage": "people", "label": {"en": "X", "fr": "X"}, "definition": "X.", "formula": formula, "unit": "count",
        "direction": "none", "basis": ["period", "value"], "by": ["owner", "region"], **more,
    }  # fmt: skip


def test_metrics_of_ones_own_are_yaml() -> None:
    shipped = load_catalogue()
    entries = {
        "energy": own('recorded("energy", "kWh")'),
        "readings_taken": own('recordings("energy", "kWh")'),
        "headcount": own('last("headcount")', basis=["level", "count"]),
        "energy_p90": own('quantile("energy", 0.9, "kWh")'),
        "energy_per_sale": own('recorded("energy", "kWh") / deals_won'),
    }
    company = Company(catalogue=type(shipped).load(("own.yaml", entries)))
    told = [("S1", "2026-03-02", "10"), ("S1", "2026-03-09", "30"), ("S2", "2026-03-03", "2.5"), ("S1", "2026-03-05", "-4")]
    for subject, day, value in told:
        data = {"name": "energy", "value": value, "unit": "kWh", "dimensions": {"region": "DACH" if subject == "S1" else "FR"}}
        company.tell(f"metric.recorded {subject} {day}", **data)
    company.tell("metric.recorded S1 2026-03-09", name="energy", value="7", unit="MWh")  # another unit: another metric
    assert company.value("energy", "2026-04-01") == 38.5
    assert company.value("energy", "2026-04-01", segment="region=DACH") == 36
    assert company.value("readings_taken", "2026-04-01") == 4
    assert company.value("energy_p90", "2026-04-01") == pytest.approx(30, rel=1 / 512)
    assert company.read("energy_per_sale", "2026-04-01").value is None
    for subject, day, level in (
        ("S1", "2026-03-01", 10),
        ("S2", "2026-03-02", 5),
        ("S1", "2026-03-20", 12),
        ("S1", "2026-03-10", 11),
    ):
        company.tell(f"metric.recorded {subject} {day}", name="headcount", value=level)
    levels = [company.value("headcount", day) for day in ("2026-03-02", "2026-03-05", "2026-03-15", "2026-03-25")]
    assert levels == [10, 15, 16, 17]


def test_bad_recordings_are_refused_or_none() -> None:
    company = Company()
    company.tell("metric.recorded S1 2026-03-02", name="energy", value="a lot")
    company.tell("metric.recorded S1 2026-03-02", name="", value="1")
    company.tell("metric.recorded S1 2026-03-02", name="energy", value="1", dimensions={"site": "x"})
    company.tell("rep.hired ann 2026-03-02", owner="ann", steps=-1)
    assert [letter["reason"] for letter in company.letters] == ["bad_amount", "invalid_data", "invalid_data", "invalid_data"]


def test_a_rolling_window_has_no_period() -> None:
    assert Window.parse("30d").length
    with pytest.raises(ValueError, match="no calendar period"):
        Window.parse("30d").period(at("2026-03-01"), Business().calendar)
