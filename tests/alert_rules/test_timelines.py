"""What people are told, and when, on a simulated clock."""

from datetime import UTC, datetime

import pytest

from alert_rules.tell.plan import by_rule, everything_to
from bench.held import PLANS, dispatch, listing
from models.calendar import epoch_ms
from tests.alert_rules.timeline import Line

GROUPED = """
route:
  receiver: chat
  group_by: [team]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
"""


def test_without_a_plan_everything_is_told_at_once_and_never_again() -> None:
    t = Line()
    t.at("1s", t.fire("a"))
    t.at("2s", t.fire("a", "critical"))
    t.at("3s", t.fire("b"))
    t.at("9s", t.resolve("a"))
    t.at("12h", t.resolve("b"))
    t.run("12h", step=1000)
    t.want(
        ("1s", "chat", "fired", "a"),
        ("2s", "chat", "upgraded", "a"),
        ("3s", "chat", "fired", "b"),
        ("9s", "chat", "resolved", "a"),
        ("12h", "chat", "resolved", "b"),
    )
    # A message about one alert is that alert's transition, in its words.
    assert (t.said[0].tree["incident"], t.said[0].tree["message"]["title"]) == ("a", "[WARN] a")
    assert t.rows == {}


def test_grouping() -> None:
    t = Line(GROUPED)
    t.at("0s", t.fire("a", team="x"))
    t.at("10s", t.fire("b", team="x"))
    t.at("20s", t.fire("c", team="y"))
    t.at("60s", t.fire("d", team="x"))
    t.at("70s", t.resolve("a"))
    t.run("11m")
    t.want(
        ("30s", "chat", "fired", "a b"),
        ("50s", "chat", "fired", "c"),
        ("5m30s", "chat", "fired", "a b d"),
    )
    assert "RESOLVED" in t.said[2].tree["message"]["title"]


