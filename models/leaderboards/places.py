"""Which place has each owner or team by a KPI, who shares one, and who is shown to everybody?

A place is 1 + the number of those who are *surely* better. Of sums and counts that is who has more: equal values share a place.
Of rates, what few cases say is drawn to what all have in common (``models/kpis/odds.py``), and surely better is who is better
over the whole of both intervals: five deals put nobody first or last. H. Goldstein, D. Spiegelhalter, "League tables and their
limitations", Journal of the Royal Statistical Society A 159 (3), 1996, say why.

What is public ends in the middle: there are no last places. Everybody may know their own.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import sqrt

from models.kpis.interval import Z95
from models.kpis.odds import prior
from models.kpis.reading import Reading

#: What segments hold that is nobody: values beyond the limit of a dimension.
OTHER = "other"


@dataclass(frozen=True, slots=True)
class LeaderPlace:
    """Somebody's place. ``value`` is what was read, ``drawn`` what it is ranked by; ``moved`` by how many places they rose.

    ``moved`` is None for who had no place in the period before.
    """

    who: str
    rank: int
    shared: bool
    value: float
    drawn: float
    low: float | None
    high: float | None
    sample: int | None
    moved: int | None = None


@dataclass(frozen=True, slots=True)
class LeaderBoard:
    """All who have a place, best first; of how many there is no value, or too few cases."""

    places: tuple[LeaderPlace, ...]
    without: int

    def public(self, most: int) -> tuple[LeaderPlace, ...]:
        """Return the first places, at most so many people, and nobody of the lower half, nor who shares a place with them.

        The first place is shown even where it reaches into the lower half.
        """
        below = {place.rank for place in self.places[max(len(self.places) // 2, 1) :]} - {1}
        return tuple(place for place in self.places[:most] if place.rank not in below)


def board(
    now: Iterable[Reading], before: Iterable[Reading], direction: str, least: int, left_out: Collection[str] = ()
) -> LeaderBoard:
    """Return the places by readings of one KPI, and how they have moved since those of the period before.

    ``direction`` is the KPI's: ``up`` or ``down`` is better. Of rates, who has fewer than ``least`` cases has no place; who is
    left out appears nowhere, and is not counted.
    """
    present = [reading for reading in now if (who := _who(reading)) not in left_out and who != OTHER]
    past = [reading for reading in before if (who := _who(reading)) not in left_out and who != OTHER]
    places = _places(present, direction, least)
    ranks: Mapping[str, int] = {place.who: place.rank for place in _places(past, direction, least)}
    moved = (
        LeaderPlace(
            one.who, one.rank, one.shared, one.value, one.drawn, one.low, one.high, one.sample,
            None if (rank := ranks.get(one.who)) is None else rank - one.rank,
        )
        for one in places
    )  # fmt: skip
    return LeaderBoard(tuple(moved), len(present) - len(places))


def _who(reading: Reading) -> str:
    return next(iter(reading.segment.values()), "")


def _places(readings: list[Reading], direction: str, least: int) -> list[LeaderPlace]:
    known = [_Known.of(reading) for reading in readings if reading.value is not None and _enough(reading, least)]
    if rates := [one for one in known if one.trials]:
        _draw(rates)
    sign = -1 if direction == "down" else 1
    ends = {one.who: sorted((sign * one.low, sign * one.high)) for one in known}
    lows = sorted(low for low, _ in ends.values())
    ranks = {who: 1 + _above(lows, high) for who, (_, high) in ends.items()}
    taken = list(ranks.values())
    found = [
        LeaderPlace(
            one.who, ranks[one.who], taken.count(ranks[one.who]) > 1, one.value, one.drawn,
            one.low if one.sure else None, one.high if one.sure else None, one.sample,
        )
        for one in known
    ]  # fmt: skip
    return sorted(found, key=lambda place: (place.rank, -sign * place.drawn, place.who))


def _above(ordered: list[float], value: float) -> int:
    return len(ordered) - bisect_right(ordered, value)


def _enough(reading: Reading, least: int) -> bool:
    return not _is_rate(reading) or (reading.denominator or 0) >= least


def _is_rate(reading: Reading) -> bool:
    """Whether it is a share of cases that were counted, with an interval."""
    counted = isinstance(reading.numerator, int) and isinstance(reading.denominator, int)
    return reading.unit == "ratio" and reading.low is not None and counted


@dataclass(slots=True)
class _Known:
    """Somebody's value, and between which bounds it is ranked."""

    who: str
    value: float
    drawn: float
    low: float
    high: float
    sample: int | None
    sure: bool  # whether there is an interval
    won: int = 0
    trials: int = 0

    @classmethod
    def of(cls, reading: Reading) -> "_Known":
        value = float(reading.value or 0)
        low, high = (value if end is None else end for end in (reading.low, reading.high))
        found = cls(_who(reading), value, value, low, high, reading.sample, reading.low is not None)
        if _is_rate(reading):
            found.won, found.trials = int(reading.numerator or 0), int(reading.denominator or 0)
        return found


def _draw(rates: list[_Known]) -> None:
    """Draw rates to what they have in common, and give them the bounds of that."""
    shared = prior((one.won, one.trials) for one in rates)
    common, lent = float(shared.rate), float(shared.cases)
    for one in rates:
        cases = one.trials + lent
        one.drawn = (one.won + lent * common) / cases
        half = Z95 * sqrt(one.drawn * (1 - one.drawn) / (cases + 1))
        one.low, one.high = max(0.0, one.drawn - half), min(1.0, one.drawn + half)
