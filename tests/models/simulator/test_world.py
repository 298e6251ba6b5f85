"""The simulated company: always the same, believable, and within the contract."""

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any

import orjson
import pytest

from models.events.catalogue import STRUCTS, TOPIC_OF
from models.events.decode import decoder
from models.simulator import DailyRates, World
from models.simulator.diary import Diary, iso_time
from models.simulator.rhythm import DAY, HOUR, OFFICE_SHARE, month, office_time

START = datetime(2025, 3, 3, tzinfo=UTC)  # a Monday
DAYS = 84
Event = dict[str, Any]


@pytest.fixture(scope="module")
def history() -> list[Event]:
    return list(World(11, START, DAYS).events())


def of(history: list[Event], *kinds: str) -> list[Event]:
    return [event for event in history if event["type"] in kinds]


def test_the_same_seed_gives_the_same_history_and_another_one_another() -> None:
    def first(seed: int) -> list[Event]:
        return list(islice(World(seed, START, 3).events(), 3_000))

    assert first(4) == first(4)
    assert not {event["id"] for event in first(4)} & {event["id"] for event in first(5)}


def test_a_longer_history_begins_like_a_shorter_one() -> None:
    short = list(World(4, START, 3).events())
    longer = list(islice(World(4, START, 9).events(), len(short)))
    assert longer == short


def test_events_come_in_time_order_with_unique_ids(history: list[Event]) -> None:
    times = [event["time"] for event in history]
    assert times == sorted(times)
    assert times[0] >= "2025-03-03T00:00:00.000Z"
    assert times[-1] < "2025-05-26T00:00:00.000Z"
    assert len({event["id"] for event in history}) == len(history)


def test_every_event_is_read_by_the_contract_with_nothing_kept_out(history: list[Event]) -> None:
    decoders = {topic: decoder(topic, currencies=frozenset({"EUR"})) for topic in set(TOPIC_OF.values())}
    arrival = int((START + timedelta(days=DAYS)).timestamp() * 1000)
    for event in history:
        _, at, unknown = decoders[TOPIC_OF[event["type"]]](orjson.dumps(event), (), arrival)
        assert unknown == ()
        assert iso_time(at) == event["time"]


def test_every_type_occurs_but_what_only_mischief_does(history: list[Event]) -> None:
    rare = {"deal.reopened", "deal.merged", "lead.merged", "deal.deleted", "lead.deleted"}
    internal = {"deal.absorbed", "lead.absorbed"}
    assert {event["type"] for event in history} == set(STRUCTS) - rare - internal


def test_about_two_thousand_events_a_day_and_scale_multiplies(history: list[Event]) -> None:
    assert 1_600 < len(history) / DAYS < 2_600
    triple = sum(1 for _ in World(11, START, 14, scale=3).events()) / sum(1 for _ in World(11, START, 14).events())
    assert 2.5 < triple < 3.3


def test_a_deal_is_created_once_first_and_closed_at_most_once(history: list[Event]) -> None:
    stories: dict[str, list[str]] = {}
    for event in history:
        if event["type"].startswith("deal."):
            stories.setdefault(event["subject"], []).append(event["type"])
    assert len(stories) > 500
    for story in stories.values():
        assert story[0] == "deal.created"
        assert story.count("deal.created") == 1
        closed = [kind for kind in story if kind in ("deal.won", "deal.lost")]
        assert len(closed) <= 1
        assert not closed or story[-1] in ("deal.won", "deal.lost")


def test_a_converted_lead_names_a_deal_that_names_the_lead(history: list[Event]) -> None:
    deals = {event["subject"]: event["data"] for event in of(history, "deal.created")}
    converted = [event for event in of(history, "lead.converted") if event["data"]["deal_id"] in deals]
    assert len(converted) > 300
    for event in converted:
        assert deals[event["data"]["deal_id"]]["lead_id"] == event["subject"]
        assert deals[event["data"]["deal_id"]]["account_id"] == event["data"]["account_id"]


def test_visitors_become_leads_moments_after_their_form(history: list[Event]) -> None:
    created = {event["subject"]: event["time"] for event in of(history, "lead.created")}
    identified = of(history, "web.identified")
    assert len(identified) > 500
    assert all(created.get(event["data"]["lead_id"], "9") >= event["time"] for event in identified)


def win_rates(history: list[Event], name: str) -> dict[str, tuple[float, int]]:
    said = {event["subject"]: event["data"][name] for event in of(history, "deal.created")}
    won, closed = Counter[str](), Counter[str]()
    for event in of(history, "deal.won", "deal.lost"):
        closed[said[event["subject"]]] += 1
        won[said[event["subject"]]] += event["type"] == "deal.won"
    return {value: (won[value] / closed[value], closed[value]) for value in closed}


