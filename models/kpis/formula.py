"""What does a KPI's formula say, and what unit does it come out in?

The language: names of measures, whole or decimal numbers, ``+ - * /``, parentheses, the instants ``at`` (the reading's) and
``start`` (its window's first), ``day`` (the length of one), and the functions in ``FUNCTIONS``. A formula is parsed by ``ast``
and never evaluated as Python. It is checked when it is loaded: every name must exist, only like may be added to like (money to
money, time to time), and nothing is divided by the change of a stock. KPIs are no names in it: none goes round in a circle.
"""

import ast
import difflib
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple, Protocol

from models.calendar import DAY_MS, Grain
from models.measures import BY_NAME, DIMENSIONS, Kind

Number = int | Fraction

_LONGEST = 1000
LAGS = ("acquisition_lag",)
FUNCTIONS: dict[str, str] = {
    "median": "median(values): the middle one of single values, the mean of the two middle ones where their count is even",
    "mean": "mean(values): the mean of single values",
    "distinct": "distinct(measure): how many different ones the window holds",
    "lag": f"lag(measure, {LAGS[0]}): the measure in the window moved back by that time",
    "level": "level(stock): the stock's level at the reading's instant",
    "opening": "opening(stock): the stock's level at the window's first instant",
    "whole": "whole(formula, dimension): the formula over everything, where the segment is one of that dimension",
    "kaplan_meier": "kaplan_meier(lengths, share): the time within which that share of those that came has left, as seen in the "
    "window; those still there count with the time they have been there",
}
#: How many arguments each function has, where that is not one.
_ARGUMENTS = {"lag": 2, "kaplan_meier": 2}


class FormulaError(ValueError):
    """The formula cannot be used; the message says what was found and what is accepted."""


class Undefined(ArithmeticError):
    """The formula has no value here; the message says why."""


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


class Dimension(NamedTuple):
    """Powers of money (1/10,000 of a unit) and of time (milliseconds)."""

    money: int = 0
    millis: int = 0

    def __str__(self) -> str:
        return _NAMES.get(self, f"money^{self.money}·time^{self.millis}")


PLAIN, MONEY, TIME = Dimension(), Dimension(money=1), Dimension(millis=1)
_NAMES = {PLAIN: "a plain number", MONEY: "money", TIME: "a time"}
_DIMENSION = {
    Kind.COUNT: PLAIN,
    Kind.MONEY: MONEY,
    Kind.MILLIS: TIME,
    Kind.DISTINCT: PLAIN,
    Kind.VALUES: MONEY,
    Kind.DURATIONS: TIME,
}


class Term(NamedTuple):
    """A part of a formula, ready to be computed. ``constant`` is its value where it has no names in it."""

    run: Callable[[Scope], Number]
    dimension: Dimension
    text: str
    constant: Fraction | None = None


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


