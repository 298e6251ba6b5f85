"""What has a visitor done, in which visits, and what does that add to the panes?

A page view, an opened e-mail or an ad adds itself, once. Web events also make *sessions*: those of one ``session_id``, or, where
the tracker names none, those with no silence between them longer than the session gap. A session is booked at its start and
booked anew when an event, late or not, changes it; two sessions that a late event joins become one.

Distinct visitors are counted by the gap to the visit before (``models/measures.py``), so a visitor's past visits matter for as
long as a window may hold them: sessions that are no longer kept leave behind the panes in which they began.
"""

from bisect import bisect_left
from typing import Any

import msgspec
from msgspec import UNSET

from models.business import Business
from models.calendar import MINUTE_MS, Grain
from models.entities.recent_ids import RecentIds
from models.events import engagement as events
from models.measures import ENGAGEMENT
from models.money import UnknownRate
from models.panes.segments import Segments
from models.panes.store import REACH, Cells, Panes

_SLOT = {m.name: slot for slot, m in enumerate(ENGAGEMENT)}
_SESSIONS, _BOUNCED, _MILLIS = _SLOT["sessions"], _SLOT["sessions_bounced"], _SLOT["session_millis"]
_VISITORS = _SLOT["visitors"]
_COST = _SLOT["engagement_cost"]
_ADDS: dict[type, int] = {
    events.PageViewed: _SLOT["page_views"],
    events.FormSubmitted: _SLOT["forms_submitted"],
    events.CtaClicked: _SLOT["cta_clicks"],
    events.DemoRequested: _SLOT["demos_requested"],
    events.EmailSent: _SLOT["emails_sent"],
    events.EmailOpened: _SLOT["emails_opened"],
    events.EmailClicked: _SLOT["emails_clicked"],
    events.EmailBounced: _SLOT["emails_bounced"],
    events.AdImpressed: _SLOT["ads_impressed"],
    events.AdClicked: _SLOT["ads_clicked"],
    events.SocialReached: _SLOT["social_reached"],
}
#: One of each, ready to be added.
_ONE: dict[int, Cells] = {slot: ((slot, 1),) for slot in _ADDS.values()}
_GRAINS = (Grain.MINUTE, Grain.HOUR, Grain.DAY)
#: Sessions kept one by one; when there are more, the oldest remain only as the panes in which they began.
_KEPT = 64
_FOLDED = 16

#: A moment and an event id: which of several events came first.
_Key = tuple[int, str]
_LAST: _Key = (1 << 62, "")


class Session(msgspec.Struct, array_like=True):
    """One visit. ``name`` is the tracker's session id, empty where it gives none."""

    name: str
    first: int
    last: int
    pages: int
    source: str | None = None
    campaign: str | None = None
    source_from: _Key = _LAST  # the event that named the source: the earliest one that names any
    campaign_from: _Key = _LAST


#: Grain and segment to the panes, in order, in which sessions began that are no longer kept.
Past = dict[str, dict[str, list[int]]]


class _Row(msgspec.Struct, array_like=True, omit_defaults=True):
    sessions: list[Session]
    visits: dict[str, int]
    floor: int
    seen: dict[int, int]
    past: Past = {}


class Visitor:
    """What is remembered of a visitor or lead: sessions by start, ids seen, and where those began that are no longer kept.

    ``floor`` is the start of the latest of these (ms), 0: none. ``visits`` is all that rows of before have of them: by segment,
    the start of the latest.
    """

    __slots__ = ("floor", "past", "seen", "sessions", "visits")

    def __init__(self, sessions: list[Session], visits: dict[str, int], floor: int, seen: RecentIds, past: Past) -> None:
        self.sessions = sessions
        self.visits = visits
        self.floor = floor
        self.seen = seen
        self.past = past

    @property
    def last(self) -> int:
        """The time of the last that was seen of it (ms)."""
        return max((session.last for session in self.sessions), default=self.floor)


_decode_row = msgspec.json.Decoder(_Row).decode


def decode(row: bytes) -> Visitor:
    """Return a visitor from its row."""
    kept = _decode_row(row)
    return Visitor(kept.sessions, kept.visits, kept.floor, RecentIds(kept.seen), kept.past)


