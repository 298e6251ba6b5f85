"""Silent senders: what is usual, when it is missed, and which alerts are held back meanwhile."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.judge.finding import TOPIC, EntityFinding
from alert_rules.judge.rule import Known, Rule
from alert_rules.judge.watch_entities import WatchEntities
from alert_rules.judge.watch_senders import MOST, WatchSenders
from alert_rules.parse.rule_file import parse_rules
from alert_rules.tell.dispatch_alerts import DispatchAlerts
from alert_rules.tell.plan import everything_to
from models.beats import BEATS
from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS, calendar, epoch_ms
from models.fold import Output, PartitionFold, Record
from models.folds.partition import EntityPartition
from models.time_intervals import usual
from stream.config.kpi_files import load_catalogue
from tests.alert_rules.readings import reading, records
from tests.alert_rules.readings import rule as kpi_rule
from vigie.rule_files import load_rules

MONDAY = epoch_ms(datetime(2026, 3, 2, tzinfo=UTC))
KNOWN = Known({}, intervals=usual("UTC"))
OFFICE = usual("UTC")["business_hours"]


def rule(**changes: Any) -> Rule:
    tree = {
        "id": "one", "entity": "sender", "silent": {"missed": 3}, "labels": {}, "summary": "{sender}", "runbook": "https://example.com",
        "tests": [
            {"name": "a", "usual": "business_hours", "timeline": [{"at": "18h", "expect": "warn"}]},
            {"name": "b", "usual": "business_hours", "timeline": [{"at": "9h", "expect": "inactive"}]},
        ],
    }  # fmt: skip
    rules, problems = parse_rules({"rules/one.yaml": tree | changes}, KNOWN)
    assert not problems, [str(p) for p in problems]
    return rules[0]


def beat(at: int, sender: str = "crm", topic: str = "deals") -> Record:
    return Record(BEATS, 0, 0, at, sender.encode(), orjson.dumps({"at": at, "topic": topic}), ())


def office(weeks: float, end: int = MONDAY, sender: str = "crm", topic: str = "deals") -> list[Record]:
    """A beat in each business hour of the weeks before."""
    begin = end - int(weeks * 7 * DAY_MS)
    return [beat(at + 60_000, sender, topic) for at in range(begin, end, HOUR_MS) if OFFICE[0].holds(at)]


def after(watch: WatchSenders, now: int, *heard: Record) -> list[tuple[str, float, str | None]]:
    watch.fold(list(heard))
    watch.tick(now)
    found = [EntityFinding.decode(o.value) for o in watch.changes().outputs if o.topic == TOPIC and o.value is not None]
    return [(f.segment["sender"], round(f.value or 0, 1), f.over) for f in found]


def test_it_is_a_fold_of_the_engine() -> None:
    fold: PartitionFold = WatchSenders([], calendar("UTC"))
    assert fold.changes() == ([], [])


def test_since_friday_evening_till_monday() -> None:
    watch = WatchSenders([rule()], calendar("UTC"))
    watch.fold(office(5))
    spoken = [minute for minute in range(0, 14 * 60, 10) if after(watch, MONDAY + minute * MINUTE_MS)]
    # The last event was on Friday at 17:01; the hour it fell into counts for nothing, Monday's from nine on make three.
    assert spoken == [12 * 60 + 10]
    assert after(watch, MONDAY + 13 * HOUR_MS, beat(MONDAY + 13 * HOUR_MS)) == [("crm", 0, "it sends again")]


@pytest.mark.parametrize(("weeks", "expected"), [(1.9, False), (2.8, True), (3.1, True)])
def test_a_rhythm_takes_two_weeks(weeks: float, expected: bool) -> None:
    watch = WatchSenders([rule()], calendar("UTC"))
    assert bool(after(watch, MONDAY + 17 * HOUR_MS, *office(weeks))) is expected


def test_an_hour_that_had_events_once_is_not_usual() -> None:
    watch = WatchSenders([rule()], calendar("UTC"))
    once = [beat(MONDAY - 7 * DAY_MS + hour * HOUR_MS) for hour in range(9)]
    watch.fold(sorted(office(5) + once, key=lambda record: record.timestamp))
    assert after(watch, MONDAY + 9 * HOUR_MS) == []


def test_a_sender_that_delivers_once_a_day() -> None:
    watch = WatchSenders([rule()], calendar("UTC"))
    daily = [beat(MONDAY - n * DAY_MS + 2 * HOUR_MS) for n in range(34, 0, -1)]
    assert after(watch, MONDAY + 20 * HOUR_MS, *daily) == []
    assert after(watch, MONDAY + 4 * DAY_MS) == [("crm", 4.0, None)]


def test_the_rhythm_is_that_of_the_clock_on_the_wall() -> None:
    """In Paris the clocks go forward on 29 March; the Monday after, nine o'clock comes an hour earlier."""
    watch = WatchSenders([rule()], calendar("Europe/Paris"))
    monday = epoch_ms(datetime(2026, 3, 30, tzinfo=UTC))
    paris = usual("Europe/Paris")["business_hours"][0]
    heard = [beat(at) for at in range(monday - 5 * 7 * DAY_MS, monday, HOUR_MS) if paris.holds(at)]
    assert after(watch, monday + 10 * HOUR_MS, *heard) == []  # noon in Paris, and three hours since nine
    assert after(watch, monday + 10 * HOUR_MS + 10 * MINUTE_MS) == [("crm", 3.2, None)]


