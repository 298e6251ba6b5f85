"""Is "9 of 10 leave within" said of all deals of a stage, those included that are still there?"""

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, iso
from models.fold import Record
from models.folds.partition import EntityPartition
from models.kpis.stays import QUANTILES, Stays, is_news, usual_stays
from models.kpis.survival import Stay, curve, quantiles
from models.panes.view import View

NOW = 1_795_260_000_000  # 2026-11-21T11:20:00Z


def left(*ages: int) -> list[Stay]:
    return [Stay(0, age, True) for age in ages]


def there(*ages: int) -> list[Stay]:
    return [Stay(0, age, False) for age in ages]


def test_a_curve_worked_by_hand_with_ties_and_censoring() -> None:
    # Ten deals. Left after 2, 2, 3, 5, 8 days; still there after 3, 4, 6, 9, 9.
    #
    #   age   staying   left   S
    #    2      10        2    8/10                    = 0.8
    #    3       8        1    0.8 * 7/8               = 0.7      (the one censored at 3 was there at 3)
    #    5       5        1    0.7 * 4/5               = 0.56     (censored at 3 and 4 are gone: 10 - 2 - 1 - 2)
    #    8       3        1    0.56 * 2/3              = 0.37333  (censored at 6 is gone)
    #
    # Half have left once S <= 0.5: after 8 days. Three of four: S never falls to 0.25.
    stays = left(2, 2, 3, 5, 8) + there(3, 4, 6, 9, 9)
    assert curve(stays) == [(2, 0.8), (3, pytest.approx(0.7)), (5, pytest.approx(0.56)), (8, pytest.approx(0.56 * 2 / 3))]
    assert quantiles(stays, (0.2, 0.3, 0.5, 0.75, 0.9)) == [2, 3, 8, None, None]
    # Of those that left alone it would be: half within 3 days, nine of ten within 8.
    assert quantiles(left(2, 2, 3, 5, 8), (0.5, 0.9)) == [3, 8]


def test_without_anybody_censored_every_share_is_the_fraction_itself() -> None:
    assert [share for _, share in curve(left(*range(1, 1000)))] == [staying / 999 for staying in reversed(range(999))]


def test_who_is_there_at_an_age_began_before_it() -> None:
    alone = [Stay(0, 10, True), Stay(0, 12, False)]
    assert curve(alone) == [(10, 0.5)]
    assert curve([*alone, Stay(10, 20, False, 3)]) == [(10, 0.5)], "begun at the very age at which one left"
    assert curve([Stay(3, 10, True, 2), Stay(3, 12, False, 2)]) == [(10, 0.5)], "nobody is seen from the beginning"
    for nothing in (Stay(0, 5, True, 0), Stay(0, 5, True, -1), Stay(5, 5, True)):
        assert curve([nothing, *alone]) == [(10, 0.5)], nothing


def test_of_what_had_begun_before_only_the_time_since_counts() -> None:
    # Two deals seen from their beginning leave after 1 and 4 days. Eight had been there for 3 days when one began to look; one of
    # them leaves after 4 days, seven are still there after 10.
    #
    #   age   staying             left   S
    #    1    2                     1    1/2
    #    4    1 + 8 = 9             2    1/2 * 7/9 = 0.38889
    #
    # Counted from their beginning they would make 9/10 of the first: nobody knows how many like them had left within a day.
    stays = [*left(1, 4), Stay(3, 4, True), Stay(3, 10, False, 7)]
    assert curve(stays) == [(1, 0.5), (4, pytest.approx(0.5 * 7 / 9))]


@pytest.mark.parametrize(
    ("stays", "found"),
    [
        ([], [None, None]),
        (there(1, 2), [None, None]),
        (left(0, 0, 0), [0, 0]),
        (left(7), [7, 7]),
        (left(1, 1) + there(0), [1, 1]),
    ],
)
def test_the_ends(stays: list[Stay], found: list[int | None]) -> None:
    assert quantiles(stays, (0.5, 0.9)) == found


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.sampled_from([0.5, 0.75, 0.9, 0.95, 1.0]))
def test_with_nobody_left_behind_it_is_the_quantile_of_the_stays(ages: list[int], q: float) -> None:
    rank = next(n for n in range(1, len(ages) + 1) if n / len(ages) >= q - 1e-9)
    assert quantiles(left(*ages), (q,)) == [sorted(ages)[rank - 1]]


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=40))
def test_the_curve_falls_and_those_still_there_make_it_fall_later(stays: list[tuple[int, bool]]) -> None:
    told = [Stay(0, age, gone) for age, gone in stays]
    shares = [share for _, share in curve(told)]
    assert shares == sorted(shares, reverse=True) and all(-1e-12 <= share <= 1 for share in shares)
    for both, alone in zip(quantiles(told, QUANTILES), quantiles([s for s in told if s.left], QUANTILES), strict=True):
        assert both is None or (alone is not None and both >= alone)