def parse(text: str) -> Formula:
    """Return the formula; raise :class:`FormulaError`."""
    if len(text) > _LONGEST:
        raise FormulaError(f"{len(text)} characters (accepted: at most {_LONGEST})")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise FormulaError(f"not a formula: {text!r} ({getattr(error, 'msg', error)})") from error
    builder = _Builder()
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

    def __init__(self) -> None:
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
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as op, right=right):
                if isinstance(op, ast.Div):
                    _no_stock(right)
                return self._binary(self.term(left), op, self.term(right), ast.unparse(node))
            case ast.Call(func=ast.Name(id=function), args=args, keywords=[]):
                return self._call(function, args, ast.unparse(node))
        accepted = f"measures, numbers, + - * /, parentheses, at, start, day, {', '.join(FUNCTIONS)}"
        raise FormulaError(f"found {ast.unparse(node)!r} (accepted: {accepted})")

    def _measure(self, name: str) -> Term:
        fold, kind = self._known(name)
        if kind in (Kind.VALUES, Kind.DURATIONS, Kind.DISTINCT):
            functions = "distinct" if kind is Kind.DISTINCT else "median, mean"
            raise FormulaError(f"measure {name!r} is no single number (accepted inside: {functions})")
        return Term(lambda scope: scope.flow(fold, name), _DIMENSION[kind], name)

    def _known(self, name: str, accepted: Iterable[str] = tuple(BY_NAME), *, level: bool = False) -> tuple[str, Kind]:
        accepted = list(accepted)
        if name not in accepted:
            what = "measure" if name not in BY_NAME else "measure for this function:"
            raise FormulaError(f"unknown {what} {name!r}{did_you_mean(name, accepted)}")
        self.measures.add(name)
        if not level:
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

    def _call(self, function: str, args: list[ast.expr], text: str) -> Term:
        if function not in FUNCTIONS:
            raise FormulaError(f"unknown function {function!r}{did_you_mean(function, FUNCTIONS)}")
        if function == "whole" and len(args) == 2 and isinstance(args[1], ast.Name):
            return self._whole(self.term(args[0]), args[1].id, text)
        names = [arg.id for arg in args if isinstance(arg, ast.Name)]
        share = args[-1].value if function == "kaplan_meier" and args and isinstance(args[-1], ast.Constant) else None
        if function == "whole" or len(args) != _ARGUMENTS.get(function, 1) or len(names) != len(args) - (share is not None):
            raise FormulaError(f"found {text} (accepted: {FUNCTIONS[function]})")
        name = names[0]
        match function:
            case "distinct":
                _, kind = self._known(name, _of_kind(Kind.DISTINCT))
                return Term(lambda scope: scope.distinct(name), _DIMENSION[kind], text)
            case "level" | "opening":
                _, kind = self._known(name, [n for n, (_, m) in BY_NAME.items() if m.stock], level=function == "level")
                if function == "opening":
                    return Term(lambda scope: scope.opening(name), _DIMENSION[kind], text)
                return Term(lambda scope: scope.level(name), _DIMENSION[kind], text)
            case "kaplan_meier":
                return self._kaplan_meier(name, share, text)
            case "lag":
                lag = names[1]
                if lag not in LAGS:
                    raise FormulaError(f"unknown time {lag!r}{did_you_mean(lag, LAGS)}")
                fold, kind = self._known(name, _of_kind(Kind.COUNT, Kind.MONEY, Kind.MILLIS))
                return Term(lambda scope: scope.lagged(fold, name, lag), _DIMENSION[kind], text)
        accepted = [n for n in _of_kind(Kind.VALUES, Kind.DURATIONS) if BY_NAME[n][1].finest is not Grain.DAY]
        fold, kind = self._known(name, accepted)
        statistic = median if function == "median" else mean

        def of_values(scope: Scope) -> Number:
            counts = scope.values(fold, name)
            if not counts:
                raise Undefined(f"{name} is empty")
            return statistic(counts)

        return Term(of_values, _DIMENSION[kind], text)

    @staticmethod
    def _whole(inner: Term, dimension: str, text: str) -> Term:
        if dimension not in DIMENSIONS:
            raise FormulaError(f"unknown dimension {dimension!r}{did_you_mean(dimension, DIMENSIONS)}")
        run = inner.run
        return Term(lambda scope: run(scope.whole(dimension)), inner.dimension, text, inner.constant)

    def _kaplan_meier(self, lengths: str, share: object, text: str) -> Term:
        if type(share) is not float or not 0 < share < 1:
            raise FormulaError(f"found {text} (accepted: a share between 0 and 1, as in kaplan_meier({lengths}, 0.5))")
        self._known(lengths, [n for n, (_, m) in BY_NAME.items() if m.entries])
        self._known(BY_NAME[lengths][1].entries)

        def run(scope: Scope) -> Number:
            found = scope.left_within(lengths, share)
            if found is None:
                raise Undefined(f"less than {share:.0%} leave in any time that was seen")
            return found

        return Term(run, TIME, text)


def _no_stock(divisor: ast.expr) -> None:
    """Refuse what is divided by a stock's change over a window, which may be anything, 0 and below too."""
    inside = {id(arg) for node in ast.walk(divisor) if isinstance(node, ast.Call) for arg in node.args}
    for node in ast.walk(divisor):
        if isinstance(node, ast.Name) and id(node) not in inside and node.id in BY_NAME and BY_NAME[node.id][1].stock:
            raise FormulaError(f"divides by the change of the stock {node.id!r} (accepted: level({node.id}), opening({node.id}))")


def _of_kind(*kinds: Kind) -> list[str]:
    return [name for name, (_, measure) in BY_NAME.items() if measure.kind in kinds]


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


def median(counts: Mapping[int, int]) -> Fraction:
    """Return the exact median of a multiset, as SQL's ``median``: the mean of the two middle values where there are two."""
    total = sum(counts.values())
    low_rank, high_rank = (total - 1) // 2, total // 2
    low: int | None = None
    seen = 0
    for value in sorted(counts):
        seen += counts[value]
        if low is None and seen > low_rank:
            low = value
        if low is not None and seen > high_rank:
            return Fraction(low + value, 2)
    raise Undefined("no values")


def mean(counts: Mapping[int, int]) -> Fraction:
    """Return the exact mean of a multiset."""
    return Fraction(sum(v * c for v, c in counts.items()), sum(counts.values()))


def did_you_mean(found: str, accepted: Iterable[str]) -> str:
    """Return `` (did you mean "…"?)``, or what is accepted where nothing is near."""
    names = list(accepted)
    near = difflib.get_close_matches(found, names, n=1)
    if near:
        return f' (did you mean "{near[0]}"?)'
    return f" (accepted: {', '.join(names)})"
