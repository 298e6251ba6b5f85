"""Quotas by period, fiscal year and segment: what is attained, and is it on pace? And benchmarks."""

from datetime import date

import pytest

from models.benchmarks import Benchmark, Benchmarks
from models.business import Business
from models.calendar import calendar, iso
from models.panes.boundaries import boundaries
from models.panes.windows import Window
from models.targets import Target, Targets
from stream.config.kpi_files import load_catalogue
from tests.models.company import Company, at

APRIL = calendar("Europe/London", 4)


@pytest.mark.parametrize(
    ("window", "moment", "first", "stop"),
    [
        ("quarter", "2026-03-31T23:59", "2026-01-01", "2026-04-01"),
        ("quarter", "2026-04-01T00:01", "2026-04-01", "2026-07-01"),
        ("year", "2026-03-31T23:59", "2025-04-01", "2026-04-01"),
        ("year", "2026-04-01T00:00", "2025-04-01", "2026-04-01"),  # the year that has just ended
        ("year", "2026-04-01T00:01", "2026-04-01", "2027-04-01"),
        ("year", "2028-02-29T12:00", "2027-04-01", "2028-04-01"),
        ("month", "2026-04-01T00:01", "2026-04-01", "2026-05-01"),
    ],
)
def test_a_fiscal_year_that_begins_in_april(window: str, moment: str, first: str, stop: str) -> None:
    days = Window.parse(window).period_days(at(moment, "Europe/London"), APRIL)
    assert [date.fromordinal(day).isoformat() for day in days] == [first, stop]


def test_quarters_of_a_year_that_begins_in_february() -> None:
    february = calendar("UTC", 2)
    found = [Window.parse("quarter").period_days(at(f"2026-{month:02}-15"), february)[0] for month in range(1, 13)]
    begins = [date.fromordinal(day).isoformat()[:7] for day in found]
    assert begins == ["2025-11"] + ["2026-02"] * 3 + ["2026-05"] * 3 + ["2026-08"] * 3 + ["2026-11"] * 2


def test_boundaries_of_fiscal_years_and_quarters() -> None:
    start = at("2026-02-10")
    years, quarters = boundaries("year", start, calendar("UTC", 4)), boundaries("quarter", start, calendar("UTC", 2))
    assert [iso(next(years))[:10] for _ in range(2)] == ["2026-04-01", "2027-04-01"]
    assert [iso(next(quarters))[:10] for _ in range(3)] == ["2026-05-01", "2026-08-01", "2026-11-01"]


def test_the_year_before_as_far_as_this_one_has_come() -> None:
    before = Window.parse("year").previous(at("2026-06-10T12:00", "Europe/London"), APRIL)
    assert iso(before) == "2025-06-09T23:00:00Z"  # midnight in London, 70 days after 1 April 2025


def won(company: Company, number: int, day: str, amount: str, **more: str) -> None:
    company.tell(f"deal.created D{number} {day}", amount=amount, **more).tell(f"deal.won D{number} {day}T01:00")


def test_attainment_is_against_the_target_of_the_fiscal_quarter_and_of_whoever_it_is_for() -> None:
    targets = Targets(
        [
            Target("revenue", "quarter", "total", 1000),
            Target("revenue", "quarter", "team=north", 400),
            Target("revenue", "year", "total", 8000),
        ]
    )
    company = Company(Business(fiscal_year_start=2), targets)
    won(company, 1, "2026-01-31", "700", team="north")  # the quarter before
    won(company, 2, "2026-02-01", "300", team="north")
    won(company, 3, "2026-04-30", "200", team="south")
    assert company.value("quota_attainment", "2026-05-01", "quarter") == 0.5
    assert company.value("quota_attainment", "2026-05-01", "quarter", "team=north") == 0.75
    assert company.value("quota_attainment", "2026-05-01", "year") == 500 / 8000
    missing = company.read("quota_attainment", "2026-05-01", "quarter", "team=south")
    assert (missing.value, missing.why) == (None, "no target of revenue is set for team=south for this quarter")


def test_pace_by_business_days() -> None:
    company = Company(targets=Targets([Target("revenue", "month", "total", 2200)]))
    won(company, 1, "2026-04-02", "600")
    # April 2026 has 22 days from Monday to Friday; 1 to 3 April are three of them, and half of Monday the 6th.
    assert company.value("quota_pace_workdays", "2026-04-05T12:00") == 600 / (2200 * 3 / 22)
    assert company.value("quota_pace_workdays", "2026-04-06T12:00") == pytest.approx(600 / (2200 * 3.5 / 22))
    # Fewer than three complete months are known: the other pace is the same.
    assert company.value("quota_pace", "2026-04-06T12:00") == company.value("quota_pace_workdays", "2026-04-06T12:00")


