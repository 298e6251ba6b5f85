"""Why is a reading what it is: what was it in the period before, and which segments moved it most?

Everything is read from the panes at the reading's own instant, so the numbers are those of the reading. The period before is the
exact one (``Window.previous``), as it is known now. Segments are those of one dimension at a time: panes hold no crossings, so
the total is taken apart by segments, and a segment's own reading by its numerator and denominator.
"""

import ast
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

from models.calendar import iso
from models.kpis.catalogue import Catalogue
from models.kpis.course import POINTS, course
from models.kpis.decompose import Pair, SegmentEffect, of_quotient, of_ratio, of_sum
from models.kpis.entry import UNITS, Kpi
from models.kpis.formula import FUNCTIONS, Undefined
from models.kpis.highlights import Highlights, kind_behind
from models.kpis.reading import Reading
from models.kpis.scope import PaneScope
from models.panes.store import TOTAL
from models.panes.view import PanesExpired, View
from models.panes.windows import Window

#: So many dimensions and segments are told; the rest of a dimension's segments is told as one.
DIMENSIONS, SEGMENTS = 2, 3
#: A dimension of more values than this is not taken apart: it would take longer than it is worth.
MOST_VALUES = 300
#: What has no value in a dimension.
UNNAMED = "(none)"
_ADDITIVE_CALLS = frozenset({"level", "lag"})


def explain(
    catalogue: Catalogue, view: View, kpi: Kpi, window: Window, reading: Reading, highlights: Highlights | None = None
) -> dict[str, Any]:
    """Return what explains a reading, ready for JSON.

    ``previous`` is the exact period before; ``change`` the difference, in the KPI's unit; ``parts`` what numerator and
    denominator made of it; ``moved_by`` the dimensions whose segments moved the total most, each list adding up to ``change``;
    ``course`` what it was over the length of the window, oldest first; ``total`` the same KPI over everything, for a reading of
    a segment; ``behind`` the deals or leads behind it. What cannot be told is left out, or has ``why``.
    """
    at, segment = reading.at, reading.segment_name
    earlier = window.previous(at, view.calendar)
    before = catalogue.reading(kpi, view, window, segment, earlier).whole()
    found: dict[str, Any] = {"previous": _told(before)}
    if past := course(catalogue, view, kpi, window, reading):
        found["course"] = past
    if segment != TOTAL:
        found["total"] = {
            "value": catalogue.reading(kpi, view, window, TOTAL, at).value,
            "previous": catalogue.reading(kpi, view, window, TOTAL, earlier).whole().value,
        }
    if highlights is not None and (kind := kind_behind(kpi)) is not None:
        days = range(view.calendar.day(reading.start), view.calendar.day(at - 1) + 1)
        behind = highlights.best(kind, segment, reading.start, at, days)
        if behind:
            found["behind"] = highlights.document(kind, behind, view.business.currency)
    if reading.value is None or before.value is None:
        return found
    found["change"] = reading.value - before.value
    try:
        if kpi.formula.denominator is not None:
            top, bottom = of_quotient(_pair(kpi, view, window, segment, at), _pair(kpi, view, window, segment, earlier))
            found["parts"] = {"numerator": _shown(kpi, top), "denominator": _shown(kpi, bottom)}
        if segment == TOTAL and additive(kpi):
            found |= _moved_by(kpi, view, window, at, earlier)
    except (PanesExpired, Undefined, ZeroDivisionError):
        pass  # a late correction has left a measure without cases for a moment
    return found


def reads(view: View, kpi: Kpi, reading: Reading) -> int:
    """Return about how many sums :func:`explain` has to read for a reading."""
    few = 6 + 3 * POINTS
    if reading.segment or not additive(kpi):
        return few
    counts = (len(view.segments(dimension, kpi.formula.folds)) for dimension in kpi.by)
    return few + sum(2 * count for count in counts if count <= MOST_VALUES)


def _told(before: Reading) -> dict[str, Any]:
    told: dict[str, Any] = {"value": before.value, "from": iso(before.start), "at": iso(before.at)}
    told |= {"numerator": before.numerator, "denominator": before.denominator}
    return told if before.why is None else {**told, "why": before.why}


