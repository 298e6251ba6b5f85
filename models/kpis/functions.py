"""Which functions may a formula call, with which arguments, and what do they come to?"""

import ast
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple, Protocol

from models.calendar import Grain
from models.config.suggest import near
from models.kpis.terms import (
    DIMENSION,
    MONEY,
    PLAIN,
    TIME,
    UNITS,
    Dimension,
    FormulaError,
    Number,
    Scope,
    Term,
    Undefined,
    UndefinedBecause,
)
from models.measures import BY_NAME, Kind
from models.money import UNIT
from models.panes.segments import metric_name

LAGS = ("acquisition_lag",)
_SUMS = (Kind.COUNT, Kind.MONEY, Kind.MILLIS)
_LONGEST = 750  # days: day panes are kept for 800


class FormulaNames(Protocol):
    """Knows the names that a formula may use, and notes which it does."""

    kpis: Mapping[str, str]

    def known(self, name: str, kinds: Sequence[Kind] | None = None, *, stock: bool = False) -> tuple[str, Kind]:
        """Return the fold and kind of a measure; raise :class:`FormulaError` where there is none such."""


class Function(NamedTuple):
    """``help`` is for people: the call, a colon, what it means. ``takes`` says what each argument is."""

    help: str
    takes: tuple[str, ...]  # name, days, share or text; with a ? where it may be left out
    build: Callable[[FormulaNames, list[str], str], Term]


def call(names: FormulaNames, function: str, args: list[ast.expr], text: str) -> Term:
    """Return the term of a call; raise :class:`FormulaError`."""
    found = CALLS.get(function)
    if found is None:
        raise FormulaError(f"unknown function {function!r}{near(function, CALLS)}")
    least = sum(not kind.endswith("?") for kind in found.takes)
    given = [_argument(kind.rstrip("?"), arg) for kind, arg in zip(found.takes, args, strict=False)]
    if not least <= len(args) <= len(found.takes) or None in given:
        raise FormulaError(f"found {text} (accepted: {found.help})")
    return found.build(names, [argument for argument in given if argument is not None], text)


def _argument(kind: str, node: ast.expr) -> str | None:
    match kind, node:
        case "name", ast.Name(id=name):
            return name
        case "days", ast.Constant(value=int(days)) if type(days) is int and 1 <= days <= _LONGEST:
            return str(days)
        case "share", ast.Constant(value=float(share)) if 0 < share < 1:
            return repr(share)
        case "text", ast.Constant(value=str(words)) if words.strip():
            return words
    return None


def _of_values(statistic: Callable[[Mapping[int, int]], Number]) -> Callable[[FormulaNames, list[str], str], Term]:
    def build(names: FormulaNames, args: list[str], text: str) -> Term:
        measure = BY_NAME.get(args[0])
        if measure is not None and measure[1].finest is Grain.DAY:
            raise FormulaError(f"{args[0]!r} is kept by the day (accepted inside: kaplan_meier)")
        fold, kind = names.known(args[0], (Kind.VALUES, Kind.DURATIONS))

        def run(scope: Scope) -> Number:
            counts = scope.values(fold, args[0])
            if not counts:
                raise Undefined(f"{args[0]} is empty")
            return statistic(counts)

        return Term(run, DIMENSION[kind], text)

    return build


def _distinct(names: FormulaNames, args: list[str], text: str) -> Term:
    _, kind = names.known(args[0], (Kind.DISTINCT,))
    return Term(lambda scope: scope.distinct(args[0]), DIMENSION[kind], text)


def _level(names: FormulaNames, args: list[str], text: str) -> Term:
    _, kind = names.known(args[0], stock=True)
    return Term(lambda scope: scope.level(args[0]), DIMENSION[kind], text)


def _opening(names: FormulaNames, args: list[str], text: str) -> Term:
    names.known(args[0], stock=True)
    _, kind = names.known(args[0])  # what flowed since is asked, too
    return Term(lambda scope: scope.opening(args[0]), DIMENSION[kind], text)


def _kaplan_meier(names: FormulaNames, args: list[str], text: str) -> Term:
    lengths, share = args[0], float(args[1])
    accepted = [name for name, (_, measure) in BY_NAME.items() if measure.entries]
    if lengths not in accepted:
        raise FormulaError(f"unknown measure for this function: {lengths!r}{near(lengths, accepted)}")
    names.known(lengths)
    names.known(BY_NAME[lengths][1].entries)

    def run(scope: Scope) -> Number:
        found = scope.left_within(lengths, share)
        if found is None:
            raise Undefined(f"less than {share:.0%} leave in any time that was seen")
        return found

    return Term(run, TIME, text)


