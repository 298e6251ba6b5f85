"""What may somebody do who holds a signed link, and is it one of ours?

A link is for one act on one incident, for one receiver's message, until it expires: all of that is in what is signed
(HMAC-SHA256). The first of the keys signs, all of them verify, so that a key can be replaced without breaking the links that
are in people's mailboxes. That a link works only once is decided by the fold that dispatches alerts, which knows what was used.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from alert_rules.tell.delivery import Action, Delivery
from alert_rules.tell.stages.match import Matcher, all_match

_PURPOSE = b"vigie alert act v1\n"
_ACTS = ("ack", "silence")
#: For how long a link silences, milliseconds.
SILENCE = 3_600_000
#: Longer links are not made: Slack takes 2,000 characters for a button's value.
LONGEST = 1_900


class LinkError(ValueError):
    """A link that cannot be used; ``expired`` says that it once could."""

    def __init__(self, text: str, *, expired: bool = False) -> None:
        self.expired = expired
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class SignedLink:
    """One act that its holder may do once. Times are milliseconds since the epoch."""

    act: str
    incident: str  # or the thread of a group
    receiver: str  # whose message it was in: who acts, as far as is known
    message: str  # the delivery's id
    expires: int
    matchers: tuple[str, ...] = ()  # of a silence

    @property
    def id(self) -> str:
        """What it is remembered by once it was used."""
        return hashlib.sha256(self._body()).hexdigest()[:24]

    def _body(self) -> bytes:
        body = [self.act, self.incident, self.receiver, self.message, self.expires // 1000, list(self.matchers)]
        return orjson.dumps(body)


class LinkKey(NamedTuple):
    """A key and the name it goes by in links."""

    id: str
    secret: bytes


class Links:
    """Signs and reads links. ``keys``: the first one signs; ``base`` is the address people reach; ``valid`` in milliseconds."""

    def __init__(self, keys: Sequence[LinkKey], base: str, valid: int) -> None:
        self._keys = {key.id: key.secret for key in keys}
        self._signing = keys[0] if keys else None
        self._base = base.rstrip("/")
        self._valid = valid

    def sign(self, link: SignedLink) -> str:
        """Return the link's token, safe in a URL."""
        assert self._signing is not None  # without keys nothing is signed: see `actions`
        body = _text(link._body())
        return f"{self._signing.id}.{body}.{_text(_mac(self._signing, body))}"

    def read(self, token: str, now: int) -> SignedLink:
        """Return what a token allows; raise :class:`LinkError` where it is not ours or has expired."""
        kid, _, rest = token.partition(".")
        body, _, mac = rest.partition(".")
        secret = self._keys.get(kid)
        if secret is None or not hmac.compare_digest(
            _text(_mac(LinkKey(kid, secret), body)).encode(), mac.encode("utf-8", "replace")
        ):
            raise LinkError("this link is not one of ours, or its key is no longer used")
        try:
            act, incident, receiver, message, expires, matchers = orjson.loads(_bytes(body))
        except (ValueError, TypeError, binascii.Error) as error:  # signed by us, and yet: another version of this program
            raise LinkError("this link cannot be read") from error
        if act not in _ACTS:
            raise LinkError("this link is for something that there is not")
        if now >= expires * 1000:
            raise LinkError("this link has expired", expired=True)
        return SignedLink(act, incident, receiver, message, expires * 1000, tuple(matchers))

    def actions(self, delivery: Delivery) -> tuple[Action, ...]:
        """Return what the reader of a message may do: nothing without keys and an address; the same at every attempt."""
        alert = delivery.alert
        if self._signing is None or not self._base:
            return ()
        found: list[Action] = []
        if alert.get("kind") not in ("resolved", "digest"):
            expires = (delivery.created + self._valid) // 1000 * 1000
            base = SignedLink("ack", delivery.incident, delivery.receiver, delivery.id, expires)
            if not alert.get("acknowledged"):
                found.append(self._action("Acknowledge", base))
            matchers = silencing(delivery.incident, alert.get("group") or {})
            if matchers:
                link = SignedLink("silence", base.incident, base.receiver, base.message, expires, matchers)
                found.append(self._action("Silence 1 h", link))
        found.append(Action("open", "Open", f"{self._base}/{_place(delivery)}"))
        return tuple(action for action in found if len(action.token) <= LONGEST)

    def _action(self, text: str, link: SignedLink) -> Action:
        token = self.sign(link)
        return Action(link.act, text, f"{self._base}/act/{token}", token)


def _place(delivery: Delivery) -> str:
    """Return where on the page a message's alert is; of several, the first that stands. The morning's summary is about none."""
    alert = delivery.alert
    if alert.get("kind") == "digest":
        return ""
    standing = (str(one["incident"]) for one in alert.get("alerts") or () if one.get("state") != "resolved")
    return f"#alert={quote(next(standing, delivery.incident), safe='')}"


def silencing(thread: str, group: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the matchers that silence what a message is about; none where it is about everything."""
    labels = {"incident": thread} if not group or set(group) == {"incident"} else {str(k): str(v) for k, v in group.items() if v}
    matchers = [Matcher(name, "=", value) for name, value in labels.items()]
    if not matchers or all_match(matchers, {}):
        return ()
    return tuple(map(str, matchers))


def _mac(key: LinkKey, body: str) -> bytes:
    return hmac.digest(key.secret, _PURPOSE + key.id.encode() + b"\n" + body.encode("utf-8", "replace"), hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
