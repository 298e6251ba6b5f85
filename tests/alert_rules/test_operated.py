"""What operators do to alerts, on the simulated clock: acknowledging one or a group, links that work once, a first start."""

from typing import Any

from models.calendar import iso
from tests.alert_rules.test_timelines import GROUPED
from tests.alert_rules.timeline import Line

EACH = "route: {receiver: chat, group_by: ['...'], group_wait: 0s, group_interval: 0s, repeat_interval: 1h}"


def test_who_was_told_hears_that_somebody_takes_care_and_that_they_no_longer_do() -> None:
    t = Line(EACH)
    t.at("0s", t.fire("a"))
    t.at("5m", t.ack("a"))
    t.at("6m", t.ack("a"))
    t.at("10m", t.ack("a", "unack"))
    t.at("20m", t.ack("nothing"))
    t.run("30m")
    t.want(("0s", "chat", "fired", "a"), ("5m", "chat", "acknowledged", "a"), ("10m", "chat", "unacknowledged", "a"))
    said = t.said[1].tree
    assert said["acknowledged"] == {"by": "ann", "at": iso(t.start + 300_000)}
    assert (said["message"]["title"], said["why_now"]) == ("ACKNOWLEDGED [WARN] a", "acknowledged by ann")
    assert t.said[2].tree["acknowledged"] is None
    assert [(d["stage"], d["reason"]) for d in t.decisions if d["outcome"] == "refused"] == [
        ("act", "ack by ann: it is so already"),
        ("act", "ack by ann: no such alert stands"),
    ]


def test_a_groups_thread_acknowledges_all_that_it_has_told() -> None:
    t = Line(GROUPED)
    t.at("0s", t.fire("a", team="x"))
    t.at("0s", t.fire("b", team="x"))
    t.at("0s", t.fire("c", team="y"))
    t.run("1m")
    thread = t.said[0].tree["incident"]
    assert t.said[0].about == ("a", "b") and thread not in ("a", "b") and t.fold.stands(thread) and thread in t.fold.threads()
    t.at("61s", t.ack(thread))
    t.at("61s", t.fire("d", team="x"))
    t.run("9h", step=10_000)
    taken = {name: (t.fold.standing(name) or {})["acknowledged"] is not None for name in "abcd"}
    assert taken == {"a": True, "b": True, "c": False, "d": False}, "d was not there yet"
    (said,) = [s for s in t.said if s.kind == "acknowledged"]
    assert [one["acknowledged"] is not None for one in said.tree["alerts"]] == [True, True]


def test_a_link_works_once_across_restarts_until_it_expires() -> None:
    t = Line(EACH)
    link: dict[str, Any] = {"link": "l1", "link_expires": t.start + 3_600_000}
    t.at("0s", t.fire("a"))
    t.at("1m", t.ack("a", **link))
    t.at("2m", t.restart())
    t.at("3m", t.ack("a", "unack"))
    t.at("4m", t.ack("a", **link))  # somebody pressed it again, or sent it on
    t.run("5m")
    assert t.fold.used("l1") and (t.fold.standing("a") or {})["acknowledged"] is None
    assert t.ends() == [("refused", "link", "a")]
    assert t.fold.decisions["refused", "link"] == 1
    t.run("2h", step=60_000)
    assert not t.fold.used("l1"), "it has expired: the door refuses it, nobody need remember it"
    assert [key for key in t.rows if key.startswith(b"link|")] == []


def history(t: Line) -> None:
    """A day before the first start: alerts that came and went, and two that still stand."""
    for n in range(20):
        t.at(f"{n}m", t.fire(f"old{n}"))
        t.at(f"{n}m30s", t.resolve(f"old{n}"))
    t.at("1h", t.fire("a"))
    t.at("2h", t.fire("b", "critical"))


def test_a_first_start_tells_of_the_history_only_what_still_stands() -> None:
    for restarts in (False, True):
        t = Line(EACH, began="1d")
        history(t)
        if restarts:
            t.at("3h", t.restart())
        t.replay("1d")
        t.at("1d10s", t.fire("new"))
        t.at("1d1h", t.resolve("a"))
        t.run("1d2h", step=1000)
        told = [(s.kind, " ".join(s.about)) for s in t.said if s.kind != "repeated"]
        assert sorted(told) == [("fired", "a"), ("fired", "b"), ("fired", "new"), ("resolved", "a")], (restarts, told)
        assert min(s.at for s in t.said) >= 86_400_000
        assert t.ends() == []


def test_a_second_start_tells_what_came_while_nobody_was_there() -> None:
    t = Line(EACH, began="0s")
    t.at("1m", t.fire("a"))
    t.at("2m", t.resolve("a"))
    t.run("5m")
    t.at("6m", t.restart())
    t.at("6m", t.fire("b"))
    t.run("7m")
    assert [(s.kind, " ".join(s.about)) for s in t.said] == [("fired", "a"), ("resolved", "a"), ("fired", "b")]
