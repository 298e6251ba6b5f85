"""The live loop without a broker: what it says, what it learns, and that neither crash, disorder nor bad input changes it."""

import importlib
import itertools
import random
from typing import Any

import msgspec
import orjson
import pytest

from models.business import Business
from models.learners import examples, words
from models.learners.acquaintance import Beside, Doings, LeadKnown
from models.learners.evaluation import DealEvaluation, DealFact
from models.learners.examples import Command
from models.learners.features import ATTRIBUTES, CATEGORIES, DAY_MS, NUMBERS, DealPast
from models.learners.judged_answers import JudgedAnswer
from models.learners.lead_features import CATEGORIES as LEAD_CATEGORIES
from models.learners.lead_features import NUMBERS as LEAD_NUMBERS
from models.learners.lead_features import LeadPast
from models.learners.live_kinds import DEALS, LEADS
from models.learners.live_learn import LearnModels
from models.learners.live_model import checked, read_release
from models.learners.snapshot import SnapshotRefused, dump
from models.learners.trainer import ENOUGH, Trainer
from tests.models.learners.live import BEGIN, Loop, event
from tests.models.learners.test_evaluation import history

COARSE = 10**12  # no release but the first


def jittered(deals: int, seed: int = 1) -> list[DealFact]:
    """The known world of the evaluation's tests, no two things at one moment: equal times have no order to agree on."""
    rng, apart = random.Random(seed), dict[str, int]()
    facts = [
        fact._replace(at=fact.at + apart.setdefault(fact.deal, rng.randrange(1, 20_000_000)) + number)
        for number, fact in enumerate(history(deals, seed))
    ]
    return sorted(facts, key=lambda fact: fact.at)


def fact(at: float, kind: str, deal: str = "D1", **data: Any) -> DealFact:
    return DealFact(int(at * DAY_MS), deal, kind, data)


def said(loop: Loop) -> dict[tuple[str, int], list[float]]:
    return {(e["entity"], e["at"]): e["said"] for e in loop.examples() if e["kind"] == "asked"}


def learnt(loop: Loop) -> dict[str, int]:
    return dict(loop.learner.trainers[loop.kind.model].learnt)


def test_it_answers_and_learns_as_the_evaluation_does() -> None:
    """With each lesson in the next question, the live loop is the evaluation: same questions, answers, lessons."""
    facts = jittered(25)
    judged = DealEvaluation(keep_features=True).run([f._replace(at=f.at + BEGIN) for f in facts])
    loop = Loop().run(facts)
    assert judged.asked is not None
    expected = {(a.answer.deal, a.answer.at): a.answer for a in judged.asked if a.learnt}
    found = said(loop)
    assert found.keys() == expected.keys()
    for key, answer in expected.items():
        numbers = [answer.win, answer.within, answer.low, answer.median, answer.high, answer.expected]
        assert found[key][:6] == pytest.approx(numbers, abs=1e-6), key
    trainer = loop.learner.trainers["deal"]
    assert trainer.model.hazard.lessons == judged.model.hazard.lessons > 50


def test_a_crash_after_any_event_changes_nothing() -> None:
    facts = jittered(30)
    whole, crashed = Loop(partitions=2, interval=5 * DAY_MS).run(facts), Loop(partitions=2, interval=5 * DAY_MS)
    for number, found in enumerate(facts):
        at = BEGIN + found.at
        crashed.through(at)
        crashed.send(event(number, found), at)
        if number % 3 == 0:
            crashed.restart()
    assert crashed.examples() == whole.examples()
    assert _answers(crashed) == _answers(whole) != []
    assert {key for key, value in crashed.predictions.items() if value} == {k for k, v in whole.predictions.items() if v}
    assert learnt(crashed) == learnt(whole)
    assert crashed.rows["learn"][b"M:deal"] == whole.rows["learn"][b"M:deal"]
    assert crashed.learner.status()[0]["measures"] == whole.learner.status()[0]["measures"]


def _answers(loop: Loop) -> list[dict[str, Any]]:
    """What is said of each open deal now; when it was said before may differ by what a crash made to be said again."""
    found = [answer for predictor in loop.predictors for answer in predictor.answers()]
    return [{name: value for name, value in answer.items() if name not in ("history", "day_ago")} for answer in found]


