"""What moved a figure: parts that add up, read from the panes at the reading's own instant."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_rules.kinds.absent import Absent
from models.business import Business
from models.calendar import DAY_MS, MINUTE_MS
from models.fold import Record
from models.kpis.decompose import Pair, of_quotient, of_ratio, of_sum
from models.kpis.explain import UNNAMED, additive, explain
from models.kpis.reading import Reading
from models.kpis.roll_kpis import BREACHED, RollKpis, Stand, Wanted
from models.panes.view import View
from models.panes.windows import Window
from stream.config.kpi_files import load_catalogue

NOW = 1_795_219_200_000  # 2026-11-21T00:00:00Z
CATALOGUE = load_catalogue()

counts = st.integers(min_value=0, max_value=50)
segments = st.sampled_from(["a", "b", "c", "d", "e"])
pairs = st.dictionaries(segments, st.tuples(counts, counts).map(lambda p: (Fraction(p[0]), Fraction(p[1]))), min_size=1)


def rate(found: dict[str, Pair]) -> Fraction:
    return sum(a for a, _ in found.values()) / Fraction(sum(b for _, b in found.values()))


@given(pairs, pairs)
def test_the_parts_of_a_ratio_add_up_to_its_difference(now: dict[str, Pair], before: dict[str, Pair]) -> None:
    if not sum(b for _, b in now.values()) or not sum(b for _, b in before.values()):
        with pytest.raises(ZeroDivisionError):
            of_ratio(now, before)
        return

    parts = of_ratio(now, before)

    assert sum(part.effect for part in parts) == rate(now) - rate(before)
    assert {part.segment for part in parts} == now.keys() | before.keys()


@given(pairs)
def test_equal_weights_have_no_mix_and_equal_rates_no_rate(found: dict[str, Pair]) -> None:
    cases = {name: (Fraction(0), b + 1) for name, (_, b) in found.items()}
    better = {name: (b / 2, b) for name, (_, b) in cases.items()}
    heavier = {name: (b, 2 * b) for name, (_, b) in zip(cases, reversed(list(cases.values())), strict=True)}

    assert all(part.mix == 0 for part in of_ratio(better, cases))
    assert all(part.rate == 0 for part in of_ratio(heavier, better))


def test_the_mix_of_what_grew_says_whether_it_is_better_than_the_rest() -> None:
    before = {"good": (Fraction(5), Fraction(10)), "bad": (Fraction(1), Fraction(10))}
    now = {"good": (Fraction(5), Fraction(10)), "bad": (Fraction(3), Fraction(30))}

    good, bad = sorted(of_ratio(now, before), key=lambda part: part.segment, reverse=True)

    # 6/20 = 30 % became 8/40 = 20 %, though neither rate has changed: Simpson's paradox, told apart.
    assert good.rate == bad.rate == 0
    assert good.mix < 0 and bad.mix < 0 and good.mix + bad.mix == Fraction(-1, 10)


@given(st.dictionaries(segments, counts.map(Fraction)), st.dictionaries(segments, counts.map(Fraction)))
def test_the_parts_of_a_sum_add_up(now: dict[str, Fraction], before: dict[str, Fraction]) -> None:
    assert sum(part.effect for part in of_sum(now, before)) == sum(now.values()) - sum(before.values())


@given(counts, counts, counts, counts)
def test_numerator_and_denominator_add_up(a: int, b: int, c: int, d: int) -> None:
    now, before = (Fraction(a), Fraction(b + 1)), (Fraction(c), Fraction(d + 1))
    assert sum(of_quotient(now, before)) == now[0] / now[1] - before[0] / before[1]


def view(**panes: Any) -> View:
    """A view of day panes: ``{segment: {days ago: sums}}``."""
    made = View(Business())
    made.advance(NOW)
    today = made.calendar.day(NOW)
    for segment, days in panes.items():
        name = segment.replace("__", "=")
        for ago, sums in days.items():
            made.put(f"deals:0:d:{today - ago}:{name}".encode(), orjson.dumps(sums))
    return made


SOLD = {
    "total": {3: {"deals_won": 6, "deals_lost": 14}, 33: {"deals_won": 20, "deals_lost": 20}},
    "source__web": {3: {"deals_won": 1, "deals_lost": 9}, 33: {"deals_won": 10, "deals_lost": 10}},
    "source__ads": {3: {"deals_won": 4, "deals_lost": 4}, 33: {"deals_won": 10, "deals_lost": 10}},
    "owner__ann": {3: {"deals_won": 6, "deals_lost": 14}, 33: {"deals_won": 20, "deals_lost": 20}},
}


def explained(kpi: str, segment: str = "total", panes: Any = None) -> tuple[Reading, dict[str, Any]]:
    window, found = Window.parse("30d"), view(**(panes or SOLD))
    reading = CATALOGUE.reading(CATALOGUE.get(kpi), found, window, segment, NOW)
    return reading, explain(CATALOGUE, found, CATALOGUE.get(kpi), window, reading)


def test_a_ratio_is_taken_apart_by_segments_and_what_has_none_is_told() -> None:
    reading, why = explained("win_rate")

    assert (reading.value, why["previous"]["value"], why["previous"]["numerator"]) == (0.3, 0.5, 20)
    assert why["change"] == pytest.approx(-0.2)
    (by_source,) = why["moved_by"]  # one owner did everything: that says nothing
    assert by_source["dimension"] == "source"
    effects = {part["segment"]: part["effect"] for part in by_source["segments"]}
    assert set(effects) == {"web", "ads", UNNAMED}
    assert sum(effects.values()) == pytest.approx(-0.2)
    assert by_source["segments"][0]["segment"] == "web" and effects["web"] < -0.1
    assert sum(why["parts"].values()) == pytest.approx(-0.2)


def test_a_sum_is_taken_apart_and_a_segment_is_seen_beside_everything() -> None:
    _, why = explained("sales")
    assert why["change"] == -14
    assert [(p["segment"], p["effect"]) for p in why["moved_by"][0]["segments"]] == [("web", -9), ("ads", -6), (UNNAMED, 1)]

    _, why = explained("win_rate", "source=web")
    assert why["total"] == {"value": 0.3, "previous": 0.5}
    assert "moved_by" not in why, "panes hold no crossings of dimensions"


def test_without_an_earlier_value_it_says_so() -> None:
    _, why = explained("win_rate", panes={"total": {3: {"deals_won": 1, "deals_lost": 1}}})
    assert why == {"previous": {**why["previous"], "value": None, "why": "no deal was closed in the window"}}


def test_what_adds_up_is_known_by_its_formula() -> None:
    able = {kpi.id for kpi in CATALOGUE.kpis.values() if additive(kpi)}
    assert {"win_rate", "revenue", "lead_response_time", "open_pipeline", "nps", "average_deal_size", "cac"} <= able
    assert able.isdisjoint({"median_deal_size", "visitor_to_lead_rate"})


def stand(reading: Reading) -> Stand | None:
    return (BREACHED,) if reading.value is not None and reading.value < 0.4 else None


def test_a_reading_that_alarms_is_explained_once_a_heartbeat_and_when_it_ends() -> None:
    roll = RollKpis(View(Business()), CATALOGUE, [("win_rate", "1h", None)], heartbeat=5_000, alarm=stand)
    roll.live()
    offset = iter(range(100))

    def said(now: int, **sums: int) -> Reading:
        key = f"deals:0:m:{now // MINUTE_MS}:total".encode()
        roll.fold([Record("panes", 0, next(offset), now, key, orjson.dumps(sums), ())])
        roll.tick(now)
        (output,) = roll.changes().outputs
        assert output.value is not None
        return Reading.decode(output.value)

    assert said(NOW + 1, deals_won=5, deals_lost=5).because is None
    assert said(NOW + 2, deals_won=5, deals_lost=15).because is not None, "it has begun to alarm"
    assert said(NOW + 3, deals_won=5, deals_lost=16).because is None
    assert said(NOW + 5_002, deals_won=5, deals_lost=17).because is not None
    assert said(NOW + 5_003, deals_won=25, deals_lost=5).because is not None, "it has ended"
    assert said(NOW + DAY_MS, deals_won=26, deals_lost=5).because is None


def compared(days: dict[int, dict[str, int]], name: str, window: str = "7d", kpi: str = "revenue") -> dict[str, Any]:
    """What a reading of deals (or leads) so many days ago is compared with."""
    fold = "leads" if kpi == "leads" else "deals"
    roll = RollKpis(View(Business()), CATALOGUE, [Wanted(kpi, window, None, frozenset({name}))])
    calendar = roll.view.calendar
    for ago, sums in days.items():
        at = NOW - ago * DAY_MS
        for grain, pane in (("d", calendar.day(at)), ("h", calendar.hour(at))):
            roll.fold([Record("panes", 0, 0, NOW, f"{fold}:0:{grain}:{pane}:total".encode(), orjson.dumps(sums), ())])
    roll.live()
    roll.tick(NOW + DAY_MS)
    (output,) = roll.changes().outputs
    assert output.value is not None
    return dict((Reading.decode(output.value).against or {})[name])


def test_a_period_that_is_not_wholly_in_the_history_is_nothing_to_compare_with() -> None:
    young = compared({9: {"won_amount": 50_000}, 2: {"won_amount": 10_000}}, "previous")
    old = compared({20: {"won_amount": 1}, 9: {"won_amount": 50_000}, 2: {"won_amount": 10_000}}, "previous")

    assert (young["value"], young["why"]) == (None, "the history begins on 2026-11-12, not before this period")
    assert (old["value"], "why" in old) == (5, False)


def test_what_has_not_been_there_for_four_weeks_is_not_missed() -> None:
    assert compared({9: {"leads": 3}}, "lately", "1h", "leads")["value"] == 3
    assert compared({40: {"leads": 3}}, "lately", "1h", "leads")["value"] == 0
    nothing = {"value": 0, "denominator": None}
    hour: dict[str, Any] = {"kpi": "leads", "window": "1h", "segment": {}, "start": 0, "at": 0, "numerator": None}
    rest: dict[str, Any] = {"denominator": None, "low": None, "high": None, "unit": "count"}
    silent = Reading(**hour, **rest, value=0)
    absent = Absent()

    assert absent.measured(replace(silent, against={"lately": {**nothing, "value": 3}}), 0) == 1
    assert absent.measured(replace(silent, against={"lately": nothing}), 0) is None
