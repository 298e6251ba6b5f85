"""The contract of every learner: River's own checks where they apply, and ours."""

import copy
import random
from pathlib import Path

import orjson
import pytest
from river import checks, linear_model

from models.learners import snapshot
from models.learners.conversion import ConversionModel
from models.learners.deal_model import DealModel, Prediction
from models.learners.features import CATEGORIES, DAY_MS, NUMBERS, DealPast
from models.learners.hazard import Hazard

#: River's checks that do not apply, and why.
NOT_FOR_CONVERSION = {
    "check_pickling": "a model crosses processes as JSON; a pickle is banned",
}


def lead(rng: random.Random) -> tuple[dict[str, object], bool]:
    x: dict[str, object] = {
        "source": rng.choice(["web", "partner", "fair"]),
        "visits": float(rng.randrange(20)),
        "seconds": rng.choice([None, 3.5, 800.0]),
    }
    return x, rng.random() < (0.7 if x["source"] == "partner" else 0.2)


def leads(count: int, seed: int = 1) -> list[tuple[dict[str, object], bool]]:
    rng = random.Random(seed)
    return [lead(rng) for _ in range(count)]


def conversion(count: int = 600) -> ConversionModel:
    model = ConversionModel([("source", "visits")])
    for x, y in leads(count):
        model.learn_one(x, y)
    return model


def deal_model(count: int = 300) -> DealModel:
    model, rng = DealModel(), random.Random(3)
    for number in range(count):
        past = DealPast(number * DAY_MS)
        past.apply(
            number * DAY_MS, "created", {"source": rng.choice(["web", "fair"]), "amount": rng.randrange(10**8), "stage": "new"}
        )
        x = past.features(number * DAY_MS)
        taken = model.snapshot_one(number * DAY_MS, x, model.predict_one(x))
        won = rng.random() < (0.6 if x["source"] == "fair" else 0.3)
        model.learn_one(taken, taken.at + int(rng.expovariate(1 / 12) * DAY_MS), "won" if won else "lost")
    return model


@pytest.mark.parametrize("check", list(checks.yield_checks(ConversionModel())), ids=lambda check: check.__name__)
def test_river_checks_of_the_conversion(check: object) -> None:
    name = check.__name__  # type: ignore[attr-defined]
    if name in NOT_FOR_CONVERSION:
        pytest.skip(NOT_FOR_CONVERSION[name])
    check(ConversionModel())  # type: ignore[operator]


def test_it_learns_who_converts_and_says_why() -> None:
    model = conversion(3_000)
    partner, web = ({"source": name, "visits": 3.0, "seconds": 3.5} for name in ("partner", "web"))
    assert model.predict_proba_one(partner)[True] == pytest.approx(0.7, abs=0.15)
    assert model.predict_proba_one(web)[True] == pytest.approx(0.2, abs=0.15)
    assert model.terms(partner)[0][1] > 0 and "source" in " ".join(name for name, _ in model.terms(partner)[:3])


def test_before_learning_the_answer_is_the_prior() -> None:
    assert ConversionModel().predict_proba_one({"source": "web"})[True] == 0.5
    past = DealPast(0)
    past.apply(0, "created", {})
    said = DealModel().predict_one(past.features(0))
    assert said.lessons == 0 and 0 < said.win < 1 and said.low < said.median < said.high
    assert said.win == pytest.approx(said.curve.win)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf"), 1e300, None, "", "x" * 10_000, True, [1], {"a": 1}], ids=repr
)
def test_one_bad_lead_moves_no_answer_by_more_than_a_tenth(value: object) -> None:
    model = conversion()
    asked = [x for x, _ in leads(50, seed=9)]
    before = [model.predict_proba_one(x)[True] for x in asked]
    bad: dict[str, object] = {"source": value, "visits": value, "seconds": value}
    assert 0 <= model.predict_proba_one(bad)[True] <= 1
    model.learn_one(bad, True)
    after = [model.predict_proba_one(x)[True] for x in asked]
    assert max(abs(now - was) for now, was in zip(after, before, strict=True)) <= 0.1


def test_a_category_with_a_million_values_is_bounded() -> None:
    model = ConversionModel(values=32)
    for number in range(3_000):
        model.learn_one({"source": f"s{number}"}, number % 2 == 0)
    assert len(model.model.weights) <= 32 + 16
    for number in range(1_000):
        model.learn_one({f"feature {number}": "x"}, True)
    assert len(model.model.weights) <= 32 + 16 + 128


def test_features_are_never_changed() -> None:
    model, (x, y) = conversion(10), leads(1)[0]
    kept = copy.deepcopy(x)
    model.predict_proba_one(x)
    model.learn_one(x, y)
    assert x == kept


