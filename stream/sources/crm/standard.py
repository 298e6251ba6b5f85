"""Standard Webhooks: the common way to sign, for every sender that has no adapter of its own.

``v1`` is HMAC-SHA256 over ``id.timestamp.body`` with a ``whsec_…`` secret, ``v1a`` Ed25519 with a ``whpk_…`` public key. Each
signature may be there several times (while secrets change): one that is right is enough. A mapping says what a body
tells; without one, the body is a CloudEvent, or ``{type, timestamp, data}`` with types of the contract.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from models.events.catalogue import STRUCTS
from models.events.refused import Reason
from models.events.scalars import shown
from stream.sources.crm.base import EVENTS_LIMIT, Adapter, Doubt, Ignored, Item, NotAuthentic, Request, Unusable
from stream.sources.crm.body import objects, parse
from stream.sources.crm.mapping import MISSING, WebhookMapping
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.signing import any_same, credentials, hmac_base64, keys_of, stamp, timely
from stream.sources.crm.values import attribute, event, event_id, first, identifier, mapping, moment, priced, scaled

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_SECRET, _PUBLIC = b"whsec_", b"whpk_"
_SUBJECTS = {"deal": ("deal_id", "id"), "lead": ("lead_id", "id"), "customer": ("account_id", "customer_id", "id")}
#: Looked at in one request: two senders' worth while secrets change. Ed25519 costs some ms for a large body.
_SIGNATURES, _ED25519 = 8, 8


def verify(request: Request, settings: SourceSettings) -> int | None:
    """Check the credentials that are set, and that one of the signatures is right for one of the secrets or public keys.

    Without secrets the credentials are enough: Zoho's webhooks, for one, send fixed headers and cannot sign.
    """
    named = credentials(request, settings)
    if not settings.keys and named:
        return None
    keys = keys_of(settings)
    headers = _svix(request.headers)
    message = headers.get(ID, "").strip()
    if not message:
        raise NotAuthentic(Doubt.MISSING_SIGNATURE, f"header {ID}: missing or empty")
    given = headers.get(SIGNATURE, "").split()
    if not given:
        raise NotAuthentic(Doubt.MISSING_SIGNATURE, f"header {SIGNATURE}: missing or empty")
    timestamp, age = stamp(request._replace(headers=headers), TIMESTAMP, 1000)
    if "." in message:
        raise NotAuthentic(Doubt.BAD_SIGNATURE, f"header {ID}: with a full stop in it, what was signed cannot be told")
    signed = b"%b.%b." % (message.encode("utf-8", "surrogatepass"), timestamp.encode()) + request.body
    found = [one.partition(",")[::2] for one in given[:_SIGNATURES]]
    hashed = [signature for version, signature in found if version == "v1"]
    right = False
    for expected in [hmac_base64(secret(key), signed) for key in keys if not key.startswith(_PUBLIC)] if hashed else []:
        right |= any_same(expected, hashed)
    pairs = [(key, its) for key in keys if key.startswith(_PUBLIC) for version, its in found if version == "v1a"]
    for key, its in pairs[:_ED25519]:
        right |= _signed(key, its, signed)
    timely(age, settings, TIMESTAMP, right)
    if not right:
        raise NotAuthentic(Doubt.BAD_SIGNATURE, f"header {SIGNATURE}: none is that of this request and a secret that is set")
    return age


def _svix(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers, those of the specification's forerunner under its names."""
    if SIGNATURE in headers or "svix-signature" not in headers:
        return headers
    return {**headers, **{name: headers.get(name.replace("webhook", "svix"), "") for name in (ID, TIMESTAMP, SIGNATURE)}}


def secret(key: bytes) -> bytes:
    """Return the key behind a ``whsec_…`` text; what is not base64 is taken as it is."""
    try:
        return base64.b64decode(key.removeprefix(_SECRET), validate=True)
    except (binascii.Error, ValueError):
        return key