def _lag(names: FormulaNames, args: list[str], text: str) -> Term:
    name, lag = args
    if lag not in LAGS:
        raise FormulaError(f"unknown time {lag!r}{near(lag, LAGS)}")
    fold, kind = names.known(name, _SUMS)
    return Term(lambda scope: scope.lagged(fold, name, lag), DIMENSION[kind], text)


def _ahead(names: FormulaNames, args: list[str], text: str) -> Term:
    fold, kind = names.known(args[0], _SUMS)
    return Term(lambda scope: scope.ahead(fold, args[0]), DIMENSION[kind], text)


def _over(names: FormulaNames, args: list[str], text: str) -> Term:
    fold, kind = names.known(args[0], _SUMS)
    return Term(lambda scope: scope.over(fold, args[0], int(args[1])), DIMENSION[kind], text)


def _target(names: FormulaNames, args: list[str], text: str) -> Term:
    unit = names.kpis.get(args[0])
    if unit is None:
        raise FormulaError(f"unknown KPI {args[0]!r}{near(args[0], names.kpis)}")
    dimension, per = UNITS[unit]
    return Term(lambda scope: scope.target(args[0]) * per, dimension, text)


def _benchmark(names: FormulaNames, args: list[str], text: str) -> Term:
    unit = names.kpis.get(args[0])
    if unit is None:
        raise FormulaError(f"unknown KPI {args[0]!r}{near(args[0], names.kpis)}")
    dimension, per = UNITS[unit]
    return Term(lambda scope: scope.benchmark(*args) * per, dimension, text)


def _rest(names: FormulaNames, args: list[str], text: str) -> Term:
    target = _target(names, args[:1], text)
    fold, kind = names.known(args[1], _SUMS)
    if DIMENSION[kind] != target.dimension:
        raise FormulaError(f"{text}: a target of {args[0]} is {target.dimension}, {args[1]} is {DIMENSION[kind]}")
    return Term(lambda scope: max(Fraction(0), target.run(scope) - scope.flow(fold, args[1])), target.dimension, text)


def _course(names: FormulaNames, args: list[str], text: str) -> Term:
    fold, _ = names.known(args[0], _SUMS)
    return Term(lambda scope: scope.course(fold, args[0]), PLAIN, text)


def _elapsed(names: FormulaNames, args: list[str], text: str) -> Term:
    return Term(lambda scope: scope.elapsed(), PLAIN, text)


def _weighted(names: FormulaNames, args: list[str], text: str) -> Term:
    _, kind = names.known(args[0], stock=True)
    for name in ("stage_won", "stage_lost", "deals_won", "deals_lost"):
        names.known(name)
    return Term(lambda scope: scope.weighted(args[0]), DIMENSION[kind], text)


def _shrunk(names: FormulaNames, args: list[str], text: str) -> Term:
    folds = {names.known(name, (Kind.COUNT,))[0] for name in args}
    if len(folds) > 1:
        raise FormulaError(f"{text}: {args[0]} and {args[1]} are counted of different things")
    (fold,) = folds

    def run(scope: Scope) -> Number:
        rate = scope.shrunk(fold, *args)
        return rate.successes / rate.trials

    return Term(run, PLAIN, text)


def _until(names: FormulaNames, args: list[str], text: str) -> Term:
    for name in args:
        names.known(name, (Kind.COUNT,))
    return Term(lambda scope: scope.until(*args), TIME, text)


def _recorded(measure: str, per: int, dimension: Dimension = PLAIN) -> Callable[[FormulaNames, list[str], str], Term]:
    def build(names: FormulaNames, args: list[str], text: str) -> Term:
        names.known(measure, stock=measure == "metric_level")
        metric = metric_name(*args)
        return Term(lambda scope: Fraction(scope.recorded(metric, measure), per), dimension, text)

    return build


def _quantile(names: FormulaNames, args: list[str], text: str) -> Term:
    names.known("metric_values", (Kind.NUMBERS,))
    metric, share = metric_name(args[0], *args[2:]), Fraction(args[1])

    def run(scope: Scope) -> Number:
        counts = scope.recorded_values(metric)
        if not counts:
            raise UndefinedBecause(f"nothing was recorded of {metric} in the window")
        return Fraction(quantile(counts, share), UNIT)

    return Term(run, PLAIN, text)


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


