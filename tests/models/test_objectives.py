"""How far an objective is, now and in periods before, and what its guards say."""

from datetime import date
from typing import Any

import msgspec
import orjson
import pytest

from models.business import Business
from models.goals.kept import Kept, targets_of
from models.goals.objectives import objective_document
from models.goals.plan import Goal, Objective, SaidProgress, as_json, read
from models.targets import Targets
from tests.models.company import CATALOGUE, Company, at

GUARD = Goal(kpi="discount_rate", guard=True, at_most=0.12)
NORTH = Objective(name="North, every month", team="north", period="month", since=date(2026, 1, 1),
                  main=Goal(kpi="revenue", target=1000), indicators=(Goal(kpi="win_rate", target=0.5), GUARD))  # fmt: skip


def company() -> Company:
    of = Company(Business(timezone="Europe/Paris"))
    for month, amount in ((1, 1000), (2, 900), (3, 1100), (4, 1000), (5, 600)):
        of.tell(f"deal.created D{month} 2026-0{month}-02", team="north", owner="ann", amount=amount, list_amount=amount)
        of.tell(f"deal.won D{month} 2026-0{month}-10")
    return of


def says(of: Company, when: str, one: Objective = NORTH, said: SaidProgress | None = None, **more: Any) -> dict[str, Any]:
    moment = at(when, "Europe/Paris")
    of.view.advance(moment)
    return objective_document(of.view, CATALOGUE, one, moment, said, **more)


def test_progress_pace_and_periods_before() -> None:
    found = says(company(), "2026-05-16")
    assert (found["id"], found["from"], found["until"], found["of"]) == (
        "north-every-month", "2026-05-01", "2026-05-31", {"team": "north"},
    )  # fmt: skip
    main = found["main"]
    assert (main["value"], main["progress"]) == (600, 0.6)
    # In each month before, all of it had come by the middle.
    assert main["due"] == 1000.0 and main["pace"] == 0.6 and (main["state"], found["state"]) == ("behind", "behind")
    assert [(past["from"], past["state"], past["progress"]) for past in found["past"]] == [
        ("2026-04-01", "reached", 1.0), ("2026-03-01", "reached", 1.1), ("2026-02-01", "missed", 0.9),
    ]  # fmt: skip
    assert says(company(), "2026-05-05")["state"] == "on_track", "nothing has ever come by the fifth"
    assert len(says(company(), "2026-05-16", past=12)["past"]) == 4, "it began in January"


def test_a_broken_guard_stands_above_all_and_a_reopened_deal_changes_the_past() -> None:
    of = company()
    of.tell("deal.updated D4 2026-05-02", list_amount=1300)
    assert says(of, "2026-05-16")["past"][0]["state"] == "guarded"
    of.tell("deal.reopened D3 2026-05-03")
    assert says(of, "2026-05-16")["past"][1]["state"] == "missed"
    of.tell("deal.updated D5 2026-05-12", list_amount=900)
    found = says(of, "2026-05-16")
    assert found["state"] == "guarded" and found["indicators"][1]["broken"] is True


def test_a_forecast_decides_where_there_is_one() -> None:
    asked = []

    def chance(kpi: str, period: str, segment: str, target: float, moment: int) -> float | None:
        asked.append((kpi, period, segment, target))
        return 0.7

    main = says(company(), "2026-05-16", chance=chance)["main"]
    assert (main["chance"], main["chance_why"], main["state"]) == (0.7, None, "on_track")
    assert asked == [("revenue", "month", "team=north", 1000)]
    assert says(company(), "2026-05-16")["main"]["chance_why"] == "nothing is forecast of it here"


@pytest.mark.parametrize(
    ("changed", "when", "why"),
    [
        ({"since": date(2026, 6, 2)}, "2026-05-16", "its first month begins on or after 2026-06-02"),
        ({"since": date(2026, 5, 2), "until": date(2026, 5, 20)}, "2026-07-16", "it has no period: it ends before one begins"),
    ],
)
def test_before_it_begins_and_without_a_period(changed: dict[str, Any], when: str, why: str) -> None:
    found = says(company(), when, msgspec.structs.replace(NORTH, **changed))
    assert (found["state"], found["past"], found["main"]["value"]) == ("unknown", [], None)
    assert found["why"].startswith("it") and (found["why"] == why or "begins on or after" in found["why"])


def test_after_its_last_day_it_stands_as_it_ended() -> None:
    found = says(company(), "2026-07-16", msgspec.structs.replace(NORTH, until=date(2026, 3, 31)))
    assert (found["from"], found["state"], found["main"]["value"]) == ("2026-03-01", "reached", 1100)


def test_of_an_owner_without_deals_and_of_what_is_better_when_it_is_less() -> None:
    nobody = Objective(name="Bob", owner="bob", period="month", main=Goal(kpi="revenue", target=10))
    assert (says(company(), "2026-05-16", nobody)["main"]["value"], says(company(), "2026-05-16", nobody)["state"]) == (
        0,
        "behind",
    )
    rate = Objective(name="Bob", owner="bob", period="week", main=Goal(kpi="win_rate", target=0.5))
    found = says(company(), "2026-05-16", rate)
    assert found["state"] == "unknown" and found["why"] and found["main"]["progress"] is None
    less = Objective(name="D", team="north", period="month", main=Goal(kpi="discount_rate", target=0.1))
    assert says(company(), "2026-05-16", less)["main"]["state"] == "on_track"


def test_a_text_is_as_far_as_somebody_says_in_this_period() -> None:
    text = Objective(name="Learn", owner="ann", period="month", main=Goal(text="three demos"))
    assert says(company(), "2026-05-16", text)["why"] == "nobody has said yet how far it is"
    said = SaidProgress(0.4, "one given", "2026-05-10T10:00:00Z", "ann")
    main = says(company(), "2026-05-16", text, said)["main"]
    assert (main["progress"], main["note"], main["said_by"], main["state"]) == (0.4, "one given", "ann", "on_track")
    assert says(company(), "2026-06-16", text, said)["state"] == "unknown", "it was said of the month before"


def test_targets_of_objectives_are_targets_while_they_hold() -> None:
    held = msgspec.structs.replace(NORTH, until=date(2026, 3, 31))
    targets = Targets(targets_of([held]))
    assert targets.find("revenue", "month", "team=north", date(2026, 3, 1).toordinal()) == 1000
    assert targets.find("revenue", "month", "team=north", date(2026, 4, 1).toordinal()) is None
    assert targets.find("win_rate", "month", "team=north", date(2026, 3, 1).toordinal()) == 0.5


def test_what_is_kept_is_the_last_of_each_key_and_what_is_none_is_refused() -> None:
    kept = Kept()
    kept.put(b"o|north-every-month", orjson.dumps({"objective": as_json(NORTH), "by": "ann"}))
    kept.put(b"p|learn", orjson.dumps({"progress": 0.5, "at": "2026-05-01T00:00:00Z"}))
    assert read(as_json(NORTH)) == NORTH and kept.all([]) == [NORTH] and kept.all([NORTH]) == [NORTH]
    assert kept.targets() == targets_of([NORTH])
    for key, value in (
        (b"x|1", b"{}"),
        (b"p|learn", b'{"progress": 2}'),
        (b"o|y", b'{"objective": {"name": 1}}'),
        (b"o|y", b"{"),
    ):
        with pytest.raises((ValueError, KeyError)):
            kept.put(key, value)
    kept.put(b"o|north-every-month", None)
    kept.put(b"p|learn", None)
    assert not kept.objectives and not kept.said