def test_pace_by_the_usual_course() -> None:
    company = Company(targets=Targets([Target("revenue", "month", "total", 1000)]))
    for number, month in enumerate(("2025-12", "2026-01", "2026-02", "2026-03")):
        won(company, 3 * number, f"{month}-01", "1")
        won(company, 3 * number + 1, f"{month}-02", "99")
        won(company, 3 * number + 2, f"{month}-25", "300")  # most of it comes at the end: 100 of 400 by the 16th
    won(company, 99, "2026-04-03", "200")
    # December is known from its first day on (the first event), so four months say: a quarter by then.
    assert company.value("quota_pace", "2026-04-16") == 200 / (1000 * 0.25)


def test_what_a_prospect_brings_is_seen_over_90_days() -> None:
    company = Company(targets=Targets([Target("revenue", "month", "total", 5000)]))
    for number in range(4):  # 1 of 4 leads that came of age was converted
        company.tell(f"lead.created L{number} 2026-03-01")
    company.tell("lead.converted L0 2026-03-10")
    won(company, 1, "2026-03-05", "1000")
    company.tell("deal.created D2 2026-03-05", amount="1").tell("deal.lost D2 2026-03-06")  # 1 of 2 deals is won
    reading = company.read("prospects_needed", "2026-04-15")
    assert reading.value == 5000 / (0.25 * 0.5 * 1000) == 40
    # Wilson of 1 of 4: 4.6 % to 69.9 %; of 1 of 2: 9.5 % to 90.5 %: 40 · (0.25/0.699) · (0.5/0.905), and likewise upwards.
    assert reading.low == pytest.approx(40 * 0.25 / 0.69936 * 0.5 / 0.90547, rel=1e-3)
    assert reading.high == pytest.approx(40 * 0.25 / 0.04559 * 0.5 / 0.09453, rel=1e-3)
    won(company, 3, "2026-04-16", "6000")
    assert company.value("prospects_needed", "2026-04-17") == 0


def test_a_target_of_a_pair_of_dimensions() -> None:
    pairs = (("owner", "source"),)
    targets = Targets([Target("revenue", "month", "owner.source=ann × web", 100)])
    company = Company(Business(pairs=pairs), targets, load_catalogue(pairs=pairs))
    won(company, 1, "2026-04-02", "60", owner="ann", source="web")
    won(company, 2, "2026-04-02", "60", owner="ann", source="fair")
    assert company.value("quota_attainment", "2026-04-10", segment="owner=ann") is None
    assert company.read("revenue", "2026-04-10", segment="owner.source=ann × web").value == 60
    company.tell("deal.updated D2 2026-04-03", source="web")  # what describes a deal is as last known
    assert company.read("revenue", "2026-04-10", segment="owner.source=ann × web").value == 120


def test_benchmarks_are_shown_beside_and_can_be_computed_with() -> None:
    found = Benchmarks(
        [Benchmark("win_rate", "industry", 0.4, "ratio"), Benchmark("win_rate", "industry", 0.2, "ratio", "source=fair")]
    )
    entry = {
        "stage": "action", "label": {"en": "X", "fr": "X"}, "definition": "X.", "unit": "ratio", "direction": "up",
        "basis": ["period", "count"], "by": ["source"],
        "formula": 'deals_won / ((deals_won + deals_lost) * benchmark(win_rate, "industry"))',
    }  # fmt: skip
    shipped = load_catalogue()
    catalogue = type(shipped).load(("shipped", {}), ("own.yaml", {"versus_industry": entry, "win_rate": WIN_RATE}))
    company = Company(targets=Targets(benchmarks=found), catalogue=catalogue)
    won(company, 1, "2026-04-02", "60", source="fair")
    company.tell("deal.created D2 2026-04-02", source="web").tell("deal.lost D2 2026-04-03")
    assert company.read("win_rate", "2026-04-10").benchmarks == {"industry": 0.4}
    assert company.read("win_rate", "2026-04-10", segment="source=fair").as_json()["benchmarks"] == {"industry": 0.2}
    assert company.value("versus_industry", "2026-04-10") == 0.5 / 0.4
    assert company.value("versus_industry", "2026-04-10", segment="source=fair") == 1 / 0.2


WIN_RATE = {
    "stage": "action", "label": {"en": "W", "fr": "W"}, "definition": "W.", "unit": "ratio", "direction": "up",
    "basis": ["period", "count"], "by": ["source"], "formula": "deals_won / (deals_won + deals_lost)",
}  # fmt: skip
