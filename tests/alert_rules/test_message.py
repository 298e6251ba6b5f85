from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import orjson
import pytest

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.judge.explanation import explanation, no_link
from alert_rules.judge.finding import TOPIC as FINDINGS
from alert_rules.judge.lifecycle import AlertChange, evaluate, orphaned
from alert_rules.judge.rule import Rule
from alert_rules.judge.transition_record import NOBODY, written
from alert_rules.judge.watch_entities import WatchEntities
from alert_rules.records.facts import StateChange
from alert_rules.words.alert import letter
from alert_rules.words.durations import day_of, human, moment, plural, working
from alert_rules.words.parts import Letter
from alert_rules.words.quantities import number
from models.calendar import HOUR_MS, epoch_ms
from models.config.durations import parse
from models.fold import Record
from models.folds.entity_snapshots import LEAD_STATES, LeadState
from models.owners import Owner, Owners
from stream.config.kpi_files import load_catalogue
from tests.alert_rules.readings import reading, rule
from vigie.rule_files import load_rules

RULE = rule(summary="Win rate from {source} is {value:.0%} ({numerator:d} of {denominator:d}), below {threshold:.0%}")


def test_the_whole_message() -> None:
    state, _ = evaluate(RULE, None, reading(0, 0.1))
    _, (fired,) = evaluate(RULE, state, reading(30, 0.1, low=0.04, high=0.231))
    said = words_of(RULE, fired)
    assert said.title == "[CRITICAL] Win rate · source web: 10 %"
    assert said.text.splitlines() == [
        "Win rate from web is 10% (4 of 40), below 15%",
        "",
        "Why: 10 % is below 15 % for 30 min",
        "Value: 10 % (95 % interval 4 % to 23.1 %)",
        "Sample: 40",
        "Window: 7 days, Thu 25 Dec 2025, 00:30 UTC to Thu 1 Jan 2026, 00:30 UTC",
        "Threshold: critical below 15 %, clears at or above 17 %",
        "Since: Thu 1 Jan 2026, 00:00 UTC (30 min)",
        "Runbook: docs/runbooks/win-rate-drop.md",
    ]
    tree = written(RULE, fired)
    assert tree.segment == {"source": "web"}
    assert (tree.kind, tree.state) == ("fired", StateChange("pending", "firing"))
    assert words_of(RULE, fired) == said


def words_of(rule: Rule, transition: AlertChange, people: Owners = NOBODY) -> Letter:
    return letter(written(rule, transition, people=people))


PEOPLE = Owners([Owner("12345", "Ann Lee")])


def test_people_read_names() -> None:
    """An owner and a lead are told by what people call them, with the id where a program or a CRM asks for it."""
    (unanswered,) = [one for one in load_rules(load_catalogue()) if one.id == "lead-unanswered"]
    began = epoch_ms(datetime(2026, 3, 2, 9, tzinfo=UTC))
    watch, alerts = WatchEntities([unanswered]), EvaluateAlerts([unanswered], people=PEOPLE)
    state = LeadState("L-1", "open", began, created=began, owner="12345", source="web", name="Chairs Ltd")
    watch.tick(began)
    watch.fold([Record(LEAD_STATES, 0, 0, began, b"L-1", msgspec.json.encode(state), ())])
    watch.tick(began + 8 * HOUR_MS)
    found = [output for output in watch.changes().outputs if output.topic == FINDINGS]
    alerts.fold([Record(FINDINGS, 0, 0, began + 8 * HOUR_MS, one.key, one.value, ()) for one in found])
    (told,) = [orjson.loads(output.value or b"") for output in alerts.changes().outputs]
    text = told["message"]["text"]
    assert text.startswith("Lead Chairs Ltd (L-1) from web has waited") and "(owner: Ann Lee)" in text
    assert "Name: Chairs Ltd" in text and "Owner: Ann Lee" in text and "1. Chairs Ltd (L-1), Ann Lee" in text
    assert told["segment"] == {"lead": "L-1"} and told["explanation"]["behind"][0]["owner"] == "12345"
    assert "L-1" in told["message"]["title"], "the title stays the same for as long as the incident: the name may change"


def test_an_owners_figure_names_the_owner() -> None:
    by_owner = rule(**{"for": 0, "by": "owner", "summary": "Win rate of {owner} is {value:.0%}"})
    _, (fired,) = evaluate(by_owner, None, reading(0, 0.1, segment={"owner": "12345"}))
    said = words_of(by_owner, fired, people=PEOPLE)
    assert said.title == "[CRITICAL] Win rate · owner Ann Lee: 10 %" and said.text.startswith("Win rate of Ann Lee is 10%")
    assert written(by_owner, fired, people=PEOPLE).segment == {"owner": "12345"}
    assert words_of(by_owner, fired).title == "[CRITICAL] Win rate · owner 12345: 10 %"


