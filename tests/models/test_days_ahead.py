"""What does a deal count for on days that are still to come, and on the day it came in, in a test of two variants? By hand."""

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from models.business import Business
from models.calendar import DAY_MS, MINUTE_MS, Calendar
from models.folds.closing import length
from models.folds.dates import day_of, due, promise, stalls
from models.folds.stages import Stages
from models.folds.trials import Trial, seen
from models.measures import DEALS
from models.panes.segments import Segments
from models.panes.store import Panes

PARIS = Calendar("Europe/Paris")
NOVEMBER_21 = date(2026, 11, 21).toordinal()
MIDNIGHT = 1_795_215_600_000  # 2026-11-20T23:00Z: the day begins in Paris
SLOT = {m.name: slot for slot, m in enumerate(DEALS)}
NAMES = ("total", "owner=ana")


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("2026-11-21", NOVEMBER_21),
        ("2000-01-01", date(2000, 1, 1).toordinal()),
        ("1999-12-31", 0),
        ("2199-12-31", date(2199, 12, 31).toordinal()),
        ("2200-01-01", 0),
        ("9999-12-31", 0),  # stands for none
        (None, 0),
        (7, 0),
    ],
)
def test_a_day_that_may_be_meant(said: object, day: int) -> None:
    assert day_of(said) == day


def test_an_open_deal_is_due_on_the_day_it_is_expected_to_close() -> None:
    one = ((SLOT["due_deals"], 1),)
    assert due(0, NAMES, 5, PARIS) is None
    assert due(NOVEMBER_21, NAMES, 5, PARIS) == (MIDNIGHT // MINUTE_MS, NAMES, (*one, (SLOT["due_amount"], 5)), ())
    for nothing in (0, None):
        assert due(NOVEMBER_21, NAMES, nothing, PARIS) == (MIDNIGHT // MINUTE_MS, NAMES, one, ())


def test_a_promise_is_kept_until_the_day_is_over() -> None:
    promised, slipped = (SLOT["deals_promised"], 1), (SLOT["deals_slipped"], 1)
    assert promise(0, NAMES, MIDNIGHT, PARIS) is None
    for closed, cells in (
        (MIDNIGHT - 5 * DAY_MS, (promised,)),
        (MIDNIGHT + DAY_MS - 1, (promised,)),
        (MIDNIGHT + DAY_MS, (promised, slipped)),
        (None, (promised, slipped)),
    ):
        assert promise(NOVEMBER_21, NAMES, closed, PARIS) == (MIDNIGHT // MINUTE_MS, NAMES, cells, ())


def test_a_deal_has_stalled_after_so_many_whole_days() -> None:
    # It came in the middle of the 21st: the 22nd and the 23rd are whole days, and with the 24th it has stalled.
    assert stalls(MIDNIGHT + 12 * 3_600_000, 2, PARIS) == MIDNIGHT + 3 * DAY_MS
    assert stalls(0, 2, PARIS) == 0


TRIAL = Trial.of("deals_given", "deals_varied", "deals_won_after")
PAIRED = ("total", "owner=ana", "variant=a", "owner.variant=ana × a", "variant.team=a × t", "invariant=x")


@pytest.mark.parametrize(
    ("after", "days"),
    [(None, None), (0, 0), (5 * DAY_MS - 1, 4), (5 * DAY_MS, 5), (-DAY_MS, 0), (999 * DAY_MS, 999), (2_000 * DAY_MS, 1_000)],
)
def test_whose_variant_is_known_counts_on_the_day_it_came_in_with_the_days_to_its_aim(
    after: int | None, days: int | None
) -> None:
    values = () if days is None else ((SLOT["deals_won_after"], days),)
    reached = None if after is None else MIDNIGHT + after
    assert TRIAL.booking(MIDNIGHT, "a", reached, PAIRED, Segments(9), varied=False) == (
        MIDNIGHT // MINUTE_MS,
        ("variant=a", "owner.variant=ana × a", "variant.team=a × t"),
        ((SLOT["deals_given"], 1),),
        values,
    )


def test_who_had_several_variants_counts_as_such_and_who_had_none_for_nothing() -> None:
    assert TRIAL.booking(MIDNIGHT, "a", MIDNIGHT, PAIRED, Segments(9), varied=True) == (
        MIDNIGHT // MINUTE_MS, ("variant=a",), ((SLOT["deals_varied"], 1),), ()
    )  # fmt: skip
    assert TRIAL.booking(None, "a", MIDNIGHT, PAIRED, Segments(9), varied=False) is None
    assert TRIAL.booking(MIDNIGHT, None, MIDNIGHT, PAIRED, Segments(9), varied=False) is None


@pytest.mark.parametrize(
    ("first", "now", "varied", "found"),
    [
        (None, None, False, (None, False)),
        (None, "a", False, ("a", False)),
        ("a", None, False, ("a", False)),
        ("a", "", False, ("a", False)),
        ("a", "a", False, ("a", False)),
        ("a", "b", False, ("a", True)),
        ("a", "a", True, ("a", True)),
        (None, "", False, (None, False)),
    ],
)
def test_the_first_variant_counts_and_that_there_was_another(
    first: str | None, now: str | None, varied: bool, found: tuple[str | None, bool]
) -> None:
    assert seen(first, now, varied) == found


def test_how_long_a_closed_deal_took_counts_where_it_was_created() -> None:
    def deal(created: int | None, closed: int) -> Any:
        return SimpleNamespace(created=created, closed=closed)

    for after in (0, 7):  # one that was closed at once took no time, which is known
        assert length(deal(MIDNIGHT, MIDNIGHT + after), NAMES) == (
            MIDNIGHT // MINUTE_MS, NAMES, (), ((SLOT["deal_lengths"], after),)
        )  # fmt: skip
    assert length(deal(MIDNIGHT, MIDNIGHT - 1), NAMES) is None
    assert length(deal(None, MIDNIGHT), NAMES) is None


@pytest.mark.parametrize(
    ("pipeline", "stage", "to", "later", "skipped"),
    [
        ("a", "x", "y", True, []),
        ("b", "x", "y", False, []),  # the other way round in its own pipeline, whatever another one says
        ("b", "z", "x", True, ["y"]),
        ("b", "z", None, True, ["y", "x"]),  # a win goes past all
        (None, "z", "y", True, []),  # in the first pipeline that has both
        ("a", "v", "x", True, []),  # in none: it has not been there
        ("a", "v", "u", False, []),  # and here it has
    ],
)
def test_which_stage_is_a_later_one_is_said_by_the_deals_own_pipeline(
    pipeline: str | None, stage: str, to: str | None, later: bool, skipped: list[str]
) -> None:
    business = Business(stage_orders={"a": ("x", "y"), "b": ("z", "y", "x")})
    stages = Stages(business, Panes(DEALS, business), Segments(9))
    deal: Any = SimpleNamespace(attributes={"pipeline": pipeline}, been=("u", stage))
    assert stages._passed(deal, stage, to) == (later, skipped)
