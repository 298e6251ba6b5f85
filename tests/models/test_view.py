import random
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any
from zoneinfo import available_timezones

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS, Grain, epoch_ms
from models.measures import DEALS, ENGAGEMENT
from models.panes.store import Panes, dumps
from models.panes.view import PanesExpired, View
from models.panes.windows import FOREVER, Span, Window

NOW = 1_795_260_000_000  # 2026-11-21T11:20:00Z
WINDOWS = [Window.parse(name) for name in ("1h", "24h", "7d", "30d", "90d", "day", "week", "month", "quarter")]
BUSINESS = Business(timezone="Europe/Paris", keep_minutes=400 * DAY_MS, keep_hours=400 * DAY_MS)
DEAL = {m.name: slot for slot, m in enumerate(DEALS)}
VISITORS = [m.name for m in ENGAGEMENT].index("visitors")

Put = tuple[bytes, bytes | None]


def taken(fold: str, partition: int, panes: Panes) -> list[Put]:
    """What a checkpoint of the fold writes to the topic."""
    panes.roll(NOW)
    return [(f"{fold}:{partition}:{name}".encode(), value) for name, value in panes.changes()]


def feed(view: View, records: Iterable[Put]) -> None:
    for key, value in records:
        view.put(key, value)


# A deal: when, in which partition, from which source, for how much, and how long ago it was created.
deals = st.lists(
    st.tuples(
        st.one_of(
            st.integers(NOW - 2 * HOUR_MS, NOW + HOUR_MS),
            st.integers(NOW - 10 * DAY_MS, NOW + DAY_MS),
            st.integers(NOW - 120 * DAY_MS, NOW),
        ),
        st.integers(0, 2),
        st.sampled_from(["web", "ads"]),
        st.integers(-50, 10**7),
        st.sampled_from([1, 1, 1, -1]),  # −1: one that is taken back, in the pane where it counted
    ),
    max_size=40,
)


