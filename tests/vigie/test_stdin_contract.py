"""What the commands that anybody may try say of input that nobody thought of: line, field, found, accepted."""

from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from vigie.__main__ import app

RUN = CliRunner(env={"NO_COLOR": "1", "VIGIE_CONFIG": ""})
DEALS, SERIES, TESTS, STAYS = ("forecast deals", "forecast series", "experiments evaluate", "kpis survival")


def asked(command: str, *lines: str) -> tuple[list[dict[str, Any]], int]:
    result = RUN.invoke(app, [*command.split(), "--stdin"], input="\n".join(lines))
    return [orjson.loads(line) for line in result.stdout_bytes.splitlines()], result.exit_code


@pytest.mark.parametrize(
    ("command", "line", "where", "found"),
    [
        (DEALS, '{"id": 1, "deals": [{"p": 0.5, "amount": NaN}]}', "deals[0].amount", "NaN"),
        (DEALS, '{"id": 1, "deals": [{"p": 0.5, "amount": 1e400}]}', "deals[0].amount", "Infinity"),
        (SERIES, '{"id": 1, "season": 1, "horizon": 2, "history": [1, -Infinity]}', "history[1]", "-Infinity"),
        (STAYS, '{"id": 1, "times": [1, NaN], "events": [1, 1]}', "times[1]", "NaN"),
        (TESTS, '{"test": 1, "deal": "d", "variant": "A", "at": NaN}', "at", "NaN"),
        (TESTS, '{"tst": 1, "variant": "A", "won": true}', "tst", "1"),
        (TESTS, '{"test": 1, "look": true, "variant": "A", "won": true}', "variant", '"A"'),
        (STAYS, '{"id": 1, "time": [1], "events": [1]}', "time", "[1]"),
    ],
)
def test_the_field_is_named_and_the_next_line_is_answered(command: str, line: str, where: str, found: str) -> None:
    last = {DEALS: "{}", SERIES: '{"season": 1, "horizon": 1, "history": [1, 1]}', TESTS: '{"look": true}'}
    (error, other), code = asked(command, line, "", last.get(command, '{"times": [1], "events": [1]}'))
    assert code == 1 and (error["line"], error["where"], error["found"]) == (1, where, found)
    assert where in error["error"] and "accepted" in error["error"] and "error" not in other
    assert "id" not in line or error["id"] == 1


def test_a_key_that_is_near_to_a_short_one_is_no_slip() -> None:
    assert asked(TESTS, '{"deal": "d", "variant": "A", "at": 1, "date": "2026-01-01"}', '{"look": true}')[1] == 0


def test_no_value_has_its_reason() -> None:
    stays, code = asked(
        STAYS,
        '{"times": [], "events": []}',
        '{"times": [5, 6], "events": [0, 0]}',
        '{"times": [1, 2, 3, 4], "events": [1, 1, 0, 0]}',
    )
    assert code == 0
    assert [one["why"] for one in stays] == [
        ["no times"], ["none of 2 was seen to leave"], ["the curve ends at 0.5: the rest are still there"],
    ]  # fmt: skip
    assert (stays[2]["median"], stays[2]["p75"]) == (2, None)


def test_what_was_decided_of_a_portfolio_is_said() -> None:
    one = '{"id": "a", "p": 0.5, "amount": 5}'
    found, code = asked(
        DEALS, f'{{"deals": [{one}, {one}]}}', '{"groups": [{"n": 0, "won": 3, "lost": 7, "amount": 10}]}',
        '{"target": 5e-8, "deals": [{"p": 0.5, "amount": 1e-7}]}', '{"draws": 100, "deals": [{"p": 1, "amount": 0.004}]}',
    )  # fmt: skip
    assert code == 0
    assert found[0]["why"] == ["deals[1].id: 'a' is there more than once: each counts as a deal of its own"]
    assert found[1]["why"] == ["no open deals: only what is won"]
    assert found[2]["p_target"] == 0.5 and found[3]["p50"] == 0.004, "parts of a cent are no nothing"


def test_what_was_never_wrong_says_so_and_a_line_of_three_is_not_certain() -> None:
    year = ", ".join(map(str, [*range(1, 13)] * 3))
    found, _ = asked(
        SERIES, f'{{"season": 12, "horizon": 2, "history": [{year}]}}', '{"season": 1, "horizon": 1, "history": [1, 2, 3]}'
    )
    assert found[0]["p10"] == found[0]["p90"] == [1, 2] and "never off" in found[0]["why"][-1]
    assert found[1]["p10"][0] < 2.5 and found[1]["p90"][0] > 3.5
