"""Questions are answered together: the answers, and what a fault leaves, are those of one by one."""

from typing import Any

import pytest

from bench.worlds import WORLDS, live
from models.learners import snapshot
from models.learners.deal_model import DealModel, Prediction
from models.learners.evaluation import DealEvaluation
from models.learners.features import DAY_MS
from tests.models.learners.live import BEGIN, Loop, event
from tests.models.learners.test_live import fact


@pytest.fixture(scope="module")
def asked() -> DealEvaluation:
    return DealEvaluation(keep_features=True).run(live(WORLDS["60 % won"]._replace(size=120, per_day=3.0)).facts)


def _numbers(said: Prediction) -> list[float]:
    assert said.opinions is not None
    cells = [*said.curve.won, *said.curve.lost, *said.opinions.cells.ravel(), *said.opinions.wins]
    return [said.win, said.within, said.low, said.median, said.high, said.expected, said.blended, *cells]


def test_answers_that_are_given_together_are_those_of_one_by_one(asked: DealEvaluation) -> None:
    questions = [one.x for one in (asked.asked or [])[-20:]] + [{}, {"stage": "never seen", "log_amount": float("nan")}]
    together = asked.model.predict_many(questions)
    for x, said in zip(questions, together, strict=True):
        assert _numbers(said) == pytest.approx(_numbers(asked.model.predict_one(x)), abs=1e-9, rel=1e-9)
        assert said.curve.closed[-1] == pytest.approx(float((said.curve.won + said.curve.lost).sum()), abs=1e-9)


def test_reasons_of_an_answer_that_was_given_are_those_of_the_question(asked: DealEvaluation) -> None:
    for one in (asked.asked or [])[-20:]:
        told = dict(asked.model.terms(one.x, asked.model.predict_one(one.x)))
        assert told == pytest.approx(dict(asked.model.terms(one.x)), abs=1e-12)
        assert told.keys() <= one.x.keys()


def _seven() -> Loop:
    loop = Loop(interval=DAY_MS)
    for number in range(7):
        loop.send(event(number, fact(0, "created", f"D{number}", amount=10_000 * number, stage="new")), BEGIN)
    return loop


def test_what_waits_is_answered_with_each_question_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = _seven()
    fold, taken, spoke = loop.predictors[0], [0], [0]
    take, say = fold._questions.features, fold.speaker.say

    def taking(*arguments: Any) -> Any:
        taken[0] += 1
        return take(*arguments)

    def saying(questions: Any) -> Any:
        spoke[0] += 1
        return say(questions)

    monkeypatch.setattr(fold._questions, "features", taking)
    monkeypatch.setattr(fold.speaker, "say", saying)
    before = dict(loop.predictions)
    loop.tick(BEGIN + 3 * DAY_MS)
    assert all(loop.predictions[key]["at"] > before[key]["at"] for key in before) and len(before) == 7
    assert (taken[0], spoke[0]) == (7, 1)


def test_a_question_that_cannot_be_answered_leaves_the_others_their_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = _seven()
    fold = loop.predictors[0]
    predict = fold.speaker.model.predict_many

    def failing(questions: Any) -> Any:
        if any(x["log_amount"] == odd for x in questions):
            raise ZeroDivisionError("a fault of ours")
        return predict(questions)

    story = fold.entities.get("D3")
    assert story is not None
    odd = fold._questions.features(story, BEGIN)["log_amount"]
    monkeypatch.setattr(fold.speaker.model, "predict_many", failing)
    monkeypatch.setattr(fold.speaker.model, "predict_one", lambda x: failing((x,))[0])
    before = dict(loop.predictions)
    loop.tick(BEGIN + 3 * DAY_MS)
    assert {key for key in before if loop.predictions[key]["at"] == before[key]["at"]} == {"D3"}
    assert {fault.where for fault in fold.faults.fresh} == {"the answer on deal D3"}


def _model(document: bytes) -> DealModel:
    found = snapshot.load(document)
    assert isinstance(found, DealModel)
    return found


@pytest.mark.parametrize("outcome", ["open", "won", "lost"])
def test_one_lesson_that_is_learnt_together_with_none_is_that_lesson(outcome: str, asked: DealEvaluation) -> None:
    document = snapshot.dump(asked.model)
    questions = [one.x for one in (asked.asked or [])[-40:]]
    learnt = []
    for together in (False, True):
        model = _model(document)
        model.together = together
        for number, x in enumerate(questions[:20]):
            question = model.snapshot_one(0, x, model.predict_one(x))
            if outcome == "open":
                model.survive_one(question)
            else:
                model.learn_one(question, (number + 1) * DAY_MS, "won" if outcome == "won" else "lost")
            model.settle()
        learnt.append([_numbers(said) for said in model.predict_many(questions)])
    for one, other in zip(*learnt, strict=True):  # the scores are 4-byte floats
        assert one == pytest.approx(other, abs=2e-5, rel=2e-5)


def test_what_is_learnt_together_is_hardly_another_answer() -> None:
    lived = live(WORLDS["one attribute carries most"]._replace(size=250, per_day=2.0, days=8.0))
    found = [DealEvaluation(together=together).run(lived.facts) for together in (False, True)]
    one, other = ([answer.win for answer in run.answers] for run in found)
    half = len(one) // 2
    assert len(one) == len(other)
    assert sum(abs(a - b) for a, b in zip(one[half:], other[half:], strict=True)) / half < 0.03
    losses = [run.report()["second_half"]["log_loss"] for run in found]
    assert losses[1] == pytest.approx(losses[0], abs=0.02)
    assert found[0].model.hazard.lessons - found[1].model.hazard.lessons == len(found[1].model._waiting) < 16