def booked(panes: Panes, deal: tuple[int, int, str, int, int]) -> None:
    time, _, source, amount, sign = deal
    cells = ((DEAL["deals_won"], 1), (DEAL["won_amount"], amount), (DEAL["open_amount"], amount))
    panes.book((time // MINUTE_MS, ("total", f"source={source}"), cells, ((DEAL["won_sizes"], amount),)), sign)


def held(view: View, end: int, window: Window) -> tuple[int, int]:
    """The stretch [from, the end of the minute before `end`)."""
    return window.bounds(end, view.calendar)[0], -(-end // MINUTE_MS) * MINUTE_MS


@settings(max_examples=60, deadline=None)
@given(deals, st.randoms(use_true_random=False), st.integers(NOW - 40 * DAY_MS, NOW + HOUR_MS))
def test_a_window_equals_brute_force_whenever_the_records_come(
    events: list[tuple[int, int, str, int, int]], rng: random.Random, end: int
) -> None:
    view = View(BUSINESS)
    partitions = [Panes(DEALS, BUSINESS) for _ in range(3)]
    for begin in range(0, len(events), 7):  # a checkpoint every seven events, in the order of arrival
        batch = events[begin : begin + 7]
        for event in batch:
            booked(partitions[event[1]], event)
        records = [record for number, panes in enumerate(partitions) for record in taken("deals", number, panes)]
        rng.shuffle(records)
        feed(view, records + records[: rng.randrange(5)])
        for window in WINDOWS:  # asked in between, so that sums over stretches are kept and must be amended
            view.total("deals", "total", window, end)
    for window in WINDOWS:
        start, stop = held(view, end, window)
        for segment in ("total", "source=web", "source=ads"):
            inside = [e for e in events if start <= e[0] < stop and segment in ("total", f"source={e[2]}")]
            cells = view.total("deals", segment, window, end)
            assert cells.numbers.get("deals_won", 0) == sum(e[4] for e in inside), window.name
            assert cells.numbers.get("won_amount", 0) == sum(e[3] * e[4] for e in inside)
            sizes: Counter[int] = Counter()
            for event in inside:
                sizes[event[3]] += event[4]
            assert cells.values.get("won_sizes", {}) == {v: n for v, n in sizes.items() if n}


@settings(max_examples=60, deadline=None)
@given(deals, st.lists(st.integers(NOW - 100 * DAY_MS, NOW + DAY_MS), min_size=1, max_size=5))
def test_a_level_is_restated_by_what_comes_late(events: list[tuple[int, int, str, int, int]], moments: list[int]) -> None:
    view = View(BUSINESS)
    panes = Panes(DEALS, BUSINESS)
    known: list[tuple[int, int, str, int, int]] = []
    for event in events:
        booked(panes, event)
        known.append(event)
        feed(view, taken("deals", 0, panes))
        for moment in moments:
            stop = -(-moment // MINUTE_MS) * MINUTE_MS
            assert view.level("open_amount", "total", moment) == sum(e[3] * e[4] for e in known if e[0] < stop)


@settings(max_examples=60, deadline=None)
@given(deals, st.randoms(use_true_random=False))
def test_the_order_of_records_and_repeats_do_not_matter(events: list[tuple[int, int, str, int, int]], rng: random.Random) -> None:
    partitions = [Panes(DEALS, BUSINESS) for _ in range(3)]
    for event in events:
        booked(partitions[event[1]], event)
    records = [record for number, panes in enumerate(partitions) for record in taken("deals", number, panes)]
    one, other = View(BUSINESS), View(BUSINESS)
    feed(one, records)
    shuffled = records * 2
    rng.shuffle(shuffled)
    feed(other, shuffled)
    assert one.segments("source") == other.segments("source")
    for window in WINDOWS:
        for segment in ("total", "source=web"):
            assert one.total("deals", segment, window, NOW) == other.total("deals", segment, window, NOW)


visits = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.one_of(st.integers(NOW - 2 * HOUR_MS, NOW + HOUR_MS), st.integers(NOW - 60 * DAY_MS, NOW + DAY_MS)),
    ),
    max_size=25,
)


def presence(times: list[int]) -> Counter[tuple[Grain, int, int]]:
    """In which panes a visitor counts, each with how many panes ago it was there before."""
    found: Counter[tuple[Grain, int, int]] = Counter()
    for grain in (Grain.MINUTE, Grain.HOUR, Grain.DAY):
        panes = sorted({BUSINESS.calendar.pane(grain, time) for time in times})
        for before, pane in zip([None, *panes], panes, strict=False):
            found[grain, pane, 0 if before is None else pane - before] += 1
    return found


@settings(max_examples=80, deadline=None)
@given(visits, st.integers(NOW - 30 * DAY_MS, NOW + HOUR_MS))
def test_distinct_visitors_are_exact_with_late_arrivals(arrivals: list[tuple[int, int]], end: int) -> None:
    view = View(BUSINESS)
    panes = {0: Panes(ENGAGEMENT, BUSINESS), 1: Panes(ENGAGEMENT, BUSINESS)}
    seen: dict[int, list[int]] = {}
    for number, (visitor, time) in enumerate(arrivals):
        times = seen.setdefault(visitor, [])
        before = presence(times)
        times.append(time)
        after = presence(times)
        for change, sign in ((before, -1), (after, 1)):
            for grain, pane, gap in change:
                panes[visitor % 2].present(grain, pane, "total", VISITORS, gap, sign)
        if number % 3 == 0:
            for partition, kept in panes.items():
                feed(view, taken("engagement", partition, kept))
            for window in WINDOWS:
                view.distinct("visitors", "total", window, end)
    for partition, kept in panes.items():
        feed(view, taken("engagement", partition, kept))
    for window in WINDOWS:
        grain, first, stop = window.panes(end, view.calendar)
        inside = {v for v, times in seen.items() if any(first <= view.calendar.pane(grain, t) < stop for t in times)}
        assert view.distinct("visitors", "total", window, end) == len(inside), window.name


def one_hour(view: View, number: int, hour: int, **cells: int) -> None:
    pane = view.calendar.hour(NOW) - hour
    view.put(f"leads:{number}:h:{pane}:total".encode(), orjson.dumps(cells) if cells else None)


def test_a_partial_sum_replaces_the_one_before() -> None:
    view = View(Business())
    day = Window.parse("24h")
    one_hour(view, 0, 2, leads=3)
    one_hour(view, 1, 2, leads=4)
    version = view.version
    one_hour(view, 0, 2, leads=3)
    assert (view.total("leads", "total", day, NOW).numbers["leads"], view.version) == (7, version)
    one_hour(view, 0, 2, leads=5)
    assert view.total("leads", "total", day, NOW).numbers["leads"] == 9
    one_hour(view, 0, 2)
    assert view.total("leads", "total", day, NOW).numbers["leads"] == 4
    one_hour(view, 1, 2)
    assert view.total("leads", "total", day, NOW).numbers.get("leads", 0) == 0
    assert view.version == version + 3


cells = st.one_of(st.integers(-3, 3), st.integers(2**63, 2**63 + 2))
counts = st.dictionaries(st.sampled_from("123"), st.integers(-2, 2), max_size=3)
parts = st.one_of(
    st.none(),
    st.fixed_dictionaries({}, optional={"leads": cells, "mqls": cells, "response_times": counts, "contacted": cells}),
)


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([10, 11]), parts, st.booleans()), max_size=40))
def test_partial_sums_are_replaced_whichever_are_remembered_as_they_were_read(puts: list[tuple[int, int, Any, bool]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.panes.view._HOT", 2)
        patch.setattr("models.panes.view._HOT_BYTES", 40)
        view, held = View(Business()), dict[tuple[int, int], dict[str, Any]]()
        for partition, pane, part, asked in puts:
            view.put(f"leads:{partition}:h:{pane}:total".encode(), None if part is None else dumps(part))
            held[partition, pane] = part or {}
            if asked:  # a total that is kept is amended
                view.total("leads", "total", 10 * HOUR_MS, 12 * HOUR_MS)
    expected: Counter[str] = Counter()
    values: Counter[int] = Counter()
    for part in held.values():
        for name, cell in part.items():
            if isinstance(cell, dict):
                values.update({int(value): count for value, count in cell.items()})
            else:
                expected[name] += cell
    found = view.total("leads", "total", 10 * HOUR_MS, 12 * HOUR_MS)
    assert {n: c for n, c in found.numbers.items() if c} == {n: c for n, c in expected.items() if c}
    assert found.values.get("response_times", {}) == {v: c for v, c in values.items() if c}


def test_time_alone_takes_a_number_out_of_its_window() -> None:
    view = View(Business())
    one_hour(view, 0, 2, leads=3)
    day = Window.parse("24h")
    assert view.total("leads", "total", day, NOW).numbers["leads"] == 3
    assert view.total("leads", "total", day, NOW + 22 * HOUR_MS).numbers["leads"] == 3
    assert "leads" not in view.total("leads", "total", day, NOW + 23 * HOUR_MS).numbers


def test_leads_come_of_age_by_the_whole_hour() -> None:
    view = View(Business())
    view.put(f"leads:0:h:{view.calendar.hour(NOW)}:total".encode(), b'{"leads_matured":2}')  # the hour of 11:20
    view.put(f"leads:0:h:{view.calendar.hour(NOW) - 1}:total".encode(), b'{"leads_matured":1}')
    # At 11:20, and at 11:59:30 although the minute of 11:59 counts whole for others, the hour is not over.
    for window, at_noon in (("1h", 2), ("24h", 3), ("day", 3)):
        for moment, expected in ((NOW, 1), (NOW + 39 * MINUTE_MS + 30_000, 1), (NOW + 40 * MINUTE_MS, at_noon)):
            assert view.total("leads", "total", Window.parse(window), moment).numbers["leads_matured"] == expected, window


def test_segments_are_those_that_hold_something() -> None:
    view = View(Business())
    view.put(b"leads:0:d:739000:source=web", b'{"leads":1}')
    view.put(b"leads:1:d:739000:source=a=b", b'{"leads":1}')
    view.put(b"deals:0:d:739000:source=ads", b'{"deals_won":1}')
    view.put(b"deals:0:d:739000:owner=Zo\xc3\xa9: x", b'{"deals_won":1}')
    assert view.dimensions() == ["owner", "source"]
    assert view.segments("source") == ["a=b", "ads", "web"]
    assert view.segments("source", frozenset({"deals"})) == ["ads"]
    assert view.segments("owner") == ["Zoé: x"]
    view.put(b"leads:0:d:739000:source=web", None)
    view.put(b"leads:0:d:739001:source=web", None)
    assert view.segments("source") == ["a=b", "ads"]
    assert view.segments("nothing") == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", b"{}"),
        (b"leads:0:h:1", b"{}"),
        (b"leads:x:h:1:total", b"{}"),
        (b"leads:0:y:1:total", b"{}"),
        (b"leads:0:h:x:total", b"{}"),
        (b"leads:0:h:-1:total", b"{}"),
        (b"leads:1024:h:1:total", b"{}"),
        (b"nobody:0:h:1:total", b"{}"),
        (b"leads:0:h:1:\xff", b"{}"),
        (b"leads:0:h:1:total", b"[]"),
        (b"leads:0:h:1:total", b"7"),
        (b"leads:0:h:1:total", b"{"),
        (b"leads:0:h:1:total", b""),
        (b"leads:0:h:1:total", b'{"leads":1.5}'),
        (b"leads:0:h:1:total", b'{"leads":"1"}'),
        (b"leads:0:h:1:total", b'{"leads":true}'),
        (b"leads:0:h:1:total", b'{"leads":null}'),
        (b"leads:0:h:1:total", b'{"leads":{"x":1}}'),
    ],
)
def test_what_is_no_pane_changes_nothing(key: bytes, value: bytes) -> None:
    view = View(Business())
    view.put(b"leads:0:h:1:total", b'{"leads":1}')
    version = view.version
    with pytest.raises(ValueError, match=r".+"):
        view.put(key, value)
    assert view.version == version
    assert view.total("leads", "total", 0, 2 * HOUR_MS).numbers == {"leads": 1}