def test_only_the_senders_it_is_about() -> None:
    watch = WatchSenders([rule(where={"sender": "shop"})], calendar("UTC"))
    assert after(watch, MONDAY + 17 * HOUR_MS, *office(5), *office(5, sender="shop")) == [("shop", 8.0, None)]


def test_what_cannot_be_read_and_too_many() -> None:
    watch = WatchSenders([rule()], calendar("UTC"))
    watch.fold([Record(BEATS, 0, 0, MONDAY, b"crm", b"{", ()), *(beat(MONDAY, f"s{n}") for n in range(MOST + 5))])
    assert [o.topic for o in watch.changes().outputs] == ["dead-letters"]
    assert len(watch) == MOST


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["crm", "shop"]), st.integers(0, 9)), max_size=15), st.data())
def test_a_restart_anywhere_changes_nothing(steps: list[tuple[str, int]], data: Any) -> None:
    rules, zone = [rule()], calendar("UTC")
    straight, restarted = WatchSenders(rules, zone), WatchSenders(rules, zone)
    rows: dict[bytes, bytes] = {}
    said: tuple[list[Output], list[Output]] = ([], [])
    now = MONDAY
    history = sorted(office(5) + office(5, sender="shop", topic="leads"), key=lambda record: record.timestamp)
    for heard in [history, *([beat(now, sender)] for sender, _ in steps)]:
        now += data.draw(st.integers(0, 9)) * HOUR_MS
        for watch, into in zip((straight, restarted), said, strict=True):
            watch.fold(heard)
            watch.tick(now)
            changes = watch.changes()
            into += changes.outputs
            if watch is restarted:
                rows |= {row.key: row.value or b"" for row in changes.rows}
        if data.draw(st.booleans()):
            restarted = WatchSenders(rules, zone)
            restarted.restore(list(rows.items()))
    assert said[0] == said[1]


def arrived(at: int, record: Record) -> Record:
    return record._replace(timestamp=at)


def test_a_history_that_is_loaded_makes_nobody_silent() -> None:
    """Its last event may be days old, and it comes piece by piece: each piece says that its sender is alive."""
    watch = WatchSenders([rule()], calendar("UTC"))
    history, now = office(5), MONDAY + 17 * HOUR_MS
    for n in range(0, len(history), 10):
        assert after(watch, now + n * 1000, *(arrived(now + n * 1000, one) for one in history[n : n + 10])) == []
    assert after(watch, now + 30 * MINUTE_MS) == [], "it was heard on one day only: nobody knows that it goes on"
    assert after(watch, now + 5 * DAY_MS) == []


