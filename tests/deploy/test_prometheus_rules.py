"""Do Prometheus's rules about Vigie itself fire when they must, on metrics that there are, with something to do?"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tools import program

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/prometheus"
ALERTS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "vigie-alerts.yml").read_text())["groups"][0]["rules"]
RECORDED: list[dict[str, Any]] = yaml.safe_load((FOLDER / "vigie-recording.yml").read_text())["groups"][0]["rules"]


@pytest.mark.prometheus
def test_promtool_s_tests_of_the_rules_pass() -> None:
    command = [program("promtool"), "test", "rules", str(FOLDER / "vigie-alerts.test.yml")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_alert_is_seen_to_fire_in_a_test() -> None:
    tests = yaml.safe_load((FOLDER / "vigie-alerts.test.yml").read_text())["tests"]
    bad = [next(test for test in tests if test["name"] == name) for name in ("a Prometheus without data", "a bad day")]
    samples = [sample for test in bad for sample in test["promql_expr_test"][0]["exp_samples"]]
    seen = {re.search('alertname="(\\w+)"', sample["labels"])[1] for sample in samples}  # type: ignore[index]
    assert seen == {rule["alert"] for rule in ALERTS}


def test_what_they_ask_for_is_exported() -> None:
    code = "\n".join(path.read_text() for path in (*(ROOT / "stream").glob("*metrics.py"), ROOT / "stream" / "collectors.py"))
    recorded = {rule["record"] for rule in RECORDED}
    for rule in (*ALERTS, *RECORDED):
        for name in re.findall(r"vigie[:_][\w:]+", rule["expr"]):
            plain = re.sub("_(total|bucket|count|sum)$", "", name)
            assert name in recorded or f'"{plain}' in code, name


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_each_says_what_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    told = rule["annotations"]
    page, _, anchor = told["runbook_url"].partition("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert len(told["summary"]) > 20 and len(told["description"]) > 20


def test_compose_s_prometheus_has_them() -> None:
    files = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["rule_files"]
    mounts = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["prometheus"]["volumes"]
    assert "./deploy/prometheus:/etc/prometheus/rules:ro" in mounts
    assert {Path(name).name for name in files} <= {path.name for path in FOLDER.iterdir()}
