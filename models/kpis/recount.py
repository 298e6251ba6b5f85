"""What would a figure be if some of its numbers were others: those of a list, or of a plainer definition?"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from models.calendar import iso
from models.folds.entity_snapshots import DealState
from models.kpis.asks import HOW, Ask, asks, asks_of
from models.kpis.behind import NAIVE, CountedEntity, Number, Sums, listed
from models.kpis.entry import Kpi
from models.kpis.formula import Undefined
from models.kpis.scope import PaneScope
from models.kpis.terms import DIMENSION
from models.measures import BY_NAME, UNLOGGED
from models.money import UNIT
from models.panes.store import TOTAL
from models.panes.view import PanesExpired, View
from models.panes.windows import Window

_EXAMPLES = 5


class Recount(PaneScope):
    """A window and segment of the view in which what entities count for is taken from a list, all else from the panes."""

    __slots__ = ("_taken",)

    def __init__(self, view: View, window: Window, segment: str, at: int, numbers: Mapping[Ask, Number]) -> None:
        super().__init__(view, window, segment, at)
        self._taken = numbers

    def flow(self, fold: str, name: str) -> int:
        """Return the sum of those in the list."""
        return self._sum(Ask("flow", name, self._segment), lambda: PaneScope.flow(self, fold, name))

    def values(self, fold: str, name: str) -> Mapping[int, int]:
        """Return the single values of those in the list."""
        found = self._taken.get(Ask("values", name, self._segment))
        if isinstance(found, Counter):
            return found
        return {} if _of_entities(name) else super().values(fold, name)

    def level(self, name: str) -> int:
        """Return the level of those in the list."""
        return self._sum(Ask("level", name, self._segment), lambda: PaneScope.level(self, name))

    def opening(self, name: str) -> int:
        """Return the level of those in the list, at the window's beginning."""
        return self._sum(Ask("opening", name, self._segment), lambda: PaneScope.opening(self, name))

    def lagged(self, fold: str, name: str, lag: str) -> int:
        """Return the moved sum of those in the list."""
        return self._sum(Ask("lagged", name, self._segment, lag), lambda: PaneScope.lagged(self, fold, name, lag))

    def ahead(self, fold: str, name: str) -> int:
        """Return the whole period's sum of those in the list."""
        return self._sum(Ask("ahead", name, self._segment), lambda: PaneScope.ahead(self, fold, name))

    def over(self, fold: str, name: str, days: int) -> int:
        """Return so many days' sum of those in the list."""
        return self._sum(Ask("over", name, self._segment, str(days)), lambda: PaneScope.over(self, fold, name, days))

    def whole(self, dimension: str) -> PaneScope:
        """Return the scope of everything where the segment is one of that dimension, else this one."""
        if self._segment.startswith(f"{dimension}="):
            return Recount(self._view, self._window, TOTAL, self.at, self._taken)
        return self

    def _sum(self, ask: Ask, otherwise: Callable[[], int]) -> int:
        found = self._taken.get(ask)
        if isinstance(found, int):
            return found
        return 0 if _of_entities(ask.name) else otherwise()


def _of_entities(name: str) -> bool:
    return listed(Ask("flow", name, TOTAL))


def measured(kpi: Kpi, view: View, window: Window, segment: str, at: int, counted: Mapping[Ask, Number]) -> list[dict[str, Any]]:
    """Return what a KPI asks of its measures: what the panes hold, and what those that are listed (``counted``) come to.

    ``part`` says where in the quotient it stands; ``listed`` is left out where nothing is kept entity by entity.
    """
    formula = kpi.formula
    top = set(asks_of(formula.numerator.text, segment))
    bottom = set(asks_of(formula.denominator.text, segment)) if formula.denominator is not None else set[Ask]()
    return [_measured(kpi, ask, view, window, at, counted, top, bottom) for ask in asks(kpi, segment)]


