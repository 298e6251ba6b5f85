"""What holds an alert back now? The stages, in their order: what the first one says is the reason.

A stage is asked once for a route and an instant, and answers with what it will ask each alert, or None where it has nothing to
ask: in a storm ten thousand alerts are not shown to stages that hold nothing back.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from alert_rules.records.facts import AlertFacts
from alert_rules.tell.labels import labels_of
from alert_rules.tell.stages.inhibit import Inhibitions
from alert_rules.tell.stages.mute import muted
from alert_rules.tell.stages.route import Route
from alert_rules.tell.stages.silence import Silence, silenced
from alert_rules.tell.stages.stale import Stale
from alert_rules.tell.stages.suppression import Suppression
from models.time_intervals import TimeInterval


class Candidate(NamedTuple):
    """An alert that somebody may be notified of; ``facts`` None where only its labels are known."""

    labels: Mapping[str, str]
    facts: AlertFacts | None = None


class Circumstances(NamedTuple):
    """What stages look at, at an instant (``now``, milliseconds since the epoch)."""

    now: int
    silences: Sequence[Silence] = ()
    inhibitions: Inhibitions | None = None
    stale: Stale | None = None
    intervals: Mapping[str, Sequence[TimeInterval]] = {}


Ask: TypeAlias = Callable[[Candidate], Suppression | None]
Stage: TypeAlias = Callable[[Route, Circumstances], Ask | None]


def silence(route: Route, now: Circumstances) -> Ask | None:
    """Somebody has asked for quiet about it."""
    silences = [one for one in now.silences if one.active(now.now)]
    return (lambda candidate: silenced(candidate.labels, silences, now.now)) if silences else None


def inhibit(route: Route, now: Circumstances) -> Ask | None:
    """A graver or an earlier trouble explains it."""
    known = now.inhibitions
    if known is None or not known.rules:
        return None
    return lambda candidate: known.suppression(candidate.labels["incident"], candidate.labels)


def stale(route: Route, now: Circumstances) -> Ask | None:
    """What it is about depends on a sender that has gone silent."""
    known = now.stale
    return (lambda one: None if one.facts is None else known.suppression(one.facts)) if known else None


def mute(route: Route, now: Circumstances) -> Ask | None:
    """The route is quiet at this time."""
    quiet = muted(route, now.intervals, now.now)
    return None if quiet is None else lambda candidate: quiet


#: In this order.
STAGES: tuple[Stage, ...] = (silence, inhibit, stale, mute)
#: What they call themselves in decisions.
HOLDING = ("silence", "inhibit", "mute", "active")


class StageChain:
    """The stages that have something to ask about a route at an instant."""

    def __init__(self, route: Route, now: Circumstances, stages: Iterable[Stage] = STAGES) -> None:
        self._asks = [ask for stage in stages if (ask := stage(route, now)) is not None]

    def suppression(self, facts: AlertFacts) -> Suppression | None:
        """Return why nobody is notified of an alert now, None where nothing holds it back."""
        return self.of(Candidate(labels_of(facts), facts)) if self._asks else None

    def of(self, candidate: Candidate) -> Suppression | None:
        """Return the same, of what may be known by its labels only."""
        return next((found for ask in self._asks if (found := ask(candidate)) is not None), None)
