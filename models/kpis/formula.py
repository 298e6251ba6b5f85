"""What does a KPI's formula say, and what unit does it come out in?

The language: names of measures, whole or decimal numbers, ``+ - * /``, parentheses, the instants ``at`` (the reading's) and
``start`` (its window's first), ``day`` (the length of one), and the functions in ``FUNCTIONS``. A formula is parsed by ``ast``
and never evaluated as Python. It is checked when it is loaded: every name must exist, only like may be added to like (money to
money, time to time), and nothing is divided by the change of a stock. KPIs are no names in it: none goes round in a circle.
"""

import ast
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from models.calendar import DAY_MS
from models.config.suggest import near
from models.kpis.functions import CALLS, LAGS, call, mean, median, stocks
from models.kpis.terms import (
    DIMENSION,
    MONEY,
    PLAIN,
    TIME,
    Dimension,
    FormulaError,
    Number,
    Scope,
    Term,
    Undefined,
)
from models.measures import BY_NAME, DIMENSIONS, Kind

__all__ = [
    "FUNCTIONS", "LAGS", "MONEY", "PLAIN", "TIME", "Dimension", "Formula", "FormulaError", "Number", "Scope", "Term", "Undefined",
    "mean", "median", "parse",
]  # fmt: skip

_LONGEST = 1000
_WHOLE = "whole(formula, dimension): the formula over everything, where the segment is one of that dimension"
#: What each function means, for people.
FUNCTIONS: dict[str, str] = {**{name: function.help for name, function in CALLS.items()}, "whole": _WHOLE}


class Formula(NamedTuple):
    """A formula: ``scale · numerator / denominator``, or ``scale · numerator`` where it divides by nothing at the top."""

    text: str
    numerator: Term
    denominator: Term | None
    scale: Fraction
    dimension: Dimension
    folds: frozenset[str]
    measures: frozenset[str]
    summed: frozenset[str] = frozenset()  # measures of which more than the level at the instant is asked


def parse(text: str, kpis: Mapping[str, str] | None = None) -> Formula:
    """Return the formula; raise :class:`FormulaError`. ``kpis`` are those whose targets it may name, with their units."""
    if len(text) > _LONGEST:
        raise FormulaError(f"{len(text)} characters (accepted: at most {_LONGEST})")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise FormulaError(f"not a formula: {text!r} ({getattr(error, 'msg', error)})") from error
    builder = _Builder(kpis or {})
    try:
        whole = builder.term(tree)
        top, bottom, scale = builder.quotient(tree)
    except RecursionError as error:
        raise FormulaError(f"nested too deeply: {text!r}") from error
    if not builder.measures:
        raise FormulaError(f"no measure in {text!r}")
    return Formula(
        " ".join(text.split()),
        builder.term(top),
        None if bottom is None else builder.term(bottom),
        scale,
        whole.dimension,
        frozenset(BY_NAME[name][0] for name in builder.measures),
        frozenset(builder.measures),
        frozenset(builder.summed),
    )


