"""What is known beside an entity's own events: visits, e-mails, the lead behind a deal. And nothing of later."""

import math
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from bench.acquainted import auc
from bench.worlds import acquainted, alone
from models.business import Business
from models.events.catalogue import TOPIC_OF
from models.fold import Output, Record
from models.learners.acquaintance import ALMOST, Acquaintances, Beside, Doings, LeadKnown
from models.learners.evaluation import DealEvaluation, DealFact
from models.learners.features import DAY_MS, Features
from models.learners.live_kinds import KINDS, LEADS
from models.learners.live_predict import BEHIND, PredictPartition
from models.learners.warming import TEACHING, Warming
from tests.models.learners.live import BEGIN, event

GAP = 1_800_000


def web(at: float, visitor: str = "V1", kind: str = "web.page_viewed", **data: Any) -> DealFact:
    return DealFact(int(at * DAY_MS), visitor, kind, data)


def beside_lead(facts: Sequence[DealFact], lead: str, at: float) -> Features:
    known = Acquaintances(GAP)
    for fact in facts:
        known.take(*fact[:1], fact.deal, fact.kind, fact.data)
    return (known.of_lead(lead) or Beside()).of_lead(int(at * DAY_MS))


def test_what_an_unnamed_visitor_did_is_the_leads_once_it_is_named() -> None:
    facts = [web(1, session_id="a", duration_seconds=60.0), web(1.001, session_id="a"), web(2, session_id="b")]
    assert math.isnan(float(beside_lead(facts, "L1", 3)["log_sessions"]))
    named = [*facts, web(2.5, kind="web.identified", visitor_id="V1", lead_id="L1")]
    found = beside_lead(named, "L1", 3)
    assert found["log_sessions"] == math.log1p(2) and found["log_pages"] == math.log1p(3)
    assert found["log_minutes"] == math.log1p(1) and found["log_visited"] == math.log1p(1)
    assert (found["demo"], found["form"]) == ("no", "no") and math.isnan(float(found["log_read"]))
    again = [*named, web(2.7, kind="web.identified", visitor_id="V1", lead_id="L2")]
    assert math.isnan(float(beside_lead(again, "L1", 3)["log_sessions"]))
    assert beside_lead(again, "L2", 3)["log_sessions"] == math.log1p(2)


def test_silence_ends_a_visit_where_the_tracker_names_none() -> None:
    minutes = (0, 10, 35, 70)  # two of them within half an hour of the one before
    facts = [web(1 + minute / 1_440, lead_id="L1") for minute in minutes]
    assert beside_lead(facts, "L1", 3)["log_sessions"] == math.log1p(2)


def test_mails_that_people_read_count_and_those_that_programs_open_do_not() -> None:
    facts = [web(1, "L1", "email.sent"), web(1.1, "L1", "email.opened", machine=True), web(1.2, "L1", "email.clicked")]
    found = beside_lead(facts, "L1", 3)
    assert found["log_read"] == math.log1p(1) and math.isnan(float(found["log_sessions"]))
    assert math.isnan(float(beside_lead([web(1, "spring", "ad.clicked", count=9)], "spring", 3)["log_read"]))


def test_nothing_of_later_is_known() -> None:
    late = 5 * DAY_MS
    for heard, known in ((late, False), (late - ALMOST, True)):
        at = late - ALMOST - 1
        doings = Doings(last=heard, heard=heard, sessions=3)
        lead = LeadKnown(heard=heard, created=1, source="fair", doings=doings)
        found = Beside(lead_id="L1", lead=lead).of_deal(at, DAY_MS)
        assert (found["lead_source"] == "fair") is known
        assert math.isnan(float(found["log_sessions"])) is not known
        assert math.isnan(float(Beside(doings={"V": doings}).of_lead(at)["log_sessions"])) is not known


class InOneHand(Warming):
    """Both predictors and the learner, each lesson in the next question."""

    def __init__(self) -> None:
        super().__init__(Business())
        self.asked: dict[tuple[str, str, int], list[float]] = {}

    def run(self, facts: Sequence[DealFact], entity: str) -> None:
        for number, fact in enumerate(facts):
            at = BEGIN + fact.at
            value = event(number, fact, entity)
            while (wake := min((w for p in self._predictors.values() if (w := p.next_wake())), default=at)) < at:
                for name, predictor in self._predictors.items():
                    predictor.tick(wake + 1)
                    self._pass_on(name, wake)
            for name, predictor in self._predictors.items():
                predictor.tick(at)
                self._pass_on(name, at)
            topic = TOPIC_OF[orjson.loads(value)["type"]]
            assert topic in TEACHING
            self.take(topic, value, at)

    def _pass_on(self, name: str, at: int) -> None:
        predictor = self._predictors[name]
        for output in predictor._outputs:
            if output.topic == "examples" and (found := orjson.loads(output.value or b""))["kind"] == "asked":
                self.asked[name, found["entity"], found["at"]] = found["said"]
        super()._pass_on(name, at)