# Snapshots


def test_a_conversion_comes_back_from_json_and_goes_on_the_same() -> None:
    model = conversion()
    again = snapshot.load(snapshot.dump(model))
    assert isinstance(again, ConversionModel)
    for x, y in leads(200, seed=5):
        assert again.predict_proba_one(x)[True] == pytest.approx(model.predict_proba_one(x)[True], abs=1e-12)
        model.learn_one(x, y)
        again.learn_one(x, y)
    assert snapshot.dump(again) == snapshot.dump(model)


def test_a_deal_model_comes_back_from_json_and_goes_on_the_same() -> None:
    model = deal_model()
    model.hazard.forget(0.3)  # fractions, not only counts
    again = snapshot.load(snapshot.dump(model))
    assert isinstance(again, DealModel)
    past = DealPast(0)
    for day in range(40):
        past.apply(day * DAY_MS, "stage_changed", {"stage": f"s{day % 4}", "source": "fair"})
        x = past.features(day * DAY_MS)
        mine, other = model.predict_one(x), again.predict_one(x)
        for name in ("win", "within", "low", "median", "high", "expected"):
            assert getattr(other, name) == pytest.approx(getattr(mine, name), abs=1e-12)
        both: list[tuple[DealModel, Prediction]] = [(model, mine), (again, other)]
        for deals, said in both:
            deals.learn_one(deals.snapshot_one(day * DAY_MS, x, said), (day + 3) * DAY_MS, "won")
    assert snapshot.dump(again) == snapshot.dump(model)


@pytest.mark.parametrize("make", [conversion, deal_model])
def test_a_snapshot_cut_short_anywhere_is_refused_by_name(make: object) -> None:
    document = snapshot.dump(make(50))  # type: ignore[operator]
    for end in range(0, len(document), max(len(document) // 60, 1)):
        with pytest.raises(snapshot.SnapshotRefused, match="model snapshot"):
            snapshot.load(document[:end])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"format":2', b'"format":1', "format: found 1, accepted is 2"),
        (b'"river":"0.', b'"river":"9.', "river: found '9."),
        (b'"kind":"deal"', b'"kind":"soup"', "kind: found 'soup', accepted: deal, conversion"),
        (b'"weights"', b'"waits"', "damaged or cut short"),
        (b'"log_age"', b'"log_edge"', "found|damaged"),
    ],
)
def test_a_snapshot_of_another_version_is_refused(old: bytes, new: bytes, says: str) -> None:
    document = snapshot.dump(deal_model(5))
    assert old in document
    with pytest.raises(snapshot.SnapshotRefused, match=says):
        snapshot.load(document.replace(old, new))


def test_other_features_are_refused() -> None:
    document = snapshot.dump(DealModel(Hazard(["source"], ["log_age"]))).replace(b'"source"', b'"sauce"')
    with pytest.raises(snapshot.SnapshotRefused, match="features: found"):
        snapshot.load(document)


def test_the_state_of_a_deal_model_is_small() -> None:
    assert len(snapshot.dump(deal_model())) < 200_000


# Speed, as a ratio to River's plain logistic regression over the same features


def test_answers_and_lessons_cost_little_more_than_rivers_logistic_regression() -> None:
    """Loose here (a loaded machine); ``make models`` reports the ratios."""
    import time

    plain = linear_model.LogisticRegression()
    x = {f"{number}={number}": 1.0 for number in range(len(CATEGORIES) + len(NUMBERS))}
    model = deal_model(50)
    past = DealPast(0)
    past.apply(0, "created", {"source": "fair"})
    asked = past.features(0)

    def fastest(act: object) -> float:
        times = []
        for _ in range(200):
            began = time.perf_counter()
            act()  # type: ignore[operator]
            times.append(time.perf_counter() - began)
        return sorted(times)[20]

    learn = fastest(lambda: plain.learn_one(x, True))
    assert fastest(lambda: model.hazard.learn_one(asked, (0, 3, "open"))) < 40 * learn


@pytest.mark.parametrize("kind", ["deal", "conversion"])
def test_a_stored_document_is_read_and_written_again_to_the_byte(kind: str) -> None:
    """Values that share rows, fractions, NaN, a feature of few: the documents are those of the release before."""
    stored = (Path(__file__).parent / "golden" / f"{kind}.json").read_bytes()
    begins = stored.index(b'"state":')
    written = snapshot.dump(snapshot.load(stored.replace(orjson.loads(stored)["river"].encode(), snapshot.RIVER.encode(), 1)))
    assert written[written.index(b'"state":') :] == stored[begins:]
