"""Does a test of deals judge those of age only, leave out who had both variants, and warn of what its guards see?"""

import random
from datetime import date
from typing import Any

import orjson
import pytest

from models.business import Business
from models.calendar import DAY_MS, iso
from models.experiments.beside import guards, segments
from models.experiments.document import experiment_document
from models.experiments.live import TrialStanding, standing
from models.experiments.plan import Guard, Plan
from models.fold import Record
from models.folds.partition import EntityPartition
from models.panes.view import View
from stream.config.kpi_files import load_catalogue

SINCE = date(2026, 5, 4)
PLAN = Plan("scripts", ("old", "new"), SINCE, unit="deal", maturity=30 * DAY_MS)
CATALOGUE = load_catalogue()


class Deals:
    """A fold of deals, and the view of what it says."""

    def __init__(self, **business: Any) -> None:
        self.business = Business(timezone="Europe/Paris", **business)
        self.view, self.fold = View(self.business), EntityPartition("deals", 0, self.business)
        self.begin = self.business.calendar.day_start(SINCE.toordinal())
        self.records: list[Record] = []

    def tell(self, deal: str, kind: str, day: float, **data: object) -> None:
        at, number = self.begin + round(day * DAY_MS), len(self.records)
        event = {
            "specversion": "1.0", "id": f"{deal}-{kind}-{day}", "source": "crm/test", "type": f"deal.{kind}", "subject": deal,
            "time": iso(at), "data": data,
        }  # fmt: skip
        self.records.append(Record("deals", 0, number, at, deal.encode(), orjson.dumps(event), ()))
        self.fold.fold([self.records[-1]])

    def rolled(self) -> None:
        merges = []
        for output in self.fold.changes().outputs:
            if output.topic == "panes":
                self.view.put(output.key, output.value)
            elif output.topic == "deal-merges":
                merges.append(Record("deal-merges", 0, 0, self.begin + 60 * DAY_MS, output.key, output.value, ()))
        if merges:
            self.fold.fold(merges)
            self.rolled()

    def at(self, day: float) -> int:
        self.rolled()
        at = self.begin + round(day * DAY_MS)
        self.view.advance(at)
        return at

    def says(self, day: float, plan: Plan = PLAN) -> TrialStanding:
        return standing(self.view, plan, self.at(day))


def stream(deals: Deals, number: int, rates: dict[str, float], takes: dict[str, float], days: float = 40, seed: int = 1) -> None:
    draw = random.Random(seed)
    for deal in range(number):
        variant, day = draw.choice(("old", "new")), draw.random() * days
        deals.tell(f"d{deal}", "created", day, variant=variant, amount=1000, region=("north", "south")[deal % 2])
        if draw.random() < rates[variant]:
            deals.tell(f"d{deal}", "won", day + min(draw.expovariate(1 / takes[variant]), 29.0))


def test_a_faster_script_is_no_better_one_and_a_better_one_is_found() -> None:
    faster, better = Deals(), Deals()
    stream(faster, 1_200, {"old": 0.3, "new": 0.3}, {"old": 25, "new": 3})
    stream(better, 1_200, {"old": 0.2, "new": 0.4}, {"old": 10, "new": 10})
    for day in (20, 45, 80):
        assert faster.says(day).better is None
    early, late = better.says(25), better.says(80)
    assert early.better is None and early.why == "no deal of it is of age yet: they are judged after 30 days"
    assert late.better == "new" and late.decided is not None and late.as_json()["maturity_days"] == 30
    assert sum(one.cases for one in late.judged) == sum(late.given) == 1_200 and late.left_out == 0


def test_a_win_after_the_maturity_is_none_and_each_test_has_its_own() -> None:
    deals = Deals()
    for n, won in enumerate((1, 29.9, 30.1, 60)):
        deals.tell(f"d{n}", "created", 0.5, variant="old")
        deals.tell(f"d{n}", "won", 0.5 + won)
    assert deals.says(100).judged[0] == (4, 2)
    assert deals.says(100, Plan("longer", ("old", "new"), SINCE, unit="deal", maturity=61 * DAY_MS)).judged[0] == (4, 4)
    assert deals.says(30.9).judged[0].cases == 0 and deals.says(31.1).judged[0] == (4, 2)


def test_who_had_both_variants_is_left_out_and_counted() -> None:
    deals = Deals()
    for n in range(6):
        deals.tell(f"d{n}", "created", 0.5, variant=("old", "new")[n % 2])
        deals.tell(f"d{n}", "won", 5)
    deals.tell("d0", "updated", 3, variant="new")
    deals.tell("d1", "updated", 40, variant="third")
    found = deals.says(60)
    assert (found.given, found.left_out) == ((2, 2), 2) and found.judged == ((2, 2), (2, 2))
    deals.tell("d2", "merged", 50, into="d3")
    assert deals.says(60).left_out == 3, "what was merged into it had the other one"


