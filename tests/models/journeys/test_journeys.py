"""Journeys worked out by hand, and under everything that may happen to events."""

from itertools import permutations
from random import Random
from typing import Any

import orjson
import pytest

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, iso
from models.events.catalogue import TOPIC_OF
from models.fold import Record
from models.folds.partition import EntityPartition
from models.funnels import AIDA, Funnel, FunnelStep, Match
from models.journeys.people import JourneyPart, People
from models.journeys.walk import journey, walked
from stream.config.settings import SettingsError, load
from tests.models.company import at

NOW = at("2026-07-15")
DEMO = Funnel(
    "demo",
    (
        FunnelStep("Pricing", (Match("web.page_viewed", "page", "/pricing*"),)),
        FunnelStep("Form", (Match("web.form_submitted", "form", "demo"), Match("web.demo_requested"))),
        FunnelStep("Proposal", (Match("deal.stage_changed", "stage", "proposal"),)),
        FunnelStep("Won", (Match("deal.won"),)),
    ),
    within=30 * DAY_MS,
)
BUSINESS = Business(funnels=(AIDA, DEMO))


def event(kind: str, subject: str, when: str, id: str = "", **data: Any) -> dict[str, Any]:
    moment = when if when.endswith("Z") else iso(at(when))
    told = {"specversion": "1.0", "id": id or f"{kind}-{subject}-{when}", "source": "t", "type": kind, "time": moment}
    return {**told, "subject": subject, "data": data}


class Site:
    """Folds events in some partitions, and says how people came along."""

    def __init__(self, events: list[dict[str, Any]], partitions: int = 1, business: Business = BUSINESS) -> None:
        self.business = business
        self.folds: dict[tuple[str, int], EntityPartition] = {}
        self.rows: dict[tuple[str, int], dict[bytes, bytes]] = {}
        for number, one in enumerate(events):
            topic = TOPIC_OF[one["type"]]
            place = (topic, hash(one["subject"]) % partitions)
            fold = self.folds.get(place)
            if fold is None:
                fold = self.folds[place] = EntityPartition(topic, place[1], business)
                self.rows[place] = {}
            fold.fold([Record(topic, place[1], number, NOW, b"", orjson.dumps(one), ())])
            if number % 3 == 0:  # written down, and forgotten: a restart
                self.settle(place)
                kept, watermark = self.rows[place], fold.watermark
                fold = self.folds[place] = EntityPartition(topic, place[1], business)
                fold.restore(kept.items())
                assert fold.watermark == watermark
        for place in self.folds:
            self.settle(place)

    def settle(self, place: tuple[str, int]) -> None:
        for row in self.folds[place].changes().rows:
            if row.value is None:
                self.rows[place].pop(row.key, None)
            else:
                self.rows[place][row.key] = row.value

    def people(self) -> list[JourneyPart]:
        found = People(self.business, self.business.funnels)
        for (topic, _), rows in self.rows.items():
            found.take(topic, rows)
        assert not found.damaged
        return found.persons()

    def read(self, funnel: Funnel = DEMO, start: str = "2026-06-01", end: str = "2026-06-30", by: bool = False) -> dict[str, Any]:
        return journey(funnel, self.people(), at(start), at(end), by_source=by)


def counts(told: dict[str, Any]) -> list[int]:
    return [step["people"] for step in told["steps"]]


#: Ann goes all the way; Bob leaves after the form; Cem only looks; Dora's form comes before her pricing page.
STORY = [
    event("web.page_viewed", "v-ann", "2026-06-02T10:00", page="https://x.example/pricing?a=1", source="ads"),
    event("web.page_viewed", "v-ann", "2026-06-02T09:00", page="https://x.example/"),
    event("web.form_submitted", "v-ann", "2026-06-02T11:00", form="demo", lead_id="L-ann"),
    event("lead.created", "L-ann", "2026-06-02T11:01", source="web"),
    event("lead.converted", "L-ann", "2026-06-04", deal_id="D-ann"),
    event("deal.created", "D-ann", "2026-06-04", stage="new"),
    event("deal.stage_changed", "D-ann", "2026-06-05T11:00", stage="proposal"),
    event("deal.won", "D-ann", "2026-06-12T11:00", amount=10),
    event("web.page_viewed", "v-bob", "2026-06-03T10:00", page="https://x.example/pricing/team", source="mail"),
    event("web.demo_requested", "v-bob", "2026-06-03T13:00"),
    event("web.page_viewed", "v-cem", "2026-06-28T10:00", page="https://x.example/pricing"),
    event("web.form_submitted", "v-dora", "2026-06-05T10:00", form="demo"),
    event("web.page_viewed", "v-dora", "2026-06-05T11:00", page="https://x.example/pricing"),
    event("web.form_submitted", "v-eve", "2026-06-05T10:00", form="newsletter"),
]


