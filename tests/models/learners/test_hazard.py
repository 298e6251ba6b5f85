"""The hazard: what it says before learning, what it learns, and what it withstands."""

import random

import numpy as np
import pytest

from models.learners.curve import EDGES, Curve, bucket_of
from models.learners.hazard import Hazard

LAST = len(EDGES)


def close_after(model: Hazard, x: dict[str, str | float], days: float, outcome: str) -> None:
    end = bucket_of(days)
    if end >= LAST:
        model.learn_one(x, (0, LAST, "open"))
    else:
        model.learn_one(x, (0, end + 1, outcome))  # type: ignore[arg-type]


def world(seed: int) -> tuple[dict[str, str | float], float, str]:
    """Partners win 70 % slowly (exponential, 20 d), the web 20 % quickly (5 d)."""
    rng = random.Random(seed)
    partner = rng.random() < 0.5
    days = rng.expovariate(1 / (20 if partner else 5))
    outcome = "won" if rng.random() < (0.7 if partner else 0.2) else "lost"
    return {"source": "partner" if partner else "web", "size": rng.gauss(10, 2)}, days, outcome


@pytest.fixture(scope="module")
def taught() -> Hazard:
    model = Hazard(["source"], ["size"])
    for seed in range(1500):
        x, days, outcome = world(seed)
        model.observe_one(x)
        close_after(model, x, days, outcome)
    return model


def test_the_prior_is_a_distribution() -> None:
    curve = Hazard(["source"], ["size"]).predict_one({"source": "web", "size": 1.0})
    total = float((curve.won + curve.lost).sum())
    assert 0 < total < 1 and (curve.won >= 0).all() and (curve.lost >= 0).all()
    assert 0.2 < curve.win < 0.6
    low, median, high = curve.days((0.1, 0.5, 0.9))
    assert 0 <= low < median < high <= EDGES[-1]


def test_it_finds_the_probabilities_of_a_known_world(taught: Hazard) -> None:
    partner, web = taught.predict_one({"source": "partner", "size": 10.0}), taught.predict_one({"source": "web", "size": 10.0})
    assert partner.win == pytest.approx(0.7, abs=0.07)
    assert web.win == pytest.approx(0.2, abs=0.07)
    # P(exponential of mean 20 closes within 30) = 0.777, of mean 5: 0.998
    assert partner.closes_within(30) == pytest.approx(0.777, abs=0.06)
    assert web.closes_within(30) == pytest.approx(0.998, abs=0.02)
    assert partner.days((0.5,))[0] == pytest.approx(20 * 0.693, abs=3)
    assert web.days((0.5,))[0] == pytest.approx(5 * 0.693, abs=1.5)


def test_deals_still_open_do_not_bias_it() -> None:
    """Half of what is learnt has been watched for 5 days only: the hazard counts it as at risk, and P(≤ 30 d) stays true."""
    model = Hazard(["source"], [])
    for seed in range(1500):
        x, days, outcome = world(seed)
        if seed % 2 and days > 5:
            model.learn_one(x, (0, bucket_of(5) + 1, "open"))
        else:
            close_after(model, x, days, outcome)
    assert model.predict_one({"source": "partner"}).closes_within(30) == pytest.approx(0.777, abs=0.09)


def test_lessons_in_instalments_count_as_much_as_at_once() -> None:
    parts, whole = Hazard(["source"], []), Hazard(["source"], [])
    x: dict[str, str | float] = {"source": "web"}
    parts.learn_one(x, (0, 4, "open"))
    parts.learn_one(x, (4, 9, "won"))
    whole.learn_one(x, (0, 9, "won"))
    assert np.array_equal(parts._all, whole._all) and np.array_equal(parts._tables[1], whole._tables[1])


