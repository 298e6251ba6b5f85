import base64
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from models.calendar import iso
from models.fold import Output, Record
from models.kpis.roll_kpis import Wanted
from tests.alert_rules.readings import BASE, reading, records, rule

RULE = rule(**{"for": 0})


def body(*args: Any, **changes: Any) -> bytes:
    return reading(*args, **changes).encode()


def transitions(outputs: list[Output]) -> list[dict[str, Any]]:
    return [orjson.loads(o.value or b"") for o in outputs if o.topic == "alerts"]


def test_a_reading_becomes_an_alert_with_a_row_and_a_transition() -> None:
    fold = EvaluateAlerts([RULE])
    fold.fold(records("readings", body(0, 0.1)))
    changes = fold.changes()
    assert [row.key for row in changes.rows] == [b"win-rate-drop|source=web"]
    (said,) = transitions(changes.outputs)
    assert (said["type"], said["kind"], said["severity"], said["value"]) == ("transition", "fired", "critical", 0.1)
    assert said["message"]["title"] == "[CRITICAL] Win rate · source web: 10 %"
    assert changes.outputs[0].key == said["incident"].encode()
    assert fold.changes() == ([], [])


def test_only_the_rules_readings_count() -> None:
    fold = EvaluateAlerts([RULE])
    others: list[dict[str, Any]] = [{"window": "30d"}, {"segment": {}}, {"segment": {"owner": "Ann"}}, {"kpi": "nps"}]
    fold.fold(records("readings", *[body(0, 0.1, **other) for other in others]))
    assert fold.changes() == ([], [])
    assert fold.wanted == {Wanted("win_rate", "7d", "source")}


def test_the_row_goes_with_the_alert() -> None:
    fold = EvaluateAlerts([RULE])
    fold.fold(records("readings", body(0, 0.1), body(1, 0.5)))
    changes = fold.changes()
    assert [row.value for row in changes.rows] == [None]
    assert [t["kind"] for t in transitions(changes.outputs)] == ["fired", "resolved"]
    assert fold.current() == []


def test_what_people_were_notified_of_ends_for_them_under_a_rule_none_of_whose_steps_has_spoken() -> None:
    """Its one step that had spoken is gone, and another one only waits: what it is to people goes on, or ends, or grows."""
    only = {"tests": [
        {"name": "a", "timeline": [{"at": 0, "value": 0.1, "sample": 20, "expect": "pending"},
                                   {"at": "30m", "value": 0.1, "sample": 20, "expect": "critical"}]},
        {"name": "b", "timeline": [{"at": 0, "value": 0.3, "sample": 20, "expect": "inactive"}]},
    ]}  # fmt: skip
    for later, kinds in (((10, 0.5), ["fired", "resolved"]), ((40, 0.1), ["fired", "upgraded"])):
        fold = EvaluateAlerts([RULE])
        fold.fold(records("readings", body(0, 0.19)))
        fold.use([rule(warn=None, **only)])
        fold.fold(records("readings", body(5, 0.1)))
        assert [(one["state"], one["severity"]) for one in fold.current()] == [("recovering", "warn")]
        fold.fold(records("readings", body(*later)))
        said = transitions(fold.changes().outputs)
        assert [one["kind"] for one in said] == kinds
        assert {one["fired"] for one in said} == {"2026-01-01T00:00:00Z"}


def test_steady_readings_write_nothing() -> None:
    fold = EvaluateAlerts([RULE])
    fold.fold(records("readings", body(0, 0.1)))
    fold.changes()
    fold.fold(records("readings", *[body(n, 0.1) for n in range(1, 50)]))
    assert fold.changes() == ([], [])
    assert fold.current()[0]["at"] == "2026-01-01T00:49:00Z"


def test_what_is_no_reading_is_a_dead_letter() -> None:
    fold = EvaluateAlerts([RULE])
    good = reading(0, 0.1).as_json()
    changes: list[dict[str, Any]] = [
        {"value": "0.1"},
        {"segment": {"a": "b", "c": "d"}},
        {"at": "2026-01-01T00:00:00"},
        {"segment": 3},
        {"kpi": None},
    ]
    bad = [b"{", b"[]", b"\xff", *(orjson.dumps(good | change) for change in changes)]
    fold.fold(records("readings", *bad, body(0, 0.1)))
    outputs = fold.changes().outputs
    dead = [orjson.loads(o.value or b"") for o in outputs if o.topic == "dead-letters"]
    assert len(dead) == len(bad) == fold.refused
    assert [base64.b64decode(d["value"]) for d in dead] == bad
    assert "value: found '0.1' (accepted: a finite number or null)" in dead[3]["detail"]
    assert len(transitions(outputs)) == 1


