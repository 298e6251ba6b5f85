from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from alert_rules.judge.rule import Severity
from stream.config.kpi_files import load_catalogue
from tests.alert_rules.readings import tree
from vigie.rule_files import RulesError, check, load_rules
from vigie.rules import app

RUN = CliRunner()
SHIPPED = load_rules(load_catalogue())


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No vigie.yaml of the developer's is read."""
    monkeypatch.chdir(tmp_path)


def write(folder: Path, name: str, text: str | None = None, **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(yaml.safe_dump(tree(**changes)) if text is None else text, "utf-8")
    return file


def test_check_of_the_shipped_rules() -> None:
    found = RUN.invoke(app, ["check"])
    assert (found.exit_code, found.stdout) == (0, "")
    assert f"{len(SHIPPED)} rules are sound" in found.stderr


def test_test_of_the_shipped_rules() -> None:
    found = RUN.invoke(app, ["test"])
    assert found.exit_code == 0
    count = sum(len(rule.tests) for rule in SHIPPED)
    assert f"{len(SHIPPED)} rules, {count} tests, 0 failures" in found.stderr


#: West and east of Greenwich, by parts of an hour, and across the date line.
ZONES = ("America/New_York", "Europe/Paris", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia")


@pytest.mark.parametrize("zone", ZONES)
def test_the_shipped_rules_hold_in_every_zone(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_BUSINESS__TIMEZONE", zone)
    found = RUN.invoke(app, ["test"])
    assert found.exit_code == 0, found.stderr


def test_the_shipped_rules_hold_with_other_hours(tmp_path: Path) -> None:
    (tmp_path / "vigie.yaml").write_text(
        yaml.safe_dump(
            {
                "receivers": [{"name": "c", "type": "console"}],
                "alerting": {
                    "route": {"receiver": "c"},
                    "time_intervals": [{"name": "business_hours", "time_intervals": [{"weekdays": ["saturday"]}]}],
                },
            }
        ),
        "utf-8",
    )
    found = RUN.invoke(app, ["test"])
    assert found.exit_code == 0, found.stderr


def test_every_problem_of_every_file(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    one = write(folder, "one.yaml", id="one", kpi="winrate", runbook="https://wiki.example.com/one", treshold=1)
    two = write(folder, "two.yaml", "id: two\nid: two\n")
    three = write(folder, "three.yml", "a: [")

    def line(key: str) -> int:
        return next(n for n, text in enumerate(one.read_text().splitlines(), start=1) if text.startswith(key))

    found = RUN.invoke(app, ["check", "--folder", str(folder), "--folder", str(tmp_path / "none")])
    assert found.exit_code == 1
    assert f'{one}:{line("kpi")}: kpi: unknown KPI "winrate" (did you mean "win_rate"?)' in found.stderr
    assert f'{one}:{line("treshold")}: treshold: unknown key "treshold"' in found.stderr
    assert f"{two}:2: id: given twice (accepted: each key once)" in found.stderr
    assert f"{three}: not YAML: " in found.stderr
    assert f"{tmp_path / 'none'}: no such folder" in found.stderr
    assert found.stderr.strip().endswith("11 problems")  # a file with a key twice is read further
    with pytest.raises(RulesError) as error:
        load_rules(load_catalogue(), [folder])
    assert len(error.value.problems) == 10


def test_a_rule_that_fails_its_test(tmp_path: Path) -> None:
    tests = tree()["tests"]
    tests[0]["timeline"][1]["expect"] = "warn"
    write(tmp_path / "mine", "mine.yaml", id="mine", tests=tests, runbook="https://wiki.example.com/mine")
    found = RUN.invoke(app, ["test", "--folder", str(tmp_path / "mine")])
    assert found.exit_code == 1
    assert "mine: fires: at 1800 s: expected warn, found critical" in found.stderr


def test_a_folders_rule_replaces_the_shipped_one(tmp_path: Path) -> None:
    write(tmp_path / "mine", "win-rate-drop.yaml", warn={"below": 0.5}, critical={"below": 0.15, "clear_above": 0.17})
    rules, problems, _ = check(load_catalogue(), [tmp_path / "mine"])
    assert not problems
    (mine,) = [rule for rule in rules if rule.id == "win-rate-drop"]
    step = mine.step(Severity.WARN)
    assert step is not None and step.threshold == 0.5
    assert len(rules) == len(SHIPPED)


def test_two_folders_with_one_id(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, "mine.yaml", id="mine", runbook="https://wiki.example.com/mine")
    problems = check(load_catalogue(), [tmp_path / "a", tmp_path / "b"]).problems
    line = next(n for n, text in enumerate((tmp_path / "b" / "mine.yaml").read_text().splitlines(), 1) if text.startswith("id:"))
    one, two = (tmp_path / name / "mine.yaml" for name in ("a", "b"))
    assert [str(p) for p in problems] == [f"{two}:{line}: id: 'mine' is the id of {one} too (accepted: one file a rule)"]


def test_wrong_usage() -> None:
    assert RUN.invoke(app, ["chek"]).exit_code == 2
    assert RUN.invoke(app, ["check", "--fodler", "x"]).exit_code == 2


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    found = RUN.invoke(app, ["check", "--config", str(tmp_path / "none.yaml")])
    assert found.exit_code == 1
    assert "cannot be read" in found.stderr


def test_all_that_is_wrong_with_rules_plan_and_targets_is_one_list(tmp_path: Path) -> None:
    write(tmp_path / "mine", "mine.yaml", id="mine", runbook="https://wiki.example.com/mine", active="night", window="7x")
    silent, loud = ["severity=critical"], ["severity=warn"]
    config = tmp_path / "vigie.yaml"
    plan = {
        "route": {"receiver": "consle"},
        "time_intervals": [
            {"name": "night", "time_intervals": [{"days_of_month": ["30"], "months": ["february"]}]},
            {"name": "day", "time_intervals": [{"weekdays": ["monday"], "location": "Europe/Pariss"}]},
        ],
    }
    targets = [{"kpi": "revenu", "period": "month", "value": 1}]
    settings = {"rule_folders": [str(tmp_path / "mine")], "alerting": plan, "targets": targets}
    config.write_text(yaml.safe_dump(settings), "utf-8")
    found = RUN.invoke(app, ["check", "--config", str(config)])
    assert found.exit_code == 1
    for said in (
        "alerting.route.receiver: undefined receiver 'consle' (did you mean \"console\"?)",
        "never comes in these months",
        "unknown time zone 'Europe/Pariss' (did you mean \"Europe/Paris\"?)",
        'targets: revenu: unknown KPI "revenu" (did you mean "revenue"?)',
        ": window: unknown window '7x'",
    ):
        assert said in found.stderr, found.stderr
    assert "undefined time interval" not in found.stderr
    assert found.stderr.strip().endswith("5 problems")
    circle = [{"source_matchers": silent, "target_matchers": loud}, {"source_matchers": loud, "target_matchers": silent}]
    config.write_text(yaml.safe_dump({"alerting": {"route": {"receiver": "console"}, "inhibit_rules": circle}}), "utf-8")
    assert "a circle: inhibit_rules[0]" in RUN.invoke(app, ["check", "--config", str(config)]).stderr
