"""Rules, routes and targets are read anew while the instance runs; what cannot be used changes nothing, and is said."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.tell.dispatch_alerts import DispatchAlerts
from alert_rules.tell.plan import everything_to
from stream.config.settings import Settings, load
from tests.alert_rules.readings import reading, records, rule, tree
from tests.alert_rules.test_evaluator import transitions
from vigie.instance import Instance
from vigie.reload import Reloader


class Place:
    """A folder with settings, rules and an alerting plan, and the instance that has read them."""

    def __init__(self, folder: Path) -> None:
        self.config, self.rules = folder / "vigie.yaml", folder / "rules"
        self.rules.mkdir()
        self.settings()
        self.rule("mine", warn={"below": 0.20, "clear_above": 0.22})
        self.instance = Instance(self.read(), "127.0.0.1:1")
        self.reloader = Reloader(self.instance, self.read, self.config)

    def read(self) -> Settings:
        return load(self.config, environ={})

    def settings(self, **more: Any) -> None:
        known = {"kafka": {"brokers": "127.0.0.1:1", "partitions": 2}, "rule_folders": [str(self.rules)]}
        self.config.write_text(yaml.safe_dump(known | more), "utf-8")

    def rule(self, name: str, **changes: Any) -> None:
        found = tree(id=name, runbook="https://example.com", window="30d", **changes)
        (self.rules / f"{name}.yaml").write_text(yaml.safe_dump(found), "utf-8")

    def threshold(self, name: str = "mine") -> float | None:
        return next((one.ladder[0].threshold for one in self.instance.rules if one.id == name), None)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_sound_files_are_used(place: Place) -> None:
    place.rule("mine", warn={"below": 0.5, "clear_above": 0.6}, critical=None, tests=LOW)
    place.rule("new")
    place.settings(targets=[{"kpi": "sales", "period": "month", "value": 10}], alerting={"route": {"receiver": "console"}})
    assert place.reloader.reload()
    assert (place.threshold(), place.threshold("new")) == (0.5, 0.2)
    assert place.instance.evaluator.rules == tuple(place.instance.rules) == place.instance.watcher.rules
    assert place.instance.dispatcher.plan.route.group_wait == 30_000
    assert place.reloader.warnings() == []


async def test_objectives_and_challenges_are_read_anew_and_what_was_set_over_the_api_stays(place: Place) -> None:
    aim = {"name": "North", "team": "north", "main": {"kpi": "revenue", "target": 1000}, "indicators": [GUARD]}
    place.settings(objectives=[aim])
    assert place.reloader.reload()
    place.instance.roller.plans.put(b"p|north", orjson.dumps({"progress": 0.5}))
    race = {
        "name": "Sprint",
        "kpi": "revenue",
        "from": "2026-11-01",
        "until": "2026-11-30",
        "guards": [{"kpi": "discount_rate", "at_most": 0.5}],
    }
    place.settings(objectives=[aim | {"main": {"kpi": "revenue", "target": 2000}}], challenges=[race])
    assert place.reloader.reload()
    plans = place.instance.roller.plans
    assert [one.main.target for one in plans.objectives] == [2000.0] and [one.id for one in plans.challenges] == ["sprint"]
    assert plans.kept.said["north"].progress == 0.5
    place.settings(objectives=[aim | {"main": {"kpi": "revenues", "target": 1}}])
    assert not place.reloader.reload()
    assert any("objectives[0].main.kpi" in one for one in place.reloader.problems), place.reloader.problems
    assert place.instance.roller.plans.challenges, "nothing has changed"


GUARD = {"kpi": "discount_rate", "guard": True, "at_most": 0.5}
LOW = [
    {"name": "fires", "timeline": [{"at": "0m", "value": 0.1, "sample": 20, "expect": "pending"},
                                   {"at": "30m", "value": 0.1, "sample": 20, "expect": "warn"}]},
    {"name": "silent", "timeline": [{"at": "0m", "value": 0.7, "sample": 20, "expect": "inactive"}]},
]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "rules", "said"),
    [
        ({}, {"kpi": "winrate"}, 'kpi: unknown KPI "winrate" (did you mean "win_rate"?)'),
        ({"alerting": {"route": {"receiver": "consle"}}}, {}, "undefined receiver 'consle' (did you mean \"console\"?)"),
        ({"targets": [{"kpi": "sails", "period": "month", "value": 1}]}, {},
         'targets: sails: unknown KPI "sails" (did you mean "sales"?)'),
        ({"targets": [{"kpi": "sales", "period": "decade", "value": 1}]}, {}, "targets.0.period"),
        ({"targets": [{"kpi": "sales", "period": "month", "value": 1, "for": {"stage": "x"}}]}, {}, 'is not told by "stage"'),
        ({"receivers": [{"name": "other", "type": "console"}]}, {}, "receivers: other: new receivers need a restart"),
        ({"colour": "red"}, {}, "colour"),
    ],
)  # fmt: skip
async def test_what_cannot_be_used_changes_nothing_and_is_said(place: Place, settings: Any, rules: Any, said: str) -> None:
    before = list(place.instance.rules), place.instance.dispatcher.plan
    place.settings(**settings)
    place.rule("mine", warn={"below": 0.19}, **rules)
    assert not place.reloader.reload()
    assert (place.instance.rules, place.instance.dispatcher.plan) == before
    assert any(said in problem for problem in place.reloader.problems), place.reloader.problems
    (line,) = place.reloader.warnings()
    assert line.startswith("rules: the last reload was refused, those before are in force: ")
    place.settings()
    place.rule("mine")
    assert place.reloader.reload()
    assert place.reloader.warnings() == []


async def test_files_are_looked_at(place: Place) -> None:
    assert not place.reloader.look()
    place.rule("mine", warn={"below": 0.1234, "clear_above": 0.22}, critical=None)
    assert place.reloader.look()
    assert not place.reloader.look()
    assert place.threshold() == 0.1234
    (place.rules / "mine.yaml").unlink()
    assert place.reloader.look()
    assert place.threshold() is None


async def test_a_signal_reloads(place: Place) -> None:
    async with place.reloader.running(every=3600):
        place.rule("new")
        os.kill(os.getpid(), signal.SIGHUP)
        for _ in range(100):  # the loop hears of the signal through its own socket
            await asyncio.sleep(0)
            if place.threshold("new") is not None:
                break
        assert place.threshold("new") == 0.2
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


async def test_the_metric_says_so(place: Place) -> None:
    metrics = place.instance.metrics
    metrics.show_reload(lambda: float(not place.reloader.problems), lambda: place.reloader.at / 1000)
    assert "vigie_rules_reload_success 1.0" in (await metrics.scrape(""))[0].decode()
    place.rule("mine", kpi="winrate")
    place.reloader.reload()
    assert "vigie_rules_reload_success 0.0" in (await metrics.scrape(""))[0].decode()


# ── what becomes of alerts that stand ──


def firing(fold: EvaluateAlerts) -> list[str]:
    return [alert["rule"] for alert in fold.current() if alert["state"] == "firing"]


def test_an_alert_goes_on_under_the_new_thresholds() -> None:
    fold = EvaluateAlerts([rule(**{"for": 0})])
    fold.fold(records("readings", reading(0, 0.18).encode()))
    fold.use([rule(warn={"below": 0.3, "clear_above": 0.35}, **{"for": 0})])
    fold.tick(0)
    assert firing(fold) == ["win-rate-drop"]
    fold.fold(records("readings", reading(1, 0.25).encode()))
    assert firing(fold) == ["win-rate-drop"]
    fold.use([rule(**{"for": 0})])
    fold.fold(records("readings", reading(2, 0.25).encode()))
    assert fold.current() == []


@pytest.mark.parametrize(
    ("then", "why"),
    [((), "the rule win-rate-drop is no longer there"), ("90d", "the rule win-rate-drop watches something else now")],
)
def test_an_alert_ends_with_its_rule(then: Any, why: str) -> None:
    fold = EvaluateAlerts([rule(**{"for": 0})])
    fold.fold(records("readings", reading(0, 0.1).encode()))
    fold.changes()
    fold.use([rule(window=then)] if then else [])
    fold.tick(reading(5, 0.1).at)
    (ended,) = transitions(fold.changes().outputs)
    assert (ended["kind"], ended["reason"]) == ("resolved", why)
    assert fold.current() == []


def test_groups_find_the_routes_of_another_plan() -> None:
    alerts = EvaluateAlerts([rule(**{"for": 0})])
    alerts.fold(records("readings", reading(0, 0.1).encode()))
    said = [output.value or b"" for output in alerts.changes().outputs]
    fold = DispatchAlerts(everything_to(["one"]))
    at = reading(0, 0.1).at
    fold.tick(at)
    fold.fold(records("alerts", *said, timestamp=at))
    assert [o.topic for o in fold.changes().outputs].count("outbox") == 1
    fold.use(everything_to(["two"]))
    fold.tick(at + 1000)
    assert [o.topic for o in fold.changes().outputs].count("outbox") == 0  # told once; how it goes on, both will hear
    alerts.fold(records("readings", reading(1, 0.5).encode()))
    fold.fold(records("alerts", *[output.value or b"" for output in alerts.changes().outputs], timestamp=at + 60_000))
    fold.tick(at + 61_000)
    (ended,) = [o for o in fold.changes().outputs if o.topic == "outbox"]
    assert b'"two"' in (ended.value or b"") and b'"one"' in (ended.value or b"")
