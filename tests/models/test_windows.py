import itertools
from datetime import date, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS, Calendar, Grain, calendar, epoch_ms, iso
from models.panes.windows import FOREVER, Span, Window, WindowError, after, cover

PARIS = calendar("Europe/Paris")


def at(text: str, zone: str = "Europe/Paris") -> int:
    return epoch_ms(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def begins(window: str, moment: str, zone: str = "Europe/Paris") -> str:
    start, _ = Window.parse(window).bounds(at(moment, zone), calendar(zone))
    return calendar(zone).local(start).replace(tzinfo=None).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("window", "moment", "start"),
    [
        ("1h", "2026-11-21T10:25:40", "2026-11-21T09:25"),
        ("24h", "2026-11-21T10:25:40", "2026-11-20T10:00"),
        ("7d", "2026-11-21T10:25:40", "2026-11-14T10:00"),
        ("30d", "2026-11-21T10:25:40", "2026-10-22T00:00"),
        ("90d", "2026-11-21T10:25:40", "2026-08-23T00:00"),
        ("day", "2026-11-21T10:25:40", "2026-11-21T00:00"),
        ("day", "2026-11-21T00:00:00", "2026-11-20T00:00"),  # the day that has just ended
        ("day", "2026-11-21T00:00:00.001", "2026-11-21T00:00"),
        ("week", "2026-11-21T10:25:40", "2026-11-16T00:00"),  # a Saturday; weeks begin on Monday
        ("week", "2026-11-16T00:00:00", "2026-11-09T00:00"),
        ("week", "2026-11-16T00:00:01", "2026-11-16T00:00"),
        ("month", "2026-11-21T10:25:40", "2026-11-01T00:00"),
        ("month", "2026-12-01T00:00:00", "2026-11-01T00:00"),  # at a month's end it is the whole month
        ("month", "2024-03-01T00:00:00", "2024-02-01T00:00"),
        ("quarter", "2026-11-21T10:25:40", "2026-10-01T00:00"),
        ("quarter", "2027-01-01T00:00:00", "2026-10-01T00:00"),
        ("quarter", "2027-01-01T00:01:00", "2027-01-01T00:00"),
        # The clocks go forward on 29 March 2026 (23 h) and back on 25 October (25 h).
        ("24h", "2026-03-29T12:00:00", "2026-03-28T11:00"),
        ("24h", "2026-10-25T12:00:00", "2026-10-24T13:00"),
        ("7d", "2026-04-01T00:00:00", "2026-03-24T23:00"),
        ("30d", "2026-04-01T00:00:00", "2026-03-01T00:00"),  # 30 × 24 h before is 1 March, 23:00
    ],
)
def test_where_a_window_begins(window: str, moment: str, start: str) -> None:
    assert begins(window, moment) == start


@pytest.mark.parametrize(
    ("moment", "hours"), [("2026-03-30T00:00:00", 23), ("2026-10-26T00:00:00", 25), ("2026-11-21T00:00:00", 24)]
)
def test_a_day_is_as_long_as_the_clock_makes_it(moment: str, hours: int) -> None:
    start, end = Window.parse("day").bounds(at(moment), PARIS)
    assert end - start == hours * HOUR_MS
    assert Window.parse("day").cover(at(moment), PARIS) == (Span(Grain.DAY, PARIS.day(start), PARIS.day(start) + 1),)


def test_days_of_kolkata_are_whole_hours() -> None:
    kolkata = calendar("Asia/Kolkata")
    moment = at("2026-11-21T02:10:00", "Asia/Kolkata")
    assert begins("24h", "2026-11-21T02:10:00", "Asia/Kolkata") == "2026-11-20T02:00"
    assert iso(Window.parse("day").bounds(moment, kolkata)[0]) == "2026-11-20T18:30:00Z"
    spans = Window.parse("day").cover(moment, kolkata)
    assert [(s.grain, s.stop - s.first) for s in spans] == [(Grain.HOUR, 2), (Grain.MINUTE, 10)]


