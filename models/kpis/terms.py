"""What is a part of a formula, what does it come out in, and where does it find its numbers?"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple, Protocol

from models.measures import Kind
from models.money import UNIT

Number = int | Fraction


class FormulaError(ValueError):
    """The formula cannot be used; the message says what was found and what is accepted."""


class Undefined(ArithmeticError):
    """The formula has no value here; the message says why."""


class UndefinedBecause(Undefined):
    """Likewise; the message is for people, and says more than that something is 0."""


class Scope(Protocol):
    """Where a formula finds its measures: one window, one segment, one instant."""

    at: int
    start: int

    def flow(self, fold: str, name: str) -> int:
        """Return an additive measure's sum in the window."""

    def values(self, fold: str, name: str) -> Mapping[int, int]:
        """Return the single values of the window, ``{value: count}``."""

    def distinct(self, name: str) -> int:
        """Return a distinct measure's count in the window."""

    def lagged(self, fold: str, name: str, lag: str) -> int:
        """Return an additive measure's sum in the window moved back by the named time."""

    def level(self, name: str) -> int:
        """Return a stock's level at the instant."""

    def opening(self, name: str) -> int:
        """Return a stock's level at the window's first instant."""

    def whole(self, dimension: str) -> "Scope":
        """Return the scope of everything where the segment is one of that dimension, else this one."""

    def left_within(self, lengths: str, share: float) -> int | None:
        """Return the time (ms) within which a share has left, None where not so many do in any time that was seen."""

    def ahead(self, fold: str, name: str) -> int:
        """Return a measure's sum over the whole calendar period; of a rolling window, over as long a time from today on."""

    def over(self, fold: str, name: str, days: int) -> int:
        """Return a measure's sum over so many days up to the instant, whatever the window."""

    def target(self, kpi: str) -> Fraction:
        """Return the target of the period, in the KPI's own unit; raise :class:`Undefined` where there is none."""

    def benchmark(self, kpi: str, name: str) -> Fraction:
        """Return the benchmark of that name, in the KPI's own unit; raise :class:`Undefined` where there is none."""

    def course(self, fold: str, name: str) -> Fraction:
        """Return the share of a period's sum that has usually come by now; raise :class:`Undefined` of a rolling window."""

    def elapsed(self) -> Fraction:
        """Return the share of the period's business days that is over; raise :class:`Undefined` of a rolling window."""

    def weighted(self, name: str) -> Number:
        """Return a stock's level, each stage's times the odds of a deal that has been in it."""

    def shrunk(self, fold: str, successes: str, failures: str) -> "CountedRate":
        """Return the segment's rate, drawn to that of its peers as far as they are alike."""

    def until(self, begin: str, end: str) -> int:
        """Return the median time (ms) from one to the other, of those of the segment that began in the window."""

    def recorded(self, metric: str, measure: str) -> int:
        """Return what was recorded of a metric of one's own: a sum over the window, or the level of a stock."""

    def recorded_values(self, metric: str) -> Mapping[int, int]:
        """Return the single values recorded in the window, ``{value: count}``."""


class CountedRate(NamedTuple):
    """So many of so many; cases lent by others make them fractions."""

    successes: Fraction
    trials: Fraction


class Dimension(NamedTuple):
    """Powers of money (1/10,000 of a unit) and of time (milliseconds)."""

    money: int = 0
    millis: int = 0

    def __str__(self) -> str:
        return _NAMES.get(self, f"money^{self.money}·time^{self.millis}")


PLAIN, MONEY, TIME = Dimension(), Dimension(money=1), Dimension(millis=1)
_NAMES = {PLAIN: "a plain number", MONEY: "money", TIME: "a time"}
#: What a measure of each kind comes out in.
DIMENSION = {
    Kind.COUNT: PLAIN,
    Kind.MONEY: MONEY,
    Kind.MILLIS: TIME,
    Kind.DISTINCT: PLAIN,
    Kind.VALUES: MONEY,
    Kind.DURATIONS: TIME,
    Kind.NUMBERS: PLAIN,
}

#: Each unit of a KPI: what a formula must come out in, and how many of that make one.
UNITS: dict[str, tuple[Dimension, int]] = {
    "count": (PLAIN, 1),
    "ratio": (PLAIN, 1),
    "score": (PLAIN, 1),
    "money": (MONEY, UNIT),
    "seconds": (TIME, 1000),
    "days": (TIME, 86_400_000),
}


class Term(NamedTuple):
    """A part of a formula, ready to be computed. ``constant`` is its value where it has no names in it."""

    run: Callable[[Scope], Number]
    dimension: Dimension
    text: str
    constant: Fraction | None = None
