"""What is one visit, and what do two become that a late event joins?"""

import msgspec

from models.events import engagement as events
from models.measures import ENGAGEMENT
from models.panes.store import Cells

_SLOT = {m.name: slot for slot, m in enumerate(ENGAGEMENT)}
_SESSIONS, _BOUNCED, _MILLIS, _PAGES = (
    _SLOT[name] for name in ("sessions", "sessions_bounced", "session_millis", "session_pages")
)
_BEGUN, _LEFT = _SLOT["forms_begun"], _SLOT["forms_left"]

#: A moment and an event id: which of several events came first.
Key = tuple[int, str]
LAST: Key = (1 << 62, "")
#: What is known of a form: that it was begun, that it was sent.
FORM_BEGUN, FORM_SENT = 1, 2
FORMS: dict[type, int] = {events.FormStarted: FORM_BEGUN, events.FormAbandoned: FORM_BEGUN, events.FormSubmitted: FORM_SENT}
#: So many forms of a visit are told apart: the first by name.
_MOST_FORMS = 16
_PAGE_LENGTH = 120


class Session(msgspec.Struct, array_like=True, omit_defaults=True):
    """One visit. ``name`` is the tracker's session id, empty where it gives none.

    ``exit_at`` and ``exit_page`` are of the last page view: where two were at one moment, of the last by name; 0: none is known.
    """

    name: str
    first: int
    last: int
    pages: int
    source: str | None = None
    campaign: str | None = None
    source_from: Key = LAST  # the event that named the source: the earliest one that names any
    campaign_from: Key = LAST
    exit_at: int = 0
    exit_page: str = ""
    forms: dict[str, int] = {}


def cells(session: Session) -> Cells:
    """Return what a visit counts for, at its start."""
    found = (
        (_SESSIONS, 1),
        (_BOUNCED, 1 if session.pages == 1 else 0),
        (_MILLIS, session.last - session.first),
        (_PAGES, session.pages),
    )
    if not session.forms:
        return found
    begun = [known for known in session.forms.values() if known & FORM_BEGUN]
    return *found, (_BEGUN, len(begun)), (_LEFT, begun.count(FORM_BEGUN))


def join(one: Session, other: Session) -> Session:
    """Return the visit that both are."""
    named, told = (one, other) if one.source_from <= other.source_from else (other, one)
    source, source_from = (named.source, named.source_from) if named.source else (told.source, told.source_from)
    named, told = (one, other) if one.campaign_from <= other.campaign_from else (other, one)
    campaign, campaign_from = (named.campaign, named.campaign_from) if named.campaign else (told.campaign, told.campaign_from)
    exit_at, exit_page = max((one.exit_at, one.exit_page), (other.exit_at, other.exit_page))
    forms = one.forms or other.forms
    if one.forms and other.forms:
        names = sorted(one.forms.keys() | other.forms.keys())[:_MOST_FORMS]
        forms = {name: one.forms.get(name, 0) | other.forms.get(name, 0) for name in names}
    return Session(
        one.name,
        min(one.first, other.first),
        max(one.last, other.last),
        one.pages + other.pages,
        source,
        campaign,
        source_from,
        campaign_from,
        exit_at,
        exit_page,
        forms,
    )


def page_name(page: str) -> str:
    """Return the name under which a page counts: its address without query and fragment, at most 120 characters."""
    if "?" in page or "#" in page:
        page = page.partition("#")[0].partition("?")[0]
    return page[:_PAGE_LENGTH]