def test_numbers_beyond_64_bits_keep_every_digit() -> None:
    view = View(Business())
    great = 2**80 + 1
    view.put(b"leads:0:h:1:total", b'{"unanswered_since_millis":%d}' % great)
    assert view.total("leads", "total", 0, 2 * HOUR_MS).numbers == {"unanswered_since_millis": great}


def test_what_has_expired_is_not_guessed_at() -> None:
    business = Business(timezone="Europe/Paris")
    view = View(business)
    midnight = business.calendar.day_start(business.calendar.day(NOW - 60 * DAY_MS))
    day = business.calendar.day(midnight - 1)
    view.put(f"engagement:0:d:{day}:total".encode(), b'{"sessions":5,"visitors":{"0":4}}')
    view.put(f"deals:0:d:{day}:total".encode(), b'{"open_amount":70}')
    view.put(f"deals:0:d:{day + 3}:total".encode(), b'{"open_amount":30}')
    view.put(b"deals:0:a:0:total", b'{"open_amount":100}')
    view.advance(NOW)
    view.advance(NOW - DAY_MS)  # ignored
    one_day, seven, one_hour = Window.parse("24h"), Window.parse("7d"), Window.parse("1h")
    # On the boundary of coarser panes all is still exact.
    assert view.total("engagement", "total", one_day, midnight).numbers == {"sessions": 5}
    assert view.distinct("visitors", "total", one_day, midnight) == 4
    assert view.distinct("visitors", "total", seven, midnight) == 4
    assert view.level("open_amount", "total", midnight) == 70
    # Between them it would be a guess.
    for at in (midnight + 1, midnight + HOUR_MS, midnight - MINUTE_MS):
        with pytest.raises(PanesExpired, match="no longer kept"):
            view.total("engagement", "total", one_day, at)
        with pytest.raises(PanesExpired, match="no longer kept"):
            view.distinct("visitors", "total", one_day, at)
        with pytest.raises(PanesExpired, match="no longer kept"):
            view.level("open_amount", "total", at)
    with pytest.raises(PanesExpired):
        view.total("engagement", "total", one_hour, midnight)
    # Before all that is kept there is nothing at all.
    with pytest.raises(PanesExpired):
        view.total("engagement", "total", Window.parse("30d"), midnight - 800 * DAY_MS)
    for window in ("1h", "24h", "30d"):
        with pytest.raises(PanesExpired):
            view.distinct("visitors", "total", Window.parse(window), midnight - 800 * DAY_MS)


