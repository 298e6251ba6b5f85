"""What is odd in the input is defined: the table of ``docs/kpis.md``, a row at a time."""

from itertools import permutations
from typing import Any

import pytest

from models.fold import Record
from models.folds.partition import EntityPartition
from stream.config.settings import SettingsError, load
from tests.models.company import Company, at

END = "2026-04-01"


def sold(told: Company, name: str, **data: Any) -> Company:
    return told.tell(f"deal.created {name} 2026-03-02", **data).tell(f"deal.won {name} 2026-03-05")


def reasons(told: Company) -> list[tuple[str, str]]:
    return [(letter["reason"], letter["detail"]) for letter in told.letters]


def test_an_amount_below_0_is_a_credit_note_and_no_share() -> None:
    told = sold(sold(Company(), "D1", amount=100), "D2", amount=-30)
    told.tell("deal.created D3 2026-03-02", amount=-200).tell("deal.lost D3 2026-03-06")
    assert told.value("revenue", END) == 70 and told.value("sales", END) == 2
    reading = told.read("win_rate_value", END)
    assert reading.value is None and "no share" in str(reading.why)
    assert told.letters == []


@pytest.mark.parametrize("discount", [1.01, 20, -0.1])
def test_a_discount_above_all_of_it_or_below_0_is_refused(discount: float) -> None:
    told = sold(Company(), "D1", amount=100, list_amount=125)
    sold(told, "D2", amount=100, discount=discount)
    assert [reason for reason, _ in reasons(told)] == ["invalid_data"] and "discount" in reasons(told)[0][1]
    assert told.value("discount_rate", END) == 0.2


@pytest.mark.parametrize("probability", [0.8, 80, "80 %"])
def test_a_probability_is_not_read_in_whatever_form(probability: float | str) -> None:
    """The odds of stages are learnt, and the model's own: a CRM's would be another thing under the same name."""
    told = Company()
    for name, more in (("D1", {}), ("D2", {"probability": probability})):
        told.tell(f"deal.created {name} 2026-03-02", amount=100, stage="new", **more)
    assert told.letters == []
    assert told.partitions["deals"].unknown_fields == {("deal.created", "data.probability"): 1}
    plain = Company()
    for name in ("D1", "D2"):
        plain.tell(f"deal.created {name} 2026-03-02", amount=100, stage="new")
    assert told.read("weighted_pipeline", END) == plain.read("weighted_pipeline", END)


def test_a_deal_won_without_an_amount_is_a_sale_and_no_revenue() -> None:
    told = sold(sold(Company(), "D1", amount=100), "D2")
    values = {name: told.value(name, END) for name in ("sales", "revenue", "average_deal_size", "revenue_per_sale")}
    assert values == {"sales": 2, "revenue": 100, "average_deal_size": 100, "revenue_per_sale": 50}


def test_a_stage_that_no_pipeline_knows_is_an_open_one() -> None:
    told = Company().tell("deal.created D1 2026-03-02", amount=100, stage="new")
    told.tell("deal.stage_changed D1 2026-03-05", stage="never heard of")
    assert told.value("open_pipeline", END) == 100
    assert told.value("stage_conversion", END, segment="stage=new") == 1
    assert told.letters == []


def test_a_lead_converted_before_it_was_created_is_converted() -> None:
    told = Company().tell("lead.converted L1 2026-02-28", deal_id="D1").tell("lead.created L1 2026-03-02")
    assert told.value("leads", END) == 1
    assert told.value("lead_response_time", END) == 0
    # It has come of age, and was converted by then.
    assert told.value("lead_conversion", "2026-04-02") == 1


MERGES = {
    ("a", "b"): [("a", "b"), ("b", "a")],
    ("a", "b", "c"): [("a", "b"), ("b", "c"), ("c", "a")],
}


@pytest.mark.parametrize("names", MERGES)
def test_entities_that_are_merged_in_a_circle_are_all_gone_in_any_order(names: tuple[str, ...]) -> None:
    """Each was merged away by its own word. What they hand over comes to rest."""
    for order in permutations(MERGES[names]):
        told = Company()
        for name in (*names, "other"):
            sold(told, name, amount=10)
        for one, into in order:
            day = 10 + MERGES[names].index((one, into))
            told.tell(f"deal.merged {one} 2026-03-{day}", into=into)
        assert rest(told.partitions["deals"], told) < 50
        assert told.value("sales", END) == 1 and told.letters == []


def test_what_is_merged_into_itself_is_refused() -> None:
    told = sold(Company(), "a", amount=10).tell("deal.merged a 2026-03-10", into="a")
    assert reasons(told) == [("invalid_data", "into: 'a' cannot be merged into itself")]
    assert told.value("sales", END) == 1


def rest(fold: EntityPartition, told: Company) -> int:
    """Give a partition what its merged entities hand over until nothing is; how many records that took."""
    waiting, taken = [], 0
    for _ in range(50):
        for output in fold.changes().outputs:
            if output.topic == "panes":
                told.view.put(output.key, output.value)
            elif output.topic == "deal-merges":
                waiting.append(output.value or b"")
        if not waiting:
            break
        fold.fold([Record("deal-merges", 0, taken + n, at(END), b"", value, ()) for n, value in enumerate(waiting)])
        taken += len(waiting)
        waiting = []
    return taken


@pytest.mark.parametrize("value", [0, -1])
def test_a_target_of_0_is_refused(value: float) -> None:
    with pytest.raises(SettingsError) as refused:
        load(environ={}, targets=[{"kpi": "revenue", "period": "month", "value": value}])
    assert "targets.0.value" in str(refused.value.problems) and "greater than 0" in str(refused.value.problems)


def test_a_step_twice_in_a_funnel_is_refused() -> None:
    steps = [{"name": "a", "events": ["deal.won"]}, {"name": "b", "events": ["deal.lost", "deal.won"]}]
    with pytest.raises(SettingsError) as refused:
        load(environ={}, business={"journeys": {"demo": {"steps": steps}}})
    assert "demo: events: found 'deal.won' twice (accepted: each in one step only)" in str(refused.value.problems)