def test_duplicates_change_nothing_and_disorder_teaches_the_same_outcomes() -> None:
    facts = jittered(30)
    once, twice, mixed = (Loop(interval=COARSE) for _ in range(3))
    once.run(facts)
    rng = random.Random(2)
    for number, found in enumerate(facts):
        twice.through(BEGIN + found.at)
        for _ in range(2):
            twice.send(event(number, found), BEGIN + found.at)
    assert learnt(twice) == learnt(once)
    assert twice.predictors[0].outcomes == {"applied": len(facts), "duplicate": len(facts)}
    numbered = list(enumerate(facts))
    for begin in range(0, len(numbered), 6):
        part = numbered[begin : begin + 6]
        rng.shuffle(part)
        for number, found in part:
            mixed.send(event(number, found), BEGIN + max(f.at for _, f in part))
    closed = {e["entity"]: e["kind"] for e in mixed.examples() if e["kind"] in ("won", "lost")}
    told = {e["entity"]: e["kind"] for e in once.examples() if e["kind"] in ("won", "lost")}
    # A deal all of whose events came in one handful, its close first, was never seen open: nothing was asked of it.
    assert closed.items() <= told.items()
    assert len(closed) > 0.8 * len(told)
    assert (
        mixed.predictors[0]._tracked.agenda.open
        == dict.fromkeys(sorted(once.predictors[0]._tracked.agenda.open)) | mixed.predictors[0]._tracked.agenda.open
    )


