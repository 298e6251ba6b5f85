"""Segment and RudderStack: what have visitors done?

Both post what their libraries collect: one call, or a ``batch``. The signature is HMAC-SHA1 over the body, in hexadecimal.
``timestamp`` is already corrected for the clock of the visitor's device; where there is none, the correction is made here:
``receivedAt − (sentAt − originalTimestamp)``. ``messageId`` is the same however often a call is sent.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from models.events.refused import Reason
from models.events.scalars import shown
from stream.sources.crm.base import EVENTS_LIMIT, Adapter, Doubt, Erase, Ignored, Item, NotAuthentic, Request, Unusable
from stream.sources.crm.body import each, parse
from stream.sources.crm.mapping import data_fields
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.signing import any_same, credentials, hmac_hex, keys_of, signature_of
from stream.sources.crm.values import attributes, event, event_id, first, identifier, mapping, moment, number, page, text

SIGNATURE = "x-signature"
#: Names of track calls, as the vendors' own specifications for e-mail and web have them.
TRACKS = {
    "page viewed": "web.page_viewed",
    "form submitted": "web.form_submitted",
    "cta clicked": "web.cta_clicked",
    "button clicked": "web.cta_clicked",
    "demo requested": "web.demo_requested",
    "email delivered": "email.sent",
    "email sent": "email.sent",
    "email opened": "email.opened",
    "email link clicked": "email.clicked",
    "email clicked": "email.clicked",
    "email bounced": "email.bounced",
}


def verify(request: Request, settings: SourceSettings) -> None:
    """Check the signature, and the credentials in headers where any are set (RudderStack may send fixed headers only)."""
    named = credentials(request, settings)
    if not settings.keys and named:
        return
    keys = keys_of(settings)
    signature = signature_of(request, SIGNATURE).lower().removeprefix("sha1=")
    if not any_same(signature, [hmac_hex(key, request.body, "sha1") for key in keys]):
        raise NotAuthentic(Doubt.BAD_SIGNATURE, f"header {SIGNATURE}: not the signature of this body and secret")


class _Reader:
    def __init__(self, sender: str) -> None:
        self.sender = sender

    def read(self, request: Request, settings: SourceSettings) -> Iterator[Item]:
        """Yield what each call tells; one that is unusable does not spoil the others."""
        tree = parse(request.body)
        outer: Mapping[str, Any] = {}
        if isinstance(tree, dict) and "batch" in tree:
            outer, tree = tree, tree["batch"]
            if not isinstance(tree, list):
                raise Unusable(Reason.INVALID_DATA, f"batch: found {shown(tree)}, accepted is an array")
        for call in each(tree, EVENTS_LIMIT):
            try:
                yield from self.call(call, outer, request, settings)
            except Unusable as error:
                yield error

    def call(
        self, call: Mapping[str, Any], outer: Mapping[str, Any], request: Request, settings: SourceSettings
    ) -> Iterator[Item]:
        kind = call.get("type")
        context = mapping(call.get("context") or outer.get("context") or {}, "context")
        told = mapping(call.get("properties") or {}, "properties")
        visitor, lead = (identifier(call[who], who) if call.get(who) else None for who in ("anonymousId", "userId"))
        subject = visitor or lead
        id = event_id(self.sender, identifier(call.get("messageId"), "messageId"))
        at = _time(call, outer, request)
        if subject is None:
            raise Unusable(Reason.INVALID_DATA, "anonymousId, userId: found neither, accepted is either")
        if kind in ("page", "screen"):
            yield event(settings, self.sender, "web.page_viewed", subject, at, id, _visit(call, told, context, visitor, lead))
        elif kind == "identify":
            if visitor is None or lead is None:
                yield Ignored("identify: without both anonymousId and userId it joins nobody")
            else:
                yield event(settings, self.sender, "web.identified", visitor, at, id, _visit(call, told, context, visitor, lead))
        elif kind == "delete":  # what the senders' own privacy calls become
            yield from _erased(visitor, lead)
        elif kind == "track" and (text(call.get("event"), "event") or "").strip().lower().replace("_", " ") == "user deleted":
            yield from _erased(visitor, lead)
        elif kind == "track":
            yield self.track(call, told, context, visitor, lead, at, id, settings)
        else:
            yield Ignored(f"{kind}: calls of this type have no use here")

    def track(
        self,
        call: Mapping[str, Any],
        told: Mapping[str, Any],
        context: Mapping[str, Any],
        visitor: str | None,
        lead: str | None,
        at: int,
        id: str,
        settings: SourceSettings,
    ) -> Item:
        """Return the event that a track call is, by its name."""
        name = text(call.get("event"), "event") or ""
        kind = settings.events.get(name) or TRACKS.get(name.strip().lower().replace("_", " "))
        if kind is None:
            return Ignored(f"track: {shown(name)} is no event here (sources.<name>.events adds it)")
        subject = str(visitor or lead)
        if kind.startswith("web."):
            return event(settings, self.sender, kind, subject, at, id, _visit(call, told, context, visitor, lead))
        if kind.startswith(("email.", "ad.", "social.")):
            data = {
                "message_id": text(first(told.get("email_id"), told.get("message_id")), "email_id"),
                "lead_id": lead,
                "campaign": _campaign(told, context, "campaign_name", "name"),
            }
            return event(settings, self.sender, kind, lead or subject, at, id, _there(data))
        if kind.startswith("lead."):
            return event(settings, self.sender, kind, lead or subject, at, id, _facts(kind, told, settings))
        deal = identifier(first(told.get("deal_id"), told.get("id")), "properties.deal_id")
        return event(settings, self.sender, kind, deal, at, id, _facts(kind, told, settings))


def _erased(visitor: str | None, lead: str | None) -> Iterator[Item]:
    if lead is not None:
        yield Erase("lead", lead)
    if visitor is not None:
        yield Erase("visitor", visitor)


def _time(call: Mapping[str, Any], outer: Mapping[str, Any], request: Request) -> int:
    if call.get("timestamp") not in (None, ""):
        return moment(call["timestamp"], "timestamp")
    if call.get("originalTimestamp") in (None, ""):
        return request.received_at
    original = moment(call["originalTimestamp"], "originalTimestamp")
    sent, received = call.get("sentAt") or outer.get("sentAt"), call.get("receivedAt") or outer.get("receivedAt")
    if sent is None:  # by the device's clock alone: it may be wrong, and is not ahead of ours
        return min(original, request.received_at)
    arrived = moment(received, "receivedAt") if received is not None else request.received_at
    return arrived - max(0, moment(sent, "sentAt") - original)


def _visit(
    call: Mapping[str, Any], told: Mapping[str, Any], context: Mapping[str, Any], visitor: str | None, lead: str | None
) -> dict[str, Any]:
    place = mapping(context.get("page") or {}, "context.page")
    data = {
        "visitor_id": visitor,
        "lead_id": lead,
        "session_id": text(first(context.get("sessionId"), told.get("session_id"), call.get("sessionId")), "sessionId"),
        "page": page(told.get("url") or place.get("url") or told.get("path") or place.get("path") or call.get("name")),
        "referrer": page(told.get("referrer") or place.get("referrer")),
        "source": _campaign(told, context, "utm_source", "source"),
        "campaign": _campaign(told, context, "utm_campaign", "name"),
        "duration_seconds": number(told.get("duration_seconds"), "duration_seconds"),
        "form": text(first(told.get("form_name"), told.get("form_id"), told.get("form")), "form"),
        "cta": text(first(told.get("cta_name"), told.get("cta"), told.get("button")), "cta"),
    }
    return _there(data)


def _campaign(told: Mapping[str, Any], context: Mapping[str, Any], plain: str, name: str) -> str | None:
    campaign = mapping(context.get("campaign") or {}, "context.campaign")
    return text(first(campaign.get(name), told.get(plain)), f"campaign.{name}")


def _facts(kind: str, told: Mapping[str, Any], settings: SourceSettings) -> dict[str, Any]:
    """Return the properties that the type of event has fields for, under the same names."""
    return attributes(told, {name: name for name in data_fields(kind)}, settings, kind)


def _there(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}


def _adapter(name: str) -> Adapter:
    return Adapter(name, verify, _Reader(name).read, needs=("secrets",), credentials=("authorization", SIGNATURE))


SEGMENT, RUDDERSTACK = _adapter("segment"), _adapter("rudderstack")