@pytest.mark.parametrize("name", ["", "7", "7w", "0d", "-1d", "1.5h", "7D", "7d ", "years", "751d", "99999d", "24hours"])
def test_what_is_no_window_is_refused(name: str) -> None:
    with pytest.raises(WindowError, match=r"unknown window .*accepted: .*7d"):
        Window.parse(name)


def test_the_least_panes_that_make_it_up() -> None:
    spans = Window.parse("7d").cover(at("2026-11-21T10:25:40"), PARIS)
    assert [(s.grain, s.stop - s.first) for s in spans] == [
        (Grain.HOUR, 14),
        (Grain.DAY, 6),
        (Grain.HOUR, 10),
        (Grain.MINUTE, 26),
    ]
    whole_hours = Window.parse("7d").cover(at("2026-11-21T10:25:40"), PARIS, Grain.HOUR)
    assert [(s.grain, s.stop - s.first) for s in whole_hours] == [(Grain.HOUR, 14), (Grain.DAY, 6), (Grain.HOUR, 10)]
    month = Window.parse("month").cover(at("2026-12-01T00:00:00"), PARIS)
    assert [(s.grain, s.stop - s.first) for s in month] == [(Grain.DAY, 30)]


def test_distinct_panes_are_of_one_grain_the_last_one_whole() -> None:
    moment = at("2026-11-21T10:25:40")
    for window, grain, number in [("1h", "m", 61), ("24h", "h", 25), ("7d", "h", 169), ("30d", "d", 31), ("month", "d", 21)]:
        span = Window.parse(window).panes(moment, PARIS)
        assert (span.grain, span.stop - span.first) == (grain, number), window


def test_at_a_boundary_the_next_pane_is_not_in_it() -> None:
    midnight = at("2026-12-01T00:00:00")
    for window, number in [("1h", 60), ("24h", 24), ("7d", 168), ("30d", 30), ("month", 30)]:
        span = Window.parse(window).panes(midnight, PARIS)
        assert span.stop - span.first == number, window
    # A millisecond later it is, and the month is another one.
    for window, number in [("1h", 61), ("24h", 25), ("7d", 169), ("30d", 31), ("month", 1)]:
        span = Window.parse(window).panes(midnight + 1, PARIS)
        assert span.stop - span.first == number, window


HOWE = "Australia/Lord_Howe"


