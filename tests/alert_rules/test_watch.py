"""Single deals and leads: what is measured, when, what is said, and that nothing of it depends on when one looks or restarts."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.judge.finding import TOPIC, EntityFinding
from alert_rules.judge.rule import Known, Rule
from alert_rules.judge.watch_entities import AT_ONCE, LIMITS, PREDICTIONS, WatchEntities
from alert_rules.kinds.win_probability import MOST_ODDS, remember
from alert_rules.parse.rule_file import parse_rules
from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS, epoch_ms
from models.fold import Output, PartitionFold, Record, Row
from models.folds.entity_snapshots import DEAL_STATES, LEAD_STATES, DealState, LeadState
from models.time_intervals import parse_interval, usual
from models.worktime import reach, worked

NOW = epoch_ms(datetime(2026, 3, 2, 9, tzinfo=UTC))  # a Monday
KNOWN = Known({}, intervals=usual("UTC"))
FIRES = {"at": 0, "expect": "warn"}


def tree(**changes: Any) -> dict[str, Any]:
    sound = {
        "id": "one", "entity": "deal", "summary": "{deal}", "runbook": "https://example.com", "amount": {"above": 1000},
        "tests": [
            {"name": "a", "timeline": [{"at": 0, "set": {"amount": 1001}, "expect": "warn"}]},
            {"name": "b", "timeline": [{"at": 0, "expect": "inactive"}]},
        ],
    }  # fmt: skip
    return {key: value for key, value in (sound | changes).items() if value is not None}


def rule(**changes: Any) -> Rule:
    rules, problems = parse_rules({"rules/one.yaml": tree(**changes)}, KNOWN)
    assert not problems, [str(p) for p in problems]
    return rules[0]


STALLED: dict[str, Any] = {"amount": None, "stalled": {"beyond": "p90"}, "warn": {"above": 1}, "critical": {"above": 2}}
UNANSWERED: dict[str, Any] = {
    "entity": "lead",
    "amount": None,
    "unanswered": {"sla": "4h", "hours": "business_hours"},
    "summary": "{lead}",
}
ODDS: dict[str, Any] = {"amount": None, "win_probability": {"fallen": 0.3, "within": "1d"}}
# Their tests in the file are of no matter here.
for each in (STALLED, UNANSWERED, ODDS):
    each["tests"] = [
        {"name": "a", "timeline": [{"at": 0, "expect": "warn"}]},
        {"name": "b", "timeline": [{"at": 0, "expect": "inactive"}]},
    ]


def record(topic: str, key: str, value: Any) -> Record:
    body = None if value is None else value if isinstance(value, bytes) else orjson.dumps(value)
    return Record(topic, 0, 0, NOW, key.encode(), body, ())


def deal(id_: str = "D-1", at: int = NOW, **fields: Any) -> Record:
    fields = {"status": "open", "stage": "demo", "stage_since": at, "created": at, **fields}
    return record(DEAL_STATES, id_, msgspec.json.encode(DealState(id_, changed=at, **fields)))


def lead(id_: str = "L-1", at: int = NOW, **fields: Any) -> Record:
    fields = {"status": "open", "created": at, **fields}
    return record(LEAD_STATES, id_, msgspec.json.encode(LeadState(id_, changed=at, **fields)))


def limits(**stages: int) -> Record:
    return record(LIMITS, "stages", {"stages": {stage: [stay // 2, stay // 2, stay, stay * 2] for stage, stay in stages.items()}})


def odds(win: float, at: int, id_: str = "D-1") -> Record:
    return record(PREDICTIONS, id_, {"deal": id_, "at": at, "win": win})


def said(outputs: list[Output]) -> list[tuple[str, float | None, str | None]]:
    """Of each finding: which, its value, and why it is over."""
    found = [EntityFinding.decode(o.value) for o in outputs if o.topic == TOPIC and o.value is not None]
    return [(next(iter(f.segment.values())), f.value and round(f.value, 2), f.over) for f in found]


def after(watch: WatchEntities, now: int, *records: Record) -> list[tuple[str, float | None, str | None]]:
    watch.tick(now)
    watch.fold(list(records))
    return said(watch.changes().outputs)


def test_it_is_a_fold_of_the_engine() -> None:
    fold: PartitionFold = WatchEntities([])
    assert fold.changes() == ([], [])


def test_an_amount() -> None:
    watch = WatchEntities([rule()])
    assert after(watch, NOW, deal(amount=1001 * 10_000), deal("D-2", amount=999 * 10_000)) == [("D-1", 1001, None)]
    assert after(watch, NOW + 1, deal(amount=1001 * 10_000)) == []
    assert after(watch, NOW + 2, deal(amount=2000 * 10_000)) == [("D-1", 2000, None)]
    assert after(watch, NOW + 3, deal(amount=1)) == [("D-1", 0, "it is no longer so")]
    assert after(watch, NOW + 4, deal(amount=1001 * 10_000), deal(status="lost", amount=1001 * 10_000)) == []


def test_time_alone_takes_a_deal_over_its_limit() -> None:
    watch = WatchEntities([rule(**STALLED)])
    assert after(watch, NOW, limits(demo=10 * DAY_MS), deal(), deal("D-2", stage="call")) == []
    assert after(watch, NOW + 10 * DAY_MS) == []
    assert after(watch, NOW + 10 * DAY_MS + 1) == [("D-1", 1.0, None)]
    assert after(watch, NOW + 15 * DAY_MS) == []
    assert after(watch, NOW + 21 * DAY_MS) == [("D-1", 2.1, None)]
    assert after(watch, NOW + 22 * DAY_MS, deal(stage="proposal", stage_since=NOW + 22 * DAY_MS)) == [
        ("D-1", None, "it has moved on to proposal")
    ]


def test_where_not_so_many_ever_leave_there_is_no_limit() -> None:
    watch = WatchEntities([rule(**STALLED)])
    plateau = record(LIMITS, "stages", {"at": NOW, "stages": {"demo": [DAY_MS, None, None, None]}})
    assert after(watch, NOW, plateau, deal()) == []
    assert after(watch, NOW + 400 * DAY_MS) == [] and watch.refused == 0


def test_a_limit_that_moves_is_news_for_every_deal_of_the_stage() -> None:
    watch = WatchEntities([rule(**STALLED)])
    after(watch, NOW, limits(demo=10 * DAY_MS), deal())
    assert after(watch, NOW + 6 * DAY_MS, limits(demo=5 * DAY_MS)) == []
    assert after(watch, NOW + 6 * DAY_MS + 1000) == [("D-1", 1.2, None)]
    assert after(watch, NOW + 6 * DAY_MS + 2000, limits(demo=8 * DAY_MS)) == []
    assert after(watch, NOW + 6 * DAY_MS + 3000) == [("D-1", 0.75, "it is no longer so")]


def test_the_end_takes_the_record_back() -> None:
    watch = WatchEntities([rule()])
    after(watch, NOW, deal(amount=10**9))
    watch.fold([record(DEAL_STATES, "D-1", None)])
    last, gone = watch.changes().outputs
    assert last.key == gone.key == b"one|deal=D-1"
    assert (EntityFinding.decode(last.value or b"").over, gone.value) == ("it is gone", None)
    assert len(watch) == 0


def test_an_answer_ends_the_waiting_and_nights_do_not_count() -> None:
    watch = WatchEntities([rule(**UNANSWERED)])
    friday = NOW + 4 * DAY_MS + 8 * HOUR_MS  # 17:00
    assert after(watch, friday, lead(at=friday)) == []
    monday = NOW + 7 * DAY_MS
    assert after(watch, monday + 3 * HOUR_MS) == []
    assert after(watch, monday + 3 * HOUR_MS + 1) == [("L-1", 4 * 3600, None)]
    assert after(watch, monday + 4 * HOUR_MS, lead(at=friday, contacted=monday + 4 * HOUR_MS)) == [
        ("L-1", None, "it was answered")
    ]


@pytest.mark.parametrize("fields", [{"status": "converted"}, {"status": "disqualified"}, {"contacted": NOW}])
def test_who_needs_no_answer_is_not_watched(fields: dict[str, Any]) -> None:
    watch = WatchEntities([rule(**UNANSWERED)])
    assert after(watch, NOW, lead(**fields)) == []
    assert len(watch) == 0


def test_the_fall_of_a_probability_within_a_day() -> None:
    watch = WatchEntities([rule(**ODDS)])
    after(watch, NOW, deal(), odds(0.9, NOW))
    hour = HOUR_MS
    assert after(watch, NOW + 20 * hour, odds(0.65, NOW + 20 * hour)) == []
    # The 0.9 of the day before held until 20 hours ago.
    assert after(watch, NOW + 40 * hour, odds(0.55, NOW + 40 * hour)) == [("D-1", 0.35, None)]
    assert after(watch, NOW + 44 * hour) == []
    assert after(watch, NOW + 44 * hour + 1) == [("D-1", 0.1, "it is no longer so")]


def test_what_was_said_before_anything_was_learnt_is_no_height_to_fall_from() -> None:
    watch = WatchEntities([rule(**ODDS)])
    prior = record(PREDICTIONS, "D-1", {"deal": "D-1", "at": NOW, "win": 0.9, "prior": True})
    assert after(watch, NOW, deal(), prior) == []
    assert after(watch, NOW + 1, odds(0.5, NOW + 1)) == []
    assert after(watch, NOW + 2, odds(0.1, NOW + 2)) == [("D-1", 0.4, None)]


def test_a_probability_that_recovers() -> None:
    watch = WatchEntities([rule(**ODDS)])
    after(watch, NOW, deal(), odds(0.9, NOW))
    assert after(watch, NOW + 1, odds(0.5, NOW + 1)) == [("D-1", 0.4, None)]
    assert after(watch, NOW + 2, odds(0.95, NOW + 2)) == [("D-1", 0.0, "it is no longer so")]


STEPS = st.lists(st.tuples(st.integers(1, 400), st.floats(0, 1)), min_size=1, max_size=20)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_what_is_remembered_of_a_probability_is_enough(steps: list[tuple[int, float]]) -> None:
    """Against all of its history: the highest that held at any time within the last so much."""
    within, at = 1000, 0
    kept: list[tuple[int, float]] = []
    history: list[tuple[int, float]] = []
    for gap, win in steps:
        at += gap
        history.append((at, win))
        remember(kept, at, win, within)
        ends = [since for since, _ in history[1:]] + [at + 1]
        highest = max(w for (_, w), end in zip(history, ends, strict=True) if end > at - within)
        kept_ends = [since for since, _ in kept[1:]] + [at + 1]
        assert max(w for (_, w), end in zip(kept, kept_ends, strict=True) if end > at - within) == highest
        assert len(kept) <= MOST_ODDS


def test_the_standing_findings_of_a_rule_are_bounded_and_the_rest_is_counted() -> None:
    watch = WatchEntities([rule()], most=2)
    assert len(after(watch, NOW, *(deal(f"D-{n}", amount=10**9) for n in range(5)))) == 2
    assert watch.beyond["one"] == 3
    after(watch, NOW + 1, record(DEAL_STATES, "D-0", None))
    assert after(watch, NOW + 2, deal("D-4", amount=10**9)) == [("D-4", 100_000, None)]


def test_what_cannot_be_read_is_a_dead_letter() -> None:
    watch = WatchEntities([rule(**ODDS)])
    watch.tick(NOW)
    bad = [
        record(DEAL_STATES, "D-1", b"{"),
        record(DEAL_STATES, "D-2", {"id": 3}),
        record(LIMITS, "stages", {"stages": {"demo": [1]}}),
    ]
    watch.fold([deal(), *bad, odds(70, NOW)])
    outputs = watch.changes().outputs
    assert [o.topic for o in outputs] == ["dead-letters"] * 4
    assert b"win: found 70 (accepted: from 0 to 1)" in (outputs[-1].value or b"")


def test_many_are_looked_at_in_turns() -> None:
    watch = WatchEntities([rule(**STALLED)], most=10_000)
    watch.tick(NOW)
    watch.fold([deal(f"D-{n}") for n in range(AT_ONCE + 10)])
    watch.changes()
    watch.fold([limits(demo=1000)])
    assert len(after(watch, NOW + HOUR_MS)) == AT_ONCE
    assert len(after(watch, NOW + HOUR_MS + 1000)) == 10


EVENTS = st.lists(
    st.tuples(st.integers(0, 5 * HOUR_MS), st.sampled_from(["D-1", "D-2"]), st.sampled_from(["demo", "call", "won", "gone"]),
              st.integers(0, 2000), st.none() | st.floats(0, 1)),
    max_size=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.data())
def test_a_restart_anywhere_changes_nothing(events: list[tuple[int, str, str, int, float | None]], data: Any) -> None:
    rules = [replace(one, id=f"r{n}") for n, one in enumerate((rule(), rule(**STALLED), rule(**ODDS)))]
    straight, restarted = WatchEntities(rules), WatchEntities(rules)
    rows: dict[bytes, bytes] = {}
    heard: list[Output] = []
    again: list[Output] = []

    def keep(changed: list[Row]) -> None:
        for row in changed:
            if row.value is None:
                rows.pop(row.key, None)
            else:
                rows[row.key] = row.value

    now = NOW
    for watch in (straight, restarted):
        watch.tick(now)
        watch.fold([limits(demo=7 * HOUR_MS, call=3 * HOUR_MS)])
    heard += straight.changes().outputs
    first = restarted.changes()
    keep(first.rows)
    again += first.outputs
    for gap, id_, what, amount, win in events:
        now += gap
        records = [record(DEAL_STATES, id_, None) if what == "gone" else deal(id_, now, amount=amount * 10_000,
                   **({"status": "won"} if what == "won" else {"stage": what}))]  # fmt: skip
        records += [] if win is None else [odds(win, now, id_)]
        for watch, into in ((straight, heard), (restarted, again)):
            watch.tick(now)
            watch.fold(records)
            changes = watch.changes()
            into += changes.outputs
            if watch is restarted:
                keep(changes.rows)
        if data.draw(st.booleans()):
            restarted = WatchEntities(rules)
            restarted.restore(list(rows.items()))
    assert again == heard


def test_other_rules_are_held_against_everything_anew() -> None:
    watch = WatchEntities([rule()])
    after(watch, NOW, deal(amount=10**9))
    watch.use([rule(amount={"above": 200_000}, tests=ODDS["tests"])])
    assert after(watch, NOW + 1000) == [("D-1", 100_000, "it is no longer so")]
    watch.use([rule(amount={"above": 500}, tests=ODDS["tests"])])
    assert after(watch, NOW + 2000) == [("D-1", 100_000, None)]
    watch.use([])
    assert after(watch, NOW + 3000) == [("D-1", None, "the rule is no longer there")]


# ── through the evaluation ──


def test_a_finding_lives_as_an_alert() -> None:
    one = rule(summary="{deal} of {owner} in {stage}: {amount}")
    watch, alerts = WatchEntities([one]), EvaluateAlerts([one])

    def run(now: int, *records: Record) -> list[dict[str, Any]]:
        watch.tick(now)
        watch.fold(list(records))
        outputs = watch.changes().outputs
        alerts.fold([Record(TOPIC, 0, 0, now, o.key, o.value, ()) for o in outputs])
        return [orjson.loads(o.value or b"") for o in alerts.changes().outputs]

    (fired,) = run(NOW, deal(amount=5000 * 10_000, owner="ann", sender="crm"))
    assert fired["segment"] == {"deal": "D-1"}
    assert fired["message"]["title"] == "[WARN] Large deal · D-1: 5,000 EUR"
    assert fired["message"]["text"].startswith("D-1 of ann in demo: 5,000 EUR")
    assert fired["against"]["entity"] == {"stage": "demo", "owner": "ann", "amount": 5000, "sender": "crm"}
    assert [(one["id"], one["entity"], one["said"]) for one in fired["explanation"]["behind"]] == [
        ("D-1", "deal", "5,000 EUR, demo, ann")
    ]
    (shown,) = alerts.current()
    assert (shown["rule"], shown["kpi"], shown["state"], shown["value"]) == ("one", None, "firing", 5000)
    (ended,) = run(NOW + MINUTE_MS, deal(status="won", amount=5000 * 10_000))
    assert (ended["kind"], ended["reason"], ended["incident"]) == ("resolved", "it was won", fired["incident"])
    assert alerts.current() == []


# ── business time ──

BERLIN = parse_interval(
    {
        "times": [{"start_time": "01:00", "end_time": "04:00"}, {"start_time": "09:00", "end_time": "24:00"}],
        "location": "Europe/Berlin",
    },
    "UTC",
)[0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40 * 24 * 4), st.integers(1, 6 * 24 * 4), st.booleans())
def test_business_time_against_a_count_of_minutes(start: int, length: int, dst: bool) -> None:
    assert BERLIN is not None
    hours = (BERLIN, *usual("America/New_York")["business_hours"]) if dst else usual("UTC")["business_hours"]
    # Around the night in March in which an hour is missing.
    begin = epoch_ms(datetime(2026, 3, 10, tzinfo=UTC)) + start * 15 * MINUTE_MS
    end = begin + length * 15 * MINUTE_MS
    minutes = sum(any(i.holds(at) for i in hours) for at in range(begin, end, MINUTE_MS))
    assert worked(hours, begin, end) == minutes * MINUTE_MS
    reached = reach(hours, begin, minutes * MINUTE_MS + 1)
    assert reached is not None and worked(hours, begin, reached) == minutes * MINUTE_MS + 1


def test_time_that_never_comes() -> None:
    past = parse_interval({"years": ["2020"]}, "UTC")[0]
    assert past is not None
    assert reach((past,), NOW, 1) is None
    assert worked((), NOW, NOW + 5) == 5
    assert worked((past,), NOW, NOW - 5) == 0


# ── what is refused ──


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"entity": "deals"}, "entity: found 'deals' (did you mean \"deal\"?)"),
        ({"amount": None}, "entity: found nothing to watch of a deal (accepted: one of stalled, unanswered,"),
        ({"stalled": {}}, "entity: found stalled and amount to watch"),
        ({"entity": "lead"}, "amount: is of a deal (accepted with entity: deal)"),
        ({"amount": {"above": "4h"}}, "amount.above: found '4h' (accepted: a number of currency units)"),
        ({"amount": {"above": 0}}, "amount.above: found 0: true of every deal"),
        ({"amount": {"below": 5}}, 'amount.below: unknown key "below"'),
        ({"amount": {}}, "amount: found no threshold (accepted: such as {above: 100000}"),
        ({"warn": {"above": 5}}, "warn: found beside amount.above"),
        ({"kpi": "win_rate"}, 'kpi: unknown key "kpi"'),
        ({"window": "7d"}, 'window: unknown key "window"'),
        ({"where": {"colour": "red"}}, 'where.colour: unknown attribute "colour" of a deal'),
        ({"where": {"stage": []}}, "where.stage: found [] (accepted: a text, or a list of texts)"),
        (STALLED | {"stalled": {"beyond": "p99"}}, "stalled.beyond: found 'p99'"),
        (STALLED | {"warn": {"below": 1}, "critical": None}, "warn: found below (accepted: above)"),
        (STALLED | {"warn": {"above": 1, "clear_below": 0.5}}, "warn.clear_below: a deal or lead is clear at its threshold"),
        (STALLED | {"warn": {"above": 3}}, "critical.above: found 2"),
        (UNANSWERED | {"unanswered": {"sla": "4h", "hours": "office"}}, "unanswered.hours: undefined time interval 'office'"),
        (UNANSWERED | {"unanswered": {"hours": "weekdays"}}, "unanswered: found no threshold"),
        (ODDS | {"win_probability": {"fallen": 30}}, "win_probability.fallen: found 30 (accepted: a fall between 0"),
        (ODDS | {"win_probability": {"fallen": 0.3, "within": 0}}, "win_probability.within: found 0"),
        ({"summary": "{lead}"}, "summary: unknown field {lead} (accepted: amount, campaign, deal"),
        ({"tests": [{"name": "a", "limits": {"demo": "1d"}, "timeline": [FIRES]}]}, "tests[0].limits: found {'demo': '1d'}"),
        ({"tests": [{"name": "a", "timeline": [FIRES | {"set": {"colour": 1}}]}]},
         'tests[0].timeline[0].set.colour: unknown key "colour"'),
        ({"tests": [{"name": "a", "timeline": [FIRES | {"set": {"status": "own"}}]}]},
         "tests[0].timeline[0].set.status: found 'own'"),
    ],
)  # fmt: skip
def test_each_mistake_is_named(changes: dict[str, Any], expected: str) -> None:
    _, found = parse_rules({"rules/one.yaml": tree(**changes)}, KNOWN)
    texts = [str(problem).removeprefix("rules/one.yaml: ") for problem in found]
    assert any(text.startswith(expected) for text in texts), texts


def test_while_history_is_told_nothing_begins_and_what_stands_at_its_end_is_said() -> None:
    watch = WatchEntities([rule(**STALLED)])
    watch.tick(NOW)
    old = NOW - 40 * DAY_MS
    told = [deal(f"D-{i}", at=old) for i in range(30)]
    assert after(watch, NOW + 1000, limits(demo=35 * DAY_MS), *told) == [], "as they were forty days ago"
    moved = [deal(f"D-{i}", at=NOW, stage="offer") for i in range(29)]
    assert after(watch, NOW + 2000, *moved) == []
    assert after(watch, NOW + 60_000) == []
    assert [name for name, *_ in after(watch, NOW + 62_000)] == ["D-29"], "the one that has not moved since"


def test_a_partition_without_state_settles_first_and_one_that_is_restored_does_not() -> None:
    watch = WatchEntities([rule(**STALLED)], settle=60_000)
    old = deal(at=NOW - 40 * DAY_MS)
    assert after(watch, NOW, limits(demo=35 * DAY_MS), old) == []
    watch.fold([old])
    rows = watch.changes().rows
    assert len(after(watch, NOW + 60_000)) == 1
    again = WatchEntities([rule(**STALLED)], settle=60_000)
    again.restore([(row.key, row.value) for row in rows if row.value is not None])
    again.tick(NOW)
    again.fold([limits(demo=35 * DAY_MS)])
    assert len(after(again, NOW + 1)) == 1


def test_a_few_late_facts_are_no_history() -> None:
    watch = WatchEntities([rule(**STALLED)])
    watch.tick(NOW)
    late = [deal(f"D-{i}", at=NOW - 40 * DAY_MS) for i in range(4)]
    assert len(after(watch, NOW + 1000, limits(demo=35 * DAY_MS), *late)) == 4


def test_what_stood_before_history_was_told_still_ends_meanwhile() -> None:
    watch = WatchEntities([rule(**STALLED)])
    watch.tick(NOW)
    assert len(after(watch, NOW + 1, limits(demo=8 * DAY_MS), deal("D-x", at=NOW - 9 * DAY_MS))) == 1
    after(watch, NOW + 2, *[deal(f"D-{i}", at=NOW - 40 * DAY_MS) for i in range(30)])
    assert after(watch, NOW + 3, deal("D-x", at=NOW, stage="offer")) == [("D-x", None, "it has moved on to offer")]


def test_what_was_old_when_it_arrived_begins_nothing_until_it_grows_worse() -> None:
    """Half a year of leads and deals, loaded at once: only what crossed its threshold within the last week is said."""
    watch = WatchEntities([rule(**UNANSWERED), replace(rule(**STALLED), id="two")])
    watch.tick(NOW)
    leads = [lead(f"L-{days}", at=NOW - days * DAY_MS) for days in range(1, 181)]
    deals = [deal(f"D-{days}", at=NOW - days * DAY_MS) for days in range(1, 181)]
    assert after(watch, NOW + 1000, limits(demo=50 * DAY_MS), *leads, *deals) == []
    begun = [name for name, *_ in after(watch, NOW + 62_000)]
    leads_begun = sorted(name for name in begun if name.startswith("L"))
    assert leads_begun == [f"L-{days}" for days in range(3, 10)], "those of the weekend are not due before Monday's afternoon"
    crossed_warn, crossed_critical = range(50, 57), range(100, 107)
    assert sorted(int(name[2:]) for name in begun if name.startswith("D")) == [*crossed_warn, *crossed_critical]
    assert watch.old["two"] == 131 - 14
    assert ("D-99", 2.0, None) in after(watch, NOW + DAY_MS + HOUR_MS), "an old warning that becomes critical here is news"


def test_what_was_old_stays_so_over_a_restart_and_an_event_of_today() -> None:
    watch = WatchEntities([rule()])
    watch.tick(NOW)
    rows: dict[bytes, bytes] = {}

    def step(watch: WatchEntities, now: int, *heard: Record) -> list[tuple[str, float | None, str | None]]:
        watch.tick(now)
        watch.fold(list(heard))
        changes = watch.changes()
        rows.update({row.key: row.value or b"" for row in changes.rows})
        return said(changes.outputs)

    assert step(watch, NOW, deal(at=NOW - 90 * DAY_MS, amount=20_000_000)) == []
    again = WatchEntities([rule()])
    again.restore(list(rows.items()))
    assert step(again, NOW + 1, deal(at=NOW, amount=20_000_000, created=NOW - 90 * DAY_MS)) == [], "somebody has written to it"
    assert step(again, NOW + 2, deal(at=NOW, amount=1)) == []
    assert step(again, NOW + 3, deal(at=NOW, amount=20_000_000)) == [("D-1", 2000, None)], "it has become large here"


def test_rows_of_before_their_first_hearing_was_noted_are_read_and_are_not_old() -> None:
    row = orjson.dumps([msgspec.to_builtins(DealState("D-1", "open", NOW - 90 * DAY_MS, amount=20_000_000)), None, [], {}])
    watch = WatchEntities([rule()])
    watch.restore([(b"d|D-1", row)])
    assert after(watch, NOW) == [("D-1", 2000, None)]


def test_deals_that_change_all_the_time_leave_no_turns_behind() -> None:
    fold = WatchEntities([rule(**STALLED)])
    fold.tick(NOW)
    fold.fold([limits(demo=DAY_MS, offer=DAY_MS)])
    for n in range(60):
        at = NOW + n * MINUTE_MS
        fold.fold([deal(f"D-{m}", at, stage=("demo", "offer")[n % 2]) for m in range(50)])
        fold.tick(at)
        fold.changes()
    assert len(fold._due) == 50 and fold._due.entries <= 2 * 50 + 64
