"""A lead who objects to being judged: nothing is predicted of them, nothing learnt from them, and what was is let go of."""

from models.learners.features import DAY_MS
from models.learners.live_kinds import LEADS
from models.learners.live_predict import PredictPartition
from tests.models.learners.live import BEGIN, Loop, event
from tests.models.learners.test_live import fact


class Objecting(Loop):
    objected: frozenset[str] = frozenset()

    def _predictor(self, number: int) -> PredictPartition:
        return PredictPartition(self.kind, number, self.business, self.home, asks=self.asks, objected=self.objected)


def test_who_objects_is_predicted_no_longer_and_nobody_else_is_touched() -> None:
    loop = Objecting(kind=LEADS)
    facts = [fact(day, "created", lead, source="web") for day, lead in ((0, "L1"), (0.5, "L2"))]
    for number, found in enumerate(facts):
        loop.send(event(number, found, "lead"), BEGIN + found.at)
    loop.tick(BEGIN + DAY_MS)
    assert {lead for lead, said in loop.predictions.items() if said} == {"L1", "L2"}
    loop.objected = frozenset({"L1"})
    loop.restart()
    loop.settle()
    assert loop.predictions["L1"] is None and loop.predictions["L2"], "what was said of them is taken from the topic"
    assert b"EL1" not in loop.rows["predict-0"] and b"EL2" in loop.rows["predict-0"]
    lessons = len(loop.examples())
    for day, kind in ((2, "contacted"), (3, "contacted"), (4, "converted")):
        found = fact(day, kind, "L1", **({"channel": "phone"} if kind == "contacted" else {}))
        loop.send(event(int(day * 10), found, "lead"), BEGIN + found.at)
    loop.tick(BEGIN + 4 * DAY_MS)
    assert not [one for one in loop.examples()[lessons:] if one["entity"] == "L1"] and loop.predictions["L1"] is None
    assert loop.predictors[0].outcomes["objected"] == 3 and b"EL1" not in loop.rows["predict-0"]
    loop.restart()
    assert loop.predictors[0].outcomes["objected"] == 0 and b"EL1" not in loop.rows["predict-0"]
