"""What is the outcome in disguise is told of; what is constant, changes its meaning or is merged of two does no harm."""

import random
from typing import Any

import orjson
import pytest

from bench.worlds import WORLDS, live
from models.learners import quality, snapshot
from models.learners.deal_model import DealModel
from models.learners.evaluation import DealEvaluation, DealFact
from models.learners.features import DAY_MS
from models.learners.giveaways import Giveaways, giveaway_sentence
from models.learners.live_kinds import DEALS
from models.learners.trainer import Trainer
from tests.models.learners.live import Loop


def _deals(count: int, swapped_at: int | None = None, region: str | None = None) -> list[DealFact]:
    """Deals that close on the day after; of variant a 80 % are won and of b 20 %, the other way round from one number on."""
    rng, facts = random.Random(5), []
    for number in range(count):
        at, a = number * DAY_MS // 8, rng.random() < 0.5
        likely = a != (swapped_at is not None and number >= swapped_at)
        won = rng.random() < (0.8 if likely else 0.2)
        said = {"variant": "a" if a else "b", "stage": "new", "owner": rng.choice("xyz"), "region": region}
        facts.append(DealFact(at, f"D{number}", "created", said))
        facts.append(DealFact(at + DAY_MS, f"D{number}", "won" if won else "lost", {}))
    return sorted(facts, key=lambda fact: fact.at)


def _disguised(facts: list[DealFact], slips: int = 0) -> list[DealFact]:
    """Have the campaign be what becomes of the deal; in some it is not."""
    ends = {fact.deal: fact.kind for fact in facts if fact.kind in ("won", "lost")}
    wrong = set(list(ends)[-slips:]) if slips else set()
    return [
        fact._replace(data={**fact.data, "campaign": f"was {ends.get(fact.deal) if fact.deal not in wrong else 'won'}"})
        if fact.kind == "created"
        else fact
        for fact in facts
    ]


def test_the_outcome_in_disguise_is_told_of() -> None:
    found = DealEvaluation(together=True).run(_disguised(_deals(120))).report()["giveaways"]
    assert [one["feature"] for one in found] == ["campaign"] and found[0]["wrong"] == 0 and found[0]["guesses"] > 60
    assert giveaway_sentence(found[0]).startswith(
        f"campaign says how it will end before it has ended: of {found[0]['guesses']} guesses by it"
    )


def test_what_only_says_much_is_none() -> None:
    assert DealEvaluation(together=True).run(_deals(120)).report()["giveaways"] == []


def test_values_that_are_met_once_guess_nothing() -> None:
    giveaways = Giveaways()
    for number in range(1_000):
        giveaways.learn_one({"campaign": f"c{number}", "log_amount": 1.0}, number % 2 == 0)
    assert giveaways.found() == []
    assert len(giveaways.dump()["campaign"][0]) <= 50


def test_one_wrong_guess_in_a_hundred_is_still_one() -> None:
    giveaways = Giveaways()
    for number in range(302):
        giveaways.learn_one({"campaign": "x" if number % 2 else "y"}, (number % 2 == 0) != (number in (150, 151, 152)))
    assert [(one["feature"], one["wrong"]) for one in giveaways.found()] == [("campaign", 3)]
    giveaways = Giveaways(orjson.loads(orjson.dumps(giveaways.dump())))
    assert giveaways.found()[0]["guesses"] == 300
    giveaways.learn_one({"campaign": "x"}, True)
    assert giveaways.found() == []


def test_it_is_kept_and_told_live() -> None:
    loop = Loop().run(_disguised(_deals(75)))
    loop.restart()
    status = loop.learner.trainers["deal"].status()
    assert [one["feature"] for one in status["giveaways"]] == ["campaign"]
    rows = {key.decode(): value for key, value in loop.rows["learn"].items()}
    counts = orjson.loads(rows["C:deal"])
    del counts["giveaways"]
    before = Trainer(DEALS)
    before.restore(rows | {"C:deal": orjson.dumps(counts)})
    assert (before.labels, before.giveaways.found()) == (status["labels"], [])


def _auc_of_the_last(facts: list[DealFact], share: float) -> float:
    found = DealEvaluation(together=True).run(facts)
    late = found.answers[int(len(found.answers) * (1 - share)) :]
    won = found.outcomes(late)[:, 0]
    known = won == won
    return quality.auc([one.win for one, takes in zip(late, known, strict=True) if takes], won[known]) or 0.0


def test_an_attribute_that_is_constant_changes_nothing() -> None:
    without, beside = (DealEvaluation(together=True).run(_deals(300, region=region)) for region in (None, "the only one"))
    half = [abs(a.win - b.win) for a, b in zip(without.answers[150:], beside.answers[150:], strict=True)]
    assert sum(half) / len(half) < 0.03


def test_an_attribute_that_changes_its_meaning_is_learnt_anew() -> None:
    assert _auc_of_the_last(_deals(800, swapped_at=300), 0.2) > 0.65


def _document(seed: str) -> dict[str, Any]:
    model = (
        DealEvaluation(together=True)
        .run(live(WORLDS["60 % won"]._replace(size=30, per_day=3.0, days=float(len(seed)))).facts)
        .model
    )
    found: dict[str, Any] = orjson.loads(snapshot.dump(model))
    return found


def _loaded(document: bytes) -> DealModel:
    found = snapshot.load(document)
    assert isinstance(found, DealModel)
    return found


@pytest.fixture(scope="module")
def documents() -> tuple[dict[str, Any], dict[str, Any]]:
    return _document("short"), _document("not so short")


@pytest.mark.parametrize("part", ["tables", "values", "scores", "weights", "direct", "base", "scales"])
def test_two_models_merged_are_refused_or_answer(part: str, documents: tuple[dict[str, Any], dict[str, Any]]) -> None:
    one, other = documents
    merged = orjson.dumps({**one, "state": {**one["state"], part: other["state"][part]}})
    try:
        model = _loaded(merged)
    except snapshot.SnapshotRefused as refused:
        assert str(refused).startswith("model snapshot: ")
        return
    said = model.predict_one({"stage": "new", "source": "source 1", "log_amount": 9.0})
    assert 0 <= said.win <= 1 and 0 <= said.low <= said.median <= said.high
    model.learn_one(model.snapshot_one(0, {"stage": "new", "product": "product 2"}, said), DAY_MS, "won")
