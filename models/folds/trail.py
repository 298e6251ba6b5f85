"""When has a visitor taken the steps that funnels ask for, and which lead is it?

Kept are moments only, each once: what comes twice, late or out of order leaves the same ones. Of a step the latest
:data:`KEPT` are kept. The lead is the one that was named last.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET

from models.events.catalogue import STRUCTS
from models.folds.sessions import page_name
from models.funnels import Match

KEPT = 32


class Trail(msgspec.Struct, array_like=True, omit_defaults=True):
    """The moments (ms) by step, in order; ``said`` names the lead, and when that was said last."""

    steps: dict[str, list[int]] = {}
    said: dict[str, str] = {}
    said_at: int = 0

    def note(self, step: str, at: int) -> None:
        """Remember a moment."""
        moments = self.steps.setdefault(step, [])
        place = bisect_left(moments, at)
        if place == len(moments) or moments[place] != at:
            moments.insert(place, at)
            if len(moments) > KEPT:
                del moments[0]

    def name(self, lead: str, at: int) -> None:
        """Remember which lead it is; of two that are named at one moment the last by name."""
        if (at, lead) > (self.said_at, self.said.get("lead_id", "")):
            self.said, self.said_at = {"lead_id": lead}, at


class Trails:
    """Takes note of events, of those that funnels name."""

    __slots__ = ("_rules",)

    def __init__(self, noted: Iterable[Match]) -> None:
        self._rules: dict[type, list[Match]] = {}
        for match in sorted(noted):
            self._rules.setdefault(STRUCTS[match.event], []).append(match)

    def take(self, trail: Trail | None, event: Any, at: int) -> Trail | None:
        """Take one event in; return the trail, None where there is none to keep."""
        rules = self._rules.get(event.__class__)
        lead = event.data.lead_id
        if rules is None and (lead is UNSET or not lead):
            return trail
        found = Trail({}, {}, 0) if trail is None else trail
        if lead is not UNSET and lead:
            found.name(lead, at)
        for match in rules or ():
            if match.field:
                value = getattr(event.data, match.field)
                if value is UNSET or not value or not match.fits(_page(value, match) if match.field == "page" else value):
                    continue
            found.note(match.code, at)
        return found if found.steps or found.said else trail


def _page(address: str, match: Match) -> str:
    """Return what a page is chosen by: its address without query and fragment, of one that begins with ``/`` its path alone."""
    name = page_name(address)
    if match.value.startswith("/") and "://" in name:
        return "/" + name.partition("://")[2].partition("/")[2]
    return name