@pytest.mark.parametrize("letter", sorted({zone[:2] for zone in available_timezones()}))
def test_in_every_zone_every_window_has_a_value_all_year_round(letter: str) -> None:
    """At some minutes of the year, asked at once: what is still kept then is enough for each window, and for the level."""
    windows = [*WINDOWS, *[Window.parse(name) for name in ("29d", "180d", "750d")]]
    for zone in sorted(zone for zone in available_timezones() if zone.startswith(letter)):
        view = View(Business(timezone=zone))
        for at in range(NOW, NOW + 365 * DAY_MS, 52 * DAY_MS + 7 * HOUR_MS + 13 * MINUTE_MS):
            view.advance(at)
            for window in windows:
                view.total("deals", "total", window, at)
                view.distinct("visitors", "total", window, at)
            view.level("open_deals", "total", at)


def test_the_newest_minute_is_known_and_forgotten() -> None:
    assert View(Business()).last_event is None
    view = View(Business())
    view.put(f"leads:0:m:{NOW // MINUTE_MS}:source=web".encode(), b'{"leads":1}')
    view.put(f"leads:0:m:{NOW // MINUTE_MS - 5}:source=web".encode(), b'{"leads":1}')
    view.live = True
    assert view.last_event == NOW
    view.clear()
    forgotten: object = (view.last_event, view.live, view.segments("source"))
    assert forgotten == (None, False, [])
    assert view.total("leads", "source=web", Window.parse("24h"), NOW).numbers.get("leads") is None