def test_the_alert_of_a_rule_that_is_gone_ends_and_says_so() -> None:
    fold = EvaluateAlerts([RULE])
    fold.fold(records("readings", body(0, 0.1)))
    rows = [(row.key, row.value) for row in fold.changes().rows if row.value is not None]
    later = EvaluateAlerts([rule(id="other")])
    later.restore(rows)
    later.tick(BASE + 60_000)
    changes = later.changes()
    assert [row.value for row in changes.rows] == [None]
    (said,) = transitions(changes.outputs)
    assert (said["kind"], said["reason"]) == ("resolved", "the rule win-rate-drop is no longer there")
    later.tick(BASE + 120_000)
    assert later.changes() == ([], [])


def test_the_alert_of_a_segment_that_vanishes_ends_and_says_so() -> None:
    fold = EvaluateAlerts([RULE])
    ads = reading(0, 0.1, segment={"source": "ads"})
    fold.fold(records("readings", body(0, 0.1), ads.encode()))
    fold.changes()
    gone = Record("readings", 0, 2, BASE + 60_000, b"win_rate|7d|source=web", None, ())
    fold.fold([gone, gone, gone._replace(key=b"x"), gone._replace(key=None)])
    changes = fold.changes()
    assert [(row.key, row.value) for row in changes.rows] == [(b"win-rate-drop|source=web", None)]
    (said,) = transitions(changes.outputs)
    assert (said["kind"], said["reason"]) == ("resolved", "source=web has no readings any more")
    assert [alert["segment"] for alert in fold.current()] == [{"source": "ads"}]


def test_what_is_shown() -> None:
    fold = EvaluateAlerts([RULE])
    slow = reading(0, 0.19, segment={"source": "ads"})
    fold.fold(records("readings", slow.encode(), body(1, 0.1)))
    first, second = fold.current()
    assert (first["severity"], first["segment"], first["state"]) == ("critical", {"source": "web"}, "firing")
    assert first["summary"] == "Win rate from web is 10%"
    assert second["severity"] == "warn"
    assert fold.counts()["win-rate-drop", "critical", "firing"] == 1
    assert fold.counts()["win-rate-drop", "critical", "pending"] == 0
    restored = EvaluateAlerts([RULE])
    restored.restore([(row.key, row.value) for row in fold.changes().rows if row.value is not None])
    assert restored.current() == fold.current()


STEPS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from([None, 0.1, 0.16, 0.19, 0.21, 0.3]), st.sampled_from(["web", "ads"])),
    max_size=15,
)


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_a_restart_after_every_record_gives_the_same_rows_and_outputs(steps: list[tuple[int, float | None, str]]) -> None:
    waits = rule()
    straight = EvaluateAlerts([waits])
    rows: dict[bytes, bytes] = {}
    at = 0
    for wait, value, source in steps:
        at += wait
        record = records("readings", body(at, value, segment={"source": source}))
        straight.fold(record)
        again = EvaluateAlerts([waits])
        again.restore(rows.items())
        again.fold(record)
        expected, found = straight.changes(), again.changes()
        assert found == expected
        for row in found.rows:
            if row.value is None:
                rows.pop(row.key, None)
            else:
                rows[row.key] = row.value


