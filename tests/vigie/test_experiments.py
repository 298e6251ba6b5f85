"""``vigie experiments evaluate --stdin``: lines in, a line for each look out."""

from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from vigie.__main__ import app

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "VIGIE_CONFIG": ""})


def evaluate(lines: list[Any], *options: str) -> tuple[Result, list[dict[str, Any]]]:
    text = b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines)
    result = RUN.invoke(app, ["experiments", "evaluate", "--stdin", *options], input=text)
    return result, [orjson.loads(line) for line in result.stdout.splitlines()]


def test_tests_beside_each_other_and_one_without_a_name() -> None:
    lines: list[Any] = []
    for case in range(300):
        for variant, won in (("old", case % 10 < 2), ("new", case % 10 < 5)):
            lines += [{"test": "t", "variant": variant, "won": won}, {"variant": variant, "won": case % 10 < 2}]
        lines.append({"test": "only one", "variant": "A", "won": 1})
    lines += [{"test": "t", "look": True}, {"look": True}, {"test": "t", "look": True}, {"test": "only one", "look": True}]
    result, looks = evaluate([*lines, {"test": "empty", "look": True}])
    assert result.exit_code == 0
    assert looks == [
        {"test": "t", "look": 1, "decision": "new", "srm": False, "judged": 600, "left_out": 0},
        {"look": 1, "decision": "none", "srm": False, "judged": 600, "left_out": 0},
        {"test": "t", "look": 2, "decision": "new", "srm": False, "judged": 600, "left_out": 0},
        {"test": "only one", "look": 1, "decision": "none", "srm": True, "judged": 300, "left_out": 0},
        {"test": "empty", "look": 1, "decision": "none", "srm": False, "judged": 0, "left_out": 0},
    ]


def test_deals_are_judged_when_they_are_of_age() -> None:
    lines: list[Any] = [{"deal": str(n), "variant": "AB"[n % 2], "at": n} for n in range(20)]
    lines += [{"deal": str(n), "variant": "AB"[n % 2], "at": n + 8, "won": n % 3 == 0} for n in range(10)]
    result, looks = evaluate([*lines, {"look": True}, {"look": True, "at": 25}])
    assert (result.exit_code, [look["judged"] for look in looks]) == (0, [10, 10])
    _, looks = evaluate([*lines, {"look": True}, {"look": True, "at": 25}], "--maturity", "10")
    assert [look["judged"] for look in looks] == [10, 16]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"variant": "A", ', "one JSON object a line"),
        ({"variant": "A"}, "won: found nothing (accepted: true or false)"),
        ({"variant": "C", "won": True}, 'variant: found "C" (accepted: A or B: a test has two variants)'),
        ({"variant": 3, "won": True}, "variant: found 3 (accepted: the name of a variant)"),
        ({"variant": "A", "won": "yes"}, 'won: found "yes" (accepted: true or false)'),
        ({"variant": "A", "deal": "1", "at": 3}, 'deal: found "1" (accepted: no deal: this test is of outcomes)'),
        ({"variant": "A", "deal": {}, "at": 3}, "deal: found {} (accepted: a deal's id)"),
        ({"test": "x", "variant": "A", "deal": 1}, "at: found nothing (accepted: a number of days)"),
        (
            {"test": "x", "variant": "A", "deal": 1, "at": 1, "won": 7},
            "won: found 7 (accepted: true, false, or null for open again)",
        ),
        ({"test": "x", "variant": 1, "deal": 1, "at": 1}, "variant: found 1 (accepted: the name of a variant)"),
        ({"test": "x", "deal": 1, "at": 1}, "variant: found nothing (accepted: a variant: deal 1 is new)"),
        ({"test": ["x"], "look": True}, 'test: found ["x"] (accepted: a text or a whole number)'),
        ({"look": "yes"}, 'look: found "yes" (accepted: true)'),
        ({"look": True, "at": "noon"}, 'at: found "noon" (accepted: a number of days)'),
    ],
)
def test_a_line_that_cannot_be_used_is_answered_and_stops_nothing(line: Any, said: str) -> None:
    before: list[Any] = [{"variant": "A", "won": True}, {"variant": "B", "won": False}]
    result, (error, look) = evaluate([*before, line, b"", {"look": True}])
    assert result.exit_code == 1
    assert said in error["error"] and error["line"] == 3
    assert look == {"look": 1, "decision": "none", "srm": False, "judged": 2, "left_out": 0}


def test_options_that_mean_nothing_are_refused() -> None:
    for options in (["--maturity", "-1"], ["--ratio", "1"], ["--ratio", "0"]):
        assert evaluate([], *options)[0].exit_code == 2
    assert RUN.invoke(app, ["experiments", "evaluate"]).exit_code == 2