def test_many_moments_do_not_fill_the_memory() -> None:
    view = View(BUSINESS)
    midnight = epoch_ms(BUSINESS.calendar.local(NOW).replace(hour=0, minute=0))
    for day in range(200):
        view.put(f"leads:0:d:{BUSINESS.calendar.day(midnight) - day}:total".encode(), b'{"leads":1}')
    for back in range(100):
        at = BUSINESS.calendar.day_start(BUSINESS.calendar.day(midnight) - back)
        for window in WINDOWS:
            view.total("leads", "total", window, at)
    # 30 days, and the one more that the change to winter time makes.
    assert view.total("leads", "total", Window.parse("30d"), midnight).numbers == {"leads": 30}
    series = view._series["leads", Grain.DAY, "total"]
    assert len(series.ranges) <= 24
    assert len(view._totals["leads", "total"]) <= 48
    assert len(view._plans) <= 512


def test_ways_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.panes.view._PLANS", 2)
    monkeypatch.setattr("models.panes.view._TOTALS", 2)
    view = View(Business())
    for minute in range(5):
        view.total("leads", "total", NOW, NOW + minute * MINUTE_MS)
        view.level("open_deals", "total", NOW + minute * MINUTE_MS)
        assert len(view._plans) <= 2 and len(view._totals["leads", "total"]) <= 2 and len(view._totals["deals", "total"]) <= 2


def test_a_fold_began_with_the_first_day_that_it_knows_of() -> None:
    view = View(Business())
    assert view.began(("deals", "leads")) is None
    for key in (b"deals:0:d:739000:total", b"deals:1:d:739005:total", b"leads:0:d:738990:source=web", b"leads:0:h:1:total"):
        view.put(key, b'{"leads":1}')
    view.put(b"leads:0:d:738980:source=web", None)  # of which nothing was known
    assert view.began(("deals",)) == view.calendar.day_start(739_000)
    assert view.began(("deals", "leads", "spend")) == view.calendar.day_start(738_990)
    assert view.began(("spend",)) is None


def test_only_what_happened_is_an_event() -> None:
    view = View(Business())
    view.put(f"deals:0:h:{NOW // HOUR_MS}:total".encode(), b'{"deals_won":1}')
    view.put(f"predictions:0:m:{NOW // MINUTE_MS}:total".encode(), b'{"expected_deals":1}')
    assert view.last_event is None
    view.put(b"deals:0:m:0:total", b'{"deals_won":1}')
    assert view.last_event == 0


