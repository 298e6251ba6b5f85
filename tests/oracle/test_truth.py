"""Is the oracle itself right? Small histories whose numbers can be worked out by hand, and comparisons that must fail."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from bench.oracle.compare import compare, same_readings
from bench.oracle.truth import Answer, Question, Truth, truth
from models.calendar import Calendar
from models.kpis.reading import Reading

FEBRUARY, MARCH = 1_738_368_000_000, 1_740_787_200_000  # 2025, midnight UTC
WINDOWS = ("month",)


def event(number: int, kind: str, subject: str, time: str, /, **data: Any) -> dict[str, Any]:
    return {"id": f"e{number:03d}", "type": kind, "time": f"2025-{time}:00Z", "subject": subject, "data": data}


def answers(tmp_path: Path, events: Iterable[dict[str, Any]], *, restated: bool = False, zone: str = "UTC") -> Truth:
    lines = tmp_path / "events.jsonl"
    lines.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in events))
    return truth(lines, WINDOWS, zone, restated=restated)


def value(true: Truth, kpi: str, t: int, dim: str = "total", segment: str = "") -> Any:
    found = true.answers.get(Question(kpi, "month", dim, segment, t))
    return None if found is None else found.value


DEAL = (
    event(1, "deal.created", "D1", "01-05T10:00", amount="1000.00", stage="new", owner="ann", source="web"),
    event(2, "deal.stage_changed", "D1", "01-06T10:00", stage="offer"),
    event(3, "deal.won", "D1", "01-10T10:00", amount="1200.50"),
    event(4, "deal.updated", "D1", "02-03T10:00", owner="bob", source="fair"),
)


def test_a_deal_won_is_credited_to_the_owner_of_the_close_and_described_as_last_known(tmp_path: Path) -> None:
    seen_then, seen_later = answers(tmp_path, DEAL), answers(tmp_path, DEAL, restated=True)

    for true in (seen_then, seen_later):
        assert value(true, "revenue", FEBRUARY, "owner", "ann") == 1200.5
        assert value(true, "revenue", FEBRUARY, "owner", "bob") is None
        assert value(true, "time_to_close_won", FEBRUARY) == 5 * 86_400
        assert value(true, "stage_duration", FEBRUARY, "stage", "new") == 86_400
        assert value(true, "stage_duration", FEBRUARY) == 2.5 * 86_400
        assert not value(true, "open_pipeline", FEBRUARY)
    assert value(seen_then, "revenue", FEBRUARY, "source", "web") == 1200.5
    assert value(seen_later, "revenue", FEBRUARY, "source", "fair") == 1200.5


def test_a_deal_that_reopens_loses_its_close_where_the_reading_knows_it(tmp_path: Path) -> None:
    events = (*DEAL[:3], event(5, "deal.reopened", "D1", "02-02T10:00"), event(6, "deal.lost", "D1", "02-07T10:00"))
    seen_then, seen_later = answers(tmp_path, events), answers(tmp_path, events, restated=True)

    assert value(seen_then, "win_rate", FEBRUARY) == 1
    assert value(seen_later, "win_rate", FEBRUARY) is None
    assert value(seen_then, "win_rate", MARCH) == value(seen_later, "win_rate", MARCH) == 0
    assert value(seen_later, "stage_duration", MARCH, "stage", "offer") == 5 * 86_400
    assert value(seen_then, "cancellation_rate", FEBRUARY) == 0
    assert value(seen_later, "cancellation_rate", FEBRUARY) == 1, "the only win of January did not last"
    assert value(seen_later, "cancellation_rate", FEBRUARY, "owner", "ann") == 1
    won_again = (*events, event(7, "deal.won", "D1", "02-20T10:00"))
    assert value(answers(tmp_path, won_again, restated=True), "cancellation_rate", FEBRUARY) is None, "it has been won since"


def test_a_share_of_amounts_below_0_is_none(tmp_path: Path) -> None:
    events = (
        event(1, "deal.won", "D1", "01-05T10:00", amount="-100"),
        event(2, "deal.lost", "D2", "01-05T10:00", amount="300"),
        event(3, "deal.won", "D3", "02-05T10:00", amount="50"),
        event(4, "deal.lost", "D4", "02-05T10:00", amount="150"),
    )
    true = answers(tmp_path, events)

    assert true.answers[Question("win_rate_value", "month", "total", "", FEBRUARY)][1:] == (None, -100, 200)
    assert value(true, "win_rate_value", MARCH) == 0.25


def test_an_edit_opens_no_deal(tmp_path: Path) -> None:
    events = (
        event(1, "deal.updated", "D1", "01-05T10:00", amount="100", owner="ann"),
        event(2, "deal.updated", "D2", "01-05T10:00", amount="20", owner="ann", stage="new"),
        event(3, "deal.updated", "D3", "01-05T10:00", amount="3", owner="ann"),
        event(4, "deal.created", "D3", "02-05T10:00"),
        event(5, "deal.won", "D1", "02-06T10:00"),
    )
    true = answers(tmp_path, events)

    assert value(true, "unknown_deals", FEBRUARY) == value(true, "unknown_deals", FEBRUARY, "owner", "ann") == 2
    assert value(true, "open_pipeline", FEBRUARY) == 20
    assert not value(true, "unknown_deals", MARCH)
    assert value(true, "open_pipeline", MARCH) == 23
    assert value(true, "revenue", MARCH) == 100


def test_the_survivor_of_a_merge_has_the_facts_of_both(tmp_path: Path) -> None:
    events = (
        event(1, "deal.created", "D1", "01-05T10:00", amount="100", owner="ann"),
        event(2, "deal.created", "D2", "01-06T10:00", amount="200", owner="bob"),
        event(3, "deal.merged", "D2", "02-08T10:00", into="D1"),
        event(4, "deal.won", "D2", "02-09T10:00"),
    )
    seen_then, seen_later = answers(tmp_path, events), answers(tmp_path, events, restated=True)

    assert value(seen_then, "open_pipeline", FEBRUARY) == 300
    assert value(seen_later, "open_pipeline", FEBRUARY) == 200
    assert value(seen_then, "sales", MARCH) == 1
    assert value(seen_then, "revenue", MARCH, "owner", "bob") == 200
    assert value(seen_then, "time_to_close_won", MARCH) == 35 * 86_400


def test_repeats_count_once_and_order_does_not_matter(tmp_path: Path) -> None:
    shuffled = (*reversed(DEAL), *DEAL, DEAL[2])

    assert answers(tmp_path, shuffled).answers == answers(tmp_path, DEAL).answers


def test_leads_answered_waiting_converted_and_come_of_age(tmp_path: Path) -> None:
    events = (
        event(1, "lead.created", "L1", "01-01T10:00", source="web"),
        event(2, "lead.contacted", "L1", "01-01T12:00"),
        event(3, "lead.qualified", "L1", "01-02T10:00", level="mql"),
        event(4, "lead.converted", "L1", "01-20T10:00"),
        event(5, "lead.created", "L2", "01-31T23:00", source="fair"),
        event(6, "lead.created", "L3", "02-28T10:00"),
    )
    true = answers(tmp_path, events)

    assert value(true, "lead_response_time", FEBRUARY) == (2 * 3600 + 3600) / 2
    assert value(true, "mql_rate", FEBRUARY) == 0.5
    assert true.answers[Question("lead_conversion", "month", "total", "", FEBRUARY)][1:] == (1, 1, 1)
    assert value(true, "lead_conversion", MARCH) is None  # L2 comes of age on 2 March
    assert value(true, "lead_conversion_period", FEBRUARY) == 0.5


def test_sessions_with_and_without_a_name(tmp_path: Path) -> None:
    events = (
        event(1, "web.page_viewed", "V1", "01-03T10:00", duration_seconds=60, source="ads"),
        event(2, "web.page_viewed", "V1", "01-03T10:31"),  # 30 minutes after the page was left: the same visit
        event(3, "web.page_viewed", "V1", "01-03T11:02"),  # 31 minutes: another
        event(4, "web.page_viewed", "V2", "01-04T10:00", session_id="s"),
        event(5, "web.page_viewed", "V2", "01-04T14:00", session_id="s"),
        event(6, "lead.created", "L1", "01-05T10:00"),
    )
    true = answers(tmp_path, events)

    assert true.answers[Question("bounce_rate", "month", "total", "", FEBRUARY)][1:] == (1 / 3, 1, 3)
    assert value(true, "session_duration", FEBRUARY, "source", "ads") == 31 * 60
    assert true.answers[Question("visitor_to_lead_rate", "month", "total", "", FEBRUARY)][1:] == (0.5, 1, 2)


def test_customers_spend_and_answers(tmp_path: Path) -> None:
    events = (
        event(1, "customer.invoiced", "A1", "01-05T10:00", amount="10", currency="EUR"),
        event(2, "customer.invoiced", "A1", "02-05T10:00", amount="10", currency="EUR"),
        event(3, "spend.recorded", "ads", "02-01T00:30", amount="99.99", currency="EUR", day="2025-01-31"),
        *(event(10 + score, "customer.surveyed", "A1", "01-09T10:00", kind="nps", score=score) for score in (0, 6, 7, 9, 10)),
        event(30, "customer.surveyed", "A1", "01-09T10:00", kind="csat", score=5),
    )

    assert value(answers(tmp_path, events), "cac", FEBRUARY) == 0
    assert value(answers(tmp_path, events, restated=True), "cac", FEBRUARY) == pytest.approx(99.99)
    assert value(answers(tmp_path, events), "nps", FEBRUARY) == 0
    assert value(answers(tmp_path, events[:3] + events[5:]), "nps", FEBRUARY) == pytest.approx(200 / 3)


def test_months_end_at_midnight_of_the_business_zone(tmp_path: Path) -> None:
    events = (event(1, "lead.created", "L1", "01-31T23:30"), event(2, "lead.created", "L2", "03-31T22:30"))
    true = answers(tmp_path, events, zone="Europe/Amsterdam")
    calendar = Calendar("Europe/Amsterdam")

    ends = [calendar.day_start(calendar.day(FEBRUARY) + days) for days in (28, 59, 89)]
    assert {t for _, t in true.begins} == set(ends)
    assert value(true, "leads", ends[0]) == 1
    assert value(true, "leads", ends[2]) == 1


QUESTION = Question("win_rate", "month", "total", "", FEBRUARY)
READING = Reading("win_rate", "month", {}, 0, FEBRUARY, 0.25, 1, 4, 0.05, 0.7, "ratio")
TRUE = Truth({QUESTION: Answer(0, 0.25, 1, 4)}, {("month", FEBRUARY): 0}, 1)


def of_win_rate(found: dict[Question, Reading], true: Truth) -> int:
    return compare(found, true, ("owner",)).differences["win_rate"]


def test_what_is_equal_is_equal() -> None:
    verdict = compare({QUESTION: READING}, TRUE, ("owner",))

    assert (verdict.compared["win_rate"], verdict.telling["win_rate"], verdict.differences["win_rate"]) == (1, 1, 0)


@pytest.mark.parametrize(
    "change",
    [{"value": 0.2501}, {"value": None}, {"numerator": 2}, {"denominator": 5}, {"denominator": None}, {"start": 1}],
    ids=lambda change: next(iter(change)),
)
def test_a_reading_that_differs_is_found(change: dict[str, Any]) -> None:
    assert of_win_rate({QUESTION: replace(READING, **change)}, TRUE) == 1


def test_a_reading_of_nothing_must_say_nothing() -> None:
    nothing = Truth({}, TRUE.begins, 1)

    assert of_win_rate({QUESTION: READING}, nothing) == 1
    assert of_win_rate({QUESTION: replace(READING, value=None, numerator=0, denominator=0)}, nothing) == 0


def test_a_reading_that_is_missing_is_found() -> None:
    segment = QUESTION._replace(dim="owner", segment="ann")
    more = Truth({**TRUE.answers, segment: Answer(0, 1, 1, 1)}, TRUE.begins, 1)

    assert of_win_rate({QUESTION: READING}, more) == 1
    assert of_win_rate({}, TRUE) > 0
    assert of_win_rate({QUESTION: READING}, Truth(TRUE.answers, {("month", MARCH): 0}, 1)) > 0


def test_two_replays_must_agree_in_every_field() -> None:
    assert not same_readings({QUESTION: READING}, {QUESTION: READING}).differences
    assert same_readings({QUESTION: READING}, {QUESTION: replace(READING, high=0.71)}).differences
    assert same_readings({QUESTION: READING}, {}).differences