def encode(visitor: Visitor) -> bytes:
    """Return the row of a visitor."""
    return msgspec.json.encode(_Row(visitor.sessions, visitor.visits, visitor.floor, visitor.seen.hours, visitor.past))


class Visits:
    """Folds engagement events and books into one partition's panes."""

    __slots__ = ("_business", "_calendar", "_gap", "_horizon", "_panes", "_segments")

    def __init__(self, business: Business, panes: Panes, segments: Segments) -> None:
        self._business = business
        self._calendar = business.calendar
        self._gap = business.session_gap
        self._horizon = business.dedup_horizon
        self._panes = panes
        self._segments = segments

    def new(self) -> Visitor:
        """Return a visitor of whom nothing is known."""
        return Visitor([], {}, 0, RecentIds({}), {})

    def add(self, visitor: Visitor, event: Any, at: int, arrival: int) -> bool:
        """Take one event in; return whether it was new."""
        if not visitor.seen.add(event.id, arrival, self._horizon):
            return False
        slot = _ADDS.get(event.__class__)
        if slot is None:  # web.identified: who a visitor is; nothing to add
            return True
        data = event.data
        if isinstance(data, events.Visit):
            source = data.source if data.source is not UNSET else None
            campaign = data.campaign if data.campaign is not UNSET else None
            names = self._names(source, campaign)
            self._panes.add(at // MINUTE_MS, names, _ONE[slot])
            self._hit(visitor, event, data, at, source, campaign, names)
        else:
            channel = data.channel if data.channel is not UNSET else None
            campaign = data.campaign if data.campaign is not UNSET else None
            cells: Cells = ((slot, data.count),)
            if data.cost is not UNSET and data.cost is not None:
                currency = data.currency if data.currency is not UNSET else None
                try:
                    cells = (*cells, (_COST, self._business.rates.convert(data.cost, currency, at)))
                except UnknownRate:  # refused when decoded, unless the rate has gone since
                    pass
            self._panes.add(at // MINUTE_MS, self._names(channel, campaign), cells)
        return True

    def _names(self, source: str | None, campaign: str | None) -> tuple[str, ...]:
        name = self._segments.name
        if source:
            if campaign:
                return "total", name("source", source), name("campaign", campaign)
            return "total", name("source", source)
        if campaign:
            return "total", name("campaign", campaign)
        return ("total",)

    def _hit(
        self,
        visitor: Visitor,
        event: Any,
        data: events.Visit,
        at: int,
        source: str | None,
        campaign: str | None,
        names: tuple[str, ...],
    ) -> None:
        """Put a web event into the session it belongs to, or begin one. ``names`` are the event's own segments."""
        seconds = data.duration_seconds
        end = at + round(seconds * 1000) if seconds is not UNSET and seconds else at
        pages = 1 if event.__class__ is events.PageViewed else 0
        name = data.session_id if data.session_id is not UNSET and data.session_id else ""
        key = (at, event.id)
        sessions = visitor.sessions
        joined = [s for s in sessions if self._same(s, name, at, end)] if sessions else []
        if len(joined) == 1:
            old = joined[0]
            if old.first <= at and (source is None or old.source_from <= key) and (campaign is None or old.campaign_from <= key):
                # The usual case: one more page of the visit, which neither moves its start nor renames it.
                millis = end - old.last if end > old.last else 0
                bounced = (1 if old.pages + pages == 1 else 0) - (1 if old.pages == 1 else 0)
                old.pages += pages
                old.last += millis
                if millis or bounced:
                    cells = ((_BOUNCED, bounced), (_MILLIS, millis))
                    if old.source != source or old.campaign != campaign:
                        names = self._names(old.source, old.campaign)
                    self._panes.add(old.first // MINUTE_MS, names, cells)
                return
        hit = Session(name, at, end, pages, source, campaign, key if source else _LAST, key if campaign else _LAST)
        for session in joined:
            sessions.remove(session)
            self._attend(visitor, session, -1)
            self._book(session, -1)
            hit = _join(session, hit)
        self._attend(visitor, hit, 1)
        self._book(hit, 1)
        sessions.append(hit)
        sessions.sort(key=lambda s: (s.first, s.name))
        if len(sessions) > _KEPT:
            self._fold_away(visitor, _FOLDED)

    def shrink(self, visitor: Visitor) -> None:
        """Keep of a visitor's sessions and ids only what windows ask for: nothing is expected to join them any more."""
        self._fold_away(visitor, len(visitor.sessions))
        visitor.seen.hours.clear()

    def _same(self, session: Session, name: str, first: int, last: int) -> bool:
        if session.name or name:
            return session.name == name
        return first <= session.last + self._gap and last >= session.first - self._gap

    def _book(self, session: Session, sign: int) -> None:
        cells = ((_SESSIONS, 1), (_BOUNCED, 1 if session.pages == 1 else 0), (_MILLIS, session.last - session.first))
        self._panes.add(session.first // MINUTE_MS, self._names(session.source, session.campaign), cells, sign)

    def _attend(self, visitor: Visitor, session: Session, sign: int) -> None:
        """Count the visitor as one where a session begins that comes (+1) or goes (−1); the session is not among the others.

        The next pane in which the visitor is there has another gap then.
        """
        pane_of, present = self._calendar.pane, self._panes.present
        names = self._names(session.source, session.campaign)
        starts: dict[str, list[int]] = {name: [] for name in names}
        for other in visitor.sessions:
            for name in self._names(other.source, other.campaign):
                if name in starts:
                    starts[name].append(other.first)
        for name in visitor.visits.keys() & starts.keys():
            starts[name].append(visitor.visits[name])
        for grain in _GRAINS:
            pane = pane_of(grain, session.first)
            past = visitor.past.get(grain)
            for name in names:
                others = [pane_of(grain, start) for start in starts[name]]
                if past and name in past:
                    others += _around(pane, past[name])
                if pane in others:
                    continue
                before = max([other for other in others if other < pane], default=None)
                following = min([other for other in others if other > pane], default=None)
                present(grain, pane, name, _VISITORS, 0 if before is None else pane - before, sign)
                if following is not None:
                    present(grain, following, name, _VISITORS, 0 if before is None else following - before, -sign)
                    present(grain, following, name, _VISITORS, following - pane, sign)

    def _fold_away(self, visitor: Visitor, count: int) -> None:
        """Keep of the oldest sessions only where they began.

        Panes further back than twice the reach are of no use: the next one after is beyond their reach, or in no window.
        """
        starts = [*visitor.visits.items()]
        for session in visitor.sessions[:count]:
            starts += [(name, session.first) for name in self._names(session.source, session.campaign)]
            visitor.floor = max(visitor.floor, session.first)
        for grain in _GRAINS:
            past = visitor.past.setdefault(grain, {})
            for name, start in starts:
                past.setdefault(name, []).append(self._calendar.pane(grain, start))
            floor = self._calendar.pane(grain, visitor.last) - 2 * REACH[grain]
            for name, panes in list(past.items()):
                kept = sorted({pane for pane in panes if pane >= floor})
                if kept:
                    past[name] = kept
                else:
                    del past[name]
            if not past:
                del visitor.past[grain]
        visitor.visits = {}
        visitor.sessions = visitor.sessions[count:]


def _around(pane: int, panes: list[int]) -> list[int]:
    """Return the last below a pane, itself, and the first above it: those of them that an ordered list has."""
    low = bisect_left(panes, pane)
    return panes[max(0, low - 1) : low + 2]


def _join(one: Session, other: Session) -> Session:
    """Return the visit that both are."""
    named, told = (one, other) if one.source_from <= other.source_from else (other, one)
    source, source_from = (named.source, named.source_from) if named.source else (told.source, told.source_from)
    named, told = (one, other) if one.campaign_from <= other.campaign_from else (other, one)
    campaign, campaign_from = (named.campaign, named.campaign_from) if named.campaign else (told.campaign, told.campaign_from)
    return Session(
        one.name,
        min(one.first, other.first),
        max(one.last, other.last),
        one.pages + other.pages,
        source,
        campaign,
        source_from,
        campaign_from,
    )