def _signed(key: bytes, signature: str, signed: bytes) -> bool:
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix(_PUBLIC), validate=True))
        public.verify(base64.b64decode(signature, validate=True), signed)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def read(request: Request, settings: SourceSettings) -> Iterator[Item]:
    """Yield what the items of the body are; one that is unusable does not spoil the others."""
    body = parse(request.body)
    headers = _svix(request.headers)
    # Who cannot sign has no id either: then the body stands for it.
    message = headers.get(ID, "").strip() or hashlib.sha256(request.body).hexdigest()[:32]
    stamp = headers.get(TIMESTAMP, "")
    sent = moment(stamp, TIMESTAMP) if stamp else request.received_at
    rules = settings.mapping
    items = objects(body, EVENTS_LIMIT) if rules is None else list(rules.items(body))
    for place, item in enumerate(items):
        id = event_id("standard", message, *([place] if len(items) > 1 else []))
        try:
            if rules is None:
                yield _plain(mapping(item, "body"), id, sent, settings)
            else:
                yield _mapped(item, rules, id, sent, settings)
        except Unusable as error:
            yield error


def _mapped(item: Any, mapping_: WebhookMapping, id: str, sent: int, settings: SourceSettings) -> Item:
    rule = mapping_.rule_for(item)
    if rule is None:
        return Ignored("no rule of the mapping applies")
    kind = rule.type.get(item)
    if kind == "skip":
        return Ignored("the mapping skips it")
    if kind is MISSING or kind not in STRUCTS:
        raise Unusable(Reason.UNKNOWN_TYPE, f"type: found {shown(_none(kind))}, accepted are the types of the contract")
    subject = identifier(_none(rule.subject.get(item)), "subject")
    at = sent if rule.time is None else moment(_none(rule.time.get(item)), "time", settings.zone)
    if rule.id is not None:
        id = event_id("standard", identifier(_none(rule.id.get(item)), "id"), kind)
    data = {}
    for name, value in rule.data.items():
        found = value.get(item)
        if found is MISSING or (found is None and mapping_.nulls == "unchanged"):
            continue
        data[name] = attribute(name, found if value.scale is None else scaled(found, value.scale, name), settings)
    return event(settings, "standard", str(kind), subject, at, id, priced(data, settings, str(kind)))


def _none(found: Any) -> Any:
    return None if found is MISSING else found


def _plain(item: Mapping[str, Any], id: str, sent: int, settings: SourceSettings) -> Item:
    kind = item.get("type")
    if not isinstance(kind, str):
        raise Unusable(Reason.INVALID_DATA, f"type: found {shown(kind)}, accepted is text as in deal.won")
    if kind not in STRUCTS or kind.endswith(".absorbed"):
        return Ignored(f"{shown(kind)}: no type of the contract, and no mapping says what it is (sources.<name>.mapping)")
    data = dict(mapping(item.get("data") or {}, "data"))
    subject = first(item.get("subject"), data.pop("subject", None))
    for name in _SUBJECTS.get(kind.partition(".")[0], ("visitor_id", "lead_id", "id")):
        if subject is None and data.get(name) is not None:
            subject = data[name]
            if name in ("id", "deal_id", "account_id", "customer_id") and not kind.startswith(("web.", "email.")):
                del data[name]
    given = first(item.get("time"), item.get("timestamp"))
    at = sent if given is None else moment(given, "timestamp", settings.zone)
    made = event(settings, "standard", kind, identifier(subject, "subject"), at, id, priced(data, settings, kind))
    if item.get("specversion") == "1.0":  # a CloudEvent: its id is the one that its other copies have too
        made |= {name: item[name] for name in ("id", "source", "time", "traceparent", "tracestate") if item.get(name) is not None}
        if settings.source is not None:
            made["source"] = settings.source
    return made


ADAPTER = Adapter("standard", verify, read, needs=("secrets",), credentials=("authorization", SIGNATURE, "svix-signature"))
