"""What is known of a deal or a lead beside its own events: its people's visits and e-mails, its lead?

What was told of somebody else is used only as it stood at the moment of a question: what has happened later is not known then.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from models.learners.features import DAY_MS, Features
from models.learners.lead_features import LeadPast

#: Visitors of one lead that are told apart, and deals that one lead stands behind.
VISITORS, DEALS = 16, 16
#: A question may know what has happened so long after it (ms): what it waits for comes a moment later.
ALMOST = 60_000
_WEB = frozenset({"page_viewed", "form_started", "form_abandoned", "form_submitted", "cta_clicked", "demo_requested"})


class Doings(msgspec.Struct, array_like=True, omit_defaults=True):
    """What somebody has done on the site and with e-mails; times in ms, 0: never."""

    last: int = 0  # on the site
    heard: int = 0  # of all that is told here
    sessions: int = 0
    pages: int = 0
    seconds: float = 0.0
    forms: int = 0
    demos: int = 0
    mails: int = 0  # sent
    read: int = 0  # opened by somebody, not by a program, or followed
    session: str = ""

    def take(self, kind: str, at: int, data: Mapping[str, Any], gap: int) -> bool:
        """Take one event of the topic ``engagement``; ``gap`` (ms) of silence ends a visit where none is named. Return whether
        it is told of here: ads are not, as they reach many.
        """
        room, _, what = kind.partition(".")
        count = int(data.get("count") or 1)
        if room == "web" and what in _WEB:
            session = str(data.get("session_id") or "")[:64]
            self.sessions += session != self.session if session else not self.sessions or at - self.last > gap
            self.session = session or self.session
            self.pages += what == "page_viewed"
            self.seconds += float(data.get("duration_seconds") or 0.0)
            self.forms += what == "form_submitted"
            self.demos += what == "demo_requested"
            self.last = max(self.last, at)
        elif kind == "email.sent":
            self.mails += count
        elif kind == "email.clicked" or (kind == "email.opened" and not data.get("machine")):
            self.read += count
        else:
            return False
        self.heard = max(self.heard, at)
        return True


def total(doings: Iterable[Doings]) -> Doings:
    """Return what several have done together."""
    found = Doings()
    for one in doings:
        found.last, found.heard = max(found.last, one.last), max(found.heard, one.heard)
        for name in ("sessions", "pages", "seconds", "forms", "demos", "mails", "read"):
            setattr(found, name, getattr(found, name) + getattr(one, name))
    return found


class LeadKnown(msgspec.Struct, array_like=True, omit_defaults=True):
    """What a deal may know of the lead behind it; times in ms, −1: not known."""

    heard: int = 0  # when the latest of it has happened
    created: int = -1
    contacted: int = -1
    contacts: int = 0
    source: str = ""
    score: float | None = None
    doings: Doings = msgspec.field(default_factory=Doings)

    @classmethod
    def of(cls, past: LeadPast | None, doings: Doings) -> "LeadKnown":
        """Return it from what is known of the lead."""
        if past is None:
            return cls(heard=doings.heard, doings=doings)
        score, source = past.attributes.get("score"), past.attributes.get("source")
        known = float(score) if isinstance(score, int | float) and math.isfinite(score) else None
        heard = max(past.last, doings.heard)
        return cls(heard, past.created, past.contacted, past.contacts, str(source or "")[:48], known, doings)


class Beside(msgspec.Struct, array_like=True, omit_defaults=True):
    """What was told of a deal's or a lead's acquaintances."""

    doings: dict[str, Doings] = {}  # of a lead: what each of its visitors did
    deals: list[str] = []  # of a lead: behind which it is
    lead_id: str = ""  # of a deal: who is behind it, and what is known of that
    lead: LeadKnown | None = None

    @property
    def waits(self) -> bool:
        """Whether something that a deal has asked for has not come yet."""
        return bool(self.lead_id) and self.lead is None

    def of_lead(self, at: int) -> Features:
        """Return what a question at ``at`` (ms) about a lead may know."""
        return of_doings(total(self.doings.values()) if self.doings else None, at)

    def of_deal(self, at: int, created: int) -> Features:
        """Return what a question at ``at`` about a deal of ``created`` (ms) may know."""
        lead = self.lead if self.lead is not None and self.lead.heard <= at + ALMOST else None
        found = of_doings(None if lead is None else lead.doings, at)
        found["lead_source"] = "" if lead is None else lead.source
        found["lead_points"] = math.nan if lead is None or lead.score is None else lead.score
        known = lead is not None and lead.created >= 0
        found["log_lead_age"] = _log(created - lead.created) if lead is not None and known else math.nan
        answered = lead is not None and known and lead.contacted >= 0
        found["log_lead_answered"] = _log(lead.contacted - lead.created) if lead is not None and answered else math.nan
        found["log_lead_contacts"] = math.log1p(lead.contacts) if lead is not None and known else math.nan
        return found


def of_doings(doings: Doings | None, at: int) -> Features:
    """Return what visits and e-mails say; nothing where none is known."""
    if doings is None or doings.heard > at + ALMOST:
        doings = Doings()
    seen, written = doings.sessions > 0, doings.mails > 0 or doings.read > 0
    return {
        "demo": ("yes" if doings.demos else "no") if seen else "",
        "form": ("yes" if doings.forms else "no") if seen else "",
        "log_sessions": math.log1p(doings.sessions) if seen else math.nan,
        "log_pages": math.log1p(doings.pages) if seen else math.nan,
        "log_minutes": math.log1p(doings.seconds / 60) if seen else math.nan,
        "log_visited": _log(at - doings.last) if seen else math.nan,
        "log_read": math.log1p(doings.read) if written else math.nan,
    }


def _log(span: int) -> float:
    return math.log1p(max(span, 0) / DAY_MS)


class EngagedVisitor(msgspec.Struct, array_like=True, omit_defaults=True):
    """One visitor (or whoever an e-mail went to): what was done, and which lead it is, by who was named last."""

    doings: Doings
    lead: str = ""
    named: int = 0
    seen: dict[int, int] = {}

    def take(self, kind: str, at: int, data: Mapping[str, Any], gap: int) -> str | None:
        """Take one event of the topic ``engagement``. Return the lead that it was until now, None where nothing has changed."""
        before, lead = self.lead, data.get("lead_id")
        if lead and (at, lead) >= (self.named, self.lead):
            self.lead, self.named = str(lead), at
        changed = self.doings.take(kind, at, data, gap)
        return before if changed or before != self.lead else None


class Told(msgspec.Struct, omit_defaults=True):
    """What one key's keeper tells another's, on the topic ``acquaintances``; ``at`` is when it was so (ms).

    To a lead: what a ``visitor_id`` has done (nothing: it is somebody else), or that a ``deal_id`` asks about it. To a deal:
    what its ``lead_id`` is known for.
    """

    to: str  # lead or deal
    at: int
    visitor_id: str = ""
    doings: Doings | None = None
    deal_id: str = ""
    lead_id: str = ""
    lead: LeadKnown | None = None


read_told = msgspec.json.Decoder(Told).decode


class Acquaintances:
    """Of everybody in one hand: what is known beside the own events of each deal and lead, as of the last event taken."""

    def __init__(self, gap: int) -> None:
        """``gap`` (ms) of silence ends a visit where none is named."""
        self._gap = gap
        self._visitors: dict[str, EngagedVisitor] = {}
        self._named: dict[str, dict[str, Doings]] = {}
        self._leads: dict[str, LeadPast] = {}
        self._gone: set[str] = set()

    def take(self, at: int, who: str, kind: str, data: Mapping[str, Any]) -> None:
        """Take what a visitor has done, or an event of a lead; ``kind`` is its whole type."""
        room, _, what = kind.partition(".")
        if room == "lead":
            if what in ("merged", "deleted"):
                self._gone.add(who)
            elif what == "created":
                self._gone.discard(who)
            if who not in self._gone:
                self._leads.setdefault(who, LeadPast(at)).apply(at, what, data)
            return
        visitor = self._visitors.get(who) or self._visitors.setdefault(who, EngagedVisitor(Doings()))
        before = visitor.take(kind, at, data, self._gap)
        if before is None or visitor.lead == before == "":
            return
        if before != visitor.lead and before:
            self._named[before].pop(who, None)
        of = self._named.setdefault(visitor.lead, {})
        if who in of or len(of) < VISITORS:
            of[who] = visitor.doings

    def of_lead(self, lead: str) -> Beside | None:
        """Return what is known beside a lead's own events; None where nothing is."""
        found = self._doings(lead)
        return Beside(doings=found) if found else None

    def of_deal(self, attributes: Mapping[str, Any]) -> Beside | None:
        """Return what is known of a deal with these attributes beside its own events."""
        lead = attributes.get("lead_id")
        if not lead:
            return None
        past = None if lead in self._gone else self._leads.get(str(lead))
        return Beside(lead=LeadKnown.of(past, total(self._doings(str(lead)).values())))

    def _doings(self, lead: str) -> dict[str, Doings]:
        own = self._visitors.get(lead)
        named = self._named.get(lead, {})
        return {**named, "": own.doings} if own is not None and not own.lead else named
