"""Who should hear of an alert, and how patiently? The tree of routes, as Alertmanager walks it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from alert_rules.tell.stages.match import Matcher, all_match

#: In ``group_by``: every incident by itself.
EACH = "..."


@dataclass(frozen=True, slots=True)
class Route:
    """One node: what it takes, whom it tells and when. Durations are milliseconds; ``repeat_interval`` 0 is never.

    ``path`` names it and stays the same while its matchers do: stored groups belong to it.
    """

    path: str
    matchers: tuple[Matcher, ...]
    receivers: tuple[str, ...]
    group_by: tuple[str, ...] = (EACH,)
    group_wait: int = 0
    group_interval: int = 0
    repeat_interval: int = 0
    mute: tuple[str, ...] = ()
    active: tuple[str, ...] = ()
    escalation: str | None = None
    go_on: bool = False  # `continue`: the siblings after it are asked too
    routes: tuple["Route", ...] = ()

    def group_labels(self, incident: str, labels: Mapping[str, str]) -> dict[str, str]:
        """Return the labels that make an alert's group here."""
        if EACH in self.group_by:
            return {"incident": incident}
        return {name: labels.get(name, "") for name in self.group_by}


def match_routes(route: Route, labels: Mapping[str, str]) -> list[Route]:
    """Return the routes that take an alert: the deepest ones that match, the first of siblings unless it goes on."""
    if not all_match(route.matchers, labels):
        return []
    found: list[Route] = []
    for child in route.routes:
        taken = match_routes(child, labels)
        found += taken
        if taken and not child.go_on:
            break
    return found or [route]


def walk(route: Route) -> Iterator[Route]:
    """Yield a route and all below it."""
    yield route
    for child in route.routes:
        yield from walk(child)