def test_what_moved_a_figure_by_owner_names_the_owners() -> None:
    parts: list[dict[str, Any]] = [
        {"segment": "12345", "effect": -0.06},
        {"segment": "9", "effect": 0.01},
        {"others": 3, "effect": 0.02},
    ]
    because = {"moved_by": [{"dimension": "owner", "segments": parts}, {"dimension": "source", "segments": parts}]}
    _, (fired,) = evaluate(rule(**{"for": 0}), None, reading(0, 0.1))
    why = explanation(RULE, fired, because, no_link, PEOPLE)
    assert why is not None
    assert why["moved_by"][0]["segments"] == [parts[0] | {"name": "Ann Lee"}, *parts[1:]]
    assert why["moved_by"][1]["segments"] == parts, "a source of that name is nobody"
    text = letter(written(RULE, fired, why, PEOPLE)).facts_text
    assert "Moved by owner: Ann Lee −6 points; 9 +1 point;" in text and "Moved by source: 12345 −6 points" in text


def test_titles() -> None:
    at_once = rule(**{"for": 0, "by": None, "summary": "{segment}"})
    total: dict[str, Any] = {"segment": {}}
    state, (fired,) = evaluate(at_once, None, reading(0, 0.19, **total))
    state, (up,) = evaluate(at_once, state, reading(1, 0.1, **total))
    _, (resolved,) = evaluate(at_once, state, reading(2, 0.5, **total))
    assert [words_of(at_once, t).title for t in (fired, up, resolved)] == [
        "[WARN] Win rate: 19 %",
        "[WARN → CRITICAL] Win rate: 10 %",
        "[RESOLVED] Win rate: 50 %",
    ]
    assert words_of(at_once, fired).text.startswith("total\n")


def test_the_end_of_a_rule_that_is_gone_needs_no_reading() -> None:
    state, _ = evaluate(rule(**{"for": 0}), None, reading(0, 0.1))
    assert state is not None
    said = words_of(RULE, orphaned(state, state.at + 60_000, "the rule is gone"))
    assert said.title == "[RESOLVED] Win rate · source web"
    assert said.text.startswith("Over after 1 min: the rule is gone\n")
    assert written(RULE, orphaned(state, state.at + 60_000, "the rule is gone")).value is None


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (0.2345, "ratio", "23.4 %"),
        (None, "ratio", "no value"),
        (15_120, "seconds", "4 h 12 min"),
        (1.5, "days", "1 d 12 h"),
        (12_400.4, "money", "12,400 EUR"),
        (1234, "count", "1,234"),
        (31.456, "score", "31.5"),
        (-4, "score", "-4"),
    ],
)
def test_numbers_in_words(value: float | None, unit: str, told: str) -> None:
    assert number(value, unit, "EUR" if unit == "money" else None) == told


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [(0, 0), ("30m", 1_800_000), ("1h30m", 5_400_000), ("250ms", 250), ("1.5h", 5_400_000), ("2w", 1_209_600_000)],
)
def test_durations(text: object, milliseconds: int) -> None:
    assert parse(text) == milliseconds


@pytest.mark.parametrize("text", [30, None, "", "m", "30", "30 m 5", "-5m", "1e3s", True])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse(text)


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [
        (0, "0 ms"),
        (450, "450 ms"),
        (1000, "1 s"),
        (90_000, "1 min 30 s"),
        (3_600_000, "1 h"),
        (90_061_000, "1 d 1 h"),
        (86_405_000, "1 d"),
        (-60_000, "−1 min"),
    ],
)
def test_durations_in_words(milliseconds: float, told: str) -> None:
    assert human(milliseconds) == told


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (0.5, "30 min of working time"),
        (1, "1 working hour"),
        (4.5, "4 working hours 30 min"),
        (9, "1 working day"),
        (11, "1 working day 2 h"),
        (27, "3 working days"),
        (180, "20 working days"),
        (184, "20 working days"),
        (-5, "−5 working hours"),
    ],
)
def test_working_time_is_told_in_days_of_nine_hours(hours: float, told: str) -> None:
    assert working(hours * 3600, 9 * 3600) == told
    assert number(hours * 3600, "working:32400") == told


def test_an_instant_is_told_as_the_clock_on_the_wall_shows_it() -> None:
    at = epoch_ms(datetime(2026, 3, 29, 22, 30, tzinfo=UTC))
    assert moment(at, ZoneInfo("Europe/Paris")) == "Mon 30 Mar 2026, 00:30 CEST"
    assert (day_of(at, UTC), day_of(at, ZoneInfo("America/New_York"))) == ("Sun 29 Mar 2026", "Sun 29 Mar 2026")


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (1.0, "deviations", "1 deviation"),
        (0.01, "points", "1 point"),
        (7, "hours", "7 busy hours"),
        (1, "hours", "1 busy hour"),
        (1.6, "times", "1.6 times the usual"),
    ],
)
def test_one_and_many(value: float, unit: str, told: str) -> None:
    assert number(value, unit) == told


def test_a_summary_counts_with_nouns() -> None:
    with_nouns = rule(min_samples=0, summary="{sample:deal|deals} and {denominator:closed deal|closed deals}")
    state, _ = evaluate(with_nouns, None, reading(0, 0.1))
    _, (fired,) = evaluate(with_nouns, state, reading(30, 0.1, numerator=0.0, denominator=1.0, sample=1.0))
    assert words_of(with_nouns, fired).text.partition("\n")[0] == "1 deal and 1 closed deal"
    assert plural(2, "alert stands", "alerts stand") == "2 alerts stand"
