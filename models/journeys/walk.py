"""How far have those come who began a funnel in a window, and how long did each step take?

Everybody counts once, by the beginning in the window that led furthest, of equal ones the earliest. A step is taken at its first
moment that is not before that of the step before, and within the funnel's time of the beginning; what comes in between, or twice,
does not matter. Whoever has time left may still come further.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from models.calendar import iso
from models.funnels import Funnel
from models.journeys.people import JourneyPart
from models.kpis.interval import wilson

#: Sources that are told one by one, those of most people.
SOURCES = 50
#: Of whom no source is known.
UNNAMED = "(none)"


class Walk(NamedTuple):
    """When (ms) somebody took each step that they came to."""

    times: tuple[int, ...]


def walked(funnel: Funnel, moments: Mapping[str, Sequence[int]], start: int, at: int) -> Walk | None:
    """Return how far somebody came who began in [start, at), by what is known of before ``at``; None for who did not begin."""
    steps = [sorted({t for match in step.matches for t in moments.get(match.code, ()) if t < at}) for step in funnel.steps]
    best: tuple[int, ...] = ()
    for began in steps[0][bisect_left(steps[0], start) :]:
        taken = [began]
        for times in steps[1:]:
            place = bisect_left(times, taken[-1])
            if place == len(times) or times[place] > began + funnel.within:
                break
            taken.append(times[place])
        if len(taken) > len(best):
            best = tuple(taken)
            if len(best) == len(steps):
                break
    return Walk(best) if best else None


class SourceTally:
    """Those of one source, or all."""

    def __init__(self, funnel: Funnel) -> None:
        self._funnel = funnel
        self.people = [0] * len(funnel.steps)
        self._times: list[list[int]] = [[] for _ in funnel.steps]
        self._whole: list[int] = []
        self._waiting = 0

    def add(self, walk: Walk, at: int) -> None:
        """Count somebody."""
        times = walk.times
        for place, moment in enumerate(times):
            self.people[place] += 1
            if place:
                self._times[place].append(moment - times[place - 1])
        if len(times) == len(self.people):
            self._whole.append(times[-1] - times[0])
        elif times[0] + self._funnel.within >= at:
            self._waiting += 1

    def json(self) -> dict[str, Any]:
        """Return it as the API tells it; shares from 0 to 1 (with Wilson's 95 % bounds), times in seconds."""
        return {
            "steps": [self._step(place) for place in range(len(self.people))],
            "may_still": self._waiting,
            "median_seconds": _seconds(self._whole),
        }

    def _step(self, place: int) -> dict[str, Any]:
        people, first = self.people[place], self.people[0]
        before = self.people[place - 1] if place else first
        told: dict[str, Any] = {"name": self._funnel.steps[place].name, "people": people}
        told |= {"of_first": people / first if first else None, "of_previous": None, "drop_off": None}
        if place and before:
            low, high = wilson(people, before)
            told |= {"of_previous": people / before, "drop_off": 1 - people / before, "low": low, "high": high}
        return {**told, "median_seconds": _seconds(self._times[place])}


def _seconds(times: Sequence[int]) -> float | None:
    return median(times) / 1000 if times else None


def journey(funnel: Funnel, people: Iterable[JourneyPart], start: int, at: int, *, by_source: bool = False) -> dict[str, Any]:
    """Return how those came along who began in [start, at), ready for JSON."""
    total, sources = SourceTally(funnel), defaultdict[str, SourceTally](lambda: SourceTally(funnel))
    for person in people:
        walk = walked(funnel, person.moments, start, at)
        if walk is not None:
            total.add(walk, at)
            if by_source:
                sources[UNNAMED if person.source is None else person.source[1]].add(walk, at)
    told: dict[str, Any] = {
        "journey": funnel.name,
        "within_seconds": funnel.within / 1000,
        "from": iso(start),
        "at": iso(at),
        **total.json(),
    }
    if by_source:
        order = sorted(sources, key=lambda name: (-sources[name].people[0], name))
        told["sources"] = [{"source": name, **sources[name].json()} for name in order[:SOURCES]]
        told["sources_left_out"] = max(0, len(order) - SOURCES)
    return told
