"""P(closes within 30 days) is said by who was right on that, not by who was right on the bucket."""

import orjson
import pytest

from bench.worlds import WORLDS, live
from models.learners import snapshot
from models.learners.curve import EDGES, HORIZON
from models.learners.deal_model import DealModel
from models.learners.evaluation import DealEvaluation
from models.learners.experts import CURVES, INSTALMENTS
from models.learners.features import DAY_MS


@pytest.fixture(scope="module")
def asked() -> DealEvaluation:
    return DealEvaluation(keep_features=True).run(live(WORLDS["60 % won"]._replace(size=100, per_day=3.0)).facts)


def _again(model: DealModel) -> DealModel:
    found = snapshot.load(snapshot.dump(model))
    assert isinstance(found, DealModel)
    return found


def _said(within: float) -> list[float]:
    """What one expert had said: so much will have closed at the horizon and from then on, nothing before."""
    won = [within / 2 if days >= HORIZON else 0.0 for days in INSTALMENTS]
    return [*won, *won]


def test_the_weights_follow_who_was_right_on_the_horizon(asked: DealEvaluation) -> None:
    model = _again(asked.model)
    experts, before = model.experts, list(model.experts.curves.weights)
    said = [part for number in range(len(CURVES)) for part in _said(0.9 if number == 1 else 0.2)] + [0.5] * 6
    for _ in range(200):
        experts.judge_within(said, True)
    assert experts.within.weights[1] > 0.95 and experts.soon(said) == pytest.approx(0.9, abs=0.05)
    assert experts.curves.weights == before, "the curve is another question"
    x = (asked.asked or [])[-1].x
    opinions = model.opinions((x,))
    [(curve, _, soon)] = experts.answer(opinions)
    end = int((EDGES <= HORIZON).sum())
    assert soon == pytest.approx(float(opinions[0].cells[1, :, :end].sum()), abs=0.05)
    assert soon != pytest.approx(curve.closes_within(HORIZON), abs=1e-12)


@pytest.mark.parametrize(("days", "closed"), [(3, True), (29.9, True), (31, False)])
def test_what_became_of_a_question_is_judged_once(days: float, closed: bool, asked: DealEvaluation) -> None:
    model = _again(asked.model)
    x = (asked.asked or [])[-1].x
    question = model.snapshot_one(0, x, model.predict_one(x))
    before, counted = model.experts.within.seen, model.within.mean.n
    while question.due is not None and question.due <= days * DAY_MS:
        model.survive_one(question)
    model.learn_one(question, round(days * DAY_MS), "lost")
    assert question.judged and model.within.mean.n == counted + 1
    assert before < model.experts.within.seen <= before + 1


def test_a_model_of_the_release_before_says_on_the_day_of_its_upgrade_what_it_said(asked: DealEvaluation) -> None:
    document = orjson.loads(snapshot.dump(asked.model))
    weights = document["state"]["scores"]["weights"]
    del weights[2]
    again = snapshot.load(orjson.dumps(document))
    assert isinstance(again, DealModel)
    assert again.experts.within.weights == pytest.approx(asked.model.experts.curves.weights, abs=1e-12)
    for one in (asked.asked or [])[-10:]:
        curve = again.predict_one(one.x).curve
        assert again.predict_one(one.x).within == pytest.approx(
            again.within.predict_proba_one(curve.closes_within(HORIZON)), abs=0.02
        )