def test_no_example_is_learnt_twice() -> None:
    loop = Loop(interval=COARSE).run(jittered(30))
    before = loop.rows["learn"][b"M:deal"], learnt(loop)
    sent = loop.topics["examples", 0]
    assert sum(learnt(loop).values()) == len({e["id"] for e in loop.examples()}) == len(sent)
    loop.restart()
    for key, value in list(sent):
        loop.learner.fold([loop.record("examples", 0, key, value, loop.now)])
    loop.settle()
    assert (loop.rows["learn"][b"M:deal"], learnt(loop)) == before
    assert loop.learner.outcomes == {("deal", "duplicate"): len(sent) // 2}


def test_the_ids_that_are_remembered_are_bounded_and_survive() -> None:
    fold = LearnModels(1)
    from models.learners import live_learn

    rows: dict[bytes, bytes] = {}
    for number in range(live_learn.IDS + 2_500):
        assert not fold._known(Command(id=str(number), model="deal", kind="replace", why=""))
        if number % 997 == 0:
            rows |= {row.key: row.value for row in fold.changes().rows if row.value is not None}
    rows |= {row.key: row.value for row in fold.changes().rows if row.value is not None}
    again = LearnModels(1)
    again.restore(rows.items())
    assert again._known(Command(id=str(number), model="deal", kind="replace", why=""))
    assert again._known(Command(id=str(number - 90_000), model="deal", kind="replace", why=""))
    assert len(again._ids) <= live_learn.IDS + live_learn.IDS_ROW
    assert max(len(value) for key, value in rows.items() if key.startswith(b"I:")) < 60_000


def test_nothing_that_was_set_later_reaches_an_answer() -> None:
    """The leakage test, live: attributes and outcomes after the cut are others; answers before it are the same."""
    facts = jittered(30)
    cut, rng = facts[len(facts) // 2].at, random.Random(5)
    changed = []
    for found in facts:
        if found.at >= cut:
            data = {name: f"x{rng.randrange(9)}" for name in ATTRIBUTES if name != "amount"} | {"amount": rng.randrange(10**9)}
            data |= {key: value for key, value in found.data.items() if key == "kind"}
            kind = rng.choice(["won", "lost"]) if found.kind in ("won", "lost") else found.kind
            found = found._replace(kind=kind, data={**data, **({"stage": "other"} if found.kind == "stage_changed" else {})})
            if kind == "activity":
                found = found._replace(data={"kind": "letter", "owner": "z"})
        changed.append(found)
    plain, other = (said(Loop(interval=5 * DAY_MS).run(given)) for given in (facts, changed))
    before = {key for key in plain if key[1] < BEGIN + cut}
    assert len(before) > 30
    assert {key: other[key] for key in before} == {key: plain[key] for key in before}
    assert any(other[key] != plain[key] for key in plain.keys() & other.keys() - before)


def test_a_reopened_deal_withdraws_its_label() -> None:
    loop = Loop(interval=COARSE).run([fact(0, "created", stage="new"), fact(1, "won")])
    assert learnt(loop)["won"] == 1
    assert loop.predictions.pop("D1") is None
    loop.run([fact(0, "created", stage="new"), fact(1, "won"), fact(2, "reopened", stage="new")])
    assert learnt(loop)["withdrawn"] == 1
    assert loop.predictions["D1"]["win"] > 0
    assert loop.learner.trainers["deal"].measures()["model"] == {"answers": 0}
    hazard = loop.learner.trainers["deal"].model.hazard
    assert hazard._all[1].sum() == 0


@pytest.mark.parametrize("end", [fact(1, "deleted"), fact(1, "merged", into="D2")])
def test_a_deal_that_is_gone_leaves_no_example(end: DealFact) -> None:
    loop = Loop(interval=COARSE).run([fact(0, "created", stage="new"), end])
    loop.through(BEGIN + 200 * DAY_MS)
    assert learnt(loop) == {"asked": 1}
    assert loop.predictions["D1"] is None
    assert loop.predictors[0].open == 0


def test_a_merged_deal_s_facts_live_on_in_its_survivor() -> None:
    from models.folds.partition import EntityPartition

    kpis = EntityPartition("deals", 0, Business())
    loop = Loop(interval=COARSE)
    facts = [fact(0, "created", stage="new", source="fair"), fact(3, "created", "D2"), fact(4, "merged", into="D2")]
    for number, found in enumerate(facts):
        value = event(number, found)
        loop.send(value, BEGIN + found.at)
        kpis.fold([loop.record("kpis", 0, b"", value, BEGIN + found.at)._replace(topic="deals")])
    (absorbed,) = [output for output in kpis.changes().outputs if output.topic == "deal-merges"]
    loop.predictors[0].fold([loop.record("deal-merges", 0, absorbed.key, absorbed.value, BEGIN + 4 * DAY_MS)])
    loop.settle()
    story = loop.predictors[0].entities.get("D2")
    assert story is not None and story.story.present is not None
    past = story.story.present.past
    assert (past.created, past.attributes["source"]) == (BEGIN, "fair")


def test_silence_is_learnt_as_it_passes_and_answers_follow_the_ages() -> None:
    loop = Loop(interval=COARSE).run([fact(0, "created", stage="new")])
    loop.through(BEGIN + 136 * DAY_MS)
    opened = [e for e in loop.examples() if e["kind"] == "open"]
    assert [(e["when"] - e["at"]) / DAY_MS for e in opened if e["number"] == 0] == [1, 4, 10, 18, 30, 60, 90, 135]
    assert {round((e["at"] - BEGIN) / DAY_MS) for e in loop.examples() if e["kind"] == "asked"} == {0, 7, 14, 21, 30, 45, 60, 90}
    assert loop.predictions["D1"]["at"] >= BEGIN + 134 * DAY_MS
    assert len(loop.predictions["D1"]["history"]) > 5


def test_history_that_streams_in_is_gone_through_at_its_own_pace() -> None:
    """The wall clock is a year ahead: what has merely not arrived yet is no silence."""
    now = BEGIN + 365 * DAY_MS
    loop = Loop(interval=COARSE)
    for number, found in enumerate([fact(0, "created", stage="new"), fact(20, "won")]):
        loop.send(event(number, found), now)
        loop.tick(now)
    assert [(e["kind"], (e["when"] - e["at"]) / DAY_MS) for e in loop.examples() if e["number"] == 0] == [
        ("asked", 0),
        *(("open", days) for days in (1, 4, 10, 18)),
        ("won", 20),
    ]
    # An old deal's history that comes while others happen now: neither.
    loop.send(event(7, fact(365, "created", "D7")), now)
    loop.tick(now)
    loop.send(event(8, fact(100, "created", "D8", stage="new")), now)
    loop.tick(now + 1000)
    loop.send(event(9, fact(120, "lost", "D8")), now + 2000)
    assert [(e["kind"], e["instalment"] if "instalment" in e else 0) for e in loop.examples() if e["entity"] == "D8"] == [
        ("asked", 0),
        ("lost", 0),
    ]


def test_with_nothing_learnt_the_answer_is_the_prior_and_says_so() -> None:
    loop = Loop(interval=COARSE).run([fact(0, "created", stage="new")])
    answer = loop.predictions["D1"]
    assert answer["prior"] is True
    assert answer["lessons"] == 0
    assert "prior" in answer["why"]
    assert 0 < answer["win"] < 1
    assert answer["low"] <= answer["median"] <= answer["high"]


def test_more_than_there_is_time_for_is_left_out_and_counted() -> None:
    loop = Loop(interval=COARSE, asks=10)
    for number in range(20):
        loop.predictors[0].fold([loop.record("deals", 0, b"", event(number, fact(0, "created", f"D{number}")), BEGIN)])
    loop.settle()
    predictor = loop.predictors[0]
    assert (learnt(loop)["asked"], predictor.skipped, predictor.predicted, predictor.waiting()) == (5, 15, 5, 15)
    for second in range(1, 5):
        loop.tick(BEGIN + second * 1000)
    assert (predictor.predicted, predictor.waiting()) == (20, 0)


@pytest.fixture(scope="module")
def taught() -> tuple[bytes, float]:
    """A model that has seen the known world, as a document, and the day on which that ended."""
    facts = [f._replace(at=f.at + BEGIN) for f in jittered(150)]
    return dump(DealEvaluation().run(facts).model), (facts[-1].at - BEGIN) / DAY_MS


BAD: dict[str, dict[str, Any]] = {
    "amount of a million medians": {"amount": 10**15},
    "no amount": {"amount": None},
    "a category never seen": {"source": "never", "product": "never", "owner": "never"},
    "a very long category": {"source": "s" * 400},
    "time going backwards": {"stage": "backwards"},
}


@pytest.mark.parametrize("what", BAD)
def test_one_odd_event_moves_no_prediction_by_more_than_stated(what: str, taught: tuple[bytes, float]) -> None:
    document, end = taught
    odd = Loop(interval=COARSE, start={"deal": document})
    data = BAD[what]
    extra = [fact(end, "created", "ODD", **{k: v for k, v in data.items() if v is not None}), fact(end + 0.5, "won", "ODD")]
    if what.startswith("time"):
        extra.append(fact(end - 30, "stage_changed", "ODD", stage="backwards"))
    for number, found in enumerate(extra, 10_000):
        odd.send(event(number, found), BEGIN + max(found.at, int(end * DAY_MS)))
    assert learnt(odd)["won"] == 1
    before, after = checked(document, DEALS.known), odd.learner.trainers["deal"].model
    assert 0 < max(abs(before.predict_one(x).win - after.predict_one(x).win) for x in _questions()) < 0.06


def _questions() -> list[Any]:
    found = []
    for source in ("fair", "web", "never"):
        for days in (0.1, 3, 30):
            past = DealPast(BEGIN)
            past.apply(BEGIN, "created", {"source": source, "stage": "new", "amount": 10**7})
            found.append(past.features(BEGIN + int(days * DAY_MS)))
    return found


def _example(**changes: Any) -> bytes:
    loop = Loop(interval=COARSE).run([fact(0, "created", stage="new"), fact(1, "won")])
    return orjson.dumps({**loop.examples()[-1], "id": "other", **changes})


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (b"", ("", "damaged")),
        (b"null", ("", "damaged")),
        (_example()[:-40], ("", "damaged")),
        (_example(model="weather"), ("", "unknown_model")),
        (_example(features="0123456789abcdef"), ("deal", "other_features")),
        (_example(x=["new"]), ("deal", "damaged")),
        (_example(curve="AAAA"), ("deal", "damaged")),
        (_example(instalment=99), ("deal", "damaged")),
        (_example(lesson=[5, 2, "won"]), ("deal", "damaged")),
        (_example(entity="never seen"), ("deal", "learnt")),
    ],
)
def test_an_example_that_cannot_be_used_is_counted_by_its_reason(value: bytes, outcome: tuple[str, str]) -> None:
    loop = Loop(interval=COARSE)
    before = dump(loop.learner.trainers["deal"].model)
    loop.learner.fold([loop.record("examples", 0, b"", value, BEGIN)])
    assert loop.learner.outcomes == {outcome: 1}
    assert (dump(loop.learner.trainers["deal"].model) == before) is (outcome[1] != "learnt")


