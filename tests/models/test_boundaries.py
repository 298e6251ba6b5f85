"""Are histories read at the right instants, in the business time zone?"""

from itertools import islice

import pytest

from models.calendar import Calendar, iso
from models.panes.boundaries import boundaries

PARIS = Calendar("Europe/Paris")
MARCH_27 = 1_774_609_200_000  # 2026-03-27T11:00Z


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        ("1d", ["2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]),  # the clocks change on the 29th
        ("12h", ["2026-03-27T23:00:00Z", "2026-03-28T11:00:00Z", "2026-03-28T23:00:00Z"]),
        ("week", ["2026-03-29T22:00:00Z", "2026-04-05T22:00:00Z", "2026-04-12T22:00:00Z"]),
        ("month", ["2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z", "2026-05-31T22:00:00Z"]),
        ("quarter", ["2026-03-31T22:00:00Z", "2026-06-30T22:00:00Z", "2026-09-30T22:00:00Z"]),
        ("year", ["2026-12-31T23:00:00Z", "2027-12-31T23:00:00Z", "2028-12-31T23:00:00Z"]),
    ],
)
def test_boundaries_in_the_business_time_zone(every: str, expected: list[str]) -> None:
    assert [iso(at) for at in islice(boundaries(every, MARCH_27, PARIS), 3)] == expected


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        # Quarters of a year that begins in February: May, August, November.
        ("quarter", ["2026-04-30T22:00:00Z", "2026-07-31T22:00:00Z", "2026-10-31T23:00:00Z"]),
        ("year", ["2027-01-31T23:00:00Z", "2028-01-31T23:00:00Z", "2029-01-31T23:00:00Z"]),
    ],
)
def test_boundaries_of_a_year_that_begins_in_february(every: str, expected: list[str]) -> None:
    assert [iso(at) for at in islice(boundaries(every, MARCH_27, Calendar("Europe/Paris", 2)), 3)] == expected


def test_a_boundary_is_after_the_instant_that_is_given() -> None:
    midnight = MARCH_27 + 12 * 3_600_000  # the 28th begins
    for every, first in (("1d", "2026-03-28T23"), ("12h", "2026-03-28T11"), ("month", "2026-03-31T22")):
        assert iso(next(boundaries(every, midnight, PARIS))) == f"{first}:00:00Z"
        assert iso(next(boundaries(every, midnight - 1, PARIS))) == (
            f"{first}:00:00Z" if every == "month" else "2026-03-27T23:00:00Z"
        )


@pytest.mark.parametrize("every", ["", "0d", "1m", "fortnight", "1.5d"])
def test_a_period_there_is_none_of_is_refused(every: str) -> None:
    with pytest.raises(ValueError, match="accepted"):
        next(boundaries(every, MARCH_27, PARIS))