def quantile(counts: Mapping[int, int], share: Fraction) -> int:
    """Return the least value of a multiset that at least such a share of it does not exceed."""
    total, seen = sum(counts.values()), 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= share * total:
            return value
    raise Undefined("no values")


def mean(counts: Mapping[int, int]) -> Fraction:
    """Return the exact mean of a multiset."""
    return Fraction(sum(v * c for v, c in counts.items()), sum(counts.values()))


_METRIC = '"name", or "name", "unit" as it is recorded'
CALLS: dict[str, Function] = {
    "median": Function(
        "median(values): the middle one of single values, the mean of the two middle ones where their count is even",
        ("name",),
        _of_values(median),
    ),
    "mean": Function("mean(values): the mean of single values", ("name",), _of_values(mean)),
    "distinct": Function("distinct(measure): how many different ones the window holds", ("name",), _distinct),
    "lag": Function(f"lag(measure, {LAGS[0]}): the measure in the window moved back by that time", ("name", "name"), _lag),
    "level": Function("level(stock): the stock's level at the reading's instant", ("name",), _level),
    "opening": Function("opening(stock): the stock's level at the window's first instant", ("name",), _opening),
    "kaplan_meier": Function(
        "kaplan_meier(lengths, share): the time within which that share (as 0.5) of those that came has left, as seen in the "
        "window; those still there count with the time they have been there",
        ("name", "share"),
        _kaplan_meier,
    ),
    "ahead": Function(
        "ahead(measure): the measure over the whole calendar period, what is to come of it included; of a rolling window, over "
        "today and as many days after it",
        ("name",),
        _ahead,
    ),
    "over": Function(
        f"over(measure, days): the measure over so many days (1 to {_LONGEST}) up to the instant, whatever the window",
        ("name", "days"),
        _over,
    ),
    "target": Function("target(kpi): the target of the calendar period, from the settings", ("name",), _target),
    "benchmark": Function(
        'benchmark(kpi, "name"): the benchmark of that name, from the settings: that of the segment, else that of the total',
        ("name", "text"),
        _benchmark,
    ),
    "rest": Function(
        "rest(kpi, measure): what the measure lacks to the KPI's target, 0 where it is reached", ("name", "name"), _rest
    ),
    "course": Function(
        "course(measure): the share of a period's sum that has usually come by this day of it: the mean of up to six complete "
        "periods before; where fewer than three are known, as elapsed()",
        ("name",),
        _course,
    ),
    "elapsed": Function(
        "elapsed(): the share of the calendar period's business days (Monday to Friday) that is over", (), _elapsed
    ),
    "weighted": Function(
        "weighted(stock): each stage's level times the odds of its deals: the share won of those closed in the 365 days before "
        "that have been in the stage, drawn to the share of all by empirical Bayes",
        ("name",),
        _weighted,
    ),
    "shrunk": Function(
        "shrunk(successes, failures): the share of successes, drawn to that of all values of the dimension by empirical Bayes: "
        "the less, the more cases it has and the more the values differ",
        ("name", "name"),
        _shrunk,
    ),
    "until": Function(
        "until(begin, end): the median time from a segment's begin in the window to its first end after it, by the day; who "
        "waits still counts as waiting (Kaplan–Meier)",
        ("name", "name"),
        _until,
    ),
    "recorded": Function(
        f"recorded({_METRIC}): the sum of the values of a metric of one's own", ("text", "text?"), _recorded("metric_sum", UNIT)
    ),
    "recordings": Function(
        f"recordings({_METRIC}): how many values were recorded", ("text", "text?"), _recorded("metric_count", 1)
    ),
    "last": Function(
        f"last({_METRIC}): the last value at the instant, of several subjects the sum of their last ones",
        ("text", "text?"),
        _recorded("metric_level", UNIT),
    ),
    "amount": Function(
        f"amount({_METRIC}): likewise, as an amount in the business currency",
        ("text", "text?"),
        _recorded("metric_level", 1, MONEY),
    ),
    "quantile": Function(
        'quantile("name", share), or quantile("name", share, "unit"): the least recorded value that such a share (as 0.9) does '
        "not exceed, at most 1/512 too low",
        ("text", "share", "text?"),
        _quantile,
    ),
}


def stocks() -> list[str]:
    """Return the names of all levels."""
    return [name for name, (_, measure) in BY_NAME.items() if measure.stock]