def deal(name: str, entered: int, stay: int | None) -> list[dict[str, Any]]:
    """A deal that enters a stage and leaves it for another after a stay."""
    head = {"specversion": "1.0", "source": "test", "subject": name}
    came = {**head, "id": f"{name}1", "type": "deal.created", "time": iso(entered), "data": {"stage": "demo"}}
    if stay is None:
        return [came]
    return [came, {**head, "id": f"{name}2", "type": "deal.lost", "time": iso(entered + stay), "data": {}}]


def viewed(*deals: list[dict[str, Any]], late: random.Random | None = None) -> View:
    events = sorted((event for each in deals for event in each), key=lambda event: str(event["time"]))
    if late is not None:
        late.shuffle(events)
    partition, view = EntityPartition("deals", 0, Business(timezone="Europe/Paris")), View(Business(timezone="Europe/Paris"))
    for start in range(0, len(events), 10):
        partition.fold([Record("deals", 0, 0, NOW, None, orjson.dumps(event), ()) for event in events[start : start + 10]])
        for output in partition.changes().outputs:
            if output.topic == "panes":
                view.put(output.key, output.value)
    view.advance(NOW)
    return view


def usual(*deals: list[dict[str, Any]], late: random.Random | None = None) -> Stays:
    found = usual_stays(viewed(*deals, late=late), NOW)
    assert found is not None
    return found


#: Thirty that left after ten days each, in the last weeks.
GONE = [deal(f"g{n}", NOW - (12 + n) * DAY_MS, 10 * DAY_MS) for n in range(30)]


def test_those_still_there_count() -> None:
    alone = usual(*GONE)["demo"]
    assert alone[2] is not None and 9.3 * DAY_MS < alone[2] <= 10 * DAY_MS
    # Twenty more came in the same days and are still there, all for longer than ten days: 20 of 50 stay, and 9 of 10 never leave.
    pile = [deal(f"p{n}", NOW - (13 + n) * DAY_MS, None) for n in range(20)]
    assert usual(*GONE, *pile)["demo"] == [alone[0], None, None, None]


def test_too_few_stays_say_nothing() -> None:
    assert usual(*GONE[:19]) == {}


def test_what_is_counted_in_part_is_left_out() -> None:
    """Of deals whose oldest facts were folded away, stays that ended before a version counted them look as if they went on."""
    view = viewed(*GONE)
    view.put(b"deals:0:a:0:#since", orjson.dumps({"stage_lengths": NOW - 33 * DAY_MS}))
    assert usual_stays(view, NOW) == usual(*GONE[:21])
    view.put(b"deals:0:a:0:#since", orjson.dumps({"stage_lengths": NOW - 20 * DAY_MS}))
    assert usual_stays(view, NOW) == {}
    view.put(b"deals:0:a:0:#behind", orjson.dumps({"stage_lengths": 3}))
    assert usual_stays(view, NOW) is None, "nothing is told until it is whole: what was told before stands"


def test_it_is_the_same_whatever_comes_late() -> None:
    deals = [*GONE, deal("a", NOW - 5 * DAY_MS, None), deal("b", NOW - 200 * DAY_MS, 150 * DAY_MS)]
    assert usual(*deals) == usual(*deals, late=random.Random(3)) == usual(*deals, late=random.Random(4))


def test_a_steady_flow_is_judged_by_what_was_seen_of_it() -> None:
    """Stays are exponential with a mean of ten days for two years: half leave within 6.9 days, nine of ten within 23."""
    r = random.Random(11)
    told = []
    for n in range(3000):
        entered = NOW - r.randrange(730 * 24) * HOUR_MS
        stay = round(r.expovariate(1 / 10) * DAY_MS)
        told.append(deal(f"d{n}", entered, stay if entered + stay < NOW else None))
    half, _, nine, _ = usual(*told)["demo"]
    assert half is not None and nine is not None
    assert 6.9 * DAY_MS * 0.85 < half < 6.9 * DAY_MS * 1.1
    assert 23 * DAY_MS * 0.85 < nine < 23 * DAY_MS * 1.1


def test_what_moves_by_a_twentieth_is_no_news_yet() -> None:
    assert not is_news({"demo": [95]}, {"demo": [100]}) and not is_news({"demo": [100]}, {"demo": [95]})
    assert is_news({"demo": [94]}, {"demo": [100]})


def test_what_has_not_moved_is_no_news() -> None:
    before: Stays = {"demo": [100, 200, None, None]}
    assert not is_news(before, {"demo": [104, 200, None, None]})
    for now in ([106, 200, None, None], [100, 200, 300, None], [100, None, None, None]):
        assert is_news(before, {"demo": list(now)})
    assert is_news(before, {})