def test_wins_depend_on_what_the_events_say(history: list[Event]) -> None:
    sources, owners = win_rates(history, "source"), win_rates(history, "owner")
    assert sources["referral"][0] > sources["ads"][0] + 0.1
    busy = [rate for rate, closed in owners.values() if closed >= 20]
    assert len(busy) >= 12
    assert max(busy) - min(busy) > 0.2
    won = len(of(history, "deal.won"))
    assert 0.25 < won / (won + len(of(history, "deal.lost"))) < 0.5


def test_offices_are_closed_on_weekends_and_the_web_is_not(history: list[Event]) -> None:
    weekend = [event for event in history if datetime.fromisoformat(event["time"]).weekday() >= 5]
    kinds = Counter(event["type"] for event in weekend)
    assert kinds["deal.won"] == kinds["lead.contacted"] == 0
    assert kinds["web.page_viewed"] > len(of(history, "web.page_viewed")) * 0.1


def test_somebody_joins_is_trained_and_sells(history: list[Event]) -> None:
    (hired, _) = of(history, "rep.hired")
    assert hired["time"] == "2025-03-09T09:00:00.000Z"
    name = hired["data"]["owner"]
    assert [event for event in of(history, "rep.trained") if event["data"]["owner"] == name]
    first = next(event for event in of(history, "deal.created") if event["data"]["owner"] == name)
    assert first["time"] > hired["time"]


def test_spend_is_recorded_once_a_day_for_each_channel(history: list[Event]) -> None:
    spend = of(history, "spend.recorded")
    assert len(spend) == DAYS * 7
    assert all(event["time"].startswith(event["data"]["day"]) for event in spend)


def test_a_world_is_drawn_as_it_is_asked_for() -> None:
    days: list[int] = []

    class Watched(World):
        def begin_day(self, day: int) -> None:
            days.append(day)
            super().begin_day(day)

    list(islice(Watched(1, START, 10_000).events(), 100))
    assert len(days) == 1


def test_rates_and_currency_are_the_callers() -> None:
    # Nobody is a customer yet, so there is nobody to sell more to.
    quiet = DailyRates(sessions=0, leads=0, expansions=50, ads=0, customers=0)
    events = list(World(1, START, 2, currency="USD", rates=quiet).events())
    assert {event["type"] for event in events} <= {"spend.recorded", "rep.trained", "metric.recorded"}
    assert {event["data"]["currency"] for event in of(events, "spend.recorded")} == {"USD"}


def test_the_first_day_begins_at_midnight_utc() -> None:
    start = datetime(2025, 3, 3, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert next(World(1, start, 1).events())["time"].startswith("2025-03-02T0")


@pytest.mark.parametrize(
    ("start", "days", "scale", "problem"),
    [
        (datetime(2025, 1, 1), 1, 1.0, "naive"),  # noqa: DTZ001
        (START, 0, 1.0, "days and scale: found 0"),
        (START, 1, -1.0, "days and scale"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(start: datetime, days: int, scale: float, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        World(1, start, days, scale=scale)


def test_the_diary_keeps_order_end_and_writing_order() -> None:
    diary = Diary("x", end=3_000)
    for at, kind in ((2_000, "b"), (1_000, "a"), (2_000, "c"), (3_000, "d")):
        diary.put(at, kind, "s", {})
    assert [event["type"] for event in diary.until(2_000)] == ["a"]
    diary.retime(lambda at: at - 500)
    assert [(event["type"], event["time"]) for event in diary.until(9_999)] == [
        ("b", "1970-01-01T00:00:01.500Z"),
        ("c", "1970-01-01T00:00:01.500Z"),
    ]
    assert len(diary) == 0


def test_months_are_the_calendars() -> None:
    day, date = 0, datetime(1970, 1, 1, tzinfo=UTC)
    while date.year < 2101:
        assert month(day) == date.month
        day, date = day + 1, date + timedelta(days=1)


def test_office_time_grows_in_office_hours_only() -> None:
    monday = int(START.timestamp() * 1000)
    instants = [monday + hour * HOUR for hour in range(7 * 24 + 1)]
    worked = [office_time(at) for at in instants]
    assert worked == sorted(worked)
    assert worked[-1] - worked[0] == 55 * HOUR == round(OFFICE_SHARE * 7 * DAY)
    assert worked[8] == worked[0]
    assert worked[19] - worked[0] == 11 * HOUR
    assert worked[5 * 24] == worked[7 * 24]
