"""vigie rules backtest: the same alerts as a replay through a broker, and what the report makes of them."""

import random
from pathlib import Path
from typing import Any

import orjson
import yaml
from rich.progress import Progress
from typer.testing import CliRunner

from alert_rules.trial.backtest import GUARDS
from models.calendar import iso
from stream.config.settings import Settings
from vigie.__main__ import app
from vigie.backtest import Backtest
from vigie.replay import replaying
from vigie.stops import ReadingRequest

JANUARY, DAY, HOUR = 1_735_689_600_000, 86_400_000, 3_600_000  # 2025-01-01T00:00:00Z
STEP = "12h"
RULE: dict[str, Any] = {
    "id": "mine",
    "kpi": "win_rate",
    "window": "7d",
    "by": "owner",
    "warn": {"below": 0.5, "clear_above": 0.55},
    "critical": {"below": 0.25, "clear_above": 0.3},
    "for": "1d",
    "min_samples": 3,
    "summary": "Win rate of {owner} is {value:.0%}",
    "runbook": "https://example.com/mine",
    "tests": [
        {"name": "fires", "timeline": [{"at": "1d", "value": 0.1, "sample": 9, "expect": "pending"},
                                       {"at": "2d", "value": 0.1, "sample": 9, "expect": "critical"}]},
        {"name": "silent", "timeline": [{"at": "1d", "value": 0.6, "sample": 9, "expect": "inactive"}]},
    ],
}  # fmt: skip


def history(days: int = 24, seed: int = 7) -> list[dict[str, Any]]:
    """Deals of three owners, of whom one loses everything for a while; some late, some twice, some merged or reopened."""
    dice = random.Random(seed)
    events: list[tuple[int, dict[str, Any]]] = []

    def say(at: int, number: int, kind: str, **data: Any) -> None:
        known = {"specversion": "1.0", "source": "/test", "type": kind, "subject": f"D{number}"}
        event = {**known, "id": f"{kind}-{number}", "time": iso(at), "data": data}
        late = at + dice.choice([0, 0, 0, 2 * DAY])
        events.append((late, event))
        if dice.random() < 0.1:
            events.append((late + HOUR, event))

    for number in range(days * 8):
        at = JANUARY + dice.randrange(days) * DAY + dice.randrange(24) * HOUR
        owner = dice.choice(["ann", "bob", "cem"])
        say(at, number, "deal.created", owner=owner, amount=str(dice.randrange(100, 9000)), currency="EUR", product="box")
        bad = owner == "bob" and JANUARY + 8 * DAY < at < JANUARY + 14 * DAY
        say(at + DAY, number, "deal.lost" if bad or dice.random() < 0.4 else "deal.won")
        if dice.random() < 0.05:
            say(at + 2 * DAY, number, "deal.reopened")
        elif dice.random() < 0.05:
            say(at + 2 * DAY, number, "deal.merged", into=f"D{(number + 1) % (days * 8)}")
    return [event for _, event in sorted(events, key=lambda item: item[0])]


def settings(folder: Path) -> Settings:
    (folder / "mine.yaml").write_text(yaml.safe_dump(RULE))
    return Settings(rule_folders=[folder])


def tried(settings: Settings, events: list[dict[str, Any]], **more: Any) -> Backtest:
    progress = Progress(disable=True)
    bench = Backtest(settings, **more)
    bench.run(((n, orjson.dumps(e), "") for n, e in enumerate(events)), STEP, progress, progress.add_task("judging"))
    return bench


async def test_the_alerts_are_those_of_a_replay_through_a_broker(tmp_path: Path) -> None:
    events, known = history(), settings(tmp_path)
    progress = Progress(disable=True)
    async with replaying(known, ReadingRequest(tick=STEP)) as player:
        lines = ((n, orjson.dumps(e), "") for n, e in enumerate(events))
        await player.play(lines, progress, progress.add_task("replaying"))

    bench = tried(known, events)

    kinds = {orjson.loads(value)["kind"] for value in bench.transitions}
    assert {"pending", "fired", "upgraded", "resolved"} <= kinds, "a history in which this happens"
    assert sorted(map(orjson.loads, player.transitions), key=_order) == sorted(map(orjson.loads, bench.transitions), key=_order)


def _order(transition: dict[str, Any]) -> Any:
    return transition["at"], transition["id"]


def test_a_history_tells_the_same_each_time(tmp_path: Path) -> None:
    known, events = settings(tmp_path), history()

    assert tried(known, events).transitions == tried(known, events).transitions


def test_the_report_says_how_often_how_long_and_what_other_thresholds_would_do(tmp_path: Path) -> None:
    bench = tried(settings(tmp_path), history(), rules=["mine"], with_grid=True)
    (found,) = bench.report(STEP)["rules"]

    bob = next(group for group in found["by_group"] if group["segment"] == "owner=bob")
    assert (found["groups"], found["critical"] >= 1, bob["incidents"] >= 1) == (3, True, True)
    assert found["incidents"] == sum(group["incidents"] for group in found["by_group"])
    assert 0 < found["share_firing"] < 1
    rows = {row["threshold"]: row for row in found["grid"]}
    assert {0.25, 0.5, 0.75} <= set(rows)
    fired = [row[GUARDS[0]]["share_firing"] for row in found["grid"]]
    assert fired == sorted(fired), "the grid goes from the threshold that speaks least to the one that speaks most"
    assert all(row[GUARDS[1]]["share_firing"] >= row[GUARDS[0]]["share_firing"] for row in found["grid"])
    assert sum(row[GUARDS[2]]["incidents"] for row in found["grid"]) < sum(row[GUARDS[0]]["incidents"] for row in found["grid"])


def test_the_command(tmp_path: Path) -> None:
    settings(tmp_path)
    file = tmp_path / "history.jsonl"
    file.write_bytes(b"\n".join(orjson.dumps(e) for e in history(days=10)) + b"\nnot an event\n")
    out = tmp_path / "alerts.jsonl"
    arguments = ["rules", "backtest", "--events", str(file), "--folder", str(tmp_path), "--rule", "mine", "--step", "1d"]

    found = CliRunner().invoke(app, [*arguments, "--by", "total", "--json", "--alerts-out", str(out)])

    assert found.exit_code == 0, found.stderr
    report = orjson.loads(found.stdout)
    assert (report["rejected"], [one["rule"] for one in report["rules"]]) == (1, ["mine"])
    assert report["rules"][0]["groups"] == 1, "the total"
    assert len(out.read_bytes().splitlines()) >= report["rules"][0]["incidents"]
    assert "mine" in CliRunner().invoke(app, [*arguments, "--grid"]).stdout


def test_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_bytes(b"")
    arguments = ["rules", "backtest", "--events", str(file)]

    for wrong, said in (
        (["--rule", "win-rate-dorp"], 'did you mean "win-rate-drop"'),
        (["--step", "1x"], "accepted: a number of h or d"),
        (["--format", "xml"], "accepted: jsonl"),
    ):
        found = CliRunner().invoke(app, [*arguments, *wrong])
        assert (found.exit_code, said in found.stderr) == (2, True), found.stderr
