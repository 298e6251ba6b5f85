"""Test-then-learn over a history: nothing from later gets in, labels come when they come, drift is seen."""

import itertools
import math
import random
from typing import Any

import pytest

from models.learners import quality
from models.learners.calibration import Calibrator, Residuals
from models.learners.conversion import ConversionModel
from models.learners.curve import EDGES, Curve
from models.learners.deal_model import DRAWN, SNAPSHOTS, DealModel, wants_snapshot
from models.learners.drift import Watch
from models.learners.evaluation import AGES, DealEvaluation, DealFact
from models.learners.features import DAY_MS, DealPast

HOUR = DAY_MS // 24


def history(deals: int, seed: int = 1) -> list[DealFact]:
    """Deals of two sources, opened one every six hours: fairs win 60 % after 20 days, the web 20 % after 6 (means)."""
    rng, facts = random.Random(seed), []
    for number in range(deals):
        at, name = number * 6 * HOUR, f"D{number}"
        fair = rng.random() < 0.5
        facts.append(
            DealFact(at, name, "created", {"source": "fair" if fair else "web", "stage": "new", "amount": rng.randrange(10**9)})
        )
        days = rng.expovariate(1 / (20 if fair else 6))
        if days > 2:
            facts.append(
                DealFact(at + DAY_MS, name, "activity", {"kind": rng.choice(["call", "demo"]), "owner": rng.choice("abc")})
            )
            facts.append(DealFact(at + 2 * DAY_MS, name, "stage_changed", {"stage": "offer"}))
        won = rng.random() < (0.6 if fair else 0.2)
        facts.append(DealFact(at + int(days * DAY_MS), name, "won" if won else "lost", {}))
    end = deals * 6 * HOUR
    return sorted((fact for fact in facts if fact.at < end), key=lambda fact: fact.at)


@pytest.fixture(scope="module")
def evaluated() -> DealEvaluation:
    return DealEvaluation(keep_features=True).run(history(400))


def test_a_known_world_is_found(evaluated: DealEvaluation) -> None:
    found = evaluated.report()["second_half"]
    assert found["auc"] > 0.62
    assert found["ece"] < 0.1
    assert 0.7 <= found["coverage"] <= 0.95
    assert found["auc30"] > 0.6