def test_events_that_cannot_be_used_are_counted_and_nothing_else() -> None:
    loop = Loop(interval=COARSE)
    broken = [b"{", b"", orjson.dumps({"type": "deal.created"}), event(1, fact(0, "exploded"))]
    loop.predictors[0].fold([loop.record("deals", 0, b"", value, BEGIN) for value in broken])
    loop.settle()
    assert sum(loop.predictors[0].outcomes.values()) == len(broken)
    assert not any("internal" in outcome for outcome in loop.predictors[0].outcomes)
    assert loop.predictions == {}


@pytest.mark.parametrize("step", ["_questions.ask", "_tracked.schedule", "_questions._send"])
def test_a_fault_in_the_middle_of_an_event_leaves_nothing_of_it_and_is_loud(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = jittered(30)
    met = 0
    for poison in range(20, len(facts) - 20, 17):
        with_fault, without = Loop(interval=COARSE), Loop(interval=COARSE)
        fold = with_fault.predictors[0]
        of, name = step.split(".")
        part = getattr(fold, of)
        take, function, armed = fold._lifecycle._take, getattr(part, name), [False]

        def taking(key: str, event: Any, at: int, take: Any = take, armed: Any = armed, poison: int = poison) -> str:
            armed[0] = event.id == f"e{poison:06}"
            try:
                return take(key, event, at)
            finally:
                armed[0] = False

        def failing(*arguments: Any, function: Any = function, armed: Any = armed) -> None:
            function(*arguments)
            if armed[0]:
                raise ZeroDivisionError("a fault of ours")

        monkeypatch.setattr(fold._lifecycle, "_take", taking)
        monkeypatch.setattr(part, name, failing)
        letters: list[dict[str, Any]] = []
        deliver = with_fault._deliver
        monkeypatch.setattr(
            with_fault,
            "_deliver",
            lambda o, d=deliver, k=letters: k.append(orjson.loads(o.value)) if o.topic == "dead-letters" else d(o),
        )
        for number, found in enumerate(facts):
            at = BEGIN + found.at
            for loop in (with_fault, without):
                loop.through(at)
            with_fault.send(event(number, found), at)
            if number != poison:
                without.send(event(number, found), at)
        if not letters:
            continue
        met += 1
        [letter] = letters
        assert letter["reason"] == "internal"
        assert letter["detail"] == "predict-deals: ZeroDivisionError: a fault of ours"
        assert (fold.outcomes["internal"], fold.faults.total) == (1, 1)
        assert with_fault.examples() == without.examples()
        kept, plain = ({k: v for k, v in loop.rows["predict-0"].items() if k[:1] in b"EP"} for loop in (with_fault, without))
        assert kept == plain
        assert with_fault.predictions == without.predictions
    assert met, "no event came that way"


def test_a_fault_of_a_wake_or_an_answer_stops_neither_the_worker_nor_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(interval=COARSE)
    for number, deal in enumerate(("D1", "D2")):
        loop.send(event(number, fact(0, "created", deal, amount=10_000)), BEGIN)
    fold = loop.predictors[0]
    ask, document = fold._questions.ask, fold._answers._document

    def failing(key: str, *rest: Any, then: Any) -> Any:
        if key == "D1":
            raise KeyError(key)
        return then(key, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(fold._questions, "ask", lambda *arguments: failing(*arguments, then=ask))
        patch.setattr(fold._answers, "_document", lambda *arguments: failing(*arguments, then=document))
        for day in range(1, 40):
            loop.tick(BEGIN + day * DAY_MS)
    assert fold.faults.total > 10
    assert {fault.where for fault in fold.faults.fresh} <= {"the wake of deal D1", "the answer on deal D1"}
    assert loop.predictions["D2"]["at"] > BEGIN + 37 * DAY_MS
    assert loop.predictions["D1"]["at"] < BEGIN + DAY_MS
    loop.tick(BEGIN + 45 * DAY_MS)
    assert loop.predictions["D1"]["at"] > BEGIN + 44 * DAY_MS, "it goes on once the fault is gone"


def test_an_entity_whose_row_would_be_too_large_stays_as_it_was_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(interval=COARSE)
    loop.send(event(0, fact(0, "created", "D1", owner="ann")), BEGIN)
    before = loop.rows["predict-0"][b"ED1"]
    monkeypatch.setattr("models.learners.live_predict.LARGEST_ROW", len(before) + 300)
    loop.send(event(1, fact(0.1, "updated", "D1", owner="b" * 500)), BEGIN + DAY_MS // 10)
    loop.send(event(2, fact(0.2, "created", "D2")), BEGIN + DAY_MS // 5)
    assert len(loop.rows["predict-0"][b"ED1"]) <= len(before) + 300
    assert loop.predictors[0].outcomes["too_large"] == 1
    assert b"ED2" in loop.rows["predict-0"]


def test_a_fault_while_learning_is_counted_told_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(interval=COARSE)
    monkeypatch.setattr(Trainer, "learn_one", lambda self, example: dict[str, None]()["none"])
    loop.run(jittered(4))
    assert loop.learner.faults.total == loop.learner.outcomes["deal", "internal"] > 3
    assert set(loop.learner.trainers["deal"].refused) == {"internal"}, "no text of an error is the key of a counter"


@pytest.mark.parametrize(
    ("where", "every"),
    [
        ("hazard.Hazard.count_many", 1),  # of several at once it is no lesson's fault
        *itertools.product(
            ("live_model.Baseline.learn_one", "direct.Direct.learn_one", "live_learn.Trainer._judge"), (1, 3, 10_000)
        ),
    ],
)
def test_a_lesson_that_fails_in_the_middle_leaves_nothing_of_it(where: str, every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hazard had learnt what the floor and the report never heard of."""
    values = [orjson.dumps(example) for example in Loop(interval=COARSE).run(jittered(30)).examples()]
    module, kind, name = where.split(".")
    cls = getattr(importlib.import_module(f"models.learners.{module}"), kind)
    right, calls = getattr(cls, name), [0]

    def failing(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == 9:
            raise ZeroDivisionError("a fault of ours")
        return right(*arguments, **named)

    def learns(without: int | None = None) -> LearnModels:
        loop = Loop(interval=COARSE)
        for start in range(0, len(values), every):
            part = range(start, min(start + every, len(values)))
            # A fault ends what is learnt together: so it does where it is left out.
            parts = (part,) if without is None or without not in part else (part[: without - start], part[without - start + 1 :])
            for numbers in parts:
                loop.learner.fold([loop.record("examples", 0, b"", values[number], BEGIN) for number in numbers])
                rows.update({row.key: row.value for row in loop.learner.changes().rows})
        return loop.learner

    rows: dict[bytes, bytes | None] = {}
    monkeypatch.setattr(cls, name, failing)
    met = learns()
    written = dict(rows)
    monkeypatch.setattr(cls, name, right)
    assert met.faults.total == met.outcomes["deal", "internal"] == 1
    [fault] = met.faults.fresh
    failed = int(fault.where.rpartition("-")[2])
    without, trainer = learns(failed).trainers["deal"], met.trainers["deal"]
    assert dump(trainer.model) == dump(without.model) and trainer.floor.dump() == without.floor.dump()
    assert (trainer.learnt, trainer.labels, list(trainer.judged)) == (without.learnt, without.labels, list(without.judged))
    assert trainer.refused == {"internal": 1}
    again = LearnModels(1, COARSE)
    again.restore([(key, value) for key, value in written.items() if value is not None])
    assert dump(again.trainers["deal"].model) == dump(without.model), "and so it is after a restart"


@pytest.mark.parametrize("spoil", ["cut short", "another river", "other features", "another format"])
def test_a_model_that_cannot_be_used_is_refused_by_name_and_the_one_before_answers_on(spoil: str) -> None:
    loop = Loop(interval=0).run(jittered(8))
    predictor = loop.predictors[0]
    before = predictor.speaker.model
    value = loop.rows["predict-0"][b"M"]
    found = orjson.loads(value)
    if spoil == "another river":
        found["document"]["river"] = "0.1.0"
    elif spoil == "other features":
        found["document"]["state"]["categories"][0] = "colour"
    elif spoil == "another format":
        found["format"] = 99
    spoilt = value[: len(value) // 2] if spoil == "cut short" else orjson.dumps(found)
    with pytest.raises(SnapshotRefused):
        release = read_release(spoilt)
        checked(bytes(release.document), DEALS.known)
    predictor.fold([loop.record("model-snapshots", 0, b"deal", spoilt, BEGIN)])
    assert predictor.refused
    assert predictor.outcomes["model_refused"] == 1
    assert predictor.speaker.model is before
    # The one who learns has the same trouble with its own state: it begins anew and says so.
    if spoil in ("another river", "other features"):
        rows = dict(loop.rows["learn"])
        rows[b"M:deal"] = orjson.dumps(found["document"])
        again = LearnModels(1)
        again.restore(rows.items())
        status = again.status()[0]
        assert status["lessons"] == 0
        assert status["began"].startswith("new: model snapshot: ")
        again.tick(BEGIN + 400 * DAY_MS)
        assert [(output.topic, output.key) for output in again.changes().outputs] == [("model-snapshots", b"deal")]


def test_an_operator_begins_anew_or_brings_a_model() -> None:
    taught = Loop(interval=0).run(jittered(12))
    document = dump(taught.learner.trainers["deal"].model)
    loop = Loop(interval=0).run([fact(0, "created", stage="new", source="fair")])

    def command(document: bytes, number: int) -> None:
        value = msgspec.json.encode(
            Command(id=f"c{number}", model="deal", kind="replace", why="imported by ann", document=msgspec.Raw(document))
        )
        loop.learner.fold([loop.record("examples", 0, b"deal", value, loop.now)])
        for _ in range(2):
            loop.tick(loop.now + 2000)

    command(document, 1)
    assert loop.learner.status()[0]["began"] == "imported by ann"
    assert loop.predictions["D1"]["lessons"] == taught.learner.trainers["deal"].model.hazard.lessons
    assert loop.predictions["D1"]["prior"] is False
    command(b'{"format": 1, "kind": "deal"}', 2)
    assert loop.learner.status()[0]["began"].startswith("new: model snapshot")
    command(b"null", 3)
    assert loop.predictions["D1"]["prior"] is True


def test_a_model_of_the_settings_answers_from_the_first_event() -> None:
    taught = Loop(interval=0).run(jittered(12))
    start = {"deal": dump(taught.learner.trainers["deal"].model)}
    loop = Loop(interval=0, start=start)
    loop.tick(BEGIN)
    loop.run([fact(0, "created", stage="new", source="fair")])
    assert loop.predictions["D1"]["lessons"] == taught.learner.trainers["deal"].model.hazard.lessons > 5


def test_the_better_of_model_and_floor_answers() -> None:
    trainer = Trainer(DEALS)

    def judge(model: float, floor: float, count: int) -> str:
        for number in range(count):
            won = number % 2
            said, by_floor = (p if won else 1 - p for p in (model, floor))
            trainer.judged.append(JudgedAnswer("D", 0, BEGIN, won, 1.0, [said] * 6, [by_floor] * 6))
        trainer._compare()
        return trainer.champion

    assert judge(0.2, 0.5, ENOUGH - 2) == "model"  # too few to say
    assert judge(0.2, 0.5, 100) == "floor"
    assert judge(0.8, 0.5, 500) == "model"


def test_the_floor_s_answers_are_given_where_it_is_the_champion() -> None:
    loop = Loop(interval=0)
    loop.run([fact(0, "created", stage="new")])
    loop.learner.trainers["deal"].champion = "floor"
    loop.learner.trainers["deal"].version += 1
    loop.tick(loop.now + 2000)
    loop.send(event(9, DealFact(DAY_MS, "D1", "activity", {"kind": "call"})), BEGIN + DAY_MS)
    assert loop.predictions["D1"]["model"] == "deal-floor"


def test_the_weighted_pipeline_is_the_amounts_times_what_was_last_said() -> None:
    """Through crashes, reopened and closed deals, owners that change and answers that move: exact, in total and by segment."""
    facts = [f for f in jittered(30) if f.kind != "lost"]
    number = len(facts)
    facts += [fact(8, "updated", "D25", owner="z", amount=7 * 10**7), fact(8, "reopened", "D3", stage="new")]
    loop = Loop(partitions=3, interval=DAY_MS)
    amounts: dict[str, int] = {}
    owners: dict[str, str] = {}
    for place, found in enumerate(facts):
        at = BEGIN + found.at
        loop.through(max(at, loop.now))
        loop.send(event(place, found), at)
        amounts[found.deal] = found.data.get("amount", amounts.get(found.deal))
        owners[found.deal] = found.data.get("owner", owners.get(found.deal))
        if place % 7 == 0 or place >= number:
            loop.restart()
        open_deals = {key: value["win"] for key, value in loop.predictions.items() if value is not None}
        expected = {key: round(amounts[key] * win) for key, win in open_deals.items() if amounts[key] is not None}
        assert loop.view.level("expected_amount", "total", at + 60_000) == sum(expected.values())
        assert loop.view.level("expected_deals", "total", at + 60_000) == len(expected)
    assert len(expected) > 5
    for owner in set(owners.values()) - {None}:
        mine = sum(value for key, value in expected.items() if owners[key] == owner)
        assert loop.view.level("expected_amount", f"owner={owner}", at + 60_000) == mine
    for source in ("fair", "web"):
        assert 0 < loop.view.level("expected_amount", f"source={source}", at + 60_000) < sum(expected.values())


def test_leads_convert_or_are_given_up() -> None:
    rng, facts = random.Random(1), []
    for number in range(60):
        at, name, good = number * 0.25, f"L{number}", rng.random() < 0.5
        facts.append(fact(at, "created", name, source="fair" if good else "web", score=70.0 if good else 20.0))
        facts.append(fact(at + 0.1, "contacted", name, channel="phone"))
        if rng.random() < (0.8 if good else 0.2):
            facts.append(fact(at + 1 + rng.random(), "converted", name))
        elif rng.random() < 0.8:
            facts.append(fact(at + 1 + rng.random(), "disqualified", name))
    facts += [fact(16, "created", "GOOD", source="fair", score=70.0), fact(16, "created", "BAD", source="web", score=20.0)]
    loop = Loop(kind=LEADS, interval=DAY_MS)
    for number, found in enumerate(sorted(facts, key=lambda f: f.at)):
        loop.through(max(BEGIN + found.at, loop.now))
        loop.send(event(number, found, "lead"), BEGIN + found.at)
    good, bad = loop.predictions["GOOD"], loop.predictions["BAD"]
    assert good["win"] > bad["win"] + 0.1
    assert good["converts"] > bad["converts"]
    assert {"lead", "converts", "win", "why", "terms"} <= good.keys()
    assert learnt(loop)["won"] > 20


def test_every_declared_feature_has_a_value_and_words() -> None:
    deal, lead = DealPast(BEGIN), LeadPast(BEGIN)
    deal.apply(BEGIN, "created", {"source": "partner", "stage": "demo", "amount": 12_000_000, "owner": "ann"})
    lead.apply(BEGIN, "created", {"source": "partner", "score": 55.0, "bant": {"budget": True}})
    lead.apply(BEGIN + DAY_MS, "mql", {})
    doings = Doings(last=BEGIN, heard=BEGIN, sessions=1, pages=4, seconds=90.0, demos=1, read=2)
    behind = LeadKnown(BEGIN, BEGIN - 3 * DAY_MS, BEGIN - 2 * DAY_MS, 1, "fair", 70.0, doings)
    known = Beside(doings={"V1": doings}, lead=behind)
    of_lead, of_deal = (LEAD_CATEGORIES, LEAD_NUMBERS), (CATEGORIES, NUMBERS)
    for past, beside, (categories, numbers) in (
        (deal, None, of_deal),
        (lead, None, of_lead),
        (deal, known, of_deal),
        (lead, known, of_lead),
    ):
        x = past.features(BEGIN + 21 * DAY_MS, beside=beside)
        names = tuple(feature.name for feature in (*categories, *numbers))
        assert sorted(x) == sorted(names)
        assert examples.features(examples.values(x, names), names).keys() == x.keys()
        told = words.explain([(name, 1.0) for name in names], x, (*categories, *numbers))
        assert all(term["words"] for term in told)
    x = deal.features(BEGIN + 21 * DAY_MS)
    found = words.explain([("source", 0.8), ("stage × stage_age", -0.61), ("age", 0.001)], x, (*CATEGORIES, *NUMBERS))
    assert words.sentence(found) == "source partner +0.8, stage demo, 21 days in it −0.6"
    new = (
        "stage × reached",
        "demo",
        "log_sessions",
        "log_visited",
        "log_lead_answered",
        "lead_points",
    )
    x = deal.features(BEGIN + 21 * DAY_MS, beside=known)
    assert [term["words"] for term in words.explain([(name, 1.0) for name in new], x, of_deal[0] + of_deal[1])] == [
        "stage demo, reached at once",
        "a demonstration was asked for",
        "1 visit on the site",
        "last on the site 21 days ago",
        "lead contacted after 1 day",
        "score of the lead 70",
    ]
