"""The stages between an alert and people: their order is data, and who has nothing to ask is not asked."""

import pytest

from alert_rules.records.alerts import Transition
from alert_rules.tell.stages.chain import HOLDING, STAGES, Ask, Candidate, Circumstances, Stage, StageChain, mute, silence
from alert_rules.tell.stages.group import LOOK_AGAIN, Group
from alert_rules.tell.stages.inhibit import Inhibitions, InhibitRule
from alert_rules.tell.stages.match import Matcher
from alert_rules.tell.stages.route import Route
from alert_rules.tell.stages.silence import Silence, decode, encode
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


# -- each stage alone ------------------------------------------------------------------------------------------------------


def test_an_alert_that_stands_under_other_labels_explains_what_those_mean() -> None:
    known = Inhibitions([InhibitRule((Matcher.parse("severity=critical"),), (Matcher.parse("severity=warn"),))])
    known.stand("a", {"severity": "critical"})
    held = known.suppression("b", {"severity": "warn"})
    assert held == ("inhibit", 'inhibited while {severity="critical"} fires: incident a')
    known.stand("a", {"severity": "warn"})
    assert known.suppression("b", {"severity": "warn"}) is None, "what it was before explains nothing any more"


def test_what_is_suppressed_is_looked_at_again_after_its_turn_and_not_at_once() -> None:
    group = Group("g", "{}", {}, "t", BASE, flushed=BASE)
    for now in (BASE, BASE + 60_000):
        assert group.next_turn(Route("{}", (), ()), now, changed=False, suppressed=True) == BASE + LOOK_AGAIN
    assert group.next_turn(Route("{}", (), ()), BASE + 5, changed=True, suppressed=True) == BASE + 5


@pytest.mark.parametrize(
    ("one", "other", "never"),
    [("a=x", "a=y", True), ("a=x", "a=x", False), ("a=x", "b=y", False), ("a!=x", "a=x", True), ("a!=x", "a=y", False),
     ("a=~x|y", "a=z", True), ("a=~x|y", "a=y", False), ("a!=x", "a!=y", False), ("a!=x", "a=~x", False)],
)  # fmt: skip
def test_whether_no_labels_could_fulfil_both(one: str, other: str, never: bool) -> None:
    assert Matcher.parse(one).excludes(Matcher.parse(other)) is never


def test_a_label_that_an_alert_does_not_have_is_empty_in_its_groups() -> None:
    assert Route("{}", (), (), group_by=("team", "rule")).group_labels("i", {"rule": "r"}) == {"team": "", "rule": "r"}


@pytest.mark.parametrize(("length", "taken"), [(1000, True), (1001, False)])
def test_a_comment_has_a_thousand_characters(length: int, taken: bool) -> None:
    tree = encode(SILENCE) | {"comment": "x" * length}
    if taken:
        assert decode(tree).comment == "x" * length
        return
    with pytest.raises(ValueError, match="comment: found"):
        decode(tree)
