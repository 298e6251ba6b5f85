"""The deal model as a whole: drift, leakage, and what one bad event can do to it."""

import copy
import math
import os
import random
from pathlib import Path
from typing import Any

import pytest

from bench import drift
from models.learners import snapshot
from models.learners.answers import EvaluatedAnswer
from models.learners.deal_model import DealModel, Prediction
from models.learners.drift import ValueWatch
from models.learners.evaluation import DealEvaluation, DealFact
from models.learners.features import ATTRIBUTES, CATEGORIES, DAY_MS, NUMBERS, DealPast, Features
from models.learners.hazard import Hazard

DATA = Path(os.environ.get("VIGIE_DATA", "../shared/data"))


# Drift


@pytest.mark.parametrize("seed", [0, 3, 6])
def test_a_source_that_halves_is_flagged_and_learnt_anew(seed: int) -> None:
    """Three such worlds (``python -m bench.drift`` runs twenty). By the loss of all answers it took up to 272 labels."""
    alarms, error, _ = drift.changed(4_000, seed, 2_500)
    assert 0 < alarms[0] <= 250 and all(0 < labels <= 500 for labels in alarms)
    assert error < 0.05


def outcomes(changes: ValueWatch, rate: float, count: int, said: float = 0.8) -> int | None:
    """Return after how many outcomes at this rate a value is said to have changed."""
    draw = random.Random(4)
    return next((number for number in range(1, count + 1) if changes.update([7], said, draw.random() < rate)), None)


@pytest.mark.parametrize(("rate", "within"), [(0.4, 60), (0.3, 45), (0.98, None)])
def test_a_value_that_changes_by_a_standard_deviation_is_noticed_after_some_dozens(rate: float, within: int | None) -> None:
    changes = ValueWatch()
    assert outcomes(changes, 0.8, 2_000) is None, "nothing has changed"
    found = outcomes(changes, rate, 2_000)
    assert found is None if within is None else found is not None and found <= within, "less than half of one is no change"


def test_what_is_said_before_anything_is_known_is_no_change() -> None:
    changes = ValueWatch()
    assert [changes.update([1], 0.5, False) for _ in range(30)] == [[]] * 30
    assert outcomes(changes, 0.5, 30, said=0.5) is None


def test_each_value_has_sums_of_its_own_and_all_begin_anew() -> None:
    changes = ValueWatch()
    for _ in range(30):
        changes.update([1, 2], 0.5, True)
    # Won at odds of one to one is a gap of 1; half is taken off, so 36 of them reach 18.
    found = [changes.update([1], 0.5, True) for _ in range(36)]
    assert found[:-1] == [[]] * 35 and found[-1] == [1]
    assert changes.update([2], 0.5, True) == []
    changes.reset()
    assert changes.update([1], 0.5, True) == []


def test_no_false_alarm_where_nothing_changes() -> None:
    """Eight such worlds (``python -m bench.drift`` runs a hundred longer ones)."""
    assert [drift.alarms(500, seed) for seed in range(8)] == [0] * 8


def test_only_what_has_changed_is_forgotten() -> None:
    """The fairs' rate halves: what is known of the web's own rows is kept. (In some worlds nothing is: docs/models.md.)"""
    evaluation = DealEvaluation().run(drift.world(3_500, 3, 2_500))
    rows = evaluation.model.hazard._row[[f.name for f in CATEGORIES].index("source")]
    counts = evaluation.model.hazard._tables[:, 0, 0]
    assert evaluation.drifts
    assert counts[rows["web"]] > 3 * counts[rows["fair"]]


# Leakage


def shuffled_after(facts: list[DealFact], cut: int, seed: int) -> list[DealFact]:
    """Every attribute that an event sets at ``cut`` or later is another event's; outcomes are shuffled, too."""
    rng = random.Random(seed)
    before, after = [fact for fact in facts if fact.at < cut], [fact for fact in facts if fact.at >= cut]
    values: dict[str, list[Any]] = {name: [fact.data.get(name) for fact in after] for name in (*ATTRIBUTES, "stage", "kind")}
    kinds = [fact.kind for fact in after]
    for column in values.values():
        rng.shuffle(column)
    rng.shuffle(kinds)
    return before + [
        DealFact(fact.at, fact.deal, kinds[number], {name: column[number] for name, column in values.items()})
        for number, fact in enumerate(after)
    ]