def told(events: list[dict[str, Any]], partitions: int = 1, **more: Any) -> dict[str, Any]:
    return Site(events, partitions).read(DEMO, **more)


def test_a_funnel_worked_by_hand() -> None:
    """Four began (Ann, Bob, Cem, Dora); Ann and Bob sent the form after it: 2 of 4; Ann alone came further.

    Times: to the form 1 h and 3 h, median 2 h; to the proposal 3 days; to the win 7 days; in all 10 days and 1 hour.
    """
    found = told(STORY, by=True)
    assert counts(found) == [4, 2, 1, 1]
    steps = found["steps"]
    assert [step["of_first"] for step in steps] == [1, 0.5, 0.25, 0.25]
    assert [step["drop_off"] for step in steps] == [None, 0.5, 0.5, 0]
    assert [step["median_seconds"] for step in steps] == [None, 7_200, 3 * 86_400, 7 * 86_400]
    assert found["median_seconds"] == 10 * 86_400 + 3_600
    # All but Ann began less than 30 days before the end of the window.
    assert found["may_still"] == 3
    by = {one["source"]: counts(one) for one in found["sources"]}
    assert by == {"ads": [1, 1, 1, 1], "mail": [1, 1, 0, 0], "(none)": [2, 0, 0, 0]}


def test_the_way_to_a_sale_without_any_settings() -> None:
    events = [
        event("web.page_viewed", "v", "2026-06-02T10:00", page="/"),
        event("web.cta_clicked", "v", "2026-06-02T10:05", cta="call"),
        event("web.identified", "v", "2026-06-02T10:06", visitor_id="v", lead_id="L"),
        event("lead.created", "L", "2026-06-02T10:06"),
        event("lead.qualified", "L", "2026-06-03", level="mql"),
        event("deal.created", "D", "2026-06-04", lead_id="L"),
        event("deal.won", "D", "2026-06-20"),
    ]
    site = Site(events, business=Business())
    assert counts(site.read(AIDA)) == [1, 1, 1, 1]
    # Reopened, it is no sale; deleted, the deal is none at all, and the lead stays.
    assert counts(Site([*events, event("deal.reopened", "D", "2026-06-21")], business=Business()).read(AIDA)) == [1, 1, 1, 0]
    assert counts(Site([*events, event("deal.deleted", "D", "2026-06-21")], business=Business()).read(AIDA)) == [1, 1, 1, 0]
    assert counts(Site([*events, event("lead.deleted", "L", "2026-06-21")], business=Business()).read(AIDA)) == [1, 1, 1, 1]


@pytest.mark.parametrize("seed", range(6))
def test_order_repeats_partitions_and_restarts_change_nothing(seed: int) -> None:
    random = Random(seed)
    events = [*STORY, *random.sample(STORY, 6)]
    random.shuffle(events)
    assert told(events, partitions=1 + seed % 4, by=True) == told(STORY, by=True)


def test_a_step_that_is_taken_again_counts_once_and_the_best_beginning_stands() -> None:
    """The first look at the prices was too long ago for the win; the second leads to it."""
    again = [
        event("web.page_viewed", "v", "2026-06-01T10:00", page="https://x.example/pricing"),
        event("web.form_submitted", "v", "2026-06-01T11:00", form="demo", lead_id="L"),
        event("web.page_viewed", "v", "2026-06-03T10:00", page="https://x.example/pricing"),
        event("web.form_submitted", "v", "2026-06-03T12:00", form="demo", lead_id="L"),
        event("deal.created", "D", "2026-06-03T13:00", lead_id="L"),
        event("deal.stage_changed", "D", "2026-06-04", stage="proposal"),
        event("deal.stage_changed", "D", "2026-06-05", stage="new"),
        event("deal.stage_changed", "D", "2026-06-06", stage="proposal"),
        event("deal.won", "D", "2026-07-02"),
    ]
    found = told(again, end="2026-07-10")
    assert counts(found) == [1, 1, 1, 1]
    assert found["steps"][1]["median_seconds"] == 2 * 3600
    # Before the win was known: the earliest of those that led equally far.
    before = told(again, end="2026-06-20")
    assert counts(before) == [1, 1, 1, 0]
    assert before["steps"][1]["median_seconds"] == 3600


