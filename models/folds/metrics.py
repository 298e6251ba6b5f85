"""What has somebody recorded of a metric of their own, and what is its last value?

Each recording adds its value, once. The *last* value of a subject is a level: at each recording it moves from the value before to
the new one, so a late recording changes what comes between it and the next. Those that are older than all that are remembered
count in the sums only.
"""

from collections.abc import Iterator, Mapping

from models.calendar import MINUTE_MS
from models.measures import SPEND, rough
from models.panes.segments import Segments, metric_name
from models.panes.store import Cells, Panes

_S = {m.name: slot for slot, m in enumerate(SPEND)}
_LEVEL, _VALUES, _COUNT = _S["metric_level"], _S["metric_values"], _S["metric_count"]
#: So many values of a metric, and so many metrics, are remembered of a subject.
KEPT, METRICS = 64, 200
_DIGITS = 10

#: When (ms), the value in 1/10,000, and the segments it was recorded under.
Value = tuple[int, int, tuple[str, ...]]


class Recorder:
    """Books recordings into one partition's panes."""

    __slots__ = ("_panes", "_segments")

    def __init__(self, panes: Panes, segments: Segments) -> None:
        self._panes, self._segments = panes, segments

    def add(
        self, levels: dict[str, list[Value]], at: int, name: str, unit: str | None, value: int, dimensions: Mapping[str, str]
    ) -> None:
        """Book one recording; ``levels`` are the values remembered of its subject, by metric."""
        metric = metric_name(name, unit or "")
        names = tuple(self._names(metric, dimensions))
        size = rough(abs(value), _DIGITS)
        values: Cells = ((_VALUES, size if value >= 0 else -size),)
        self._panes.book((at // MINUTE_MS, names, ((_COUNT, 1), (_S["metric_sum"], value)), values), 1)
        if dimensions:  # that there are such values of these dimensions at all
            known = tuple(self._segments.name(dimension, its) for dimension, its in dimensions.items())
            self._panes.add(at // MINUTE_MS, known, ((_COUNT, 1),))
        if metric in levels or len(levels) < METRICS:
            self._move_level(levels.setdefault(metric, []), (at, value, names))

    def _names(self, metric: str, dimensions: Mapping[str, str]) -> Iterator[str]:
        yield self._segments.name("metric", metric)
        for dimension, value in sorted(dimensions.items()):
            yield self._segments.name(f"metric.{dimension}", f"{metric} × {value}")

    def _move_level(self, values: list[Value], value: Value) -> None:
        if len(values) >= KEPT and value < values[0]:
            return
        values.append(value)
        values.sort()
        place = values.index(value)
        self._book(value[0], value, 1)
        if place:
            self._book(value[0], values[place - 1], -1)
        if place + 1 < len(values):
            after = values[place + 1][0]
            self._book(after, value, -1)
            if place:
                self._book(after, values[place - 1], 1)
        del values[:-KEPT]

    def _book(self, at: int, value: Value, sign: int) -> None:
        if value[1]:
            self._panes.add(at // MINUTE_MS, value[2], ((_LEVEL, value[1]),), sign)
