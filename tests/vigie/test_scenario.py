"""vigie rules test FILE: events at times, states and messages."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from vigie.__main__ import app

RUN = CliRunner()
LOST = """
rules: [win-rate-drop, lead-unanswered]
start: 2026-01-05T08:00:00Z
events:
  - {at: 10m, type: deal.created, subject: "D{n}", count: 30, data: {source: web, amount: 500, currency: EUR}}
  - {at: 20m, type: deal.lost, subject: "D{n}", count: 30}
  - {at: 26h, type: deal.won, subject: "W{n}", count: 40, data: {source: web}}
expect:
  - {at: 30m, rule: win-rate-drop, segment: source=web, state: pending}
  - {at: 2h, rule: win-rate-drop, segment: source=web, state: critical, says: "0% (0 of 30 closed deals)"}
  - {at: 2h, rule: win-rate-drop, segment: source=web, says: "1. D0, lost, 500 EUR, on 2026-01-05"}
  - {at: 2h, rule: win-rate-drop, segment: source=ads, state: inactive}
  - {at: 27h, rule: win-rate-drop, segment: source=web, state: inactive, says: "Over after 1 d 2 h: 57.1 % is at or above 17 %"}
"""


def played(tmp_path: Path, text: str) -> tuple[int, str]:
    file = tmp_path / "lost.yaml"
    file.write_text(text)
    found = RUN.invoke(app, ["rules", "test", str(file)])
    return found.exit_code, found.stderr


def test_what_the_rules_say_about_events(tmp_path: Path) -> None:
    assert played(tmp_path, LOST) == (0, "1 files, 5 expectations, 0 failures\n")


def test_what_is_not_met_is_told(tmp_path: Path) -> None:
    code, said = played(tmp_path, LOST.replace("state: critical", "state: warn").replace("0 of 30", "9 of 30"))
    assert code == 1
    assert "win-rate-drop: lost.yaml: at 7200 s: expected warn, found critical" in said
    assert "5 expectations, 2 failures" in said


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("rules: [win-rate-drop,", "rules: [win-rate-dorp,", 'did you mean "win-rate-drop"'),
        ("count: 40", "count: 0", "events[2].count: found 0"),
        ("at: 26h", "at: 26", "events[2].at: not a duration"),
        ("state: pending", "state: sleepy", "expect[0].state: found 'sleepy'"),
        ("rule: win-rate-drop, segment: source=ads", "rule: nps-low, segment: total", "expect[3].rule: found 'nps-low'"),
        ("expect:", "expects:", 'unknown key "expects" (did you mean "expect"?)'),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, before: str, after: str, says: str) -> None:
    code, said = played(tmp_path, LOST.replace(before, after))
    assert (code, says in said) == (1, True), said