def test_late_reopened_and_deleted_deals_in_any_order_come_to_the_same() -> None:
    one = Deals()
    stream(one, 300, {"old": 0.3, "new": 0.5}, {"old": 10, "new": 10})
    one.tell("d3", "reopened", 50)
    one.tell("d5", "deleted", 50)
    one.tell("late", "created", 2, variant="new")
    one.tell("late", "updated", 9, variant="old")
    expected = one.says(80)
    for seed in range(3):
        other = Deals()
        shuffled = one.records * 2
        random.Random(seed).shuffle(shuffled)
        for start in range(0, len(shuffled), 97):
            other.fold.fold(shuffled[start : start + 97])
            other.rolled()
        assert other.says(80) == expected


def test_state_survives_a_restart() -> None:
    deals, rows = Deals(), {}
    deals.tell("d0", "created", 0.5, variant="old")
    for row in deals.fold.changes().rows:
        rows[row.key] = row.value
    again = Deals()
    again.fold.restore((key, value) for key, value in rows.items() if value is not None)
    again.tell("d0", "updated", 3, variant="new")
    again.rolled()
    found = again.says(40)
    assert (found.given, found.left_out) == ((0, 0), 1)


def test_a_variant_that_comes_later_is_said_and_decides_nothing() -> None:
    deals = Deals()
    for n in range(300):
        deals.tell(f"d{n}", "created", n / 10, variant="old")
    for n in range(50):
        deals.tell(f"n{n}", "created", 20 + n / 10, variant="new")
        deals.tell(f"n{n}", "won", 26)
        deals.tell(f"x{n}", "created", 21, variant="third")
    found = deals.says(80)
    assert found.better is None and found.off is not None
    assert found.warnings[0].startswith("variant new was first given on 2026-05-24, after 200 deals of the other")
    assert found.others == {"third": 50} and "third (50)" in found.warnings[1]


def test_nobody_was_given_a_variant() -> None:
    deals = Deals()
    deals.tell("d", "created", 0.5)
    assert deals.says(60).why == "no deal has come in with variant old or new"
    deals.tell("e", "created", 0.6, variant="old")
    assert deals.says(60).why == "no deal with variant new is of age yet"


def test_guards_warn_of_the_worse_variant_and_say_when_they_know_nothing() -> None:
    deals = Deals()
    for n in range(200):
        deals.tell(f"d{n}", "created", n / 10, variant=("old", "new")[n % 2], amount=100, list_amount=100 if n % 2 == 0 else 160)
        deals.tell(f"d{n}", "won", n / 10 + 1)
    watched = (
        Guard("discount_rate", at_most=0.2), Guard("discounted_deals_rate"), Guard("average_deal_size", at_least=50),
        Guard("gross_margin", at_least=0.3),
    )  # fmt: skip
    plan = Plan("s", ("old", "new"), SINCE, unit="deal", maturity=30 * DAY_MS, guards=watched)
    found = {one["kpi"]: one for one in guards(deals.view, CATALOGUE, plan, deals.at(30))}
    assert found["discount_rate"]["status"] == "warning" and found["discount_rate"]["worse"] == ["new"]
    assert found["discounted_deals_rate"]["worse"] == ["new"], "surely worse, however often one looks"
    assert (found["average_deal_size"]["status"], found["gross_margin"]["status"]) == ("ok", "unknown")
    assert found["gross_margin"]["why"]
    assert any(
        "discount_rate" in warning for warning in experiment_document(deals.view, CATALOGUE, plan, deals.at(30))["warnings"]
    )
    early = guards(deals.view, CATALOGUE, plan, deals.begin - 1)
    assert {one["status"] for one in early} == {"unknown"} and early[0]["why"] == "it has not begun"


@pytest.mark.parametrize("pair", [("variant", "region"), ("region", "variant")])
def test_segments_are_shown_as_exploratory(pair: tuple[str, str]) -> None:
    deals = Deals(pairs=(pair,))
    stream(deals, 200, {"old": 0.3, "new": 0.5}, {"old": 10, "new": 10})
    found = segments(deals.view, PLAN, deals.at(80))
    assert {(one["by"], one["value"], one["exploratory"]) for one in found} == {
        ("region", "north", True), ("region", "south", True),
    }  # fmt: skip
    whole = deals.says(80)
    for place in (0, 1):
        assert sum(one["variants"][place]["judged"] for one in found) == whole.judged[place].cases
        assert sum(one["variants"][place]["won"] for one in found) == whole.judged[place].won
