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
from models.folds.mails import Mails, note
from models.folds.sessions import FORMS, LAST, Session, cells, join, page_name
from models.folds.trail import Trail, Trails
from models.funnels import noted
from models.measures import ENGAGEMENT
from models.money import UnknownRate
from models.panes.segments import Segments
from models.panes.store import REACH, TOTAL, Cells, Panes

_SLOT = {m.name: slot for slot, m in enumerate(ENGAGEMENT)}
_BOUNCED, _MILLIS, _PAGES = _SLOT["sessions_bounced"], _SLOT["session_millis"], _SLOT["session_pages"]
_VISITORS = _SLOT["visitors"]
_COST, _AD_COST, _MACHINE = _SLOT["engagement_cost"], _SLOT["ad_cost"], _SLOT["machine_opens"]
_HIT: Cells = ((_SLOT["page_hits"], 1),)
_EXIT: Cells = ((_SLOT["page_exits"], 1),)
_HIT_AND_EXIT: Cells = (*_HIT, *_EXIT)
_ADS = frozenset({events.AdImpressed, events.AdClicked})
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


#: Grain and segment to the panes, in order, in which sessions began that are no longer kept.
Past = dict[str, dict[str, list[int]]]


class _Row(msgspec.Struct, array_like=True, omit_defaults=True):
    sessions: list[Session]
    visits: dict[str, int]
    floor: int
    seen: dict[int, int]
    past: Past = {}
    mails: Mails = {}
    trail: Trail | None = None


class Visitor:
    """What is remembered of a visitor or lead: sessions by start, ids seen, where those began that are no longer kept, e-mails.

    ``floor`` is the start of the latest of these (ms), 0: none. ``visits`` is all that rows of before have of them: by segment,
    the start of the latest.
    """

    __slots__ = ("floor", "mails", "past", "seen", "sessions", "trail", "visits")

    def __init__(
        self,
        sessions: list[Session],
        visits: dict[str, int],
        floor: int,
        seen: RecentIds,
        past: Past,
        mails: Mails,
        trail: Trail | None = None,
    ) -> None:
        self.sessions = sessions
        self.visits = visits
        self.floor = floor
        self.seen = seen
        self.past = past
        self.mails = mails
        self.trail = trail  # the steps that funnels ask for

    @property
    def last(self) -> int:
        """The time of the last that was seen of it (ms)."""
        return max((session.last for session in self.sessions), default=self.floor)


_decode_row = msgspec.json.Decoder(_Row).decode


def decode(row: bytes) -> Visitor:
    """Return a visitor from its row."""
    kept = _decode_row(row)
    return Visitor(kept.sessions, kept.visits, kept.floor, RecentIds(kept.seen), kept.past, kept.mails, kept.trail)


def encode(visitor: Visitor) -> bytes:
    """Return the row of a visitor."""
    return msgspec.json.encode(
        _Row(visitor.sessions, visitor.visits, visitor.floor, visitor.seen.hours, visitor.past, visitor.mails, visitor.trail)
    )