def _measured(
    kpi: Kpi, ask: Ask, view: View, window: Window, at: int, counted: Mapping[Ask, Number], top: set[Ask], bottom: set[Ask]
) -> dict[str, Any]:
    fold, measure = BY_NAME[ask.name]
    told: dict[str, Any] = {"measure": ask.name, "kept_by": fold, "help": measure.help, "asked": HOW[ask.how]}
    if ask.more:
        told["by"] = ask.more
    told["part"] = "both" if ask in top and ask in bottom else "denominator" if ask in bottom else "numerator"
    try:
        told["value"] = number_shown(kpi, ask, _held(ask, view, window, at))
    except (PanesExpired, Undefined) as error:
        told |= {"value": None, "why": str(error)}
    if listed(ask):
        told["listed"] = number_shown(kpi, ask, counted.get(ask, 0))
    elif ask.name in UNLOGGED:
        told["not_listed"] = "activities are counted as they come, and not kept one by one"
    else:
        told["not_listed"] = f"what the events of {fold} say is kept as sums"
    return told


def _held(ask: Ask, view: View, window: Window, at: int) -> Number:
    scope = PaneScope(view, window, ask.segment, at)
    match ask.how:
        case "values":
            return Counter(scope.values(ask.fold, ask.name))
        case "level":
            return scope.level(ask.name)
        case "opening":
            return scope.opening(ask.name)
        case "lagged":
            return scope.lagged(ask.fold, ask.name, ask.more)
        case "ahead":
            return scope.ahead(ask.fold, ask.name)
        case "over":
            return scope.over(ask.fold, ask.name, int(ask.more))
        case "seen":
            raise Undefined("a curve over all that were there: no sum")
    return scope.flow(ask.fold, ask.name)


def number_shown(kpi: Kpi, ask: Ask, number: Number) -> int | float:
    """Return what a measure comes to as people read it: money in units, times in seconds, of single values their sum."""
    if ask.how == "seen":
        return number if isinstance(number, int) else sum(number.values())
    total = number if isinstance(number, int) else sum(value * count for value, count in number.items())
    return kpi.shown(total, DIMENSION[BY_NAME[ask.name][1].kind])


def differences(
    kpi: Kpi, view: View, window: Window, segment: str, at: int, value: int | float | None, naive: Mapping[str, Sums]
) -> list[dict[str, Any]]:
    """Return what the plainer definitions would say: each with its value, the difference, and how many count otherwise."""
    return [
        {
            "definition": name,
            "says": NAIVE[name],
            **_value(kpi, Recount(view, window, segment, at, sums.numbers), value),
            "count_otherwise": len(sums.others),
            "examples": sorted(sums.others)[:_EXAMPLES],
        }
        for name, sums in naive.items()
    ]


def _value(kpi: Kpi, scope: Recount, ours: int | float | None) -> dict[str, Any]:
    formula = kpi.formula
    try:
        top = formula.numerator.run(scope)
        bottom = None if formula.denominator is None else formula.denominator.run(scope)
        if bottom == 0:
            return {"value": None, "difference": None, "why": "there is nothing to divide by"}
        found = kpi.value(top, bottom)
    except (Undefined, PanesExpired, ZeroDivisionError) as error:
        return {"value": None, "difference": None, "why": str(error)}
    return {"value": found, "difference": None if ours is None else float(Fraction(repr(found)) - Fraction(repr(ours)))}


def together(parts: Iterable[tuple[str, Sums]]) -> dict[str, Sums]:
    """Return the sums of all partitions, by definition."""
    found: dict[str, Sums] = {}
    for name, sums in parts:
        kept = found.setdefault(name, Sums())
        kept.add(sums.numbers)
        kept.others += sums.others
    return found


def row(one: CountedEntity, kpi: Kpi, one_by_one: Iterable[Ask]) -> dict[str, Any]:
    """Return a deal or lead as lists tell it, ready for JSON: amounts in the business currency's units, what it counts for."""
    state = one.state
    deal = state if isinstance(state, DealState) else None
    ended = getattr(state, "converted" if deal is None else "closed")
    return {
        "entity": "lead" if deal is None else "deal",
        "id": state.id,
        "name": state.name,
        "counted_at": iso(one.at) if one.at else None,
        "status": state.status,
        "created": None if state.created is None else iso(state.created),
        "closed": None if ended is None else iso(ended),
        "amount": None if deal is None or deal.amount is None else deal.amount / UNIT,
        "stage": None if deal is None else deal.stage,
        "owner": state.owner,
        "team": state.team,
        "source": state.source,
        "product": state.product,
        "region": state.region,
        "counts": {ask.name: number_shown(kpi, ask, one.numbers[ask]) for ask in one_by_one if ask in one.numbers},
    }
