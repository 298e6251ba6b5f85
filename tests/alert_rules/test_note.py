"""What a message about a group says: what is new first, the worst in full, the others by name or number."""

from typing import Any

import msgspec
import pytest

from agents.notifiers.email import html
from agents.notifiers.slack_blocks import news
from agents.notifiers.task import TrelloNotifier
from alert_rules.records.alerts import Transition
from alert_rules.records.message import MessageKind, Occasion, read_message
from alert_rules.tell.group_message import LISTED, NAMED, TOLD, group_message
from alert_rules.tell.plan import by_rule
from alert_rules.tell.stages.dedup import Notice
from alert_rules.words.letter import letter
from tests.agents.doubles import about
from tests.alert_rules.timeline import Line


def alert(name: str, since: int = 0, severity: str = "warn", **more: Any) -> dict[str, Any]:
    return {
        "type": "transition",
        "kind": "fired",
        "incident": name,
        "rule": "lead-unanswered",
        "rule_title": "Lead unanswered",
        "severity": severity,
        "since": f"2026-01-01T{since:02}:00:00Z",
        "at": "2026-01-01T12:00:00Z",
        "direction": "above",
        "reason": "5 working hours is above 4 working hours",
        "message": {
            "title": f"[{severity.upper()}] Lead unanswered · {name}: 5 working hours",
            "about": f"Lead unanswered · {name}",
            "headline": "5 working hours",
            "text": f"Lead {name} waits\n\nWhy: it does",
        },
        "explanation": {"behind": [{"id": name, "url": f"https://crm.example/{name}"}]},
    } | more


def told(
    alerts: list[dict[str, Any]], news: dict[str, str], kind: str = "fired", ended: frozenset[str] = frozenset()
) -> dict[str, Any]:
    message = group_message(
        Notice(MessageKind(kind), Occasion(), news), msgspec.convert(alerts, list[Transition]), ended, thread="t", number=1,
        group={"rule": "lead-unanswered"}, route="{}", now=0, receivers=["chat"],
    )  # fmt: skip
    found: dict[str, Any] = msgspec.to_builtins(message)
    return found


def test_in_a_group_of_many_the_new_one_is_named_first_and_the_others_are_counted() -> None:
    old = [alert(f"L-{n}", measured=n) for n in range(55)]
    found = told([*old, alert("L-99", since=11)], {"L-99": "new"})
    assert found["message"]["title"] == "[56 WARN] Lead unanswered"
    assert found["message"]["about"] == "Alerts: Lead unanswered"
    lines = found["message"]["text"].splitlines()
    assert lines[:6] == [
        "56 alerts stand: 1 new.",
        "",
        "• [WARN] L-99: 5 working hours (new)",
        "  Lead L-99 waits",
        "  Why: 5 working hours is above 4 working hours",
        "  https://crm.example/L-99",
    ]
    assert [line for line in lines if line.startswith("•")][1:] == [f"• [WARN] L-{n}: 5 working hours" for n in range(54, 45, -1)]
    assert lines[-1] == "and 46 more"
    assert [one["incident"] for one in found["alerts"]][:2] == ["L-99", "L-54"] and len(found["alerts"]) == LISTED


def test_every_new_one_is_named_as_far_as_a_message_goes() -> None:
    found = told([alert(f"L-{n}") for n in range(NAMED + TOLD + 3)], {f"L-{n}": "new" for n in range(NAMED + TOLD + 3)})
    last = found["message"]["text"].splitlines()[-1]
    assert last.startswith(f"and {NAMED + 3} more: L-") and last.endswith(", and 3 others")
    assert len(last.split(", ")) == NAMED + 1
    assert len(found["message"]["text"]) < 3_000


def test_what_has_changed_is_said_as_it_is() -> None:
    alerts = [alert("A", severity="warn"), alert("B", severity="critical"), alert("C"), alert("D")]
    found = told(alerts, {"A": "less grave", "B": "graver", "C": "ended"}, "upgraded", frozenset("C"))
    lines = found["message"]["text"].splitlines()
    assert lines[0] == "3 alerts stand: 1 graver, 1 less grave, 1 ended."
    assert [line for line in lines if line.startswith("•")] == [
        "• [CRITICAL] B: 5 working hours (graver)",
        "• [WARN] A: 5 working hours (less grave)",
        "• [RESOLVED] C: 5 working hours",
        "• [WARN] D: 5 working hours",
    ]


@pytest.mark.parametrize("kind", ["fired", "repeated"])
def test_who_hears_of_it_for_the_first_time_or_again_hears_of_no_arrow(kind: str) -> None:
    one = alert("A", message=alert("A")["message"] | {"title": "[CRITICAL → WARN] Lead unanswered · A: 5 working hours"})
    found = told([one], {"A": "new"} if kind == "fired" else {}, kind)
    assert found["message"]["title"].removeprefix("STILL ") == "[WARN] Lead unanswered · A: 5 working hours"


def test_transitions_of_before_their_words_had_parts_are_told() -> None:
    old = [{k: v for k, v in alert(n, message={"title": f"[WARN] {n}", "text": "x"}).items() if k != "rule_title"} for n in "AB"]
    found = told(old, {"A": "new"})
    assert found["message"]["title"] == "[2 WARN] Lead unanswered"
    assert "• [WARN] A (new)" in found["message"]["text"]


def test_an_eased_alert_of_a_group_is_not_new() -> None:
    t = Line(by_rule(("chat",)))
    t.at("0s", t.fire("a", "critical"))
    t.at("0s", t.fire("b"))
    t.at("1m", t.fire("a", "warn"))
    t.run("3m")
    assert [(said.kind, [one["news"] for one in said.tree["alerts"]]) for said in t.said] == [
        ("fired", ["new", "new"]),
        ("downgraded", ["less grave", None]),
    ]


def test_who_follows_a_group_in_a_thread_or_a_task_reads_what_is_new() -> None:
    found = told(
        [*(alert(f"L-{n}") for n in range(30)), *(alert(f"N-{n:02}") for n in range(13))], {f"N-{n:02}": "new" for n in range(13)}
    )
    answer = "\n".join(block["text"]["text"] for block in news(about(found))["blocks"])
    assert all(f"N-{n:02}" in answer for n in range(13)) and "L-3" not in answer
    one = about(found)
    comment = TrelloNotifier("t", "t", "p", "{title}", "{text}")._words(one)
    page = html(about(found))
    assert all(f"N-{n:02}" in comment and f"N-{n:02}" in page for n in range(13))
    assert "and 33 more, 3 of them news: N-10, N-11, N-12" in page


def test_a_message_that_was_stored_when_five_were_told_still_tells_five_and_the_rest() -> None:
    stored = told([alert(f"L-{n}") for n in range(56)], {})
    stored["several"]["rest"] = 51
    found = letter(read_message(stored))
    assert len(found.items) == 5 and found.rest == "and 51 more"
    assert len(letter(read_message(told([alert(f"L-{n}") for n in range(56)], {}))).items) == 10