def test_where_the_clocks_shift_by_half_an_hour_hours_are_still_those_of_the_local_clock() -> None:
    howe = calendar(HOWE)
    for moment in ("2026-01-15T12:10:00", "2026-07-15T12:10:00"):  # +11:00 and +10:30
        assert begins("24h", moment, HOWE) == moment[:8] + "14T12:00"
        spans = Window.parse("7d").cover(at(moment, HOWE), howe)
        assert [(s.grain, s.stop - s.first) for s in spans] == [
            (Grain.HOUR, 12),
            (Grain.DAY, 6),
            (Grain.HOUR, 12),
            (Grain.MINUTE, 10),
        ]
    # On 5 April 2026 at 2:00 (15:00 by UTC) the clocks go back to 1:30, on 4 October at 2:00 (15:30) they go forward to 2:30.
    for first, lengths in (("2026-04-04T13:00", [60, 60, 30, 60]), ("2026-10-03T13:30", [60, 60, 90, 60])):
        hour = howe.hour(at(first + ":00", "UTC"))
        starts = [howe.hour_start(hour + number) for number in range(5)]
        assert iso(starts[0]) == first + ":00Z"
        assert [(b - a) // MINUTE_MS for a, b in itertools.pairwise(starts)] == lengths


@pytest.mark.parametrize("letter", sorted({zone[:2] for zone in available_timezones()}))
def test_in_every_zone_days_are_whole_hours_and_every_minute_is_in_its_hour(letter: str) -> None:
    first = date(2019, 1, 1).toordinal()
    for zone in sorted(zone for zone in available_timezones() if zone.startswith(letter)):
        cal = Calendar(zone)
        for day in range(first, first + 22 * 365, 1 if len(cal._shifts) > 1 else 61):
            start = cal.day_start(day)
            assert cal.hour_start(cal.hour(start)) == start, (zone, date.fromordinal(day))
            hour = cal.hour(start + (day % 24) * HOUR_MS + 17 * MINUTE_MS)
            begin, end = cal.hour_start(hour), cal.hour_start(hour + 1)
            assert [cal.hour(begin - 1), cal.hour(begin), cal.hour(end - 1), cal.hour(end)] == [hour - 1, hour, hour, hour + 1], (
                zone
            )


zones = st.sampled_from(
    ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"]
)
moments = st.integers(at("2025-01-01T00:00:00"), at("2027-12-31T00:00:00"))


@given(zones, moments, st.integers(0, 100 * DAY_MS))
def test_a_cover_has_every_minute_once(zone: str, end: int, length: int) -> None:
    cal = calendar(zone)
    start = (end - length) // MINUTE_MS * MINUTE_MS
    edges = [(cal.start(g, first), cal.start(g, stop)) for g, first, stop in cover(start, end, cal)]
    here = start
    for begin, stop in edges:
        assert begin == here
        assert stop > begin
        here = stop
    assert here == (-(-end // MINUTE_MS) * MINUTE_MS if end > start else start)


@given(zones, moments)
def test_what_comes_after_begins_where_the_cover_ends(zone: str, moment: int) -> None:
    cal = calendar(zone)
    here = -(-moment // MINUTE_MS) * MINUTE_MS
    *spans, rest = after(moment, cal)
    for grain, first, stop in spans:
        assert cal.start(grain, first) == here
        here = cal.start(grain, stop)
    assert rest.grain is Grain.DAY
    assert (cal.day_start(rest.first), rest.stop) == (here, FOREVER)


@given(zones, moments, st.sampled_from(["1h", "24h", "7d", "30d", "90d", "day", "week", "month", "quarter"]))
def test_a_window_holds_the_instant_just_before_and_its_length(zone: str, moment: int, name: str) -> None:
    cal, window = calendar(zone), Window.parse(name)
    start, end = window.bounds(moment, cal)
    assert end == moment
    assert start < moment
    assert cal.start(window.grain, cal.pane(window.grain, start)) == start
    if window.length:
        slack = {Grain.MINUTE: MINUTE_MS, Grain.HOUR: HOUR_MS, Grain.DAY: 25 * HOUR_MS}[window.grain]
        assert 0 <= (moment - window.length) - start < slack


MOMENT = "2026-11-21T10:25:40"  # a Saturday


@pytest.mark.parametrize(
    ("window", "moment", "end"),
    [
        # A rolling window ends where the present one begins, to the hour.
        ("1h", MOMENT, "2026-11-21T09:00"),
        ("24h", MOMENT, "2026-11-20T10:00"),
        ("30d", MOMENT, "2026-10-22T00:00"),
        # Of the period before, as much as has passed of this one, to the hour.
        ("day", MOMENT, "2026-11-20T10:00"),
        ("week", MOMENT, "2026-11-14T10:00"),
        ("month", MOMENT, "2026-10-21T10:00"),
        # To the day. Since 1 October, 00:00 there have been 51 days, 10:25 and the hour of the change.
        ("quarter", MOMENT, "2026-08-21T00:00"),
        ("year", MOMENT, "2025-11-21T00:00"),
        # Something of it at least, and no more than there is: a day of 25 hours is compared with all of one of 24.
        ("day", "2026-11-21T00:30:00", "2026-11-20T00:00:00.001"),
        ("day", "2026-10-26T00:00:00", "2026-10-25T00:00"),
        ("month", "2026-03-31T12:00:00", "2026-03-01T00:00"),
    ],
)
def test_the_window_before_is_as_long_as_this_one_so_far(window: str, moment: str, end: str) -> None:
    assert iso(Window.parse(window).previous(at(moment), PARIS)) == iso(at(end))


@pytest.mark.parametrize(
    ("window", "moment", "end"),
    [
        *((name, MOMENT, "2026-11-14T10:00") for name in ("1h", "24h", "29d", "day", "week", "month")),
        *((name, MOMENT, "2026-11-14T00:00") for name in ("30d", "quarter", "year")),
        ("24h", "2026-10-27T13:30:00", "2026-10-20T13:00"),  # the clocks went back between
    ],
)
def test_a_week_ago_at_the_same_time_of_the_day(window: str, moment: str, end: str) -> None:
    assert iso(Window.parse(window).week_ago(at(moment), PARIS)) == iso(at(end))


@pytest.mark.parametrize(
    ("window", "moment", "first", "stop", "first_month"),
    [
        ("day", MOMENT, "2026-11-21", "2026-11-22", 1),
        ("week", MOMENT, "2026-11-16", "2026-11-23", 1),
        ("month", MOMENT, "2026-11-01", "2026-12-01", 1),
        ("month", "2026-12-01T00:00:00", "2026-11-01", "2026-12-01", 1),
        ("month", "2026-02-28T10:00:00", "2026-02-01", "2026-03-01", 1),
        ("quarter", MOMENT, "2026-10-01", "2027-01-01", 1),
        ("year", MOMENT, "2026-01-01", "2027-01-01", 1),
        # The year of February begins a month later, and so do its quarters.
        ("quarter", MOMENT, "2026-11-01", "2027-02-01", 2),
        ("quarter", "2026-02-01T00:00:00", "2025-11-01", "2026-02-01", 2),
        ("year", MOMENT, "2026-02-01", "2027-02-01", 2),
        ("year", "2026-01-31T10:00:00", "2025-02-01", "2026-02-01", 2),
    ],
)
def test_a_calendar_period_is_whole(window: str, moment: str, first: str, stop: str, first_month: int) -> None:
    cal, here = calendar("Europe/Paris", first_month), at(moment)
    assert Window.parse(window).period(here, cal) == (at(first), at(stop))
    assert Window.parse(window).bounds(here, cal) == (at(first), here)


def test_a_rolling_window_is_no_period() -> None:
    with pytest.raises(ValueError, match="24h is no calendar period"):
        Window.parse("24h").period(at(MOMENT), PARIS)


def test_a_window_may_begin_with_a_day_that_is_named() -> None:
    first = date(2026, 11, 3).toordinal()
    window, here = Window.since(first), at(MOMENT)
    assert (window.name, window.grain, window.length) == ("since 2026-11-03", Grain.DAY, 0)
    assert window.bounds(here, PARIS) == (at("2026-11-03"), here)
    assert window.period_days(here, PARIS) == (first, first + 19)  # up to the 21st, whole
    assert window.period_days(at("2026-11-21"), PARIS) == (first, first + 18), "the 20th has just ended"


@pytest.mark.parametrize(
    ("name", "grain", "hours"),
    [("1h", "m", 1), ("2h", "h", 2), ("719h", "h", 719), ("720h", "d", 720), ("29d", "h", 29 * 24), ("750d", "d", 750 * 24)],
)
def test_a_longer_window_is_cut_in_coarser_panes(name: str, grain: str, hours: int) -> None:
    window = Window.parse(name)
    assert (window.name, window.grain, window.length, window.first) == (name, grain, hours * HOUR_MS, 0)


def test_nothing_is_made_up_of_no_panes() -> None:
    here = at("2026-11-21T10:25:00")
    assert cover(here, here, PARIS) == cover(here, here - 1, PARIS) == ()
    assert cover(here, here + 1, PARIS) == (Span(Grain.MINUTE, here // MINUTE_MS, here // MINUTE_MS + 1),)
    assert cover(here, here + MINUTE_MS, PARIS, Grain.HOUR) == ()  # the hour is not over
