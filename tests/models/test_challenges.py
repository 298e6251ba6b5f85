"""Who leads in a challenge, when it is annulled, and whether deals were pulled into it."""

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from models.business import Business
from models.goals.challenges import Held, quota_of
from models.goals.known import wrong_challenge, wrong_objective
from models.goals.plan import Challenge, Goal, Objective, Watched
from models.targets import Target, Targets
from tests.models.company import CATALOGUE, Company, at

PLAN = Challenge(name="Sprint", kpi="revenue", since=date(2026, 3, 2), until=date(2026, 3, 13),
                 guards=(Watched("discount_rate", at_most=0.12),))  # fmt: skip
ZONE = "Europe/Paris"


def held(of: Company, when: str, plan: Challenge = PLAN, **more: Any) -> Held:
    moment = at(when, ZONE)
    of.view.advance(moment)
    return Held(of.view, CATALOGUE, plan, moment, **more)


def ranks(found: Held) -> dict[str, int]:
    return {place.who: place.rank for place in found.board.places}


def won(of: Company, deal: str, owner: str, day: str, amount: float = 100, **more: Any) -> None:
    of.tell(f"deal.created {deal} 2026-02-20", owner=owner, amount=amount, **more).tell(f"deal.won {deal} {day}")


def company(**targets: float) -> Company:
    quotas = Targets([Target("revenue", "month", f"owner={who}", value) for who, value in targets.items()])
    of = Company(Business(timezone=ZONE), quotas)
    won(of, "before", "ann", "2026-03-01T23:59", 900)
    won(of, "A", "ann", "2026-03-03", 100)
    won(of, "B", "bob", "2026-03-13T23:59", 300)
    won(of, "C", "cy", "2026-03-09", 200)
    won(of, "after", "cy", "2026-03-14", 900)
    return of


def test_places_count_the_days_of_it_and_credit_is_taken_back_after_the_end() -> None:
    of = company()
    assert ranks(held(of, "2026-03-20")) == {"bob": 1, "cy": 2, "ann": 3}
    assert held(of, "2026-03-20").values == {"bob": 300, "cy": 200, "ann": 100}
    of.tell("deal.reopened B 2026-03-18")
    assert ranks(held(of, "2026-03-20")) == {"cy": 1, "ann": 2, "bob": 3}
    of.tell("deal.won B 2026-03-19").tell("deal.merged C 2026-03-19", into="A")
    assert held(of, "2026-03-20").values["bob"] == 0, "won after the end"
    assert ranks(held(of, "2026-03-20")) == {"ann": 1, "bob": 2, "cy": 2}


def test_states_and_milestones() -> None:
    of = company()
    states = [held(of, when).state for when in ("2026-03-02", "2026-03-02T00:01", "2026-03-13T23:58", "2026-03-14")]
    assert states == ["planned", "running", "running", "ended"]
    told = held(of, "2026-03-09").as_json([], str)
    assert [(one["kind"], one["at"], one["reached"]) for one in told["milestones"]] == [
        ("begin", "2026-03-01T23:00:00Z", True), ("half", "2026-03-07T23:00:00Z", True),
        ("last_day", "2026-03-12T23:00:00Z", False), ("end", "2026-03-13T23:00:00Z", False),
    ]  # fmt: skip
    assert (told["elapsed"], told["final"]) == (0.5833, "2026-03-13")
    assert held(of, "2026-02-20").as_json([], str)["pulled"] is None
    short = msgspec.structs.replace(PLAN, until=date(2026, 3, 3))
    assert [one["kind"] for one in held(of, "2026-03-09", short).milestones()] == ["begin", "end"]


def test_a_period_in_which_clocks_change_twice() -> None:
    of = company()
    won(of, "D", "dee", "2026-10-25T23:30", 50)
    plan = msgspec.structs.replace(PLAN, since=date(2026, 3, 1), until=date(2026, 10, 25))
    found = held(of, "2026-11-01", plan)
    assert found.values == {"ann": 1000, "bob": 300, "cy": 1100, "dee": 50}
    assert (found.end - found.begin) % 86_400_000 == 0, "an hour less in spring, one more in autumn"


def test_a_handicap_is_the_share_of_the_own_quota_of_these_days() -> None:
    of = company(ann=100, bob=1000)
    plan = msgspec.structs.replace(PLAN, handicap="quota")
    found = held(of, "2026-03-20", plan)
    # Ten of the 22 working days of March.
    assert quota_of(of.view, plan, "owner=ann") == pytest.approx(100 * 10 / 22)
    assert found.board.without == 1, "cy has no quota"
    (first, second) = found.places(found.board.places, str)
    assert (first["who"], first["score"], first["value"]) == ("ann", pytest.approx(2.2), 100)
    assert (second["who"], second["score"]) == ("bob", pytest.approx(0.66))
    over = msgspec.structs.replace(plan, since=date(2026, 2, 23), until=date(2026, 3, 6))
    assert quota_of(of.view, over, "owner=ann") == pytest.approx(100 * 5 / 20 + 100 * 5 / 22)


def test_a_guard_that_breaks_annuls_it_with_its_reason_and_day() -> None:
    of = company()
    for n in range(10):
        won(of, f"G{n}", "ann", f"2026-03-0{3 + n % 2}", 80, list_amount=80)
    assert held(of, "2026-03-05").annulled is None
    for n in range(10):
        won(of, f"H{n}", "bob", "2026-03-05", 50, list_amount=80)
    assert held(of, "2026-03-05T23:59").annulled is None, "a day is judged at its end"
    found = held(of, "2026-03-20")
    assert found.annulled is not None and found.state == "annulled" and not found.board.places
    assert (found.annulled["on"], found.annulled["kpi"]) == ("2026-03-05", "discount_rate")
    assert found.annulled["why"] == "Discount rate (value) is 18.8 %, above 12.0 %"
    for n in range(10):
        of.tell(f"deal.updated H{n} 2026-03-06", amount=80)
    assert held(of, "2026-03-20").state == "ended", "corrected, and with it the verdict"