@pytest.mark.parametrize("order", list(permutations(("visit", "identified", "merged"))))
def test_who_is_the_same_is_known_in_any_order(order: tuple[str, ...]) -> None:
    parts = {
        "visit": [event("web.page_viewed", "v", "2026-06-02T10:00", page="https://x.example/pricing")],
        "identified": [event("web.form_submitted", "v", "2026-06-02T11:00", form="demo", lead_id="old")],
        "merged": [event("lead.created", "old", "2026-06-02"), event("lead.merged", "old", "2026-06-03", into="new")],
    }
    rest = [
        event("lead.created", "new", "2026-06-01"),
        event("deal.created", "D", "2026-06-04", lead_id="new"),
        event("deal.stage_changed", "D", "2026-06-05", stage="proposal"),
    ]
    assert counts(told([*[one for name in order for one in parts[name]], *rest])) == [1, 1, 1, 0]


def test_a_way_takes_no_longer_than_its_time_and_no_step_before_the_one_before() -> None:
    hour = HOUR_MS
    funnel = Funnel(
        "f", (FunnelStep("a", (Match("lead.created"),)), FunnelStep("b", (Match("lead.contacted"),))), within=2 * hour
    )
    assert walked(funnel, {"lead.created": [0], "lead.contacted": [2 * hour]}, 0, 10 * hour) == ((0, 2 * hour),)
    assert walked(funnel, {"lead.created": [0], "lead.contacted": [2 * hour + 1]}, 0, 10 * hour) == ((0,),)
    assert walked(funnel, {"lead.created": [5], "lead.contacted": [4]}, 0, 10 * hour) == ((5,),)
    assert walked(funnel, {"lead.created": [5], "lead.contacted": [5]}, 0, 10 * hour) == ((5, 5),)
    assert walked(funnel, {"lead.created": [5]}, 6, 10 * hour) is None
    assert walked(funnel, {"lead.created": [5]}, 0, 5) is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": [{"name": "a", "events": ["deal.won"]}]}, "found 1 steps (accepted: 2 to 12)"),
        ({"steps": [{"name": "a", "events": ["deal.won"]}, {"name": "a", "events": ["deal.lost"]}]}, "found 'a' twice"),
        ({"steps": [{"name": "a", "events": ["deal.won"]}, {"name": "b", "events": ["deal.won"]}]}, "found 'deal.won' twice"),
        ({"steps": [{"name": "a", "events": ["deal.wun"]}, {"name": "b", "events": ["deal.won"]}]}, 'did you mean "deal.won"?'),
        (
            {"steps": [{"name": "a", "events": [{"event": "deal.won", "page": "/x"}]}, {"name": "b", "events": ["deal.lost"]}]},
            "deal.won is not chosen by it (accepted: none)",
        ),
        ({"steps": [{"name": "a", "events": []}, {"name": "b", "events": ["deal.won"]}]}, "steps"),
        (
            {"within": "500d", "steps": [{"name": "a", "events": ["deal.won"]}, {"name": "b", "events": ["deal.lost"]}]},
            "400 days",
        ),
    ],
)
def test_a_funnel_that_makes_no_sense_is_refused_by_name(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(environ={}, business={"journeys": {"demo": settings}})
    assert said in "\n".join(refused.value.problems)


def test_funnels_of_settings() -> None:
    steps = [{"name": "a", "events": [{"event": "web.page_viewed", "page": "/pricing*"}]}, {"name": "b", "events": ["deal.won"]}]
    found = load(environ={}, business={"journeys": {"demo": {"steps": steps, "within": "30d"}}}).business.business()
    assert [funnel.name for funnel in found.funnels] == ["aida", "demo"]
    assert found.funnels[1].steps[0].matches == (Match("web.page_viewed", "page", "/pricing*"),)
    mine = load(environ={}, business={"journeys": {"aida": {"steps": steps}}}).business.business()
    assert [funnel.name for funnel in mine.funnels] == ["aida"]


def test_no_visitor_is_remembered_without_end() -> None:
    looks = [
        event("web.cta_clicked", "v", f"2026-06-{day:02}T{hour:02}:00", cta="x") for day in range(1, 29) for hour in range(4)
    ]
    site = Site(looks, business=Business())
    (row,) = [row for rows in site.rows.values() for key, row in rows.items() if key == b"Ev"]
    assert len(orjson.loads(row)[6][0]["web.cta_clicked"]) == 32
