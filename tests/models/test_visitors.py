"""Are distinct visitors exact up to the longest window, whoever comes back when, and however late one hears of it?"""

import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, iso
from models.fold import Record
from models.folds import engagement
from models.folds.partition import EntityPartition
from models.panes.store import TOTAL
from models.panes.view import View
from models.panes.windows import Window

T0 = 1_700_000_000_000
BUSINESS = Business(timezone="Europe/Paris")
WINDOWS = [Window.parse(name) for name in ("24h", "7d", "30d", "90d", "180d", "365d", "750d", "month", "quarter")]

#: Who, when (ms), how long it took to arrive (ms), from which source.
Visit = tuple[str, int, int, str | None]


def page(visit: Visit, number: int) -> Record:
    who, at, late, source = visit
    data = {"visitor_id": who} | ({"source": source} if source else {})
    told: dict[str, Any] = {"specversion": "1.0", "id": f"e{number}", "source": "test", "type": "web.page_viewed"}
    return Record(
        "engagement", 0, number, at + late, None, orjson.dumps({**told, "time": iso(at), "subject": who, "data": data}), ()
    )


def told(visits: list[Visit], restart: bool = True) -> tuple[View, EntityPartition]:
    """Return the view after a checkpoint at each visit, in the order of arrival, with a restart now and then."""
    view, rows = View(BUSINESS), dict[bytes, bytes]()
    partition = EntityPartition("engagement", 0, BUSINESS)
    for number, visit in enumerate(sorted(visits, key=lambda visit: visit[1] + visit[2])):
        partition.fold([page(visit, number)])
        changes = partition.changes()
        for output in changes.outputs:
            if output.topic == "panes":
                view.put(output.key, output.value)
        for row in changes.rows:
            if row.value is None:
                rows.pop(row.key, None)
            else:
                rows[row.key] = row.value
        if restart and number % 3 == 0:
            partition = EntityPartition("engagement", 0, BUSINESS)
            partition.restore(rows.items())
    view.advance(partition.watermark + 1)
    return view, partition


def seen(visits: list[Visit], window: Window, at: int, source: str | None) -> int:
    start, _ = window.bounds(at, BUSINESS.calendar)
    return len({who for who, when, _, from_ in visits if start <= when < at and (source is None or from_ == source)})


def differences(visits: list[Visit], restart: bool = True) -> Iterator[tuple[str, str | None, int, int]]:
    view, partition = told(visits, restart)
    at = partition.watermark + 1
    for window in WINDOWS:
        for source in (None, "web", "ads"):
            found = view.distinct("visitors", TOTAL if source is None else f"source={source}", window, at)
            if found != (true := seen(visits, window, at, source)):
                yield window.name, source, found, true


visits = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 800 * 24).map(lambda hours: T0 + hours * HOUR_MS),
        st.sampled_from([0, 0, 0, HOUR_MS, 40 * DAY_MS, 130 * DAY_MS, 300 * DAY_MS]),
        st.sampled_from([None, "web", "ads"]),
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda visit: visit[:2],
)


@settings(max_examples=60, deadline=None)
@given(visits, st.booleans())
def test_every_window_equals_brute_force(visits: list[Visit], restart: bool) -> None:
    assert not list(differences(visits, restart))


@pytest.mark.parametrize("every", [30, 110, 250, 420])
def test_who_comes_back_is_one_visitor_in_every_window(every: int) -> None:
    visits: list[Visit] = [
        (f"v{who}", T0 + (day + who % 7) * DAY_MS, 0, "web") for who in range(12) for day in range(0, 790, every)
    ]
    assert not list(differences(visits))


def test_a_visitor_of_many_visits_stays_exact_with_what_comes_late_below_those_that_are_kept() -> None:
    r = random.Random(1)
    visits: list[Visit] = [("a", T0 + hour * HOUR_MS, 0, "web") for hour in range(0, 300 * 24, 36)]
    visits += [("a", T0 + r.randrange(280 * 24) * HOUR_MS + 17 * 60_000, 20 * DAY_MS, "ads") for _ in range(40)]
    assert not list(differences(visits))


def test_what_is_remembered_of_a_visitor_is_bounded() -> None:
    partition = EntityPartition("engagement", 0, BUSINESS)
    partition.fold([page(("a", T0 + half * 12 * HOUR_MS, 0, "web"), half) for half in range(2 * 2400)])
    visitor = partition.entities.get("a")
    assert len(visitor.sessions) <= 64
    assert {grain: {name: len(panes) for name, panes in past.items()} for grain, past in visitor.past.items()}.keys() <= set(
        "mhd"
    )
    # Days of twice 800, and every twelfth hour of 70 days: less those of the sessions that are kept.
    assert all(len(panes) <= 1600 for panes in visitor.past["d"].values())
    assert all(len(panes) <= 140 for panes in visitor.past["h"].values())
    assert len(engagement.encode(visitor)) < 40_000


def test_beyond_the_horizon_only_the_days_are_remembered_and_beyond_the_windows_nothing() -> None:
    visits: list[Visit] = [("once", T0, 0, "web"), ("a", T0 + DAY_MS, 0, None)]
    visits += [("a", T0 + days * DAY_MS, 0, None) for days in (99, 102, 103, 799, 803)]
    sizes = []
    for count in range(4, 8):
        _, partition = told(visits[:count], restart=False)
        row = dict(partition.entities.rows).get("once")
        sizes.append(None if row is None else orjson.loads(row))
    day = BUSINESS.calendar.day(T0)
    short = [[], {}, T0, {}]
    assert sizes[0][:2] == short[:2] and sizes[0][4]["d"] == {"total": [day], "source=web": [day]}
    assert sizes[1] == sizes[0] and sizes[2] == sizes[0]
    assert sizes[3] is None


def test_rows_of_before_are_read() -> None:
    """A visitor of more than 64 visits, as it was written once: of those folded away only the latest start by segment."""
    calendar = BUSINESS.calendar
    last = T0 + 10 * DAY_MS
    row = orjson.dumps([[["", last, last, 1, "web", None, [last, "e"], [1 << 62, ""]]], {"total": T0, "source=web": T0}, T0, {}])
    visitor = engagement.decode(row)
    assert visitor.visits == {"total": T0, "source=web": T0} and visitor.past == {}
    partition = EntityPartition("engagement", 0, BUSINESS)
    partition.restore([(b"Ea", row)])
    late: Visit = ("a", T0 + 4 * DAY_MS, 20 * DAY_MS, "web")
    partition.fold([page(late, 1)])
    changed = {o.key.decode(): orjson.loads(o.value or b"null") for o in partition.changes().outputs if o.topic == "panes"}
    days = {pane: changed[f"engagement:0:d:{pane}:total"]["visitors"] for pane in (calendar.day(late[1]), calendar.day(last))}
    assert days == {calendar.day(late[1]): {"4": 1}, calendar.day(last): {"10": -1, "6": 1}}
