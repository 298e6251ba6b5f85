"""An evaluation keeps little of each answer and less of what closed long ago, and tells the same measures."""

import math
import tracemalloc

import numpy as np

from bench.worlds import WORLDS, live
from models.learners.answers import Answers, EvaluatedAnswer
from models.learners.evaluation import REOPENED, DealEvaluation, DealFact
from models.learners.features import DAY_MS
from models.learners.judging import measures


def _answer(number: int) -> EvaluatedAnswer:
    return EvaluatedAnswer(number * 7, f"D{number % 5}", number % 2 == 0, *(number / part for part in range(1, 7)))


def test_answers_read_as_they_were_given() -> None:
    given, kept = [_answer(number) for number in range(40)], Answers()
    for answer in given:
        kept.append(answer)
    assert kept == given and kept[-1] == given[-1] and kept[3:9] == given[3:9] and len(kept) == 40
    said, at, deal, aged = kept.columns()
    for number, answer in enumerate(given):
        assert [*said[number]] == [*answer[3:]] and at[number] == answer.at and aged[number] == answer.aged
        assert kept.deals[deal[number]] == answer.deal


def test_an_answer_takes_some_dozens_of_bytes() -> None:
    kept = Answers()
    tracemalloc.start()
    for number in range(20_000):
        kept.append(_answer(number))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / 20_000 < 90


def test_the_report_is_that_of_the_answers_one_by_one() -> None:
    found = DealEvaluation(horizons=(30,)).run(live(WORLDS["60 % won"]._replace(size=120, per_day=3.0)).facts)
    half = found.answers[len(found.answers) // 2 :]
    became = []
    for answer in half:
        deal = found.deals[answer.deal]
        closed = deal.status != "open" and not deal.gone and deal.closed >= answer.at
        won = float(deal.status == "won") if closed else math.nan
        after = math.nan if deal.gone else (found.end - answer.at) / DAY_MS
        became.append((won, (deal.closed - answer.at) / DAY_MS if closed else math.inf, after))
    np.testing.assert_array_equal(found.outcomes(half), np.array(became))
    report = found.report()
    assert report["second_half"] == measures(np.array([answer[3:] for answer in half]), np.array(became))
    assert report["at_ages"]["answers"] == sum(answer.aged for answer in half)


def test_a_deal_that_closed_long_ago_keeps_nothing_but_its_past() -> None:
    facts = [DealFact(0, "D", "created", {"stage": "new", "owner": "ann"}), DealFact(DAY_MS, "D", "won", {})]
    found = DealEvaluation().run([*facts, DealFact(2 * DAY_MS + REOPENED, "E", "created", {})])
    deal = found.deals["D"]
    assert deal.snapshots == [] and deal._past is None and deal.past.attributes["owner"] == "ann"
    deal.retire()
    at = 3 * DAY_MS + REOPENED
    found.take(DealFact(at, "D", "reopened", {}))
    assert deal.status == "open" and found.answers[-1].deal == "D"
    assert deal.past.features(at)["owner"] == "ann"


def test_one_that_is_reopened_in_time_withdraws_its_label() -> None:
    facts = [DealFact(0, "D", "created", {"stage": "new"}), DealFact(DAY_MS, "D", "won", {})]
    found = DealEvaluation().run([*facts, DealFact(REOPENED, "D", "reopened", {})])
    assert float(found.model.hazard._all[1].sum()) == 0.0 and found.deals["D"].snapshots
