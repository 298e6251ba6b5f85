"""Who is on call?

A rotation hands over every day or every week at one time on the wall clock of its zone, so that summer time moves no
hand-over. An override wins over the rotation (the last one that holds), and who is away is passed over for the next.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RotaMember:
    """Somebody who can be on call: the receivers that reach them, and when they are away [from, to)."""

    name: str
    receivers: tuple[str, ...]
    away: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody stands in, [starts, ends), milliseconds since the epoch."""

    who: str
    starts: int
    ends: int


@dataclass(frozen=True, slots=True)
class Rotation:
    """Who follows whom. ``days`` is 1 or 7; the first member begins on ``start`` at ``handover`` (minutes of the day)."""

    name: str
    zone: ZoneInfo
    days: int
    start: date
    handover: int
    members: tuple[RotaMember, ...]
    overrides: tuple[Override, ...] = ()

    def member(self, name: str) -> RotaMember:
        """Return a member by name."""
        return next(member for member in self.members if member.name == name)


class Duty(NamedTuple):
    """Who is on call, how to reach them, and why it is they."""

    who: str
    receivers: tuple[str, ...]
    reason: str


def on_call(rotation: Rotation, now: int, ahead: int = 0) -> Duty:
    """Return who is on call, or ``ahead`` places after them in the order (for escalation)."""
    local = (_EPOCH + timedelta(milliseconds=now)).astimezone(rotation.zone)
    day = local.date()
    if local.hour * 60 + local.minute < rotation.handover:
        day -= timedelta(days=1)
    turn = (day - rotation.start).days // rotation.days
    members = rotation.members
    scheduled = members[turn % len(members)]
    first, reason = scheduled, f"{rotation.name}: {scheduled.name}'s turn"
    for override in rotation.overrides:
        if override.starts <= now < override.ends:
            first, reason = rotation.member(override.who), f"{rotation.name}: {override.who} stands in for {scheduled.name}"
    place = members.index(first)
    order = members[place:] + members[:place]
    there = [member for member in order if not any(start <= now < end for start, end in member.away)]
    if not there:
        return Duty(first.name, first.receivers, f"{reason}; everybody is away")
    found = there[ahead % len(there)]
    if ahead:
        reason = f"{rotation.name}: {found.name} comes {ahead} after {there[0].name}"
    elif found is not first:
        reason = f"{reason}, who is away; {found.name} is next"
    return Duty(found.name, found.receivers, reason)
