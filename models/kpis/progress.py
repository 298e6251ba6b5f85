"""How far on is a period: what was it to bring, and how much of that has usually come by now?"""

from fractions import Fraction

from models.calendar import DAY_MS, Grain
from models.kpis.terms import UndefinedBecause
from models.panes.view import PanesExpired, View
from models.panes.windows import Span, Window

#: The usual course is told from at most so many complete periods before, and from no fewer than the least.
MOST_PERIODS, LEAST_PERIODS = 6, 3


def target(view: View, window: Window, kpi: str, segment: str, at: int) -> Fraction:
    """Return the target of the calendar period that holds the instant just before ``at``, in the KPI's own unit."""
    _calendar_only(window)
    first, _ = window.period_days(at, view.calendar)
    found = view.targets.find(kpi, window.name, segment, first)
    if found is None:
        place = "in total" if segment == "total" else f"for {segment}"
        raise UndefinedBecause(f"no target of {kpi} is set {place} for this {window.name}")
    return Fraction(repr(found))


def elapsed(view: View, window: Window, at: int) -> Fraction:
    """Return the share of the period's business days (Monday to Friday) that is over, of today as much as has passed.

    A weekend's day is 1 where the period has no other.
    """
    _calendar_only(window)
    calendar = view.calendar
    first, stop = window.period_days(at, calendar)
    today = calendar.day(at - 1)
    begin, end = calendar.day_start(today), calendar.day_start(today + 1)
    over = _weekdays(first, today) + Fraction(at - begin, end - begin) * _weekdays(today, today + 1)
    total = _weekdays(first, stop)
    return over / total if total else Fraction(1)


def course(view: View, window: Window, fold: str, name: str, segment: str, at: int) -> Fraction:
    """Return the share of a period's sum that has usually come by this day of it.

    That of the days over before today, and of today as much as has passed, in each complete period before: the day of the same
    number, counted in parts of the period where they differ in length. Periods in which nothing came, or of which not all
    panes are kept, say nothing.
    """
    _calendar_only(window)
    calendar = view.calendar
    first, stop = window.period_days(at, calendar)
    today = calendar.day(at - 1)
    begin, end = calendar.day_start(today), calendar.day_start(today + 1)
    passed = Fraction(at - begin, end - begin)
    shares: list[Fraction] = []
    began = view.began((fold,))
    while len(shares) < MOST_PERIODS and began is not None:
        past, past_stop = window.period_days(calendar.day_start(first), calendar)
        if calendar.day_start(past) < began:
            break
        day = past + (today - first) * (past_stop - past) // (stop - first)
        first, stop, today = past, past_stop, day
        try:
            whole = _sum(view, fold, name, segment, past, past_stop)
            if whole > 0:
                before = _sum(view, fold, name, segment, past, day)
                shares.append((before + passed * _sum(view, fold, name, segment, day, day + 1)) / whole)
        except PanesExpired:
            break
    if len(shares) < LEAST_PERIODS:
        return elapsed(view, window, at)
    return sum(shares, Fraction(0)) / len(shares)


def _sum(view: View, fold: str, name: str, segment: str, first: int, stop: int) -> Fraction:
    if first >= stop:
        return Fraction(0)
    return Fraction(view.spans_total(fold, segment, (Span(Grain.DAY, first, stop),)).numbers.get(name, 0))


def _weekdays(first: int, stop: int) -> int:
    """Return how many of the days (ordinals) ``first <= day < stop`` are Monday to Friday."""

    def until(day: int) -> int:  # of the days below it; day 1 was a Monday
        weeks, rest = divmod(day - 1, 7)
        return 5 * weeks + min(rest, 5)

    return until(stop) - until(first)


def _calendar_only(window: Window) -> None:
    if window.length or window.first:
        stretch = f"of {window.length / DAY_MS:g} days" if window.length else window.name
        raise UndefinedBecause(f"a target is of a calendar period (month, quarter, year …), not {stretch}")