def test_the_latest_explanation_is_kept_over_a_restart_and_told() -> None:
    behind = [{"id": "D1", "entity": "deal", "what": "lost", "sender": "/crm"}]
    because = {"previous": {"value": 0.3, "from": iso(BASE), "at": iso(BASE)}, "change": -0.2, "behind": behind}
    slow = rule(**{"for": "30m"})

    def link(kind: str, id: str, sender: str) -> str:
        return f"https://crm.example{sender}/{kind}/{id}"

    first = EvaluateAlerts([slow], link)
    first.fold(records("readings", body(0, 0.1, because=because)))
    rows = [(row.key, row.value) for row in first.changes().rows if row.value is not None]

    second = EvaluateAlerts([slow], link)
    second.restore(rows)
    second.fold(records("readings", body(30, 0.1)))

    (fired,) = transitions(second.changes().outputs)
    assert (fired["kind"], fired["explanation"]["change"]) == ("fired", -0.2)
    shown = {"id": "D1", "entity": "deal", "what": "lost", "url": "https://crm.example/crm/deal/D1"}
    assert fired["explanation"]["behind"] == [shown]
    text = fired["message"]["text"]
    assert "Period before: 30 % (Thu 1 Jan 2026, 00:00 UTC to Thu 1 Jan 2026, 00:00 UTC), so −20 points" in text
    assert "1. D1, lost: https://crm.example/crm/deal/D1" in text
    # 4 of 40 at 22 % clear: (4 + 7) of (40 + 7) is 23.4 %, one fewer 21.7 %.
    assert "Resolves: at or above 22 %; no longer critical from 17 % on; that is 7 more cases in a row that go well" in text
    assert second.current()[0]["explanation"]["change"] == -0.2


def test_what_is_only_noted_for_the_history_is_not_explained() -> None:
    fold = EvaluateAlerts([rule(**{"for": "30m"})])
    fold.fold(records("readings", body(0, 0.1, because={"change": -0.2})))
    (pending,) = transitions(fold.changes().outputs)
    assert (pending["kind"], pending["explanation"]) == ("pending", None)


READ = st.lists(
    st.tuples(st.sampled_from("ab"), st.none() | st.floats(0, 1), st.sampled_from([5, 40]), st.integers(0, 30)), max_size=25
)


@settings(max_examples=80, deadline=None)
@given(READ)
def test_readings_that_concern_no_rule_may_end_unread(steps: list[tuple[str, float | None, int, int]]) -> None:
    rules = [RULE, rule(id="above", warn={"above": 0.9, "clear_below": 0.8}, critical=None, tests=ABOVE)]
    quick, whole = EvaluateAlerts(rules), EvaluateAlerts(rules)
    whole._watching.well = lambda value, standing: False  # type: ignore[method-assign]
    minute = 0
    for place, value, sample, gap in steps:
        minute += gap
        record = records("readings", body(minute, value, sample, segment={"source": place}))
        quick.fold(record)
        whole.fold(record)
        assert quick.changes() == whole.changes()
        assert quick.current() == whole.current()


ABOVE = [
    {"name": "fires", "timeline": [{"at": "0m", "value": 0.95, "sample": 20, "expect": "pending"},
                                   {"at": "30m", "value": 0.95, "sample": 20, "expect": "warn"}]},
    {"name": "silent", "timeline": [{"at": "0m", "value": 0.3, "sample": 20, "expect": "inactive"}]},
]  # fmt: skip


def live(minute: float, value: float) -> list[Record]:
    """A reading as it comes: its record is as old as itself."""
    return [Record("readings", 0, 0, BASE + round(minute * 60_000), b"k", body(minute, value), ())]


def test_time_in_which_no_reading_came_does_not_count_towards_for_also_over_a_restart() -> None:
    waits = rule()  # 30 minutes
    fold = EvaluateAlerts([waits], gap=120_000)
    for minute in range(11):
        fold.fold(live(minute, 0.1))
    rows = {row.key: row.value for row in fold.changes().rows}
    assert b"heard" in rows
    again = EvaluateAlerts([waits], gap=120_000)
    again.restore([(key, value) for key, value in rows.items() if value is not None])
    said = []
    for minute in range(300, 330):  # nobody was there for hours, and the first readings may be of a part of the events
        again.fold(live(minute, 0.1))
        said += [(minute, t["kind"]) for t in transitions(again.changes().outputs)]
    assert said == [(320, "fired")]


def test_a_replay_whose_readings_are_hours_apart_counts_all_time() -> None:
    fold = EvaluateAlerts([rule()])
    fold.fold(live(0, 0.1))
    fold.fold(live(360, 0.1))
    assert [t["kind"] for t in transitions(fold.changes().outputs)] == ["pending", "fired"]