def test_no_answer_changes_when_all_that_comes_later_is_shuffled(evaluated: DealEvaluation) -> None:
    """The leakage test: attributes, outcomes and times after the cut are others; answers before it are the same."""
    facts = history(400)
    cut = facts[len(facts) // 2].at
    rng = random.Random(5)
    before = [fact for fact in facts if fact.at < cut]
    after = [fact for fact in facts if fact.at >= cut]
    data = [dict(fact.data) for fact in after]
    rng.shuffle(data)
    kinds = [fact.kind for fact in after]
    rng.shuffle(kinds)
    others = [
        DealFact(fact.at, fact.deal, kind, {**said, "owner": "someone else"})
        for fact, kind, said in zip(after, kinds, data, strict=True)
    ]
    again = DealEvaluation().run(before + others)
    mine = [answer for answer in evaluated.answers if answer.at < cut]
    assert len(mine) > 200
    assert mine == [answer for answer in again.answers if answer.at < cut]


def test_only_declared_attributes_reach_the_features() -> None:
    plain, more = DealPast(0), DealPast(0)
    plain.apply(0, "created", {"source": "web", "stage": "new"})
    more.apply(
        0,
        "created",
        {"source": "web", "stage": "new", "reason": "private", "account_id": "Acme", "email": "a@b.example"},
    )
    assert not {"account_id", "lead_id", "reason", "email"} & plain.features(0).keys()
    assert str(plain.features(DAY_MS)) == str(more.features(DAY_MS))


def test_at_most_eight_snapshots_are_learnt_of_a_deal_and_they_span_its_life() -> None:
    facts = [
        DealFact(hour * HOUR, "D", "activity" if hour else "created", {"kind": "call"} if hour else {}) for hour in range(24 * 60)
    ]
    evaluation = DealEvaluation().run(facts)
    taken = evaluation.deals["D"].snapshots
    assert len(taken) == SNAPSHOTS and len(evaluation.answers) == 24 * 60
    assert [b.at - a.at < 7 * DAY_MS for a, b in itertools.pairwise(taken)] == [True] * 7


def test_what_lasts_only_minutes_is_learnt_from_as_well() -> None:
    """A question a minute after another is drawn with its share, the same ones each time; a spaced one always is."""
    minute = 60_000
    drawn = [wants_snapshot(f"D{number}", minute, 1, 0) for number in range(4_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(DRAWN, abs=0.02)
    assert drawn == [wants_snapshot(f"D{number}", minute, 1, 0) for number in range(4_000)]
    assert all(wants_snapshot(f"D{number}", 7 * DAY_MS, taken, 0) for number in range(50) for taken in range(SNAPSHOTS))
    assert not wants_snapshot("D", 10**12, SNAPSHOTS, 0)


def test_a_silent_deal_is_asked_about_at_its_ages() -> None:
    evaluation = DealEvaluation().run([DealFact(0, "D", "created", {}), DealFact(200 * DAY_MS, "E", "created", {})])
    assert [answer.at // DAY_MS for answer in evaluation.answers if answer.deal == "D"] == [0, *AGES]
    assert [answer.aged for answer in evaluation.answers if answer.deal == "D"] == [False] + [True] * len(AGES)


def test_buckets_teach_when_they_have_passed_and_outcomes_when_they_arrive() -> None:
    evaluation = DealEvaluation()
    evaluation.take(DealFact(0, "D", "created", {}))
    assert evaluation.model.hazard.lessons == 0
    evaluation.take(DealFact(DAY_MS // 2, "E", "created", {}))
    assert evaluation.model.hazard.lessons == 0  # a day has not passed yet
    evaluation.take(DealFact(2 * DAY_MS, "F", "created", {}))
    assert evaluation.model.hazard._all[0, :4].tolist() == [2, 2, 2, 0]  # D and E are open after a day
    evaluation.take(DealFact(2 * DAY_MS + 1, "D", "won", {}))
    assert evaluation.model.hazard._all[1].sum() == 1


def test_reopened_withdraws_and_deleted_leaves_no_example() -> None:
    evaluation = DealEvaluation()
    evaluation.take(DealFact(0, "D", "created", {}))
    evaluation.take(DealFact(HOUR, "D", "won", {}))
    assert evaluation.model.hazard._all[1].sum() == 1
    evaluation.take(DealFact(2 * HOUR, "D", "reopened", {}))
    assert evaluation.model.hazard._all[1].sum() == 0
    evaluation.take(DealFact(3 * HOUR, "D", "lost", {}))
    evaluation.take(DealFact(4 * HOUR, "E", "created", {}))
    evaluation.take(DealFact(5 * HOUR, "E", "deleted", {}))
    lessons = evaluation.model.hazard.lessons
    evaluation.take(DealFact(6 * HOUR, "E", "won", {}))
    evaluation.take(DealFact(300 * DAY_MS, "F", "created", {}))
    assert evaluation.model.hazard.lessons == lessons
    assert evaluation.report()["second_half"]["answers"] >= 1


def test_an_outcome_of_an_unknown_deal_teaches_nothing() -> None:
    evaluation = DealEvaluation().run([DealFact(0, "D", "won", {}), DealFact(1, "D", "lost", {})])
    assert evaluation.model.hazard.lessons == 0 and evaluation.answers == []
    assert evaluation.report()["second_half"] == {"answers": 0}


# Drift


def stream(seed: int, count: int, halved_at: int | None) -> list[tuple[dict[str, Any], bool]]:
    rng, found = random.Random(seed), []
    for number in range(count):
        source = rng.choice(["fair", "web"])
        rate = 0.8 if source == "fair" else 0.3
        if halved_at is not None and number >= halved_at and source == "fair":
            rate /= 2
        found.append(({"source": source}, rng.random() < rate))
    return found


def watched(examples: list[tuple[dict[str, Any], bool]]) -> tuple[Watch, list[float]]:
    model, watch, said = ConversionModel(), Watch(), []
    for x, y in examples:
        said.append(model.predict_proba_one(x)[True])
        if watch.update(said[-1], y):
            model.forget()
        model.learn_one(x, y)
    return watch, said


def test_a_source_that_halves_is_flagged_and_learnt_anew() -> None:
    examples = stream(11, 4_000, 2_000)
    watch, said = watched(examples)
    assert watch.alarms >= 1 and watch.last_alarm is not None and 2_000 < watch.last_alarm <= 2_500
    late = slice(2_500, 3_500)
    assert (quality.ece(said[late], [y for _, y in examples[late]]) or 1) < 0.05


def test_no_false_alarm_in_twenty_steady_seeds() -> None:
    assert [watched(stream(seed, 1_500, None))[0].alarms for seed in range(20)] == [0] * 20


# Measures and corrections


def test_auc_counts_ties_half() -> None:
    assert quality.auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75
    assert quality.auc([0.5, 0.5], [0, 1]) == 0.5
    assert quality.auc([0.5, 0.6], [1, 1]) is None


def test_ece_brier_and_log_loss_of_cases_done_by_hand() -> None:
    assert quality.ece([0.25, 0.25, 0.75, 0.75], [0, 1, 1, 1]) == pytest.approx(0.25)
    assert quality.brier([0.5, 1.0], [0, 1]) == pytest.approx(0.125)
    assert quality.log_loss([0.5, 0.5], [0, 1]) == pytest.approx(math.log(2))
    assert quality.errors([3, 5], [4, 2]) == (2.0, 1.0)
    assert quality.coverage([0, 0], [1, 1], [0.5, 2]) == 0.5
    assert quality.ece([], []) is None and quality.brier([], []) is None and quality.errors([], []) == (None, None)


def test_a_calibrator_begins_as_no_correction_and_learns_one() -> None:
    calibrator, rng = Calibrator(rate=0.01), random.Random(2)
    assert calibrator.predict_proba_one(0.73) == 0.73
    for _ in range(5_000):
        given = rng.random()
        odds = given / (1 - given) / 3
        calibrator.learn_one(given, rng.random() < odds / (1 + odds))
    assert calibrator.predict_proba_one(0.75) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("learnt", "after"), [(1.3, 1.0), (0.4, 0.4)])
def test_a_calibrator_takes_back_what_made_answers_bolder_and_keeps_what_damps_them(learnt: float, after: float) -> None:
    calibrator = Calibrator()
    calibrator.slope = learnt
    calibrator.unsharpen()
    assert calibrator.slope == after


def test_intervals_hold_four_fifths_also_of_what_the_curve_does_not_expect() -> None:
    import numpy as np

    won = np.diff(np.concatenate(([0.0], 1 - np.exp(-EDGES / 10))))
    curve, residuals, rng = Curve(won, won * 0), Residuals(), random.Random(4)
    held = []
    for number in range(4_000):
        days = rng.expovariate(1 / 25)  # slower than expected
        low, median, high, expected = residuals.predict_one(curve)
        assert 0 <= low <= median <= high and expected >= 0
        if number >= 1_000:
            held.append(low <= days <= high)
        residuals.learn_one(curve, min(days, EDGES[-1]))
    assert sum(held) / len(held) == pytest.approx(0.81, abs=0.04)


def test_one_snapshot_reports_what_it_was_learnt_from() -> None:
    model, past = DealModel(), DealPast(0)
    past.apply(0, "created", {"source": "web"})
    x = past.features(0)
    taken = model.snapshot_one(0, x, model.predict_one(x))
    model.learn_one(taken, DAY_MS, "won")
    assert taken.due is None and model.predict_one(x).lessons == 1
