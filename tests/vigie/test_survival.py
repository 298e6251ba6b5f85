"""``vigie kpis survival --stdin`` on published data, and beside exact fractions."""

import random
from fractions import Fraction
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from models.unusable import UnusableQuestion
from vigie.__main__ import app
from vigie.survival import answer

RUN = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "VIGIE_CONFIG": ""})

# R. G. Miller, Survival Analysis, 1981: weeks of remission of acute myelogenous leukaemia, with and without maintenance.
AML = {"times": [9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161], "events": [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0]}
AML_NOT = {"times": [5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45], "events": [1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]}


def exact(question: dict[str, Any]) -> dict[str, float | None]:
    """The product-limit estimate in fractions, from its definition."""
    times, events = question["times"], question["events"]
    entries = question.get("entries") or [0] * len(times)
    share = Fraction(1)
    found: dict[str, float | None] = {"median": None, "p25": None, "p75": None}
    for at in sorted({time for time, event in zip(times, events, strict=True) if event}):
        there = sum((entry < at or not entry) and time >= at for entry, time in zip(entries, times, strict=True))
        left = sum(
            bool(event) and time == at and (entry < at or not entry)
            for entry, time, event in zip(entries, times, events, strict=True)
        )
        share *= 1 - Fraction(left, there) if left else 1
        for name, level in (("median", Fraction(1, 2)), ("p25", Fraction(3, 4)), ("p75", Fraction(1, 4))):
            if share <= level and found[name] is None:
                found[name] = at
    return found


def told(question: dict[str, Any]) -> dict[str, float | None]:
    """The quantiles, and a reason where one has no value."""
    found = answer(question)
    assert ("why" in found) == (None in found.values())
    return {name: value for name, value in found.items() if name != "why"}


def test_published_data() -> None:
    assert told(AML) == {"median": 31, "p25": 18, "p75": 48}
    assert told(AML_NOT) == {"median": 23, "p25": 8, "p75": 33}


def test_the_curve_at_exactly_a_half() -> None:
    assert told({"times": [1, 2, 3, 4], "events": [1, 1, 1, 1]}) == {"median": 2, "p25": 1, "p75": 3}
    # One at a time: 50,000 factors, of which few are floats.
    many = list(range(1, 100_001))
    assert told({"times": many, "events": [1] * len(many)}) == {"median": 50_000, "p25": 25_000, "p75": 75_000}
    # One is censored between: the curve goes on from 6/8 by factors of others.
    tied = {"times": [1, 2, 2.5, 3, 4, 5, 6, 7], "events": [1, 1, 0, 1, 1, 1, 1, 1]}
    assert told(tied) == exact(tied)


def test_nobody_or_too_few_left() -> None:
    nothing = {"median": None, "p25": None, "p75": None}
    assert told({"times": [], "events": []}) == nothing
    assert told({"times": [3, 4], "events": [0, 0]}) == nothing
    assert told({"times": [1, 2, 3, 9], "events": [1, 1, 0, 0]}) == {"median": 2, "p25": 1, "p75": None}
    assert told({"times": [0, 0, 5, 6], "events": [1, 1, 0, 0]}) == {"median": 0, "p25": 0, "p75": None}


def test_who_was_not_yet_seen_does_not_count() -> None:
    seen = {"times": [1, 4, 10, 10, 10, 10], "events": [1, 1, 0, 0, 0, 0], "entries": [0, 0, 3, 3, 3, 3]}
    assert told(seen) == {"median": 1, "p25": 1, "p75": None}
    assert told({**seen, "entries": None}) == {"median": None, "p25": 4, "p75": None}
    assert told({"times": [2, 5, 6], "events": [1, 1, 1], "entries": [0, 0, 5]}) == {"median": 2, "p25": 2, "p75": 5}


@pytest.mark.parametrize("seed", range(4))
def test_the_same_as_in_fractions(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(250):
        number = draw.randrange(1, 14)
        scale = draw.choice((1, 0.1, 7))
        entries = [draw.randrange(6) * scale * draw.choice((0, 1)) for _ in range(number)]
        question = {
            "times": [entry + draw.randrange(8) * scale for entry in entries],
            "events": [draw.randrange(2) for _ in range(number)],
            "entries": entries if draw.random() < 0.6 else None,
        }
        assert told(question) == exact(question), question


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({}, "times: found nothing (accepted: a list of numbers of 0 or more)"),
        ({"times": [1, -2], "events": [1, 1]}, "times[1]: found -2 (accepted: numbers of 0 or more)"),
        ({"times": [1, True], "events": [1, 1]}, "times[1]: found true (accepted: numbers of 0 or more)"),
        ({"times": [1, 2], "events": [1]}, "events: found [1] (accepted: 2 of 1 (left) or 0 (still there), one for each time)"),
        ({"times": [1], "events": [2]}, "events: found [2] (accepted: 1 of 1 (left) or 0 (still there), one for each time)"),
        ({"times": [1], "events": [1], "entries": [2]}, "entries[0]: found 2 (accepted: at most the time, which is 1)"),
        ({"times": [1], "events": [1], "entries": [1, 1]}, "entries: found [1,1] (accepted: a list of 1 numbers of 0 or more)"),
    ],
)
def test_what_is_wrong_is_said(question: dict[str, Any], said: str) -> None:
    with pytest.raises(UnusableQuestion) as error:
        answer(question)
    assert str(error.value) == said


def test_lines_in_lines_out_and_a_bad_one_stops_nothing() -> None:
    lines = [
        orjson.dumps({"id": "aml", **AML}),
        b"{",
        b"",
        b"[1]",
        orjson.dumps({"id": 7, "times": 3}),
        orjson.dumps({"id": None, **AML_NOT}),
    ]
    result = RUN.invoke(app, ["kpis", "survival", "--stdin"], input=b"\n".join(lines))
    assert result.exit_code == 1
    first, broken, other, wrong, last = (orjson.loads(line) for line in result.stdout.splitlines())
    assert first == {"id": "aml", "median": 31, "p25": 18, "p75": 48}
    assert last == {"id": None, "median": 23, "p25": 8, "p75": 33}
    assert broken["error"].startswith('line 2: found "{" (accepted: one JSON object a line')
    assert other["error"] == 'line 4: found "[1]" (accepted: one JSON object a line)'
    assert (wrong["id"], wrong["line"], wrong["where"], wrong["found"]) == (7, 5, "times", "3")
    assert RUN.invoke(app, ["kpis", "survival"]).exit_code == 2
    assert RUN.invoke(app, ["kpis", "survival", "--stdin"], input=orjson.dumps(AML)).exit_code == 0