def test_a_withdrawn_label_leaves_no_count() -> None:
    model = Hazard(["source"], [])
    x: dict[str, str | float] = {"source": "web"}
    model.learn_one(x, (0, 4, "open"))
    before = model._tables.copy()
    model.learn_one(x, (4, 9, "won"))
    model.withdraw_one(x, (4, 9, "won"))
    assert np.array_equal(model._tables, before) and model._all[1].sum() == 0


@pytest.mark.parametrize("lesson", [(-1, 3, "won"), (3, 3, "won"), (0, LAST + 1, "open")])
def test_a_stretch_outside_the_buckets_is_refused(lesson: tuple[int, int, str]) -> None:
    with pytest.raises(ValueError, match="accepted: 0 ≤ first < end"):
        Hazard([], []).learn_one({}, lesson)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "x",
    [
        {},
        {"source": "never seen", "size": 1e300},
        {"source": "web", "size": float("nan")},
        {"source": "web", "size": float("inf")},
        {"source": "web", "size": float("-inf")},
        {"source": 3.0, "size": "text"},
        {"source": "web", "other": "x", "size": 1e6 * 10},
    ],
    ids=str,
)
def test_no_question_and_no_lesson_poisons_it(taught: Hazard, x: dict[str, str | float]) -> None:
    """One bad event moves no answer by more than 0.02, and every answer stays a probability."""
    import copy

    model = copy.deepcopy(taught)
    asked: list[dict[str, str | float]] = [
        {"source": name, "size": size} for name in ("web", "partner") for size in (4.0, 10.0, 16.0)
    ]
    before = [model.predict_one(one) for one in asked]
    kept = dict(x)
    said = model.predict_proba_one(x)
    assert sum(said.values()) == pytest.approx(1) and all(0 <= share <= 1 for share in said.values())
    model.observe_one(x)
    model.learn_one(x, (0, 1, "won"))
    assert x == kept or x != x or str(x) == str(kept)  # features are never changed (NaN is not equal to itself)
    for one, was in zip(asked, before, strict=True):
        now = model.predict_one(one)
        assert abs(now.win - was.win) < 0.02
        assert abs(now.closes_within(30) - was.closes_within(30)) < 0.02
    assert np.isfinite(model._listen).all() and np.isfinite(model._tilt).all()


def test_memory_is_bounded_whatever_arrives() -> None:
    model = Hazard(["source", "owner"], [], values=20, rows=30)
    for number in range(5_000):
        model.learn_one({"source": f"s{number}", "owner": f"o{number}"}, (0, 2, "open"))
    assert sum(map(len, model._row)) == 30
    assert len(model._tables) <= 32


def test_old_deals_count_less_once_there_are_many() -> None:
    model = Hazard([], [], memory=100)
    for _ in range(1_000):
        model.learn_one({}, (0, 2, "open"))
    assert model._all[0].max() <= 101


def test_terms_say_what_speaks_for_winning(taught: Hazard) -> None:
    assert dict(taught.terms({"source": "partner", "size": 10.0}))["source"] > 0.2
    assert dict(taught.terms({"source": "web", "size": 10.0}))["source"] < -0.2


def test_a_curve_reads_as_drawn() -> None:
    r"""Closes: half within the first day (buckets to 1/24, 1/4, 1), half on the second.

    0 ──── 1 h ─── 6 h ─────── 1 d ─────────────── 2 d
    lost:   0       0          .25                  0
    won:    0       0           0                  .25
    """
    won, lost = np.zeros(LAST), np.zeros(LAST)
    lost[2], won[3] = 0.25, 0.25
    curve = Curve(won, lost)
    assert curve.win == pytest.approx(0.5)
    assert curve.closes_within(1) == pytest.approx(0.25)
    assert curve.closes_within(1.5) == pytest.approx(0.375)
    assert curve.days((0.75,))[0] == pytest.approx(1.5)
    assert curve.place(1.5) == pytest.approx(0.75)
    assert curve.mean_days() == pytest.approx((0.625 + 1.5) / 2)