def test_who_goes_on_after_its_history_was_loaded_is_missed() -> None:
    watch = WatchSenders([rule()], calendar("UTC"))
    watch.fold([arrived(MONDAY, one) for one in office(5)])
    tuesday = MONDAY + DAY_MS + 10 * HOUR_MS
    watch.fold([beat(tuesday)])
    assert after(watch, tuesday + 3 * HOUR_MS) == []
    assert after(watch, tuesday + 4 * HOUR_MS + MINUTE_MS) == [("crm", 3.0, None)]


def test_after_a_start_a_worker_listens_before_it_calls_anybody_silent() -> None:
    watch = WatchSenders([rule()], calendar("UTC"), settle=60_000)
    watch.fold(office(5))
    now = MONDAY + 17 * HOUR_MS
    assert after(watch, now) == []
    assert after(watch, now + 2 * MINUTE_MS) == [("crm", 8.0, None)]


def test_rows_of_before_it_was_noted_when_a_sender_was_heard_are_read() -> None:
    watch = WatchSenders([rule()], calendar("UTC"))
    hours = {str(one.timestamp - 60_000): 1 for one in office(5)}
    first, last = office(5)[0].timestamp, office(5)[-1].timestamp
    watch.restore([(b"crm", orjson.dumps([first, last, hours, ["deals"], {}]))])
    assert after(watch, MONDAY + 17 * HOUR_MS) == [("crm", 8.0, None)]


def test_a_partition_says_that_its_senders_are_alive_once_a_minute() -> None:
    partition = EntityPartition("deals", 0, Business())

    def event(at: int, sender: str) -> Record:
        tree = {"specversion": "1.0", "id": f"{at}{sender}", "source": sender, "type": "deal.created", "subject": "D-1",
                "data": {}, "time": datetime.fromtimestamp(at / 1000, UTC).isoformat()}  # fmt: skip
        return Record("deals", 0, 0, at + 500, b"D-1", orjson.dumps(tree), ())

    def beats() -> list[tuple[str, Any]]:
        return [(o.key.decode(), orjson.loads(o.value or b"")) for o in partition.changes().outputs if o.topic == BEATS]

    partition.fold([event(MONDAY, "crm"), event(MONDAY + 30_000, "crm")])
    assert beats() == [("crm", {"at": MONDAY + 30_000, "topic": "deals"})]
    partition.fold([event(MONDAY + 40_000, "crm"), event(MONDAY + 41_000, "shop")])
    assert beats() == [("shop", {"at": MONDAY + 41_000, "topic": "deals"})]
    partition.fold([event(MONDAY + 60_000, "crm")])
    assert beats() == [("crm", {"at": MONDAY + 60_000, "topic": "deals"})]


# ── what is held back meanwhile ──


def test_each_fold_takes_its_own_of_the_shipped_rules() -> None:
    """All rules go to all of them."""
    shipped = load_rules(load_catalogue())
    deals, senders = WatchEntities(shipped), WatchSenders(shipped, calendar("UTC"))
    for fold in (deals, senders, EvaluateAlerts(shipped)):
        fold.tick(MONDAY)
        assert fold.changes().outputs == []


def transitions(fold: EvaluateAlerts) -> list[bytes]:
    return [o.value or b"" for o in fold.changes().outputs if o.topic == "alerts"]


def silent(feeds: str) -> tuple[EvaluateAlerts, list[bytes]]:
    alerts, at = EvaluateAlerts([rule()]), reading(0, 0.1).at
    facts = {"sender": "crm", "feeds": feeds, "last": "2026-01-01T00:00:00Z", "silence": 4}
    finding = EntityFinding("one", {"sender": "crm"}, at, 4.0, "hours", None, facts)
    alerts.fold([Record(TOPIC, 0, 0, at, finding.key, finding.encode(), ())])
    return alerts, transitions(alerts)


