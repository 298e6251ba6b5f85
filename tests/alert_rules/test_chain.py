"""The stages between an alert and people: their order is data, and who has nothing to ask is not asked."""

import pytest

from alert_rules.records.alerts import Transition
from alert_rules.tell.stages.chain import HOLDING, STAGES, Ask, Candidate, Circumstances, Stage, StageChain, mute, silence
from alert_rules.tell.stages.match import Matcher
from alert_rules.tell.stages.route import Route
from alert_rules.tell.stages.silence import Silence
from alert_rules.tell.stages.suppression import Suppression
from models.time_intervals import usual
from tests.alert_rules.readings import BASE

FACTS = Transition(incident="i", kind="fired", rule="r", zone="UTC")
NIGHT = Route("{}", (), ("chat",), active=("business_hours",))
SILENCE = Silence("s", (Matcher.parse("rule=r"),), BASE - 1, BASE + 1, "ann")
BOTH = Circumstances(BASE, [SILENCE], intervals=usual("UTC"))


@pytest.mark.parametrize(("stages", "stage"), [((silence, mute), "silence"), ((mute, silence), "active"), (STAGES, "silence")])
def test_the_first_one_that_holds_it_back_is_the_reason(stages: tuple[Stage, ...], stage: str) -> None:
    found = StageChain(NIGHT, BOTH, stages).suppression(FACTS)
    assert found is not None and found.stage == stage and found.stage in HOLDING


def test_a_stage_of_ones_own_is_one_more_function() -> None:
    def odd(route: Route, now: Circumstances) -> Ask | None:
        return lambda candidate: Suppression("odd", "it is odd") if candidate.labels["rule"] == "r" else None

    assert StageChain(Route("{}", (), ()), Circumstances(BASE), (*STAGES, odd)).of(Candidate({"rule": "r"})) == (
        "odd",
        "it is odd",
    )


def test_nobody_asks_where_nothing_is_held_back() -> None:
    assert [stage(Route("{}", (), ()), Circumstances(BASE)) for stage in STAGES] == [None] * len(STAGES)
    assert StageChain(Route("{}", (), ()), Circumstances(BASE + 2, [SILENCE])).suppression(FACTS) is None