def test_where_most_goes_on_is_shown_where_not_all_can_be() -> None:
    view = View(Business())
    for value, changes in (("a", 1), ("b", 3), ("c", 2)):
        for number in range(changes):
            view.put(f"deals:0:d:739000:source={value}".encode(), b'{"deals_won":%d}' % (number + 1))
            view.put(f"deals:0:d:739000:source={value}".encode(), b'{"deals_won":%d}' % (number + 1))  # nothing goes on
    view.put(b"leads:0:d:739000:source=d", b'{"leads":1}')
    deals = frozenset({"deals"})
    assert view.busiest("source", deals, 3) == ["a", "b", "c"]
    assert view.busiest("source", deals, 2) == ["b", "c"]
    assert view.busiest("source", deals, 1) == ["b"]
    assert (view.count("source"), view.count("owner")) == (4, 0)
    assert view.holds("source", "a") and not view.holds("source", "z") and not view.holds("owner", "a")
    view.put(b"deals:0:d:739000:source=b", None)
    assert (view.busiest("source", deals, 1), view.count("source")) == (["c"], 3)
    view.put(b"deals:0:d:739000:source=b", b'{"deals_won":1}')
    assert view.busiest("source", deals, 1) == ["c"], "who comes back begins anew"


def test_each_pane_of_a_stretch_by_itself() -> None:
    view, hour = View(Business()), NOW // HOUR_MS
    view.put(f"deals:0:h:{hour}:total".encode(), b'{"deals_won":1,"won_sizes":{"7":1}}')
    view.put(f"deals:1:h:{hour}:total".encode(), b'{"deals_won":2}')
    view.put(f"deals:0:h:{hour + 1}:total".encode(), b'{"deals_won":4}')
    view.put(f"deals:0:d:{view.calendar.day(NOW)}:total".encode(), b'{"deals_won":7}')
    spans = (Span(Grain.HOUR, hour - 1, hour + 1), Span(Grain.DAY, 0, FOREVER), Span(Grain.MINUTE, 0, FOREVER))
    assert [(at, cells.numbers, cells.values) for at, cells in view.each("deals", "total", spans)] == [
        (hour * HOUR_MS, {"deals_won": 3}, {"won_sizes": {7: 1}}),
        (NOW // DAY_MS * DAY_MS, {"deals_won": 7}, {}),
    ]
    assert list(view.each("deals", "source=web", spans)) == []
    assert view.spans_total("deals", "total", spans[:2]).numbers == {"deals_won": 10}


def test_days_that_are_over_count_where_they_end() -> None:
    view = View(Business())
    first = 739_000
    for number in range(4):
        view.put(f"leads:0:d:{first + number}:total".encode(), b'{"leads":%d}' % 10**number)
    view.put(f"leads:0:d:{first - 1}:total".encode(), b'{"leads":50000}')  # which is never in it
    begin, end = view.calendar.day_start(first + 1), view.calendar.day_start(first + 3)
    # The first day ends just where it begins; the third where it ends, which is not in it.
    for start, stop, expected in ((begin, end, 11), (begin + 1, end, 10), (begin, end + 1, 111), (begin + 1, end + 1, 110)):
        assert view.days_over("leads", "total", start, stop) == {"leads": expected}
    assert view.days_over("leads", "total", begin + 1, begin + HOUR_MS) == {}


def test_what_is_made_of_the_panes_is_made_once_until_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    view, made = View(Business()), list[str]()

    def make(name: str) -> str:
        made.append(name)
        return name

    def change(segment: str) -> None:
        view.put(f"deals:0:d:739000:{segment}".encode(), b'{"deals_won":%d}' % len(made))

    for _ in range(2):
        assert [view.remember(key, partial(make, key)) for key in "ab"] == ["a", "b"]
    assert made == ["a", "b"]
    change("total")
    assert (view.remember("a", partial(make, "a")), made) == ("a", ["a", "b", "a"])
    with pytest.raises(ZeroDivisionError):
        view.remember("c", lambda: make("c" * (1 // 0)))
    assert view.remember("c", partial(make, "c")) == "c"
    # Of a segment: for as long as nothing changes in it.
    made.clear()
    for changed, times in (("", 1), ("", 1), ("source=ads", 1), ("source=web", 2)):
        if changed:
            change(changed)
        assert view.remembered("deals", "source=web", "x", partial(make, "x")) == "x"
        assert made == ["x"] * times, changed
    monkeypatch.setattr("models.panes.view._REMEMBERED", 2)
    monkeypatch.setattr("models.panes.view._TOTALS", 2)
    made.clear()
    for key in "12131":  # with two all are forgotten, whatever comes
        view.remember(key, partial(make, key))
    assert made == list("12131")
    made.clear()
    for key in "12131":  # with the third all are forgotten
        view.remembered("leads", "total", key, partial(make, key))
    assert made == list("1231")
    view.clear()
    view.remembered("leads", "total", "1", partial(make, "1"))
    view.remember("1", partial(make, "1"))
    assert made == list("123111")


def test_what_is_kept_of_an_instant_is_of_that_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    view = View(Business())
    view.advance(NOW)
    held = view.scopes(NOW)
    held["24h", "total"] = 1
    assert view.scopes(NOW) is held
    assert view.scopes(NOW + 1) == {}
    held = view.scopes(NOW)
    for change in (lambda: view.advance(NOW + 1), lambda: view.put(b"deals:0:d:739000:total", b'{"deals_won":1}')):
        held["24h", "total"] = 1
        change()
        assert view.scopes(NOW) == {}
        held = view.scopes(NOW)
    monkeypatch.setattr("models.panes.view._SCOPES", 1)
    held["24h", "total"] = 1
    assert view.scopes(NOW) == {}


def test_a_level_of_nothing_is_known_where_something_was_ever_booked() -> None:
    view = View(Business())
    assert not view.ever("open_deals", "total")
    view.put(b"deals:0:a:0:total", b'{"open_deals":1}')
    assert view.ever("open_deals", "total") and not view.ever("open_deals", "source=web")
    assert not view.ever("visitors", "total")


def test_what_is_whole_is_said_by_each_partition() -> None:
    view = View(Business())
    assert view.put(b"deals:0:a:0:#since", b'{"deals_won":5,"deals_lost":7}') == ("deals", "total")
    assert view.put(b"deals:1:a:0:#since", b'{"deals_won":9}') == ("deals", "total")
    version = view.version
    assert view.put(b"deals:1:a:0:#since", b'{"deals_won":9}') is None and view.version == version
    assert view.put(b"deals:2:a:0:#since", None) is None
    assert (view.since, view.behind) == ({"deals_won": 9, "deals_lost": 7}, {})  # of all of them the latest
    view.put(b"deals:0:a:0:#behind", b'{"deals_won":3}')
    assert view.behind == {"deals_won": 3} and view.version == version + 1
    # A partition that counts these two alone: all others of the fold have still to be counted.
    view.put(b"deals:0:a:0:#counted", b'{"deals_won":1,"deals_lost":1}')
    assert view.behind == {m.name: 1 for m in DEALS if m.name not in ("deals_won", "deals_lost")} | {"deals_won": 3}
    view.put(b"deals:0:a:0:#counted", None)
    assert view.behind == {"deals_won": 3}
    view.put(b"deals:1:a:0:#behind", b'{"deals_lost":0}')  # all have been looked at
    assert view.behind == {"deals_won": 3, "deals_lost": 0}
    for wrong in (b"[]", b'{"deals_won":1.5}', b'{"deals_won":true}', b"{"):
        with pytest.raises(ValueError, match=r".+"):
            view.put(b"deals:0:a:0:#since", wrong)
    assert view.since == {"deals_won": 9, "deals_lost": 7}
    view.put(b"deals:1:a:0:#since", b"{}")
    assert view.since == {"deals_won": 5, "deals_lost": 7}
    view.clear()
    assert (view.since, view.behind) == ({}, {})