def leaks(facts: list[DealFact], cuts: int) -> list[tuple[int, int]]:
    """Return, for each cut, how many answers before it there are and how many of them change."""
    mine = DealEvaluation().run(facts).answers
    found = []
    for number in range(1, cuts + 1):
        cut = facts[len(facts) * number // (cuts + 1)].at
        others = DealEvaluation().run(shuffled_after(facts, cut, number)).answers
        before: list[EvaluatedAnswer] = [answer for answer in mine if answer.at < cut]
        again = [answer for answer in others if answer.at < cut]
        assert len(before) == len(again)
        found.append((len(before), sum(a != b for a, b in zip(before, again, strict=True))))
    return found


def test_no_prediction_knows_what_is_set_after_it_in_a_simulated_history() -> None:
    found = leaks(drift.world(400, 1), 3)
    assert all(count > 130 and changed == 0 for count, changed in found)


@pytest.mark.data
def test_no_prediction_knows_what_is_set_after_it_on_bpic12() -> None:
    if not (DATA / "bpic12" / "bpic2012.csv.gz").exists():
        pytest.skip(f"{DATA} has no bpic12 (VIGIE_DATA)")
    from stream.config.settings import load
    from vigie.model_history import History

    facts = History(load(None), [DATA / "bpic12" / "bpic2012.csv.gz"], "bpic12", None).facts()[:3_500]
    found = leaks(facts, 2)
    assert all(count > 500 and changed == 0 for count, changed in found)


def test_the_leakage_test_would_find_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feature that looks at the end of the history is found."""
    facts = drift.world(300, 1)
    features, peek = DealPast.features, {"last": ""}

    def leaking(self: DealPast, at: int, **more: Any) -> Features:
        return {**features(self, at, **more), "owner": peek["last"]}

    monkeypatch.setattr(DealPast, "features", leaking)
    peek["last"] = "a"
    mine = DealEvaluation().run(facts).answers
    peek["last"] = ""
    cut = facts[len(facts) // 2].at
    assert mine != DealEvaluation().run(shuffled_after(facts, cut, 1)).answers


# Bad input


@pytest.fixture(scope="module")
def taught() -> DealModel:
    return DealEvaluation().run(drift.world(1_200, 2)).model


def question(source: str, amount: float, days: int = 1) -> Features:
    past = DealPast(0)
    past.apply(0, "created", {"source": source, "stage": "new", "amount": amount, "owner": "a"})
    return past.features(days * DAY_MS)


QUESTIONS = [question(source, amount, days) for source in ("fair", "web") for amount in (10**6, 10**9) for days in (0, 3, 20)]

MEDIAN = 500_000_000
BAD: dict[str, Features] = {
    "nothing known": {},
    "NaN": {**QUESTIONS[0], **dict.fromkeys((f.name for f in NUMBERS), math.nan)},
    "+inf": {**QUESTIONS[0], **dict.fromkeys((f.name for f in NUMBERS), math.inf)},
    "-inf": {**QUESTIONS[0], **dict.fromkeys((f.name for f in NUMBERS), -math.inf)},
    "10^6 times the median": question("fair", MEDIAN * 10**6),
    "an amount that is NaN": question("fair", math.nan),
    "a category never seen": question("a trade war", MEDIAN),
    "text for a number": {**QUESTIONS[0], "log_amount": "a lot"},
    "a number for text": {**QUESTIONS[0], "source": 3.0},
    "a very long category": question("x" * 100_000, MEDIAN),
}


@pytest.mark.parametrize("outcome", ["won", "lost"])
@pytest.mark.parametrize("days", [-5, 0, 400], ids=lambda days: f"closed {days} d after")
@pytest.mark.parametrize("bad", list(BAD), ids=str)
def test_one_bad_event_moves_no_prediction_by_more_than_its_bound(taught: DealModel, bad: str, days: int, outcome: str) -> None:
    """A taught model (1,200 deals): probabilities by 0.025, days by 4; time that goes backwards (−5 d) counts as at once."""
    model = copy.deepcopy(taught)
    before = [model.predict_one(x) for x in QUESTIONS]
    x = BAD[bad]
    kept = str(x)
    said = model.predict_one(x)
    whole(said)
    taken = model.snapshot_one(10 * DAY_MS, x, said)
    model.learn_one(taken, (10 + days) * DAY_MS, outcome)  # type: ignore[arg-type]
    model.watch_one(taken, outcome)  # type: ignore[arg-type]
    assert str(x) == kept  # features are never changed
    for was, now in zip(before, (model.predict_one(one) for one in QUESTIONS), strict=True):
        whole(now)
        assert abs(now.win - was.win) <= 0.025 and abs(now.within - was.within) <= 0.025
        assert max(abs(now.low - was.low), abs(now.median - was.median), abs(now.high - was.high)) <= 4
    assert isinstance(snapshot.load(snapshot.dump(model)), DealModel)


def whole(said: Prediction) -> None:
    assert 0 <= said.win <= 1 and 0 <= said.within <= 1 and 0 <= said.low <= said.median <= said.high <= 135
    assert math.isfinite(said.expected) and said.expected >= 0


def test_categories_without_end_and_many_lessons_stay_below_600_kb() -> None:
    """Zipf-like values in every attribute: all rows are taken, most of them full."""
    rng, model = random.Random(1), DealModel()
    for number in range(6_000):
        past = DealPast(number * DAY_MS // 50)
        said = {
            name: f"{name} {int(1_000 ** rng.random())}" for name in ("source", "product", "region", "segment", "team", "owner")
        }
        past.apply(past.created, "created", {**said, "stage": f"s{rng.randrange(8)}", "amount": int(10 ** rng.uniform(6, 10))})
        at = past.created + int(rng.expovariate(1 / 10) * DAY_MS)
        taken = model.snapshot_one(at, past.features(at), model.predict_one(past.features(at)))
        days = rng.expovariate(1 / 30)
        while taken.due is not None and taken.due < at + days * DAY_MS:
            model.survive_one(taken)
        if taken.due is not None:
            model.learn_one(taken, at + int(days * DAY_MS), rng.choice(("won", "lost")))
    assert model.hazard.known == model.hazard.rows + 1
    assert model.experts.bank.used <= model.experts.bank.rows + 32 * len(model.experts.bank.categories) + 8 * 16
    assert len(snapshot.dump(model)) < 600_000


def test_a_hazard_of_no_features_is_the_life_table() -> None:
    """What the predictions' floor is made of: it learns and answers without a category or a number."""
    model = Hazard()
    for number in range(400):
        model.learn_one({}, (0, 6, "won" if number % 4 == 0 else "lost"))
    assert model.predict_one({}).win == pytest.approx(0.25, abs=0.06)