def test_what_stands_says_what_is_known_of_it_after_a_restart_too() -> None:
    before, at = EvaluateAlerts([rule()]), reading(0, 0.1).at
    facts = {"sender": "crm", "feeds": "deals", "last": "2026-01-01T00:00:00Z", "silence": 4}
    finding = EntityFinding("one", {"sender": "crm"}, at, 4.0, "hours", None, facts)
    before.fold([Record(TOPIC, 0, 0, at, finding.key, finding.encode(), ())])
    rows = [(row.key, row.value) for row in before.changes().rows if row.value is not None]
    after = EvaluateAlerts([rule()])
    after.restore(rows)
    assert after.current() == before.current()
    assert "no value" not in after.current()[0]["summary"] and "unknown" not in after.current()[0]["summary"]


@pytest.mark.parametrize(("feeds", "told"), [("deals, leads", 0), ("engagement", 1)])
def test_an_alert_on_what_a_silent_sender_feeds_is_inhibited_and_says_so(feeds: str, told: int) -> None:
    at = reading(0, 0.1).at
    senders, said = silent(feeds)
    one = kpi_rule(**{"for": 0})
    kpis = EvaluateAlerts([replace(one, depends=("deals",))])
    dispatch = DispatchAlerts(everything_to(["console"]))
    dispatch.tick(at)
    dispatch.fold(records("alerts", *said, timestamp=at))
    assert [o.topic for o in dispatch.changes().outputs].count("outbox") == 1  # of the sender itself people are told
    assert "behind" not in orjson.loads(said[0])["explanation"]
    kpis.fold(records("readings", reading(1, 0.1).encode()))
    dispatch.fold(records("alerts", *transitions(kpis), timestamp=at + 60_000))
    outputs = dispatch.changes().outputs
    assert [o.topic for o in outputs].count("outbox") == told
    if told:
        return
    (decision,) = [orjson.loads(o.value or b"") for o in outputs if o.topic == "alerts"]
    assert (decision["outcome"], decision["stage"]) == ("held", "inhibit")
    assert decision["reason"].startswith("crm, which feeds deals, has been silent since 2026-01-01T00:00:00Z")
    # It sends again, and what still holds is told.
    over = EntityFinding("one", {"sender": "crm"}, at + 120_000, 0, "hours", None, {}, "it sends again")
    senders.fold([Record(TOPIC, 0, 0, at, over.key, over.encode(), ())])
    dispatch.fold(records("alerts", *transitions(senders), timestamp=at + 120_000))
    dispatch.tick(at + 180_000)
    told_now = [orjson.loads(o.value or b"") for o in dispatch.changes().outputs if o.topic == "outbox"]
    assert sorted(message["kind"] for message in told_now) == ["fired", "resolved"]


def test_an_alert_ends_where_only_the_last_record_of_a_finding_is_kept() -> None:
    """A ledger, or compaction, may have let go of the one that said why."""
    senders, said = silent("deals")
    key = EntityFinding("one", {"sender": "crm"}, 0, 4.0, "hours", None, {}).key
    senders.fold([Record(TOPIC, 0, 1, reading(5, 0.1).at, key, None, ())])
    (ended,) = [orjson.loads(one) for one in transitions(senders)]
    assert (ended["incident"], ended["state"]["after"]) == (orjson.loads(said[0])["incident"], "inactive")
    assert senders.current() == []


def test_a_restart_still_knows_who_is_silent() -> None:
    at = reading(0, 0.1).at
    _, said = silent("deals")
    first = DispatchAlerts(everything_to(["console"]))
    first.tick(at)
    first.fold(records("alerts", *said, timestamp=at))
    again = DispatchAlerts(everything_to(["console"]))
    again.restore([(row.key, row.value) for row in first.changes().rows if row.value is not None])
    assert again._state.stale
