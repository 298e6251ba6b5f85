"""Which rules watch a reading, and is all well with it, as by far the most readings say?"""

import math
from collections.abc import Iterable, Mapping, Sequence

import orjson

from alert_rules.judge.reading import dimension
from alert_rules.judge.rule import Direction, KpiRule, Rule
from alert_rules.kinds.value import Value
from models.kpis.reading import Reading
from models.kpis.roll_kpis import Wanted
from models.panes.store import TOTAL

_NUMBERS = (int, float, type(None))


class WatchedReadings:
    """The rules on KPIs by the readings that they watch."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules: dict[tuple[str, str, str | None], list[KpiRule]] = {}
        for rule in rules:
            if isinstance(rule, KpiRule):
                self._rules.setdefault((rule.kpi, rule.window, rule.by), []).append(rule)
        self._clear = {name: _clear(rules) for name, rules in self._rules.items()}

    @property
    def wanted(self) -> set[Wanted]:
        """The readings that the rules need, each with what it is to be compared with."""
        return {
            Wanted(*name, frozenset().union(*(rule.condition.against for rule in rules))) for name, rules in self._rules.items()
        }

    def rules_on(self, kpi: str, window: str, by: str | None) -> Sequence[KpiRule]:
        """Return the rules that watch such readings; ``by`` None: the total."""
        return self._rules.get((kpi, window, by), ())

    def rules_of(self, reading: Reading) -> Sequence[KpiRule]:
        """Return the rules that watch a reading."""
        return self.rules_on(reading.kpi, reading.window, dimension(reading))

    def well(self, value: bytes, standing: Mapping[str, int]) -> bool:
        """Whether a reading (its JSON) breaches no step of any rule, and no alert stands on it (by ``kpi|window|segment``)."""
        try:
            tree = orjson.loads(value)
            kpi, window, segment, number = tree["kpi"], tree["window"], tree["segment"], tree["value"]
            dimension = next(iter(segment), None)
            clear = self._clear.get((kpi, window, dimension))
            if clear is None or type(number) not in _NUMBERS or not (number is None or clear[0] <= number <= clear[1]):
                return False
        except (ValueError, KeyError, TypeError):
            return False  # whoever reads it says what is wrong
        if not standing:
            return True
        place = TOTAL if dimension is None else f"{dimension}={segment[dimension]}"
        return not standing.get(f"{kpi}|{window}|{place}")


def _clear(rules: Iterable[KpiRule]) -> tuple[float, float] | None:
    """Return between which values no step of the rules is breached, None where that cannot be told by the value alone."""
    low, high = -math.inf, math.inf
    for rule in rules:
        if not isinstance(rule.condition, Value):
            return None
        if rule.direction is Direction.BELOW:
            low = max(low, rule.ladder[0].threshold)
        else:
            high = min(high, rule.ladder[0].threshold)
    return low, high
