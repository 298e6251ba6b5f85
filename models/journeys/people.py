"""Who are the people behind visits, leads and deals, and when has each taken which step?

Read from what the folds keep, so that what was corrected, deleted or merged counts as it does now. A visitor is the lead that was
named last; a lead is the one that it was merged into, and the deal that it became; a deal is its lead's.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from models.business import Business
from models.entities.entity_log import EntityLog, LogFolder
from models.folds import deals, engagement, leads
from models.funnels import VISIT, Funnel, Match
from models.measures import MEASURES
from models.panes.segments import Segments
from models.panes.store import Panes

#: When (ms) by the code of a match; in any order, until a person is put together.
Moments = dict[str, list[int]]
_STEPS: dict[str, tuple[Any, Any]] = {"deals": (deals.DealSteps, deals.Deal), "leads": (leads.LeadSteps, leads.Lead)}


class JourneyPart(NamedTuple):
    """What one visitor, lead or deal has done: the steps, and the first source that was named, with when."""

    moments: Moments
    source: tuple[int, str] | None


class People:
    """Puts the rows of visitors, leads and deals together."""

    def __init__(self, business: Business, funnels: Iterable[Funnel]) -> None:
        self._matches: dict[str, list[Match]] = {}
        for match in {match for funnel in funnels for step in funnel.steps for match in step.matches}:
            self._matches.setdefault(match.event, []).append(match)
        self._folders: dict[str, LogFolder[Any]] = {}
        for fold, (steps, present) in _STEPS.items():
            book = steps(business, Panes(MEASURES[fold], business), Segments(business.segment_limit, business.pairs))
            self._folders[fold] = LogFolder(book, present)
        self._parts: dict[str, list[JourneyPart]] = {}
        self._same: dict[str, str] = {}  # name -> a name nearer to the one that stands for all
        self.damaged = 0  # rows that are none

    def take(self, fold: str, rows: Mapping[bytes, bytes]) -> None:
        """Take the rows of one partition of ``deals``, ``leads`` or ``engagement``."""
        read: dict[str, Callable[[str, bytes], None]] = {
            "deals": self._deal,
            "leads": self._lead,
            "engagement": self._visitor,
        }
        one = read[fold]
        for key, row in rows.items():
            if key[:1] == b"E":
                try:
                    one(key[1:].decode(), row)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    self.damaged += 1

    def persons(self) -> list[JourneyPart]:
        """Return everybody, with the steps of all that they are, in order."""
        found: dict[str, tuple[Moments, list[tuple[int, str]]]] = {}
        for name, parts in self._parts.items():
            moments, sources = found.setdefault(self._stands(name), ({}, []))
            for part in parts:
                for code, times in part.moments.items():
                    moments.setdefault(code, []).extend(times)
                if part.source is not None:
                    sources.append(part.source)
        return [
            JourneyPart({code: sorted(set(times)) for code, times in moments.items()}, min(sources, default=None))
            for moments, sources in found.values()
        ]

    # -- one by one -------------------------------------------------------------------------------------------------

    def _visitor(self, id: str, row: bytes) -> None:
        visitor = engagement.decode(row)
        moments: Moments = {}
        for match in self._matches.get(VISIT, ()):
            moments[match.code] = [session.first for session in visitor.sessions]
        trail = visitor.trail
        if trail is not None:
            moments |= {code: list(times) for code, times in trail.steps.items()}
            if lead := trail.said.get("lead_id"):
                self._join(f"p{id}", f"p{lead}")
        named = [(session.source_from[0], session.source) for session in visitor.sessions if session.source]
        self._add(f"p{id}", moments, min(named, default=None))

    def _lead(self, id: str, row: bytes) -> None:
        story, lead = self._story("leads", row)
        if self._gone(f"p{id}", story, "p"):
            return
        moments: Moments = {}
        for event, at in (
            ("lead.created", lead.created),
            ("lead.contacted", lead.contacted),
            ("lead.converted", lead.converted),
        ):
            self._note(moments, event, "", at)
        for at, _, kind, _ in story.log:
            if kind in (leads.MQL, leads.SQL):
                self._note(moments, "lead.qualified", kind, at)
            elif kind == leads.DISQUALIFIED and lead.converted is None:
                self._note(moments, "lead.disqualified", "", at)
        if lead.converted is not None and (deal := lead.attributes.get("deal_id")):
            self._join(f"p{id}", f"d{deal}")
        self._add(f"p{id}", moments, self._source(lead, lead.created))

    def _deal(self, id: str, row: bytes) -> None:
        story, deal = self._story("deals", row)
        if self._gone(f"d{id}", story, "d"):
            return
        moments: Moments = {}
        self._note(moments, "deal.created", "", deal.created)
        for at, _, _, said in story.log:
            if stage := said.get("stage"):
                self._note(moments, "deal.stage_changed", stage, at)
        if deal.status in (deals.WON, deals.LOST):
            self._note(moments, f"deal.{deal.status}", "", deal.closed)
        if lead := deal.attributes.get("lead_id"):
            self._join(f"d{id}", f"p{lead}")
        self._add(f"d{id}", moments, self._source(deal, deal.created))

    def _story(self, fold: str, row: bytes) -> tuple[EntityLog[Any], Any]:
        folder = self._folders[fold]
        story = folder.decode(row)
        return story, folder.present(story)

    def _gone(self, name: str, story: EntityLog[Any], room: str) -> bool:
        """Whether it counts for nothing any more; one that was merged is the other from now on."""
        if not story.void:
            return not (story.log or story.base is not None)
        for _, _, kind, said in story.log:
            if kind == deals.MERGED:
                self._join(name, f"{room}{said['into']}")
                break
        return True

    @staticmethod
    def _source(present: Any, created: int | None) -> tuple[int, str] | None:
        source = present.attributes.get("source")
        return None if not source or created is None else (created, source)

    def _note(self, moments: Moments, event: str, value: str, at: int | None) -> None:
        if at is not None:
            for match in self._matches.get(event, ()):
                if not match.field or match.fits(value):
                    moments.setdefault(match.code, []).append(at)

    def _add(self, name: str, moments: Moments, source: tuple[int, str] | None) -> None:
        if moments or source is not None:
            self._parts.setdefault(name, []).append(JourneyPart(moments, source))

    # -- who is the same --------------------------------------------------------------------------------------------

    def _stands(self, name: str) -> str:
        same = self._same
        while (nearer := same.get(name, name)) != name:
            same[name] = same.get(nearer, nearer)
            name = nearer
        return name

    def _join(self, one: str, other: str) -> None:
        first, second = self._stands(one), self._stands(other)
        if first != second:
            self._same[max(first, second)] = min(first, second)
