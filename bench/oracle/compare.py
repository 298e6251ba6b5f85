"""Which readings of Vigie's are not what the truth says?"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

import yaml

from bench.oracle.truth import Answer, Question, Truth
from models.kpis.catalogue import SHIPPED, Catalogue
from models.kpis.entry import Kpi
from models.kpis.reading import Reading

_EXAMPLES = 5
#: Readings are rounded to the unit's fourth decimal where they are money; all else differs by what a float can hold.
_MONEY_ROUNDING, _FLOAT = 0.000_051, 1e-12
#: What SQL computes by differences of squares: it has some four digits less.
_SQUARES = {"weighted_pipeline": 1e-8, "win_rate_per_rep": 1e-8}
#: Of what is no event (targets, benchmarks, what a live instance records itself), or of survival curves, which have own tests.
_NOT_ASKED = ("target(", "rest(", "benchmark(", "until(", "over(", '"vigie.')
#: KPIs that have no value, rather than 0, where nothing has happened, and no denominator to say so.
_BLANK = frozenset({"median_deal_size", "weighted_pipeline", "win_rate_per_rep"})


@dataclass
class Verdict:
    """What came of one comparison. ``telling`` are the readings with cases behind them, by KPI; zeros and blanks are not."""

    compared: Counter[str] = field(default_factory=Counter)
    telling: Counter[str] = field(default_factory=Counter)
    differences: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    largest: float = 0.0  # the largest relative difference that was met, beyond the rounding of money, and of which KPI
    largest_of: str = ""

    def apart(self, kpi: str, by: float) -> None:
        """Take note of how far a number is from the truth's."""
        if by > self.largest:
            self.largest, self.largest_of = by, kpi

    def differs(self, kpi: str, why: str) -> None:
        """Note one difference."""
        self.differences[kpi] += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(why)


@cache
def catalogue() -> Mapping[str, Kpi]:
    """Return the shipped KPIs that SQL can know: which, by which dimensions. What a model says is no fact, nor a target."""
    shipped = resources.files("models.kpis")
    kpis = Catalogue.load(*((name, yaml.safe_load(shipped.joinpath(name).read_text(encoding="utf-8"))) for name in SHIPPED)).kpis
    asked = {name: kpi for name, kpi in kpis.items() if not any(call in kpi.formula.text for call in _NOT_ASKED)}
    return {name: kpi for name, kpi in asked.items() if "predictions" not in kpi.formula.folds}


def readings(path: Path) -> dict[Question, Reading]:
    """Return the readings that ``vigie replay`` has written."""
    found: dict[Question, Reading] = {}
    for line in path.read_bytes().splitlines():
        reading = Reading.decode(line)
        dim, segment = next(iter(reading.segment.items()), ("total", ""))
        found[Question(reading.kpi, reading.window, dim, segment, reading.at)] = reading
    return found


def compare(found: dict[Question, Reading], truth: Truth, dims: Collection[str]) -> Verdict:
    """Compare every reading with the truth, and look for every number of the truth's among the readings."""
    verdict = Verdict()
    kpis = catalogue()
    wanted = {(kpi.id, dim) for kpi in kpis.values() for dim in ("total", *kpi.by) if dim == "total" or dim in dims}
    for question, reading in found.items():
        if question.kpi not in kpis:
            continue
        verdict.compared[question.kpi] += 1
        begin = truth.begins.get((question.window, question.t))
        if begin is None:
            verdict.differs(question.kpi, f"{question}: not an instant or window that was asked for")
            continue
        answer = truth.answers.get(question) or _nothing(reading, begin)
        if answer.denominator or (answer.denominator is None and answer.value):
            verdict.telling[question.kpi] += 1
        verdict.apart(question.kpi, _apart(reading, answer))
        if not _same(reading, answer):
            shown = (reading.start, reading.value, reading.numerator, reading.denominator)
            verdict.differs(question.kpi, f"{question}: Vigie {shown}, SQL {tuple(answer)}")
    for question, answer in truth.answers.items():
        if answer.numerator == 0 and "whole(" in kpis[question.kpi].formula.text:
            continue  # of a reason that nothing was counted for in any window there is no reading
        if question not in found and (question.kpi, question.dim) in wanted and (answer.denominator or answer.value):
            verdict.compared[question.kpi] += 1
            verdict.differs(question.kpi, f"{question}: Vigie has no such reading, SQL {tuple(answer)}")
    for window, t in truth.begins:
        for kpi in kpis:
            if Question(kpi, window, "total", "", t) not in found:
                verdict.differs(kpi, f"{kpi} {window} at {t}: Vigie has no such reading")
    return verdict


def same_readings(found: dict[Question, Reading], other: dict[Question, Reading]) -> Verdict:
    """Compare two replays' readings, each field of each."""
    verdict = Verdict()
    for question in found.keys() | other.keys():
        one, two = found.get(question), other.get(question)
        verdict.compared[question.kpi] += 1
        if (reading := one or two) is not None and (reading.denominator or (reading.denominator is None and reading.value)):
            verdict.telling[question.kpi] += 1
        if one != two:
            verdict.differs(question.kpi, f"{question}: {one} and {two}")
    return verdict


def _nothing(reading: Reading, begin: int) -> Answer:
    """Return the truth where SQL has no row: nothing has happened."""
    formula = catalogue()[reading.kpi].formula
    if reading.kpi in _BLANK or "kaplan_meier(" in formula.text or "/" in formula.numerator.text:
        return Answer(begin, None, None, None)  # of nothing there is no median, and no mean to multiply by
    if formula.denominator is None:
        return Answer(begin, 0, None, None)
    return Answer(begin, None, 0, 0)


def _same(reading: Reading, answer: Answer) -> bool:
    money = _MONEY_ROUNDING if reading.unit == "money" else 0.0
    return (
        reading.start == answer.begin
        and _close(reading.value, answer.value, money, _SQUARES.get(reading.kpi, _FLOAT))
        and _close(reading.numerator, answer.numerator, money if "/" in catalogue()[reading.kpi].formula.numerator.text else 0.0)
        and _close(reading.denominator, answer.denominator, 0.0)
    )


def _apart(reading: Reading, answer: Answer) -> float:
    """Return the largest relative difference of the three numbers that both have."""
    money = _MONEY_ROUNDING if reading.unit == "money" else 0.0
    pairs = (reading.value, answer.value, money), (reading.numerator, answer.numerator, 0.0)
    numbers = (*pairs, (reading.denominator, answer.denominator, 0.0))
    return max(
        (
            max(0.0, abs(one - two) - rounding) / max(abs(one), abs(two), 1e-300)
            for one, two, rounding in numbers
            if one is not None and two is not None
        ),
        default=0.0,
    )


def _close(found: float | None, true: float | None, rounding: float, relative: float = _FLOAT) -> bool:
    if found is None or true is None:
        return found is true
    return abs(found - true) <= rounding + relative * max(abs(found), abs(true))