class Visits:
    """Folds engagement events and books into one partition's panes."""

    __slots__ = ("_business", "_calendar", "_gap", "_horizon", "_panes", "_segments", "_trails")

    def __init__(self, business: Business, panes: Panes, segments: Segments) -> None:
        self._business = business
        self._trails = Trails(noted(business.funnels))
        self._calendar = business.calendar
        self._gap = business.session_gap
        self._horizon = business.dedup_horizon
        self._panes = panes
        self._segments = segments

    def new(self) -> Visitor:
        """Return a visitor of whom nothing is known."""
        return Visitor([], {}, 0, RecentIds({}), {}, {})

    def add(self, visitor: Visitor, event: Any, at: int, arrival: int) -> bool:
        """Take one event in; return whether it was new."""
        if not visitor.seen.add(event.id, arrival, self._horizon):
            return False
        data = event.data
        visitor.trail = self._trails.take(visitor.trail, event, at)
        slot = _ADDS.get(event.__class__)
        if isinstance(data, events.Visit):
            if slot is None and event.__class__ not in FORMS:  # web.identified: who a visitor is; nothing to add
                return True
            source = data.source if data.source is not UNSET else None
            campaign = data.campaign if data.campaign is not UNSET else None
            names = self._names(source, campaign)
            if slot is not None:
                self._panes.add(at // MINUTE_MS, names, _ONE[slot])
            self._hit(visitor, event, data, at, source, campaign, names)
        elif slot is not None:
            self._reach(visitor, event, at, slot)
        return True

    def _reach(self, visitor: Visitor, event: Any, at: int, slot: int) -> None:
        """Add a message or an ad, which may stand for many."""
        data = event.data
        channel = data.channel if data.channel is not UNSET else None
        campaign = data.campaign if data.campaign is not UNSET else None
        cells: Cells = ((slot, data.count),)
        if event.__class__ is events.EmailOpened and data.machine is True:
            cells = (*cells, (_MACHINE, data.count))
        if data.cost is not UNSET and data.cost is not None:
            currency = data.currency if data.currency is not UNSET else None
            try:
                cost = self._business.rates.convert(data.cost, currency, at)
                cells = (*cells, (_COST, cost), *([(_AD_COST, cost)] if event.__class__ in _ADS else ()))
            except UnknownRate:  # refused when decoded, unless the rate has gone since
                pass
        self._panes.add(at // MINUTE_MS, self._names(channel, campaign), cells)
        noted = note(visitor.mails, event, at)
        if noted is not None:
            for mail, sign in zip(noted, (-1, 1), strict=True):
                if mail.cells:
                    self._panes.add(mail.minute, self._names(mail.channel, mail.campaign), mail.cells, sign)

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
        page = page_name(data.page) if pages and data.page is not UNSET and data.page else ""
        name = data.session_id if data.session_id is not UNSET and data.session_id else ""
        form = FORMS.get(event.__class__, 0)
        key = (at, event.id)
        sessions = visitor.sessions
        joined = [s for s in sessions if self._same(s, name, at, end)] if sessions else []
        if len(joined) == 1 and not form:
            old = joined[0]
            if old.first <= at and (source is None or old.source_from <= key) and (campaign is None or old.campaign_from <= key):
                # The usual case: one more page of the visit, which neither moves its start nor renames it.
                millis = end - old.last if end > old.last else 0
                bounced = (1 if old.pages + pages == 1 else 0) - (1 if old.pages == 1 else 0)
                old.pages += pages
                old.last += millis
                if millis or pages:
                    change = ((_BOUNCED, bounced), (_MILLIS, millis), (_PAGES, pages))
                    if old.source != source or old.campaign != campaign:
                        names = self._names(old.source, old.campaign)
                    self._panes.add(old.first // MINUTE_MS, names, change)
                if pages:
                    last = (at, page) > (old.exit_at, old.exit_page)
                    self._panes.add(at // MINUTE_MS, self._page(page), _HIT_AND_EXIT if last else _HIT)
                    if last:
                        self._exit(old, -1)
                        old.exit_at, old.exit_page = at, page
                return
        forms = {data.form or "": form} if form else {}
        hit = Session(name, at, end, pages, source, campaign, key if source else LAST, key if campaign else LAST)
        hit.forms = forms
        if pages:
            hit.exit_at, hit.exit_page = at, page
            self._panes.add(at // MINUTE_MS, self._page(page), _HIT)
        for session in joined:
            sessions.remove(session)
            self._attend(visitor, session, -1)
            self._book(session, -1)
            hit = join(session, hit)
        self._attend(visitor, hit, 1)
        self._book(hit, 1)
        sessions.append(hit)
        sessions.sort(key=lambda s: (s.first, s.name))
        if len(sessions) > _KEPT:
            self._fold_away(visitor, _FOLDED)

    def _page(self, page: str) -> tuple[str, ...]:
        return (TOTAL, self._segments.name("page", page)) if page else (TOTAL,)

    def _exit(self, session: Session, sign: int) -> None:
        """Count the last page of a visit as its exit, when it was seen, or no longer."""
        if session.exit_at:
            self._panes.add(session.exit_at // MINUTE_MS, self._page(session.exit_page), _EXIT, sign)

    def shrink(self, visitor: Visitor) -> None:
        """Keep of a visitor's sessions and ids only what windows ask for: nothing is expected to join them any more."""
        self._fold_away(visitor, len(visitor.sessions))
        visitor.seen.hours.clear()
        visitor.mails.clear()
        visitor.trail = None

    def _same(self, session: Session, name: str, first: int, last: int) -> bool:
        if session.name or name:
            return session.name == name
        return first <= session.last + self._gap and last >= session.first - self._gap

    def _book(self, session: Session, sign: int) -> None:
        self._panes.add(session.first // MINUTE_MS, self._names(session.source, session.campaign), cells(session), sign)
        self._exit(session, sign)

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
