"""Alerts of how tests, objectives, challenges and customers stand: once each, and ended when it is no longer so."""

from typing import Any

import orjson
import pytest

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.judge.finding import TOPIC
from alert_rules.judge.watch_standings import WatchStandings
from models.calendar import DAY_MS
from models.fold import Record
from models.goals.plan import Playbook
from stream.config.kpi_files import load_catalogue
from vigie.rule_files import load_rules

RULES = load_rules(load_catalogue())
NOW = 1_767_225_600_000  # 2026-01-01
DECIDED = {"name": "s", "decision": "B", "decided": "2026-01-01", "evidence": 30.0, "srm": False, "variants": [], "guards": []}
QUIET = {"customer": "C1", "name": "Acme", "left": "champions", "joined": "at risk", "worth": 40000.0, "quiet_days": 61}


class Chain:
    """The watch and the evaluation behind it."""

    def __init__(self) -> None:
        self.watch, self.alerts = WatchStandings(RULES), EvaluateAlerts(RULES)
        self.rows: dict[bytes, bytes | None] = {}
        self.letters = 0

    def say(self, key: str, standing: Any, now: int = NOW) -> list[str]:
        self.watch.tick(now)
        value = None if standing is None else standing if isinstance(standing, bytes) else orjson.dumps(standing)
        self.watch.fold([Record("standings", 0, 0, now, key.encode(), value, ())])
        return self.settled(now)

    def settled(self, now: int) -> list[str]:
        self.watch.tick(now)
        changes = self.watch.changes()
        self.rows |= {row.key: row.value for row in changes.rows}
        self.letters += sum(output.topic == "dead-letters" for output in changes.outputs)
        found = [Record(TOPIC, 0, 0, now, o.key, o.value, ()) for o in changes.outputs if o.topic == TOPIC]
        self.alerts.fold(found)
        return [orjson.loads(o.value or b"")["message"]["title"] for o in self.alerts.changes().outputs]

    def restarted(self) -> None:
        self.watch = WatchStandings(RULES)
        self.watch.restore((key, value) for key, value in self.rows.items() if value is not None)


def test_a_decision_is_told_once_over_repeats_and_restarts_and_ends_after_two_weeks() -> None:
    chain = Chain()
    (title,) = chain.say("experiment|s", DECIDED)
    assert title.startswith("[WARN] Test decided · s")
    assert chain.say("experiment|s", DECIDED, NOW + 60_000) == []
    chain.restarted()
    assert chain.say("experiment|s", DECIDED, NOW + 120_000) == []
    (title,) = chain.settled(NOW + 15 * DAY_MS)
    assert title.startswith("[RESOLVED]") and not chain.alerts.current()


def test_customers_that_are_no_longer_among_those_told_are_so_no_longer() -> None:
    chain = Chain()
    (title,) = chain.say("customers", {"customers": [QUIET, QUIET | {"customer": "C2", "worth": 100.0}]})
    assert "40,000 EUR" in title and "C1" in title
    chain.restarted()
    (title,) = chain.say("customers", {"customers": []})
    assert title.startswith("[RESOLVED]") and not chain.alerts.current()


def test_what_is_gone_ends_and_who_is_behind_is_told_of_no_single_person() -> None:
    chain = Chain()
    behind = {
        "name": "North",
        "of": {"team": "north"},
        "state": "behind",
        "main": {"pace": 0.5, "progress": 0.2},
        "period": "month",
    }
    assert len(chain.say("objective|north", behind)) == 1
    assert chain.say("objective|ann", behind | {"of": {"owner": "ann"}}) == []
    assert chain.say("objective|north", None)[0].startswith("[RESOLVED]")
    annulled = {
        "name": "Sprint",
        "annulled": {"on": "2026-01-01", "kpi": "discount_rate", "label": {"en": "Discount rate", "fr": "Taux de remise"}},
    }
    assert chain.say("challenge|t", annulled | {"dry_run": True}) == [] and len(chain.say("challenge|s", annulled)) == 1


@pytest.mark.parametrize(
    "value", [b"{", b"[]", orjson.dumps(DECIDED | {"evidence": "x"}), orjson.dumps(DECIDED | {"decided": 7})]
)
def test_what_cannot_be_read_is_a_dead_letter_and_stops_nothing(value: bytes) -> None:
    chain = Chain()
    assert chain.say("experiment|x", value) == [] and chain.letters == 1
    assert chain.say("weather|x", b"{}") == [] and chain.letters == 2
    assert len(chain.say("experiment|s", DECIDED)) == 1


def test_an_alert_names_what_is_to_be_done_until_it_ends() -> None:
    chain = Chain()
    book = Playbook(name="Call", rules=("customer-quiet",), steps=("Call without an offer",), owner="Ann")
    chain.alerts = EvaluateAlerts(RULES, playbooks=[book])
    chain.watch.tick(NOW)
    chain.watch.fold([Record("standings", 0, 0, NOW, b"customers", orjson.dumps({"customers": [QUIET]}), ())])
    found = [Record(TOPIC, 0, 0, NOW, o.key, o.value, ()) for o in chain.watch.changes().outputs]
    chain.alerts.fold(found)
    (record,) = [orjson.loads(o.value or b"") for o in chain.alerts.changes().outputs]
    assert record["explanation"]["playbook"] == book.todo(NOW)
    assert "To do: 1. Call without an offer (Ann, by 3 Jan 2026)" in record["message"]["text"]


def test_what_holds_for_a_while_is_said_and_what_does_not_is_not() -> None:
    chain = Chain()
    chain.watch = WatchStandings(RULES, hold=15 * 60_000)
    behind = {
        "name": "North",
        "of": {"team": "north"},
        "state": "behind",
        "main": {"pace": 0.5, "progress": 0.2},
        "period": "month",
    }
    assert chain.say("objective|north", behind) == [] and chain.settled(NOW + 14 * 60_000) == []
    assert chain.say("objective|north", behind | {"state": "on_track"}, NOW + 14 * 60_000 + 1) == []
    assert chain.say("objective|north", behind, NOW + 16 * 60_000) == [] and chain.settled(NOW + 30 * 60_000) == []
    assert len(chain.settled(NOW + 31 * 60_000)) == 1 and chain.settled(NOW + 32 * 60_000) == []
