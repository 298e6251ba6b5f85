"""The demonstration's first ten minutes: it begins without an alert, one begins, explains itself, and ends."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.judge.watch_entities import WatchEntities
from alert_rules.words.language import SOURCE, languages
from models.business import Business
from models.events.catalogue import TOPIC_OF
from models.fold import Output, Record
from models.folds.partition import TOPICS, EntityPartition
from models.kpis.roll_kpis import RollKpis
from models.panes.view import View
from models.simulator.live import LiveCompany
from models.simulator.story import BROKEN, CAMPAIGN, OVER, REPAIRED
from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings
from tests.stream.demo import NOW
from vigie.rule_files import load_rules, run_tests
from vigie.simulate import as_demo

STEP = 5_000
SETTINGS = as_demo(Settings())


class Demonstration:
    """The simulated company, the folds, the readings that rules wait for, and what the rules say of them."""

    def __init__(self) -> None:
        business, catalogue = Business(), load_catalogue()
        rules = load_rules(catalogue, SETTINGS.rule_folders, targets=SETTINGS.quotas())
        self.live = LiveCompany(7, NOW)
        self.folds = {name: EntityPartition(name, 0, business) for name in TOPICS}
        self.of = {topic: name for name, topics in TOPICS.items() for topic in topics}
        self.alerts, self.watch = EvaluateAlerts(rules), WatchEntities(rules)
        self.roll = RollKpis(
            View(business), catalogue, self.alerts.wanted, targets=SETTINGS.quotas(), alarm=self.alerts.stand
        )  # fmt: skip
        self.number = 0
        self.said: list[dict[str, Any]] = []

    def take(self, events: Iterable[dict[str, Any]], now: int) -> None:
        """Fold events, and judge at ``now``."""
        sorted_: dict[str, list[Record]] = {name: [] for name in TOPICS}
        for event in events:
            topic = TOPIC_OF[event["type"]]
            sorted_[self.of[topic]].append(self._record(topic, event["subject"].encode(), orjson.dumps(event), now))
        outputs: list[Output] = []
        for name, records in sorted_.items():
            self.folds[name].fold(records)
            outputs += self.folds[name].changes().outputs
        self._hand(outputs, now, {"panes": self.roll, "deal-states": self.watch, "lead-states": self.watch})

    def judge(self, now: int) -> None:
        """Let the time pass, and note what the rules say."""
        self.roll.tick(now)
        self._hand(self.roll.changes().outputs, now, {"readings": self.alerts, "limits": self.watch})
        self.watch.tick(now)
        self._hand(self.watch.changes().outputs, now, {"findings": self.alerts})
        self.alerts.tick(now)
        self.said += [orjson.loads(one.value or b"") for one in self.alerts.changes().outputs if one.topic == "alerts"]

    def _hand(self, outputs: Iterable[Output], now: int, to: dict[str, Any]) -> None:
        for topic, fold in to.items():
            records = [self._record(topic, one.key, one.value or b"", now) for one in outputs if one.topic == topic]
            if records:
                fold.fold(records)

    def _record(self, topic: str, key: bytes, value: bytes, now: int) -> Record:
        self.number += 1
        return Record(topic, 0, self.number, now, key, value, ())


def test_one_alert_begins_explains_itself_and_ends_and_none_stands_at_the_start() -> None:
    demo = Demonstration()
    demo.take(demo.live.history(), NOW)
    demo.roll.live()
    demo.judge(NOW)
    for second in range(STEP // 1000, 601, STEP // 1000):
        now = NOW + 1000 * second
        demo.take(demo.live.step(now), now)
        if not second % 10:
            demo.judge(now)
    told = [one for one in demo.said if one.get("kind") in ("fired", "upgraded", "resolved")]
    assert [(one["kind"], one["rule"], one["segment"]) for one in told] == [
        ("fired", "campaign-bounces", {"campaign": CAMPAIGN}), ("resolved", "campaign-bounces", {"campaign": CAMPAIGN}),
    ], [(one["kind"], one["rule"], one["segment"], one["at"]) for one in told]  # fmt: skip
    began, ended = told
    at = [(datetime.fromisoformat(one["at"]).timestamp() * 1000 - NOW) / 1000 for one in told]
    assert BROKEN < at[0] < REPAIRED + 30 < at[1] < OVER
    assert began["explanation"]["resolves"] and began["numerator"] > 100 and ended["value"] < began["value"]


def test_the_demonstration_s_rules_hold_their_own_tests() -> None:
    rules = load_rules(load_catalogue(), SETTINGS.rule_folders, targets=SETTINGS.quotas())
    assert "campaign-bounces" in {rule.id for rule in rules}
    (ours,) = [rule for rule in rules if rule.id == "campaign-bounces"]
    assert run_tests([ours]) == []
    for language in languages().values():
        assert language.code == SOURCE or {ours.title, ours.summary} <= set(language.tree["sentences"])
