"""Does a declared test say the same as the leads behind it, and take back what they take back?"""

import random
from datetime import date
from math import exp

import numpy as np
import orjson
import pytest

from models.business import Business
from models.calendar import DAY_MS, iso
from models.experiments.coin import Coin, CountedCases
from models.experiments.lift import lift, needed
from models.experiments.live import TrialStanding, standing
from models.experiments.plan import Plan
from models.fold import Record
from models.folds.partition import EntityPartition
from models.panes.view import View

SINCE = date(2026, 5, 4)
PLAN = Plan("scripts", ("old", "new"), SINCE)
ZONE = "Europe/Paris"


class Leads:
    """A fold of leads, and the view of what it says."""

    def __init__(self, since: date = SINCE) -> None:
        self.business = Business(timezone=ZONE)
        self.view = View(self.business)
        self.fold = EntityPartition("leads", 0, self.business)
        self.number = 0
        self.begin = self.business.calendar.day_start(since.toordinal())

    def tell(self, lead: str, kind: str, day: float, **data: object) -> None:
        at = self.begin + round(day * DAY_MS)
        self.number += 1
        event = {
            "specversion": "1.0", "id": f"e{self.number}", "source": "crm/test", "type": f"lead.{kind}", "subject": lead,
            "time": iso(at), "data": data,
        }  # fmt: skip
        self.fold.fold([Record("leads", 0, self.number, at, lead.encode(), orjson.dumps(event), ())])

    def says(self, day: float, plan: Plan = PLAN) -> TrialStanding:
        for output in self.fold.changes().outputs:
            if output.topic == "panes":
                self.view.put(output.key, output.value)
        at = self.begin + round(day * DAY_MS)
        self.view.advance(at)
        assert not self.fold.outcomes.total() or all(outcome[2] != "refused" for outcome in self.fold.outcomes)
        return standing(self.view, plan, at)


def stream(leads: Leads, number: int, rates: dict[str, float], days: float = 40, seed: int = 1) -> None:
    draw = random.Random(seed)
    for lead in range(number):
        variant, day = draw.choice(("old", "new")), draw.random() * days
        leads.tell(f"l{lead}", "created", day, variant=variant)
        if draw.random() < rates[variant]:
            leads.tell(f"l{lead}", "converted", day + draw.random() * 20)


def test_a_better_variant_is_found_when_its_leads_are_of_age_and_stays_so() -> None:
    leads = Leads()
    stream(leads, 1_500, {"old": 0.1, "new": 0.3})
    early, late, later = leads.says(30), leads.says(75), leads.says(300)
    assert early.better is None and early.why == "no lead of it is of age yet: they are judged after 30 days"
    assert late.better == "new" and late.off is None and late.why is None
    assert late.decided is not None and SINCE < late.decided
    assert later.decided == late.decided and later.as_json() == late.as_json()
    told = late.as_json()
    assert told["decision"] == "new" and told["needed"] is None and told["evidence"] > 25
    assert sum(one["judged"] for one in told["variants"]) == sum(one["entered"] for one in told["variants"]) == 1_500
    assert told["lift"]["low"] > 0 and told["lift"]["loss_of_a"] > 0.1 > told["lift"]["loss_of_b"] >= 0


@pytest.mark.parametrize("since", [SINCE, date(2026, 3, 2), date(2026, 10, 1)])
def test_who_came_before_it_began_is_not_of_it(since: date) -> None:
    leads = Leads(since)
    for lead in range(50):
        leads.tell(f"before{lead}", "created", -0.01 - lead / 10, variant="old")
    for lead in range(20):
        leads.tell(f"l{lead}", "created", 0.01 + lead % 10 * 0.2, variant=("old", "new")[lead % 2])
    found = leads.says(60, Plan("scripts", ("old", "new"), since))
    assert found.given == (10, 10)
    assert (found.judged[0].cases, found.judged[1].cases) == (10, 10), "whether or not clocks change before they are of age"


