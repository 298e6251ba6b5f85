"""Is there anything to say about a group that has not been said, or is it time to say it again?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from alert_rules.records.facts import gravity
from alert_rules.records.message import News


@dataclass(frozen=True, slots=True)
class Notified:
    """What a group's receivers have last been notified of, of one incident."""

    severity: str
    first: int  # when they first heard of it, milliseconds since the epoch
    step: int = 0  # how many steps of the escalation ladder have been climbed
    at: int | None = None  # when the last step was climbed

    def encode(self) -> list[Any]:
        """Return it as JSON can hold it: the arguments of the constructor."""
        return [self.severity, self.first, self.step, self.at]


class MemberStanding(NamedTuple):
    """How one incident of a group is now, and what people were notified of; ``notified`` None: nothing."""

    severity: str
    ended: bool
    acknowledged: bool
    notified: Notified | None


class Notice(NamedTuple):
    """What to say: the kind of the message, why now, and which incidents are news, each with what is new about it."""

    kind: str  # fired | upgraded | downgraded | resolved | updated | repeated
    reason: str
    news: Mapping[str, str]  # by incident; empty words where that is said by the kind


def decide(members: Mapping[str, MemberStanding], notified: int | None, repeat_interval: int, now: int) -> Notice | None:
    """Return what to say about a group, None where there is nothing to say.

    ``members`` are the incidents that nothing holds back; ``notified`` is when the group last spoke. An incident that has
    ended before anybody was notified is no news. An acknowledged one is not repeated, but its changes are news.
    """
    fresh = [id_ for id_, m in members.items() if not m.ended and m.notified is None]
    ended = [id_ for id_, m in members.items() if m.ended and m.notified is not None]
    up: list[str] = []
    down: list[str] = []
    for id_, member in members.items():
        if not member.ended and member.notified is not None and member.severity != member.notified.severity:
            rose = gravity(member.severity) > gravity(member.notified.severity)
            (up if rose else down).append(id_)
    marked = ((News.NEW, fresh), (News.GRAVER, up), (News.LESS_GRAVE, down), (News.ENDED, ended))
    news = {incident: mark for mark, incidents in marked for incident in incidents}
    standing = [id_ for id_, m in members.items() if not m.ended]
    if fresh:
        reason = "first notification" if notified is None else "new alerts in the group"
        return Notice("fired", reason, news)
    if up:
        return Notice("upgraded", "graver than what was told", news)
    if ended:
        return Notice("updated" if standing else "resolved", "some have ended" if standing else "all have ended", news)
    if down:
        return Notice("downgraded", "less grave than what was told", news)
    again = [id_ for id_ in standing if not members[id_].acknowledged]
    if again and repeat_interval and notified is not None and now - notified >= repeat_interval:
        return Notice("repeated", "repeat interval elapsed", {})
    return None