class _Builder:
    """Turns the syntax tree into closures, and notes the measures on the way."""

    def __init__(self, kpis: Mapping[str, str]) -> None:
        self.kpis = kpis
        self.measures: set[str] = set()
        self.summed: set[str] = set()

    def quotient(self, node: ast.expr) -> tuple[ast.expr, ast.expr | None, Fraction]:
        """Take the outermost division apart, constant factors put aside: ``100 * (a - b) / c`` is (a − b, c, 100)."""
        scale = Fraction(1)
        bottom: ast.expr | None = None
        while True:
            match node:
                case ast.BinOp(left=left, op=ast.Mult(), right=right):
                    if (factor := self.term(left).constant) is not None:
                        scale, node = scale * factor, right
                    elif (factor := self.term(right).constant) is not None:
                        scale, node = scale * factor, left
                    else:
                        return node, bottom, scale
                case ast.BinOp(left=left, op=ast.Div(), right=right):
                    if (factor := self.term(right).constant) is not None:
                        scale, node = scale / factor, left
                    elif bottom is None:
                        node, bottom = left, right
                    else:
                        return node, bottom, scale
                case _:
                    return node, bottom, scale

    def term(self, node: ast.expr) -> Term:
        match node:
            case ast.Constant(value=bool() | str() | bytes() | complex() | None):
                raise FormulaError(f"{ast.unparse(node)} is not a number")
            case ast.Constant(value=int() | float() as number):
                try:
                    constant = Fraction(repr(number))
                except ValueError as error:
                    raise FormulaError(f"{number!r} is not a finite number") from error
                exact: Number = constant.numerator if constant.denominator == 1 else constant
                return Term(lambda scope: exact, PLAIN, ast.unparse(node), constant)
            case ast.Name(id="at"):
                return Term(lambda scope: scope.at, TIME, "at")
            case ast.Name(id="start"):
                return Term(lambda scope: scope.start, TIME, "start")
            case ast.Name(id="day"):
                return Term(lambda scope: DAY_MS, TIME, "day")
            case ast.Name(id=name):
                return self._measure(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.term(operand)
                run = inner.run
                return Term(lambda scope: -run(scope), inner.dimension, ast.unparse(node), _negative(inner.constant))
            case ast.BinOp(op=ast.Div(), right=right) if found := _bare_stocks(right):
                raise FormulaError(f"{ast.unparse(node)}: {found[0]!r} is a level (accepted below a line: level({found[0]}))")
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as op, right=right):
                return self._binary(self.term(left), op, self.term(right), ast.unparse(node))
            case ast.Call(func=ast.Name(id=function), args=args, keywords=[]):
                if function == "whole":
                    return self._whole(args, ast.unparse(node))
                return call(self, function, args, ast.unparse(node))
        accepted = f"measures, numbers, + - * /, parentheses, at, start, day, {', '.join(FUNCTIONS)}"
        raise FormulaError(f"found {ast.unparse(node)!r} (accepted: {accepted})")

    def _measure(self, name: str) -> Term:
        fold, kind = self.known(name)
        if kind in (Kind.VALUES, Kind.DURATIONS, Kind.DISTINCT, Kind.NUMBERS):
            functions = "distinct" if kind is Kind.DISTINCT else "median, mean"
            raise FormulaError(f"measure {name!r} is no single number (accepted inside: {functions})")
        return Term(lambda scope: scope.flow(fold, name), DIMENSION[kind], name)

    def known(self, name: str, kinds: Sequence[Kind] | None = None, *, stock: bool = False) -> tuple[str, Kind]:
        """Return the fold and kind of a measure, of some kind, or of a stock whose level is asked; note that it is used."""
        accepted = stocks() if stock else [n for n, (_, m) in BY_NAME.items() if kinds is None or m.kind in kinds]
        if name not in accepted:
            what = "measure" if name not in BY_NAME else "measure for this function:"
            raise FormulaError(f"unknown {what} {name!r}{near(name, accepted)}")
        self.measures.add(name)
        if not stock:
            self.summed.add(name)
        fold, measure = BY_NAME[name]
        return fold, measure.kind

    def _binary(self, left: Term, op: ast.operator, right: Term, text: str) -> Term:
        a, b = left.run, right.run
        constant: Fraction | None = None
        if isinstance(op, ast.Add | ast.Sub):
            if left.dimension != right.dimension:
                raise FormulaError(f"{text}: {left.text} is {left.dimension}, {right.text} is {right.dimension}")
            dimension = left.dimension
        else:
            sign = 1 if isinstance(op, ast.Mult) else -1
            dimension = Dimension(*(x + sign * y for x, y in zip(left.dimension, right.dimension, strict=True)))
        if left.constant is not None and right.constant is not None:
            if isinstance(op, ast.Div) and not right.constant:
                raise FormulaError(f"{text}: divides by 0")
            constant = _arithmetic(op, left.constant, right.constant)
        match op:
            case ast.Add():
                return Term(lambda scope: a(scope) + b(scope), dimension, text, constant)
            case ast.Sub():
                return Term(lambda scope: a(scope) - b(scope), dimension, text, constant)
            case ast.Mult():
                return Term(lambda scope: a(scope) * b(scope), dimension, text, constant)
        if right.constant == 0:
            raise FormulaError(f"{text}: divides by 0")
        below = right.text

        def divide(scope: Scope) -> Number:
            divisor = b(scope)
            if not divisor:
                raise Undefined(f"{below} is 0")
            return Fraction(a(scope)) / divisor

        return Term(divide, dimension, text, constant)

    def _whole(self, args: list[ast.expr], text: str) -> Term:
        match args:
            case [inner, ast.Name(id=dimension)]:
                if dimension not in DIMENSIONS:
                    raise FormulaError(f"unknown dimension {dimension!r}{near(dimension, DIMENSIONS)}")
                term = self.term(inner)
                run = term.run
                return Term(lambda scope: run(scope.whole(dimension)), term.dimension, text, term.constant)
        raise FormulaError(f"found {text} (accepted: {_WHOLE})")


def _bare_stocks(node: ast.expr) -> list[str]:
    """Return the levels that a part of a formula names without a function: what they moved by in the window, of either sign."""
    if isinstance(node, ast.Call):
        return []
    if isinstance(node, ast.Name):
        return [node.id] if node.id in stocks() else []
    return [name for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr) for name in _bare_stocks(child)]


def _negative(number: Fraction | None) -> Fraction | None:
    return None if number is None else -number


def _arithmetic(op: ast.operator, a: Fraction, b: Fraction) -> Fraction:
    match op:
        case ast.Add():
            return a + b
        case ast.Sub():
            return a - b
        case ast.Mult():
            return a * b
    return a / b