def test_a_guard_needs_ten_cases_and_looks_at_those_who_take_part() -> None:
    of = company()
    for n in range(9):
        won(of, f"G{n}", "ann", "2026-03-03", 50, list_amount=80)
    found = held(of, "2026-03-20").guards[0]
    assert (found["status"], found["why"]) == ("unknown", "9 cases, fewer than the 10 it takes to judge")
    won(of, "G9", "ann", "2026-03-03", 50, list_amount=80)
    assert held(of, "2026-03-20").state == "annulled"
    others = msgspec.structs.replace(PLAN, among=("bob", "cy"))
    assert held(of, "2026-03-20", others).state == "ended"


def test_cancelled_wins_annul_it_after_its_end() -> None:
    of, plan = company(), msgspec.structs.replace(PLAN, guards=(Watched("cancellation_rate", at_most=0.2, days=90),))
    for n in range(10):
        won(of, f"G{n}", "ann", "2026-03-03")
    assert held(of, "2026-03-20", plan).state == "ended" and held(of, "2026-03-20", plan).final == date(2026, 6, 11)
    for n in range(4):
        of.tell(f"deal.lost G{n} 2026-04-20")
    assert held(of, "2026-04-21", plan).state == "annulled"


def test_deals_pulled_into_it_at_lower_prices_are_said() -> None:
    of = company()
    for n in range(20):
        day = (date(2026, 2, 18) + timedelta(days=n % 12)).isoformat()
        of.tell(f"deal.created L{n} 2026-02-10", owner="ann", amount=100, list_amount=100, expected_close_date=day)
        of.tell(f"deal.won L{n} {day}")
    for n in range(10):
        of.tell(f"deal.created N{n} 2026-02-10", owner="ann", amount=100, list_amount=100, expected_close_date="2026-03-06")
        of.tell(f"deal.won N{n} 2026-03-05")
    for n in range(6):
        of.tell(f"deal.created P{n} 2026-02-10", owner="bob", amount=70, list_amount=100, expected_close_date="2026-04-20")
        of.tell(f"deal.won P{n} 2026-03-12")
    plan = msgspec.structs.replace(PLAN, guards=())
    found = held(of, "2026-03-20", plan).as_json([], str)["pulled"]
    assert (found["deals"], found["wins"], found["below_list"], found["listed"]) == (6, 19, 6, 6)
    assert (found["others_below_list"], found["others_listed"], found["before"]["deals"]) == (0, 10, 0)
    assert found["suspected"] is True and found["why"] is None
    assert held(of, "2026-03-11", plan).as_json([], str)["pulled"]["why"] == "fewer than the 3 deals that make a pattern: 0"
    for n in range(6):
        of.tell(f"deal.updated P{n} 2026-03-13", amount=100)
    assert held(of, "2026-03-20", plan).as_json([], str)["pulled"]["suspected"] is False, "at the list's prices"
    for n in range(7):  # half of these, some of the others, and a few in the month before: rebates as they come
        of.tell(f"deal.updated {'P' if n < 3 else 'N'}{n} 2026-03-13", amount=80)
    for n in (9, 10, 11):
        of.tell(f"deal.created E{n} 2026-02-10", owner="ann", amount=100, list_amount=100, expected_close_date="2026-03-30")
        of.tell(f"deal.won E{n} 2026-02-26")
    found = held(of, "2026-03-20", plan).as_json([], str)["pulled"]
    assert (found["deals"], found["below_list"], found["others_below_list"], found["before"]["deals"]) == (6, 3, 4, 3)
    assert found["suspected"] is False, "what chance alone does"
    alone = Company(Business(timezone=ZONE))
    for n in range(4):
        alone.tell(f"deal.created P{n} 2026-03-03", owner="bob", expected_close_date="2026-04-20").tell(
            f"deal.won P{n} 2026-03-12"
        )
    assert held(alone, "2026-03-20", plan).as_json([], str)["pulled"]["why"] == "there are no figures of as many days before"


def test_days_that_are_no_longer_kept() -> None:
    of = company()
    of.view.advance(at("2029-03-20", ZONE))
    found = Held(of.view, CATALOGUE, msgspec.structs.replace(PLAN, guards=()), at("2029-03-20", ZONE))
    assert not found.board.places and found.board.without == 3


def test_what_the_catalogue_does_not_know() -> None:
    def said(**changed: Any) -> list[tuple[str, str]]:
        return list(wrong_challenge(CATALOGUE, msgspec.structs.replace(PLAN, **changed)))

    assert said() == []
    assert said(kpi="revnue")[0][1].startswith("unknown KPI 'revnue' (did you mean")
    assert said(kpi="bounce_rate")[0] == (
        "kpi", "found bounce_rate, which gives no places by owner (accepted: a KPI by owner of which more or less is better)",
    )  # fmt: skip
    assert said(kpi="win_rate", handicap="quota")[0][0] == "handicap"
    assert said(guards=(Watched("x", at_most=1),))[0][0] == "guards[0].kpi"
    aim = Objective(name="x", team="n", period="week", main=Goal(kpi="sessions", target=1), indicators=(Goal(kpi="y", target=1),))
    assert [field for field, _ in wrong_objective(CATALOGUE, aim)] == ["main.kpi", "indicators[0].kpi"]
