"""Did the figure move against what was to be expected of it, and has a playbook earned its record?"""

import random
from datetime import date, timedelta
from typing import Any

import pytest

from models.goals.plan import Playbook
from models.goals.playbooks import Run, playbook_document, runs
from tests.models.company import CATALOGUE, Company, at

BOOK = Playbook(name="Call", rules=("leads-drop",), steps=("call",), kpi="leads", days=7)
BEGIN = date(2026, 1, 5)


def company(after: int, weeks: int = 16) -> Company:
    """Some twenty leads a week, and so many in the week after the alert."""
    of, draw, number = Company(), random.Random(5), 0
    for day in range(7 * (weeks + 1)):
        inside = day >= 7 * weeks
        for _ in range(after // 7 if inside else draw.choice((2, 3, 3, 4))):
            number += 1
            of.tell(f"lead.created L{number} {(BEGIN + timedelta(days=day)).isoformat()}T10:00", source="web")
    return of


def one(of: Company, when: str, book: Playbook = BOOK, **run: Any) -> dict[str, Any]:
    moment = at(when)
    of.view.advance(moment)
    fired = Run("i1", "leads-drop", "leads", run.pop("segment", {}), at("2026-04-26T12:00"))
    found: dict[str, Any] = playbook_document(of.view, CATALOGUE, book, [fired._replace(**run)], moment)["runs"][0]
    return found


@pytest.mark.parametrize(("after", "status"), [(70, "better"), (21, "as_expected"), (0, "worse")])
def test_a_figure_is_held_against_what_was_to_be_expected(after: int, status: str) -> None:
    found = one(company(after), "2026-05-05")
    assert (found["status"], found["value"], found["why"]) == (status, after, None)
    assert found["expected"]["low"] < 21 < found["expected"]["high"] and found["due"] == "2026-04-28T12:00:00Z"


def test_by_a_segment_and_by_a_kpi_of_which_less_is_better() -> None:
    assert one(company(70), "2026-05-05", segment={"source": "web"})["status"] == "better"
    assert one(company(70), "2026-05-05", segment={"page": "/x"})["why"] == "leads is not told by page"


@pytest.mark.parametrize(
    ("when", "book", "run", "why"),
    [
        ("2026-05-03", BOOK, {}, "judged from 2026-05-04 on"),
        ("2026-05-05", Playbook(name="x", rules=(), steps=()), {"kpi": None}, "the alert is about no KPI"),
        ("2026-05-05", Playbook(name="x", rules=(), steps=(), kpi="loss_reasons"), {}, "of loss_reasons neither"),
        ("2026-05-26", Playbook(name="x", rules=(), steps=(), kpi="leads", days=28), {}, "4 stretches of 28 days are known"),
        ("2026-05-05", Playbook(name="x", rules=(), steps=(), kpi="win_rate"), {}, ""),
    ],
)  # fmt: skip
def test_why_it_is_not_judged(when: str, book: Playbook, run: dict[str, Any], why: str) -> None:
    found = one(company(21), when, book, **run)
    assert (
        found["status"] in ("too_early", "unknown")
        and found["expected"] is None
        and found["why"]
        and found["why"].startswith(why)
    )


def test_a_record_is_earned_when_it_is_more_than_chance() -> None:
    of = company(70)
    moment = at("2026-05-05")
    of.view.advance(moment)
    many = [Run(f"i{n}", "leads-drop", "leads", {}, at("2026-04-26T12:00")) for n in range(4)]
    record = playbook_document(of.view, CATALOGUE, BOOK, many, moment)["record"]
    assert (record["judged"], record["better"], record["earned"]) == (4, 4, True)
    assert record["low"] > record["by_chance"] == 0.1
    none = playbook_document(of.view, CATALOGUE, BOOK, [], moment)["record"]
    assert (none["runs"], none["share"], none["earned"]) == (0, None, False)


def test_runs_are_the_alerts_that_fired_each_once() -> None:
    def record(incident: str, kind: str, rule: str = "leads-drop") -> dict[str, Any]:
        return {"kind": kind, "rule": rule, "incident": incident, "kpi": "leads", "segment": {}, "at": "2026-04-26T12:00:00Z"}

    found = runs(
        [
            record("b", "resolved"),
            record("b", "fired"),
            record("b", "fired"),
            record("a", "fired", "other"),
            record("a", "fired"),
        ],
        ["leads-drop"],
    )
    assert [one.incident for one in found] == ["b", "a"]


def test_what_an_alert_names() -> None:
    book = Playbook(name="Call", rules=("x",), steps=("one", "two"), owner="Ann", due=3_600_000)
    assert book.todo(0) == {"name": "Call", "steps": ["one", "two"], "owner": "Ann", "due": "1970-01-01T01:00:00Z"}