def test_what_comes_late_or_is_taken_back_changes_what_it_says() -> None:
    leads = Leads()
    stream(leads, 1_200, {"old": 0.1, "new": 0.3})
    before = leads.says(75)
    leads.tell("l0", "deleted", 70)
    leads.tell("late", "created", 5, variant="old")
    after = leads.says(75)
    assert sum(one.cases for one in before.judged) == sum(one.cases for one in after.judged) == 1_200
    assert before.judged != after.judged or before.log_evidence != after.log_evidence
    again = Leads()
    stream(again, 1_200, {"old": 0.1, "new": 0.3})
    again.tell("late", "created", 5, variant="old")
    again.tell("l0", "deleted", 70)
    assert again.says(75) == after, "in whatever order it comes"


def test_a_ratio_that_is_off_decides_nothing() -> None:
    leads = Leads()
    for lead in range(600):
        variant = "new" if lead % 4 == 0 else "old"
        leads.tell(f"l{lead}", "created", lead / 20, variant=variant)
        if variant == "new":
            leads.tell(f"l{lead}", "converted", lead / 20 + 1)
    found = leads.says(80)
    assert found.better is None and found.off is not None and found.as_json()["srm"] and found.as_json()["needed"] is None
    designed = leads.says(80, Plan("designed", ("old", "new"), SINCE, 0.25))
    assert designed.off is None and designed.better == "new"


def test_why_there_is_nothing_to_say() -> None:
    leads = Leads()
    assert leads.says(0.5).why == "its first day is not over yet"
    assert leads.says(3).as_json()["lift"] is None
    assert leads.says(5_000).why == "days of its beginning are no longer kept"


def test_days_are_cases_one_by_one_but_for_what_was_known_before() -> None:
    one, all_ = Coin(), Coin()
    one.add_day(CountedCases(1, 1), CountedCases(0, 0))
    all_.add(np.array([True]), np.array([False]))
    assert one.evidence() == pytest.approx(all_.evidence())
    mean = 0.0
    for to_b in range(64):  # six cases of one day, two of them won
        b = [bool(to_b >> case & 1) for case in range(6)]
        coin = Coin()
        coin.add_day(CountedCases(1, 0), CountedCases(1, 1))
        coin.add_day(CountedCases(6 - sum(b), sum(not x for x in b[:2])), CountedCases(sum(b), sum(b[:2])))
        mean += exp(coin.evidence().total) / 64
    before = Coin()
    before.add_day(CountedCases(1, 0), CountedCases(1, 1))
    assert mean == pytest.approx(exp(before.evidence().total))


def test_bounds_of_the_lift_hold_at_every_look() -> None:
    draw, missed = np.random.default_rng(2), 0
    for _ in range(60):
        to_b = draw.random(3_000) < 0.5
        won = draw.random(3_000) < np.where(to_b, 0.26, 0.2)
        for n in range(200, 3_001, 200):
            arms = [CountedCases(int(arm[:n].sum()), int((arm & won)[:n].sum())) for arm in (~to_b, to_b)]
            found = lift(*arms)
            assert found is not None
            if not found.low <= 0.06 <= found.high:
                missed += 1
                break
    assert missed <= 6


def test_what_is_still_needed() -> None:
    assert needed(CountedCases(100, 20), CountedCases(100, 26), 0.0) == pytest.approx(1270, rel=0.05)
    assert needed(CountedCases(100, 20), CountedCases(100, 26), 4.0) == 0
    for a, b in (
        (CountedCases(0, 0), CountedCases(5, 1)),
        (CountedCases(5, 1), CountedCases(5, 1)),
        (CountedCases(5, 0), CountedCases(5, 0)),
    ):
        assert needed(a, b, 0.0) is None
    assert (
        needed(CountedCases(10**6, 200_000), CountedCases(10**6, 200_001), 0.0) is None
        and lift(CountedCases(0, 0), CountedCases(1, 1)) is None
    )