def _moved_by(kpi: Kpi, view: View, window: Window, at: int, earlier: int) -> dict[str, Any]:
    whole, past = _pair(kpi, view, window, TOTAL, at), _pair(kpi, view, window, TOTAL, earlier)
    taken: list[tuple[Fraction, str, list[SegmentEffect]]] = []
    left_out: list[str] = []
    for dimension in kpi.by:
        values = view.segments(dimension, kpi.formula.folds)
        if len(values) > MOST_VALUES:
            left_out.append(dimension)
            continue
        now = dict(_segments(kpi, view, window, dimension, values, at, whole))
        then = dict(_segments(kpi, view, window, dimension, values, earlier, past))
        if len(now.keys() | then.keys()) < 2:
            continue  # all in one: it says nothing
        if kpi.formula.denominator is None:
            parts = of_sum({name: pair[0] for name, pair in now.items()}, {name: pair[0] for name, pair in then.items()})
        else:
            parts = of_ratio(now, then)
        parts.sort(key=lambda part: (-abs(part.effect), part.segment))
        taken.append((abs(parts[0].effect), dimension, parts))
    taken.sort(key=lambda item: (-item[0], item[1]))
    found: dict[str, Any] = {
        "moved_by": [
            {"dimension": dimension, "segments": list(_listed(kpi, parts))}
            for most, dimension, parts in taken[:DIMENSIONS]
            if most
        ]
    }
    return found | ({"left_out": left_out} if left_out else {})


def _segments(
    kpi: Kpi, view: View, window: Window, dimension: str, values: list[str], at: int, whole: Pair
) -> Iterator[tuple[str, Pair]]:
    """Yield each segment that has something, and what the total has beyond them."""
    rest = whole
    for value in values:
        pair = _pair(kpi, view, window, f"{dimension}={value}", at)
        if pair[0] or pair[1]:
            rest = (rest[0] - pair[0], rest[1] - pair[1])
            yield value, pair
    if rest[0] or rest[1]:
        yield UNNAMED, rest


def _pair(kpi: Kpi, view: View, window: Window, segment: str, at: int) -> Pair:
    scope = PaneScope(view, window, segment, at)
    formula = kpi.formula
    bottom = Fraction(formula.denominator.run(scope)) if formula.denominator is not None else Fraction(0)
    return Fraction(formula.numerator.run(scope)), bottom


def _listed(kpi: Kpi, parts: list[SegmentEffect]) -> Iterator[dict[str, Any]]:
    ratio = kpi.formula.denominator is not None
    for part in parts[:SEGMENTS]:
        told = {"segment": part.segment, "effect": _shown(kpi, part.effect)}
        yield told | ({"rate": _shown(kpi, part.rate), "mix": _shown(kpi, part.mix)} if ratio else {})
    others = parts[SEGMENTS:]
    if others:
        yield {"others": len(others), "effect": _shown(kpi, sum((part.effect for part in others), Fraction(0)))}


def _shown(kpi: Kpi, exact: Fraction) -> float:
    return float(kpi.formula.scale * exact / UNITS[kpi.unit][1])


def additive(kpi: Kpi) -> bool:
    """Whether the segments' numerators and denominators add up to the total's: no medians, no distinct counts."""
    formula = kpi.formula
    terms = [formula.numerator] if formula.denominator is None else [formula.numerator, formula.denominator]
    return all(_additive(term.text) for term in terms)


@lru_cache(maxsize=1024)
def _additive(text: str) -> bool:
    return _degree(ast.parse(text, mode="eval").body) == 1


def _degree(node: ast.expr) -> int | None:
    """Return 0 for what is the same in every segment, 1 for what adds up over them, None for anything else."""
    match node:
        case ast.Constant():
            return 0
        case ast.Name(id=name):
            return 0 if name == "at" else 1
        case ast.Call(func=ast.Name(id=function)):
            assert function in FUNCTIONS
            return 1 if function in _ADDITIVE_CALLS else None
        case ast.UnaryOp(operand=operand):
            return _degree(operand)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _degree(left), _degree(right)
            if a is None or b is None:
                return None
            if isinstance(op, ast.Add | ast.Sub):
                return a if a == b else None
            if isinstance(op, ast.Mult):
                return a + b if a + b <= 1 else None
            return a if b == 0 else None
    return None
