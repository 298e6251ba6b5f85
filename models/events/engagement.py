"""Which events tell that somebody takes notice: on the web, in mails, of ads?"""

from msgspec import UNSET, UnsetType, field

from models.events.wire import Amount, Count, Currency, Data, EntityId, Envelope, Seconds, Text, Url


class Visit(Data, kw_only=True, frozen=True):
    """What a visitor did, where, and for how long."""

    visitor_id: Text | UnsetType | None = UNSET
    session_id: Text | UnsetType | None = UNSET
    lead_id: Text | UnsetType | None = UNSET
    page: Url | UnsetType | None = UNSET
    referrer: Url | UnsetType | None = UNSET
    source: Text | UnsetType | None = UNSET
    campaign: Text | UnsetType | None = UNSET
    duration_seconds: Seconds | UnsetType | None = UNSET
    form: Text | UnsetType | None = UNSET
    cta: Text | UnsetType | None = UNSET


class Identity(Visit, kw_only=True, frozen=True):
    """Which lead a visitor is."""

    visitor_id: EntityId
    lead_id: EntityId


class Reach(Data, frozen=True):
    """A message or an ad, and how many times it was sent, seen or used."""

    message_id: Text | UnsetType | None = UNSET
    lead_id: Text | UnsetType | None = UNSET
    campaign: Text | UnsetType | None = UNSET
    channel: Text | UnsetType | None = UNSET
    count: Count = 1
    cost: Amount | UnsetType | None = UNSET
    currency: Currency | UnsetType | None = UNSET


class Opening(Reach, kw_only=True, frozen=True):
    """An e-mail that was opened, and by what."""

    machine: bool | UnsetType | None = UNSET


class PageViewed(Envelope, tag="web.page_viewed", frozen=True):
    """A visitor has seen a page."""

    data: Visit = field(default_factory=Visit)


class FormStarted(Envelope, tag="web.form_started", frozen=True):
    """A visitor has begun to fill in a form."""

    data: Visit = field(default_factory=Visit)


class FormAbandoned(Envelope, tag="web.form_abandoned", frozen=True):
    """A visitor has left a form that was begun."""

    data: Visit = field(default_factory=Visit)


class FormSubmitted(Envelope, tag="web.form_submitted", frozen=True):
    """A visitor has sent a form."""

    data: Visit = field(default_factory=Visit)


class CtaClicked(Envelope, tag="web.cta_clicked", frozen=True):
    """A visitor has followed a call to action."""

    data: Visit = field(default_factory=Visit)


class DemoRequested(Envelope, tag="web.demo_requested", frozen=True):
    """A visitor has asked for a demonstration."""

    data: Visit = field(default_factory=Visit)


class VisitorIdentified(Envelope, tag="web.identified", frozen=True):
    """A visitor is now known to be a lead."""

    data: Identity


class EmailSent(Envelope, tag="email.sent", frozen=True):
    """An e-mail has gone out."""

    data: Reach = field(default_factory=Reach)


class EmailOpened(Envelope, tag="email.opened", frozen=True):
    """An e-mail has been opened."""

    data: Opening = field(default_factory=Opening)


class EmailClicked(Envelope, tag="email.clicked", frozen=True):
    """A link in an e-mail has been followed."""

    data: Reach = field(default_factory=Reach)


class EmailBounced(Envelope, tag="email.bounced", frozen=True):
    """An e-mail could not be delivered."""

    data: Reach = field(default_factory=Reach)


class AdImpressed(Envelope, tag="ad.impressed", frozen=True):
    """An ad has been shown."""

    data: Reach = field(default_factory=Reach)


class AdClicked(Envelope, tag="ad.clicked", frozen=True):
    """An ad has been followed."""

    data: Reach = field(default_factory=Reach)


class SocialReached(Envelope, tag="social.reached", frozen=True):
    """A post has reached people."""

    data: Reach = field(default_factory=Reach)


EngagementEvent = (
    PageViewed
    | FormStarted
    | FormAbandoned
    | FormSubmitted
    | CtaClicked
    | DemoRequested
    | VisitorIdentified
    | EmailSent
    | EmailOpened
    | EmailClicked
    | EmailBounced
    | AdImpressed
    | AdClicked
    | SocialReached
)
