"""How do the metrics of several processes become one page, each series once, and no counter going back?

A process gives its families as plain lists (:func:`plain`); whoever has all of them merges (:class:`Merger`). What is counted is
summed, over those who have ended as well: a counter that fell because one process began anew would be taken for all of them
beginning anew.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

#: A family as JSON can carry it: name, help, type, unit, and samples of (name, labels, value).
Plain = list[Any]
_Key = tuple[str, tuple[tuple[str, str], ...]]

_COUNTED = frozenset(("counter", "histogram", "summary"))
_LATEST = ("vigie_source_last_event_timestamp_seconds", "vigie_behind_seconds", "vigie_checkpoint_interval_seconds")
#: How a gauge that several processes have is one: the sum, but for these.
_GAUGES: dict[str, Callable[[float, float], float]] = {
    **dict.fromkeys((*_LATEST, "vigie_restore_seconds", "vigie_build_info", "python_info"), max),
    **dict.fromkeys(("process_start_time_seconds", "process_max_fds", "process_virtual_memory_max_bytes"), min),
}


def plain(families: Iterable[Metric]) -> list[Plain]:
    """Return families as :class:`Merger` takes them."""
    return [
        [one.name, one.documentation, one.type, one.unit, [[s.name, s.labels, s.value] for s in one.samples]] for one in families
    ]


def _sum(one: float, other: float) -> float:
    return one + other


def _how(family: Plain, sample: str) -> Callable[[float, float], float]:
    if sample.endswith("_created"):
        return min
    return _sum if family[2] in _COUNTED else _GAUGES.get(family[0], _sum)


class _Merged:
    """Families by name, with their samples by name and labels."""

    def __init__(self) -> None:
        self.families: dict[str, tuple[Plain, dict[_Key, float]]] = {}

    def add(self, families: Iterable[Plain], *, only: frozenset[str] | None = None) -> None:
        """Take families of one process; ``only`` names the types that are taken."""
        for family in families:
            if only is not None and family[2] not in only:
                continue
            head, samples = self.families.setdefault(family[0], (family[:4], {}))
            for name, labels, value in family[4]:
                key = (name, tuple(sorted(labels.items())))
                samples[key] = _how(head, name)(samples[key], value) if key in samples else value

    def plain(self) -> list[Plain]:
        """Return the families."""
        return [
            [*head, [[name, dict(labels), value] for (name, labels), value in samples.items()]]
            for head, samples in self.families.values()
        ]


class Merger:
    """Merges what processes said last, and keeps what those had counted that have ended."""

    def __init__(self) -> None:
        self._last: dict[str, list[Plain]] = {}
        self._ended = _Merged()

    def take(self, process: str, families: list[Plain]) -> None:
        """Take what a process says now."""
        self._last[process] = families

    def end(self, process: str) -> None:
        """A process has ended: what it had counted, as far as it was heard, stays in the sums."""
        self._ended.add(self._last.pop(process, ()), only=_COUNTED)

    def merged(self) -> list[Plain]:
        """Return the families of all."""
        found = _Merged()
        found.add(self._ended.plain())
        for families in self._last.values():
            found.add(families)
        return found.plain()


class Page(Collector):
    """Plain families as an encoder of Prometheus wants them."""

    def __init__(self, families: Iterable[Plain]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        for name, help, kind, unit, samples in self._families:
            family = Metric(name, help, kind, unit)
            family.samples = [Sample(name, labels, value) for name, labels, value in samples]
            yield family