def world(entity: str, size: int = 40) -> list[DealFact]:
    """A world with visits before anybody is named; no two things at one moment.

    All have closed by their 28th day: at an age of 30 days is asked at the very moment at which the first question's are learnt.
    """
    found, created = [], dict[str, int]()
    for number, fact in enumerate(acquainted(size, 3, entity, matters=True).facts):
        at, data = fact.at + number % 997, dict(fact.data)
        if fact.kind == "created":
            created[fact.deal] = at
        elif fact.kind == "web.page_viewed" and number % 3:
            data["lead_id"] = None
        elif "." not in fact.kind:
            at = min(at, created[fact.deal] + 28 * DAY_MS + number)
        found.append(fact._replace(at=at, data=data))
    return sorted(found, key=lambda fact: fact.at)


@pytest.mark.parametrize("entity", ["deal", "lead"])
def test_the_live_loop_knows_what_the_evaluation_knows(entity: str) -> None:
    facts, kind = world(entity), KINDS[entity]
    judged = DealEvaluation(kind.fresh_model(), past=kind.past, keep_features=True).run(
        [fact._replace(at=fact.at + BEGIN) for fact in facts]
    )
    hand = InOneHand()
    hand.run(facts, entity)
    assert not hand.refused().keys() - {"others", "not_asked"}
    expected = {(entity, a.answer.deal, a.answer.at): a for a in judged.asked or [] if a.learnt}
    found = {key: said for key, said in hand.asked.items() if key[0] == entity}
    assert found.keys() == expected.keys() and len(found) > 40
    for key, one in expected.items():
        answer = one.answer
        numbers = [answer.win, answer.within, answer.low, answer.median, answer.high, answer.expected]
        assert found[key][:6] == pytest.approx(numbers, abs=1e-6), key
    seen = [one.x for one in expected.values()]
    for name in ("log_sessions", "log_read", *(("lead_points", "log_lead_age") if entity == "deal" else ())):
        assert sum(math.isfinite(float(x[name])) for x in seen) > 20, name


def test_while_a_past_is_caught_up_with_nothing_beside_is_believed() -> None:
    """Topic by topic, one may be days ahead of another: what is known then says how it ended."""
    facts = [web(1, "V1", lead_id="E1", session_id="a"), DealFact(2 * DAY_MS, "E1", "created", {"source": "fair"})]
    for read_after, sessions in ((0, True), (BEHIND + 1, False)):
        fold = PredictPartition(LEADS, 0, Business())
        queue = [
            Output(TOPIC_OF["web.page_viewed"], b"V1", event(0, facts[0], "lead")),
            Output("leads", b"E1", event(1, facts[1], "lead")),
        ]
        asked: list[dict[str, Any]] = []
        while queue:
            one = queue.pop(0)
            at = BEGIN + 2 * DAY_MS
            fold.fold([Record(one.topic, 0, 0, at, one.key, one.value, (), at + read_after)])
            queue[:0] = fold.tellings()
            asked += [orjson.loads(one) for one in fold.lessons()]
        x = dict(zip(LEADS.names, asked[0]["x"], strict=True))
        assert (x["log_sessions"] is not None) is sessions


@pytest.mark.parametrize("matters", [True, False], ids=["it matters", "it is noise"])
def test_what_matters_is_learnt_and_noise_does_no_harm(matters: bool) -> None:
    """In one world of 600 deals; more of them, and larger ones, are in docs/models.md."""
    lived = acquainted(600, 1, "deal", matters=matters)
    (known, best, _), (own, _, _) = auc(lived, "deal"), auc(alone(lived), "deal")
    assert known > ((own + best) / 2 if matters else own - 0.005)


def test_who_looks_ahead_would_see_it() -> None:
    """The world gives the outcome away to one who knows what comes after it; the evaluation is not one."""
    lived = acquainted(300, 2, "lead", matters=False)
    visits: dict[str, int] = {}
    for fact in lived.facts:
        if fact.kind == "web.page_viewed":
            visits[str(fact.data["lead_id"])] = visits.get(str(fact.data["lead_id"]), 0) + 1
    won = {fact.deal for fact in lived.facts if fact.kind == "converted"}
    after = [sum(visits.get(lead, 0) for lead in group) / len(group) for group in (won, lived.truth.keys() - won)]
    assert after[0] > 1.5 * after[1]
    found = DealEvaluation(KINDS["lead"].fresh_model(), past=KINDS["lead"].past, keep_features=True).run(lived.facts)
    pages = {a.answer.deal: a.x["log_pages"] for a in reversed(found.asked or [])}
    mean = [
        sum(float(pages[lead]) for lead in group if math.isfinite(float(pages[lead]))) / len(group)
        for group in (won & pages.keys(), pages.keys() - won)
    ]
    assert mean[0] == pytest.approx(mean[1], rel=0.3)
