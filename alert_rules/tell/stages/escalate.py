"""Has nobody taken care of this for so long that somebody else must know?"""

from dataclasses import dataclass

from alert_rules.tell.stages.dedup import MemberStanding


@dataclass(frozen=True, slots=True)
class Rung:
    """So long after the first notification (milliseconds), these are notified too."""

    after: int
    receivers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EscalationLadder:
    """The rungs in order, for incidents of these severities."""

    name: str
    severities: tuple[str, ...]
    rungs: tuple[Rung, ...]


def next_rung(ladder: EscalationLadder, standing: MemberStanding) -> tuple[int, Rung] | None:
    """Return when the next rung is due, and the rung; None where there is none.

    An incident that has ended, was acknowledged, is not grave enough, or of which nobody knows, climbs no further.
    """
    notified = standing.notified
    if notified is None or standing.ended or standing.acknowledged or standing.severity not in ladder.severities:
        return None
    if notified.step >= len(ladder.rungs):
        return None
    rung = ladder.rungs[notified.step]
    # Where a rung came late (a mute time, a worker that was down) the next keeps its distance to it.
    base = notified.first if notified.at is None else notified.at - ladder.rungs[notified.step - 1].after
    return max(base, notified.first) + rung.after, rung
