"""The mixture: what each expert brings, who is believed, and what an earlier release's state becomes in it."""

import math
import random

import numpy as np
import orjson
import pytest

from bench.worlds import WORLDS, live
from models.learners import quality, snapshot
from models.learners.bank import Bank
from models.learners.deal_model import DealModel
from models.learners.evaluation import DealEvaluation
from models.learners.examples import KeptQuestion, widened
from models.learners.features import DAY_MS, DealPast
from models.learners.live_kinds import DEALS, KINDS, LEADS
from models.learners.live_model import checked
from models.learners.mixture import SHARE, Mixture
from models.learners.quantiles import BINS, KEPT, Quantiles


@pytest.mark.parametrize("entity", ["deal", "lead"])
@pytest.mark.parametrize("world", ["one attribute carries most", "one variant carries most"])
def test_an_attribute_of_the_contract_that_carries_most_is_found(world: str, entity: str) -> None:
    """Campaigns and variants: without them, or with weights that hardly move, AUC is .5."""
    lived = live(WORLDS[world]._replace(size=300, per_day=2.0, days=8.0), 0, entity)
    kind = KINDS[entity]
    found = DealEvaluation(kind.fresh_model(), past=kind.past, horizons=(30,)).run(lived.facts)
    half = found.answers[len(found.answers) // 2 :]
    won = found.outcomes(half)[:, 0]
    truth = quality.auc([lived.truth[answer.deal] for answer in half], won)
    reached = quality.auc([answer.win for answer in half], won)
    assert reached is not None and truth is not None and reached > (0.5 + truth) / 2 - 0.06
    horizon = found.report()["horizons"]["30d"]["at_all_questions"]
    assert horizon["auc"] > horizon["floor"]["auc"] + 0.05


def test_nothing_is_found_where_there_is_nothing_to_know() -> None:
    lived = live(WORLDS["nothing to know"]._replace(size=300, per_day=2.0, days=8.0))
    found = DealEvaluation().run(lived.facts).report()["second_half"]
    assert found["ece"] < 0.1 and found["log_loss"] < 0.65


# The mixture


def test_the_mixture_is_never_worse_than_the_best_by_more_than_the_bound() -> None:
    """Two experts, of which the one and then the other is right: ln 2 for each stretch and what is handed round."""
    mixture, lost, best = Mixture((1.0, 1.0)), 0.0, 0.0
    for number in range(2_000):
        chances = (0.9, 0.3) if number < 1_000 else (0.3, 0.9)
        lost -= math.log(sum(w * c for w, c in zip(mixture.weights, chances, strict=True)))
        best -= math.log(0.9)
        mixture.learn_one(chances)
    assert lost - best < math.log(2) + math.log(2 / SHARE) + 3
    assert mixture.weights[1] > 0.99


# The scores


def test_a_feature_that_says_nothing_is_shrunk_and_one_that_carries_much_is_believed() -> None:
    rng, bank = random.Random(1), Bank(["good", "idle"], [], 1)
    for _ in range(1_500):
        x = {"good": rng.choice("ab"), "idle": rng.choice("abcdefgh")}
        rows = bank.encode(x, grow=True)
        chance = 1 / (1 + math.exp(-float(bank.score(rows)[0][0])))
        won = rng.random() < (0.8 if x["good"] == "a" else 0.2)
        bank.learn(rows, np.array([won - chance]), np.array([chance * (1 - chance)]), np.ones(1))
    apart = [float(bank.mean[bank.known[0][value], 0]) for value in "ab"]
    assert apart[0] - apart[1] == pytest.approx(2 * math.log(4), abs=0.5)
    assert max(abs(float(bank.mean[row, 0])) for row in bank.known[1].values()) < 0.45


def test_values_without_end_share_rows() -> None:
    bank = Bank(["campaign"], ["size"], 1, values=50, rows=100)
    for number in range(5_000):
        bank.observe_one({"size": float(number % 97)})
        rows = bank.encode({"campaign": f"c{number}", "size": float(number % 97)}, grow=True)
        bank.learn(rows, np.array([0.1]), np.array([0.2]), np.ones(1))
    assert bank.used <= 100 + 32 + BINS + 1
    assert np.isfinite(bank.mean).all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "a lot", None, 3], ids=repr)
def test_a_number_that_is_none_says_nothing(value: object) -> None:
    bank = Bank([], ["size"], 1)
    for number in range(100):
        bank.observe_one({"size": float(number)})
    assert bank.encode({"size": value}, grow=True).tolist() == [1]  # type: ignore[dict-item]


def test_bins_hold_equal_shares_whatever_the_scale() -> None:
    rng = random.Random(2)
    for scale in (1e-6, 1.0, 1e9):
        bins = Quantiles()
        for _ in range(3_000):
            bins.learn_one(scale * rng.lognormvariate(0, 2) if scale >= 1 else rng.lognormvariate(0, 2))
        assert len(bins.sample) == KEPT and len(bins.edges) == BINS - 1
        middle = bins.edges[BINS // 2 - 1] / (scale if scale >= 1 else 1)
        assert 0.4 < middle < 2.5


# What an earlier release has left


def former(model: DealModel) -> bytes:
    """A document as the release before the scores wrote it."""
    document = orjson.loads(snapshot.dump(model))
    del document["state"]["scores"]
    return orjson.dumps(document)


def test_a_model_of_the_release_before_goes_on_as_the_hazard_among_the_experts() -> None:
    taught = DealEvaluation().run(live(WORLDS["60 % won"]._replace(size=60)).facts).model
    again = checked(former(taught), DEALS.known)
    assert again.hazard.lessons == taught.hazard.lessons > 50
    assert again.experts.bank.categories == taught.experts.bank.categories and again.experts.bank.lessons == 0
    past = DealPast(0)
    past.apply(0, "created", {"source": "source 1", "campaign": "campaign 2"})
    x = past.features(DAY_MS)
    asked = taught.hazard.encode(x)
    assert again.hazard.predict_asked(asked).win == pytest.approx(taught.hazard.predict_asked(asked).win, abs=1e-9)


@pytest.mark.parametrize("kind", [DEALS, LEADS], ids=lambda kind: kind.model)
def test_questions_of_the_release_before_are_read_under_its_features(kind: object) -> None:
    for names in kind.formers.values():  # type: ignore[attr-defined]
        _read(kind, names)


def _read(kind: object, names: tuple[str, ...]) -> None:
    kept = widened(KeptQuestion(0, [name if isinstance(name, str) else 0.0 for name in names], [], b"", []), names, kind.names)  # type: ignore[attr-defined]
    assert len(kept.x) == len(kind.names)  # type: ignore[attr-defined]
    assert [value for value in kept.x if value] == [name for name in kind.names if name in names]  # type: ignore[attr-defined]