def test_repeat() -> None:
    t = Line(GROUPED)
    t.at("0s", t.fire("a"))
    t.at("9h", t.resolve("a"))
    t.run("10h", step=10_000)
    # As in Alertmanager, a repeat comes with the turns of group_interval.
    assert [(s.kind, s.at // 60_000) for s in t.said] == [("fired", 0), ("repeated", 240), ("repeated", 480), ("resolved", 540)]
    assert len({s.tree["id"] for s in t.said}) == 4


def test_what_ends_within_group_wait_is_suppressed_and_says_so() -> None:
    t = Line(GROUPED)
    t.at("0s", t.fire("a"))
    t.at("10s", t.resolve("a"))
    t.run("2m")
    t.want()
    assert t.ends() == [("suppressed", "group", "a")]
    assert t.rows == {}


INHIBITED = """
route: {receiver: chat, group_by: ['...'], group_wait: 5s, group_interval: 1m}
inhibit_rules:
  - {source_matchers: [severity=critical], target_matchers: [severity=warn], equal: [team]}
"""


def test_inhibition() -> None:
    t = Line(INHIBITED)
    t.at("0s", t.fire("crit", "critical", team="x"))
    t.at("0s", t.fire("same", "warn", team="x"))
    t.at("0s", t.fire("other", "warn", team="y"))
    t.at("90s", t.resolve("crit"))
    t.run("4m")
    t.want(
        ("5s", "chat", "fired", "crit"),
        ("5s", "chat", "fired", "other"),
        ("2m5s", "chat", "resolved", "crit"),
        ("2m5s", "chat", "fired", "same"),
    )
    assert t.ends() == [("held", "inhibit", "same")]


def test_silence() -> None:
    t = Line("route: {receiver: chat, group_by: ['...'], group_wait: 1s, group_interval: 10s}")
    t.at("0s", t.silence("s1", "team=x", ends="5m"))
    t.at("1s", t.fire("a", team="x"))
    t.at("1s", t.fire("b", team="y"))
    t.at("20s", t.fire("gone", team="x"))
    t.at("40s", t.resolve("gone"))
    t.run("10m")
    t.want(("2s", "chat", "fired", "b"), ("5m2s", "chat", "fired", "a"))
    assert t.ends() == [("held", "silence", "a"), ("held", "silence", "gone"), ("suppressed", "silence", "gone")]


def test_the_end_of_what_was_told_is_told_once_the_silence_is_over() -> None:
    t = Line("route: {receiver: chat, group_by: ['...'], group_wait: 0s, group_interval: 10s}")
    t.at("0s", t.fire("a", team="x"))
    t.at("20s", t.silence("s1", "team=x", starts="20s", ends="1h"))
    t.at("30s", t.resolve("a"))
    t.at("2m", t.unsilence("s1"))
    t.run("3m")
    t.want(("0s", "chat", "fired", "a"), ("2m", "chat", "resolved", "a"))
    assert t.rows == {}


NIGHT = """
route:
  receiver: chat
  group_wait: 0s
  group_interval: 5m
  routes:
    - matchers: [team=~".+"]
      group_by: ['...']
      mute_time_intervals: [night]
time_intervals:
  - name: night
    time_intervals: [{times: [{start_time: '00:00', end_time: '06:00'}], location: Europe/Paris}]
"""


def at(year: int, month: int, day: int, hour: int, minute: int = 0) -> int:
    return epoch_ms(datetime(year, month, day, hour, minute, tzinfo=UTC))


def test_a_mute_time_ends_by_the_clock_on_the_wall_when_summer_time_begins() -> None:
    for day, hours in ((28, 7), (29, 6)):  # 06:00 in Paris is 05:00 UTC, and 04:00 UTC from 29 March 2026 on
        t = Line(NIGHT, start=at(2026, 3, day, 0) - 2 * 3_600_000)
        t.at("1h30m", t.fire("a", team="x"))  # 00:30 in Paris
        t.run("8h", step=60_000)
        assert [(s.kind, s.at) for s in t.said] == [("fired", hours * 3_600_000)], day
        assert t.ends() == [("held", "mute", "a")]


def test_a_mute_time_lasts_an_hour_longer_when_summer_time_ends() -> None:
    t = Line(NIGHT, start=at(2026, 10, 24, 22))  # midnight in Paris, of the night with 25 hours
    t.at("1m", t.fire("a", team="x"))
    t.run("9h", step=60_000)
    assert [(s.at + 59_999) // 3_600_000 for s in t.said] == [7]


def test_who_configured_nothing_hears_of_a_rule_once_and_then_once_a_minute_at_most() -> None:
    t = Line(by_rule(("chat",)))
    for second in range(5):
        t.at(f"{second}s", t.fire(f"a{second}"))
    t.at("3s", t.fire("b", rule="leads-drop"))
    t.at("30s", t.fire("a5"))
    t.at("40s", t.resolve("a0"))
    t.run("10m")
    t.want(
        ("10s", "chat", "fired", "a0 a1 a2 a3 a4"),
        ("13s", "chat", "fired", "b"),
        ("1m10s", "chat", "fired", "a0 a1 a2 a3 a4 a5"),
    )


def test_what_was_told_by_itself_goes_on_so_when_its_route_groups() -> None:
    t = Line(everything_to(("chat",)))
    t.at("0s", t.fire("a"))
    t.at("1m", lambda: setattr(t, "plan", by_rule(("chat",))))
    t.at("1m", t.restart())
    t.at("2m", t.fire("a", "critical"))
    t.at("2m", t.fire("b"))
    t.at("3m", t.resolve("a"))
    t.run("5m")
    t.want(
        ("0s", "chat", "fired", "a"),
        ("2m", "chat", "upgraded", "a"),
        ("2m10s", "chat", "fired", "b"),
        ("3m", "chat", "resolved", "a"),
    )


LADDER = """
route:
  receiver: chat
  routes:
    - matchers: [severity=critical]
      receivers: ["on_call:sales"]
      group_by: ['...']
      group_wait: 0s
      group_interval: 5m
      repeat_interval: 0
      escalation: sales
on_call:
  sales:
    timezone: Europe/Paris
    rotation: weekly
    handover: monday 09:00
    start: 2026-01-05
    members:
      - {name: ann, receivers: [ann]}
      - {name: bob, receivers: [bob]}
      - {name: cleo, receivers: [cleo]}
escalations:
  sales:
    steps:
      - {after: 15m, receivers: ["on_call:sales+1"]}
      - {after: 30m, receivers: [boss, chat]}
"""


def test_escalation_climbs_until_somebody_takes_care() -> None:
    t = Line(LADDER, start=at(2026, 1, 6, 12))  # ann's week
    t.at("0s", t.fire("a", "critical"))
    t.at("0s", t.fire("b", "critical"))
    t.at("20m", t.ack("b"))
    t.at("50m", t.resolve("a"))
    t.run("55m")
    t.want(
        ("0s", "ann", "fired", "a"),
        ("0s", "ann", "fired", "b"),
        ("15m", "bob", "escalated", "a"),
        ("15m", "bob", "escalated", "b"),
        ("20m", "ann bob", "acknowledged", "b"),
        ("30m", "boss chat", "escalated", "a"),
        ("50m", "ann bob boss chat", "resolved", "a"),
    )
    assert t.said[2].tree["message"]["title"].startswith("ESCALATED")
    assert t.fold.standing("b") == {
        "acknowledged": {"by": "ann", "at": "2026-01-06T12:20:00Z"},
        "held": [],
        "told": ["ann", "bob"],
    }


def test_a_hand_over_between_two_notifications() -> None:
    t = Line(LADDER, start=at(2026, 1, 12, 7, 50))  # 08:50 in Paris on Monday: ann until nine, then bob
    t.at("0s", t.fire("a", "critical"))
    t.at("1s", t.ack("a"))
    t.at("12m", t.fire("b", "critical"))
    t.at("13m", t.ack("b"))
    t.at("20m", t.resolve("a"))
    t.run("26m")
    t.want(
        ("0s", "ann", "fired", "a"),
        ("1s", "ann", "acknowledged", "a"),
        ("12m", "bob", "fired", "b"),
        ("13m", "bob", "acknowledged", "b"),
        ("20m", "bob ann", "resolved", "a"),
    )
    assert t.said[2].tree["why_you"] == {"bob": "sales: bob's turn"}


def test_who_was_told_hears_how_it_goes_on_when_a_graver_route_takes_over() -> None:
    t = Line(
        LADDER.replace("receiver: chat", "receiver: chat\n  group_wait: 0s\n  group_interval: 0s", 1), start=at(2026, 1, 6, 12)
    )
    t.at("0s", t.fire("a"))
    t.at("1m", t.fire("a", "critical"))
    t.at("2m", t.resolve("a"))
    t.run("10m")
    heard = sorted((s.at // 1000, " ".join(s.receivers), s.kind) for s in t.said)
    assert heard == [
        (0, "chat", "fired"),
        (60, "ann", "fired"),
        (60, "chat", "upgraded"),
        (120, "chat", "resolved"),
        (360, "ann", "resolved"),
    ]


def test_a_restart_in_the_middle_changes_nothing() -> None:
    def story(t: Line, restarts: bool) -> Line:
        t.at("0s", t.fire("a", "critical", team="x"))
        t.at("3m", t.fire("b", "critical", team="x"))
        t.at("4m", t.silence("s", "team=y", starts="4m", ends="20m"))
        t.at("5m", t.fire("c", "critical", team="y"))
        t.at("18m", t.ack("a"))
        t.at("40m", t.resolve("a"))
        if restarts:
            for minute in range(1, 60):
                t.at(f"{minute}m30s", t.restart())
        return t.run("1h")

    once, often = (story(Line(LADDER, start=at(2026, 1, 6, 12)), restarts) for restarts in (False, True))
    assert [(s.receivers, s.kind, s.about, s.tree["id"]) for s in once.said] == [
        (s.receivers, s.kind, s.about, s.tree["id"]) for s in often.said
    ]
    assert [s.at // 120_000 for s in once.said] == [s.at // 120_000 for s in often.said]
    assert len(once.said) > 5


def test_a_plan_that_lost_a_route_tells_its_alerts_on_another() -> None:
    t = Line("route: {receiver: chat, routes: [{matchers: [team=x], receiver: mail, group_wait: 0s}]}")
    t.at("0s", t.fire("a", team="x"))
    t.at("1m", t.restart("route: {receiver: chat, group_wait: 0s, group_interval: 1m}"))
    t.at("2m", t.resolve("a"))
    t.run("4m")
    t.want(("0s", "mail", "fired", "a"), ("1m", "chat", "fired", "a"), ("2m", "chat", "resolved", "a"))


def test_acknowledged_alerts_are_not_repeated_and_a_graver_one_is_told() -> None:
    t = Line("route: {receiver: chat, group_by: ['...'], group_wait: 0s, group_interval: 0s, repeat_interval: 1h}")
    t.at("0s", t.fire("a"))
    t.at("90m", t.ack("a"))
    t.at("5h", t.fire("a", "critical"))
    t.run("6h30m", step=10_000)
    assert [(s.at // 60_000, s.kind) for s in t.said] == [
        (0, "fired"),
        (60, "repeated"),
        (90, "acknowledged"),
        (300, "upgraded"),
        (360, "repeated"),
    ]


def test_active_times() -> None:
    t = Line(
        """
route:
  receiver: chat
  routes:
    - {matchers: [team=x], active_time_intervals: [office], group_wait: 0s, group_interval: 10m, repeat_interval: 0}
time_intervals:
  - {name: office, time_intervals: [{weekdays: ['monday:friday'], times: [{start_time: '09:00', end_time: '18:00'}]}]}
""",
        start=at(2026, 1, 2, 17, 30),  # a Friday
    )
    t.at("1h", t.fire("late", team="x"))
    t.run("3d", step=60_000)
    assert [(s.at + at(2026, 1, 2, 17, 30) - at(2026, 1, 5, 9)) // 600_000 for s in t.said] == [0]
    assert t.ends() == [("held", "active", "late")]


def test_ten_thousand_alerts_are_held_and_grouped() -> None:
    t = Line(GROUPED)
    for n in range(10_000):
        t.fire(f"i{n}", team=str(n % 50))()
    t.run("1m", step=1_000)
    assert len(t.said) == 50
    assert {s.at // 1000 for s in t.said} == {30, 31, 32, 33, 34}  # a storm is spread over ticks: none holds the loop for long
    assert sum(len(s.about) for s in t.said) == 50 * 20  # so many are told in full
    assert all(s.tree["more"] == 180 for s in t.said)


WEEK_END = """
route:
  receiver: chat
  group_by: [team]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
  routes:
    - matchers: [severity=critical]
      receivers: ["on_call:sales"]
      group_by: ['...']
      group_wait: 0s
      escalation: sales
    - matchers: [team=night]
      mute_time_intervals: [night]
inhibit_rules:
  - {source_matchers: [severity=critical], target_matchers: [severity=warn], equal: [team]}
time_intervals:
  - {name: night, time_intervals: [{times: [{start_time: '00:00', end_time: '06:00'}], location: Europe/Paris}]}
on_call:
  sales: {rotation: daily, handover: "09:00", start: 2026-03-28, timezone: Europe/Paris,
          members: [{name: ann, receivers: [ann]}, {name: bob, receivers: [bob]}]}
escalations:
  sales: {steps: [{after: 15m, receivers: ["on_call:sales+1"]}, {after: 2h, receivers: [boss]}]}
"""


@pytest.mark.parametrize("restarts", [False, True], ids=["in one go", "restarted every seven minutes"])
def test_a_week_end(restarts: bool) -> None:
    """All of it at once, over the night in which summer time begins. Zero is Saturday, 23:30 in Paris (22:30 UTC)."""
    t = Line(WEEK_END, start=at(2026, 3, 28, 22, 30))
    t.at("0s", t.fire("a", team="x"))
    t.at("10s", t.fire("b", team="x"))
    t.at("5m", t.fire("c", "critical", team="x"))  # explains a and b
    t.at("10m", t.silence("s1", "team=y", starts="10m", ends="1h"))
    t.at("12m", t.fire("d", team="y"))
    t.at("22m", t.ack("c"))
    t.at("45m", t.fire("n", team="night"))  # a quarter past midnight
    t.at("50m", t.fire("gone", team="night"))
    t.at("55m", t.resolve("gone"))
    t.at("3h", t.resolve("c"))
    t.at("7h", t.resolve("a"))
    t.at("7h", t.resolve("b"))
    t.at("7h30m", t.resolve("d"))
    t.at("8h", t.resolve("n"))
    t.at("10h", t.fire("e", "critical", team="z"))  # Sunday, half past ten: ann's day ended at nine
    t.at("10h1m", t.ack("e"))
    if restarts:
        for minute in range(3, 660, 7):
            t.at(f"{minute}m17s", t.restart())
    t.run("10h30m")
    t.want(
        ("30s to 31s", "chat", "fired", "a b"),
        ("5m to 5m1s", "ann", "fired", "c"),
        ("20m to 20m2s", "bob", "escalated", "c"),
        ("22m to 22m1s", "ann bob", "acknowledged", "c"),
        ("1h to 1h5m", "chat", "fired", "d"),
        ("3h to 3h5m", "ann bob", "resolved", "c"),
        ("4h to 4h5m30s", "chat", "repeated", "a b"),
        ("5h to 5h10m", "chat", "repeated", "d"),
        ("5h30m to 5h35m", "chat", "fired", "n"),  # six in the morning comes an hour early
        ("7h to 7h5m", "chat", "resolved", "a b"),
        ("7h30m to 7h35m", "chat", "resolved", "d"),
        ("8h to 8h5m", "chat", "resolved", "n"),
        ("10h to 10h1s", "bob", "fired", "e"),
        ("10h1m to 10h1m1s", "bob", "acknowledged", "e"),
    )
    assert sorted(set(t.ends())) == [
        ("held", "inhibit", "a"),
        ("held", "inhibit", "b"),
        ("held", "mute", "gone"),
        ("held", "mute", "n"),
        ("held", "silence", "d"),
        ("suppressed", "mute", "gone"),
    ]


@pytest.mark.parametrize("plan", PLANS)
def test_ten_thousand_alerts_never_stall_the_fold(plan: str) -> None:
    """The processor's time: a bound far above what is measured (``bench.held``), far below what grows as a square."""
    worst = dispatch(PLANS[plan], 10_000)
    assert {kind: round(ms) for kind, ms in worst.items() if ms > 1_500} == {}


def test_the_list_of_ten_thousand_is_bounded() -> None:
    costs = listing(10_000)
    assert list(costs) == ["list the gravest 500 of 10,000", "count all 10,000"] and max(costs.values()) < 1_500
