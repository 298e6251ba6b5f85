"""What becomes of all that the release before this one's features has stored: model, questions, examples?

``golden/deal-34-10.json`` was written by it: a model, three questions with what it said of them, the row of an open deal, and
three examples.
"""

import math
from pathlib import Path
from typing import Any

import orjson
import pytest

from models.business import Business
from models.learners import examples, snapshot
from models.learners.features import CATEGORIES, NUMBERS, DealPast, Features
from models.learners.live_kinds import DEALS
from models.learners.live_model import checked
from models.learners.live_predict import PredictPartition
from models.learners.trainer import Trainer

FOUND: dict[str, Any] = orjson.loads((Path(__file__).parent / "golden" / "deal-34-10.json").read_bytes())


def document() -> bytes:
    return orjson.dumps({**FOUND["document"], "river": snapshot.RIVER})


def questions() -> list[Features]:
    return [{name: math.nan if value is None else value for name, value in x.items()} for x in FOUND["questions"]]


def _numbers(said: Any) -> list[float]:
    return [said.win, said.within, said.low, said.median, said.high, said.expected, said.blended]


def test_a_stored_model_says_to_1e_12_what_it_said() -> None:
    model = checked(document(), DEALS.known)
    bank = model.experts.bank
    assert [*bank.categories, *bank.numbers] == [*DEALS.known.scored, *DEALS.known.scored_numbers]
    assert bank.lessons == FOUND["document"]["state"]["scores"]["lessons"][0] > 30
    for x, said in zip(questions(), FOUND["said"], strict=True):
        assert _numbers(model.predict_one(x)) == pytest.approx(said, abs=1e-12)
        more = {**DealPast(0).features(0), **x}  # with the features that came since, of which it has learnt nothing
        assert _numbers(model.predict_one(more)) == pytest.approx(said, abs=1e-12)


def test_a_widened_model_is_written_and_read_again() -> None:
    once = snapshot.dump(checked(document(), DEALS.known))
    assert snapshot.dump(checked(once, DEALS.known)) == once


def test_a_stored_question_is_asked_under_the_features_of_now() -> None:
    fold = PredictPartition(DEALS, 0, Business())
    (name, row) = next(iter(FOUND["rows"].items()))
    fold.restore([(name.encode(), orjson.dumps(row))])
    tracked = fold.entities.get(name[1:])
    assert tracked is not None and len(tracked.kept) == len(row[3]) > 0
    of_then = [f.name for f in (*CATEGORIES[:34], *NUMBERS[:10])]
    for kept, stored in zip(tracked.kept, row[3], strict=True):
        assert len(kept.x) == len(DEALS.names)
        x = examples.features(kept.x, DEALS.names)
        assert examples.values({n: x[n] for n in of_then}, tuple(of_then)) == stored[1]


def test_a_stored_example_is_learnt() -> None:
    trainer = Trainer(DEALS, document())
    before = trainer.model.hazard.lessons
    for one in FOUND["examples"]:
        assert trainer.take(examples.decode(orjson.dumps(one))) == "learnt"
    assert trainer.model.hazard.lessons == before + 2
    assert trainer.began == "the model of the settings"
