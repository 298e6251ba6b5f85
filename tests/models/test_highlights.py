"""The deals and leads behind a figure: the first few of each day and segment, whatever happens to them."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS
from models.fold import Changes, Record
from models.folds.entity_snapshots import DEAL_STATES, LEAD_STATES, DealState, LeadState, encode
from models.kpis.highlights import KEPT_DAYS, SHOWN, Highlights, PickHighlights, kind_behind
from stream.config.kpi_files import load_catalogue

NOW = 1_795_219_200_000  # 2026-11-21T00:00:00Z
CALENDAR = Business().calendar


def deal(id: str, status: Any = "lost", amount: int = 10_000, at: int = NOW - HOUR_MS, **more: Any) -> DealState:
    closed = None if status == "open" else at
    return DealState(id, status, at, created=at - DAY_MS, closed=closed, amount=amount, **more)


def record(state: DealState | LeadState | str) -> Record:
    if isinstance(state, str):
        return Record(DEAL_STATES, 0, 0, NOW, state.encode(), None, ())
    topic = DEAL_STATES if isinstance(state, DealState) else LEAD_STATES
    return Record(topic, 0, 0, NOW, state.id.encode(), encode(state), ())


def collected(*changes: Changes) -> Highlights:
    found = Highlights()
    for one in changes:
        for output in one.outputs:
            found.put(output.key, output.value)
    return found


def ids(found: Highlights, kind: str, segment: str = "total", start: int = NOW - 7 * DAY_MS, end: int = NOW) -> list[str]:
    days = range(CALENDAR.day(start), CALENDAR.day(end - 1) + 1)
    return [item.id for item in found.best(kind, segment, start, end, days)]


def test_the_largest_of_the_window_over_days_and_partitions() -> None:
    first, second = PickHighlights(0, Business()), PickHighlights(1, Business())
    first.fold([record(deal(f"A{n}", amount=n, source="web")) for n in range(30)])
    second.fold([record(deal("B", amount=28, at=NOW - 3 * DAY_MS)), record(deal("C", amount=99, at=NOW - 9 * DAY_MS))])

    found = collected(first.changes(), second.changes())

    assert ids(found, "lost") == ["A29", "A28", "B", "A27", "A26"]
    assert ids(found, "lost", "source=web") == ["A29", "A28", "A27", "A26", "A25"]
    assert ids(found, "won") == []


def test_who_reopens_changes_or_goes_is_taken_back_and_the_next_takes_the_place() -> None:
    fold = PickHighlights(0, Business())
    fold.fold([record(deal(f"A{n}", amount=n)) for n in range(1, 8)])
    before = fold.changes()
    fold.fold(
        [record(deal("A7", "open", amount=7, stage="S", stage_since=NOW - DAY_MS)), record(deal("A6", amount=1)), record("A5")]
    )

    found = collected(before, fold.changes())

    assert ids(found, "lost") == ["A4", "A3", "A2", "A1", "A6"]
    assert (ids(found, "open"), ids(found, "stalled", "stage=S")) == (["A7"], ["A7"])


def test_leads_wait_until_they_are_answered() -> None:
    fold = PickHighlights(0, Business())
    waits = [LeadState(f"L{n}", "open", NOW - n, created=NOW - n * HOUR_MS, source="web") for n in range(1, 4)]
    fold.fold([record(lead) for lead in waits])
    first = fold.changes()
    fold.fold([record(LeadState("L3", "open", NOW, created=NOW - 3 * HOUR_MS, contacted=NOW, source="web"))])

    assert ids(collected(first), "unanswered") == ["L3", "L2", "L1"]
    assert ids(collected(first, fold.changes()), "unanswered", "source=web") == ["L2", "L1"]


@given(
    st.lists(
        st.tuples(st.integers(0, 14), st.sampled_from(["won", "lost", "open", "gone"]), st.integers(0, 9), st.integers(0, 3))
    )
)
def test_it_is_what_sorting_would_give_also_after_a_restart_at_any_time(changes: list[tuple[int, str, int, int]]) -> None:
    # 15 deals: fewer than are kept, so that nothing is ever beyond the lists.
    fold, found, present = PickHighlights(0, Business()), Highlights(), {}
    rows: dict[bytes, bytes] = {}
    for number, status, amount, ago in changes:
        id = f"D{number:02}"
        state = deal(id, status, amount, NOW - 1 - ago * DAY_MS, owner="ann") if status != "gone" else None
        present[id] = state
        fold.fold([record(state or id)])
        made = fold.changes()
        for row in made.rows:
            if row.value is None:
                rows.pop(row.key, None)
            else:
                rows[row.key] = row.value
        for output in made.outputs:
            found.put(output.key, output.value)
        fold = PickHighlights(0, Business())
        fold.restore(rows.items())
    for kind in ("won", "lost"):
        there = sorted((-(s.amount or 0), s.id) for s in present.values() if s is not None and s.status == kind)
        assert ids(found, kind, "owner=ann") == [id for _, id in there[:SHOWN]]


def test_old_days_are_let_go() -> None:
    fold = PickHighlights(0, Business())
    fold.fold([record(deal("old", at=NOW - (KEPT_DAYS - 1) * DAY_MS))])
    first = fold.changes()
    fold.fold([record(deal("new", at=NOW - 1)), record(deal("far", "open", at=NOW - 400 * DAY_MS))])
    fold.changes()
    later = NOW + 3 * DAY_MS
    fold.fold([Record(DEAL_STATES, 0, 0, later, b"x", encode(deal("x", at=later)), ())])
    gone = [output.key for output in fold.changes().outputs if output.value is None]

    assert gone == [next(o.key for o in first.outputs if b"total" in o.key)]


def test_the_lists_are_bounded_whatever_comes() -> None:
    fold, dice = PickHighlights(0, Business()), random.Random(1)
    fold.fold([record(deal(f"D{n}", amount=dice.randrange(10**6), owner=f"o{n % 7}")) for n in range(5_000)])
    sizes = [len(row.value or b"") for row in fold.changes().rows]
    assert (len(sizes), max(sizes) < 2_500) == (9, True)  # the total, seven owners, the watermark
    fold.fold([Record(DEAL_STATES, 0, 0, NOW, b"D1", b"not a state", ())])
    assert fold.refused == 1


@pytest.mark.parametrize(
    ("kpi", "kind"),
    [
        ("win_rate", "lost"),
        ("revenue", "lost"),
        ("time_to_close_won", "won"),
        ("open_pipeline", "open"),
        ("stage_duration", "stalled"),
        ("lead_response_time", "unanswered"),
        ("mql_rate", "unqualified"),
        ("sessions", None),
        ("nps", None),
    ],
)
def test_each_kpi_names_what_stands_behind_it(kpi: str, kind: str | None) -> None:
    assert kind_behind(load_catalogue().get(kpi)) == kind
