"""Until a model is better than the average of the stage, what it says is marked: the reading, its line, alerts, digests."""

import math
from typing import Any

import msgspec
import orjson
import pytest

from alert_rules.records.message import Figure
from alert_rules.words.language import languages
from alert_rules.words.words import Words
from models.calendar import DAY_MS, MINUTE_MS
from models.fold import Record
from models.kpis.reading import UNPROVEN, Reading
from models.learners import words
from models.learners.live_model import read_bulletin
from stream.config.kpi_files import load_catalogue
from tests.models.learners.live import BEGIN, Loop, event
from tests.models.learners.test_live import fact
from vigie import kpi_lines

KPI = "weighted_pipeline_model"


def _reading(loop: Loop, at: int) -> Reading:
    (found,) = load_catalogue().readings(loop.view, at, kpis=[KPI], windows=["day"])
    return found


def _with_deals() -> Loop:
    loop = Loop(interval=30 * DAY_MS)
    for number in range(4):
        loop.send(event(number, fact(0, "created", f"D{number}", amount=10_000 * (number + 1), stage="new")), BEGIN)
    loop.tick(BEGIN + MINUTE_MS)
    return loop


def test_the_weighted_pipeline_says_whether_its_model_is_better_than_the_stages_average() -> None:
    loop = _with_deals()
    found = _reading(loop, BEGIN + 2 * MINUTE_MS)
    assert found.value and found.proven is False
    assert (found.as_json()["proven"], found.as_json()["standing"]) == (False, UNPROVEN)
    assert Reading.decode(found.encode()) == found
    # A model that is better says so of each deal that it is asked about from then on.
    bulletin = read_bulletin(dict(loop.topics["model-snapshots", 0])[b"deal"])
    bulletin.status |= {"proven": True}
    record = Record("model-snapshots", 0, 999, BEGIN, b"deal", msgspec.json.encode(bulletin), ())
    loop.predictors[0].fold([record])
    loop.restart()  # what counts as unproven comes back from the rows
    loop.predictors[0].fold([record])
    loop.predictors[0].tick(BEGIN + 3 * DAY_MS)  # not the one who learns, who would send another
    loop.settle()
    found = _reading(loop, BEGIN + 3 * DAY_MS + MINUTE_MS)
    assert found.value and found.proven is None and "standing" not in found.as_json()


@pytest.mark.parametrize(
    ("language", "said", "in_a_digest"),
    [
        ("en", "not yet better than the stage's average", "(by a model not yet better than the stage's average)"),
        ("fr", "pas encore meilleur que la moyenne de l'étape", "(selon un modèle qui n'est pas encore meilleur"),
    ],
)
def test_people_are_told_in_their_language(language: str, said: str, in_a_digest: str) -> None:
    told = Words(languages()[language])
    assert list(told.explained({"proven": False}, "money", "EUR")) == [("unproven", "", said)]
    assert told.label("unproven").strip(" :\u00a0") in ("The model", "Le modèle")
    assert in_a_digest in told.figure(Figure(kpi=KPI, label="x", value=1.0, unit="money", currency="EUR", unproven=True))
    line = kpi_lines.cells(_reading(_with_deals(), BEGIN + 2 * MINUTE_MS).as_json(), False, told)
    assert said in line[-1]


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (0, "less than a minute"),
        (1 / 1_440, "1 minute"),
        (0.5 / 24, "30 minutes"),
        (1 / 24, "1 hour"),
        (0.1, "2 hours"),
        (1, "1 day"),
        (21, "21 days"),
    ],
)
def test_a_span_is_told_in_the_plural_that_it_takes(days: float, said: str) -> None:
    assert words.tell("log_recent", {"log_recent": math.log1p(days)}, {}) == f"last heard of {said} ago"


@pytest.mark.parametrize(
    ("name", "x", "said"),
    [
        ("stage × visits", {"stage × visits": "offer × 1"}, "stage offer, in it for the first time"),
        ("quarter_month × age", {"quarter_month × age": "0 × 3", "log_age": math.log1p(1)}, "month 1 of the quarter, age 1 day"),
        ("lead", {"lead": "no"}, "no lead is behind it"),
        ("due", {"due": -1.0}, "1 day overdue"),
        ("log_events", {"log_events": 0.0}, "no events"),
    ],
)
def test_codes_are_told_in_words(name: str, x: dict[str, Any], said: str) -> None:
    assert words.tell(name, x, {}) == said


def test_an_answer_always_has_a_reason() -> None:
    loop = _with_deals()
    assert all(orjson.loads(orjson.dumps(said))["why"] for said in loop.predictions.values())
