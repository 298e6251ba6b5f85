"""Did the sender know the secret, and is the request fresh? Every comparison takes the same time, right or wrong."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

from stream.sources.crm.base import Doubt, NotAuthentic, Request
from stream.sources.crm.settings import SourceSettings


def same(found: str | bytes, expected: str | bytes) -> bool:
    """Compare in constant time; text that is not ASCII is compared too (``hmac.compare_digest`` alone would raise)."""
    return hmac.compare_digest(_bytes(found), _bytes(expected))


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


def hmac_hex(key: bytes, message: bytes, digest: str = "sha256") -> str:
    """Return the HMAC in lower-case hexadecimal."""
    return hmac.new(key, message, digest).hexdigest()


def hmac_base64(key: bytes, message: bytes) -> str:
    """Return the HMAC-SHA256 in base64."""
    return base64.b64encode(hmac.digest(key, message, hashlib.sha256)).decode()


def any_same(found: str, expected: Iterable[str]) -> bool:
    """Whether the text is one of those expected; all are compared, whichever it is."""
    hit = False
    for one in expected:
        hit |= same(found, one)
    return hit


def keys_of(settings: SourceSettings) -> tuple[bytes, ...]:
    """Return the secrets; without one nothing can be authentic."""
    if not settings.keys:
        raise NotAuthentic(Doubt.NOT_CONFIGURED, "no secret is set for this source; set sources.<name>.secrets")
    return settings.keys


def signature_of(request: Request, *names: str) -> str:
    """Return the header that holds the signature: the first of the names that is there."""
    for name in names:
        found = request.headers.get(name)
        if found is not None:
            if not found.strip():
                break
            return found.strip()
    raise NotAuthentic(Doubt.MISSING_SIGNATURE, f"header {names[0]}: missing or empty")


def stamp(request: Request, header: str, unit: int) -> tuple[str, int]:
    """Return the timestamp header as it was signed, and how old the request is by it, in milliseconds.

    ``unit`` is its unit in milliseconds. Only plain digits are a timestamp: what a parser might round or wrap is none.
    """
    text = request.headers.get(header)
    if text is None or not text.strip():
        raise NotAuthentic(Doubt.MISSING_TIMESTAMP, f"header {header}: missing or empty")
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 15:
        raise NotAuthentic(Doubt.BAD_TIMESTAMP, f"header {header}: not a number of {'milliseconds' if unit == 1 else 'seconds'}")
    return text, request.received_at - int(text) * unit


def timely(age: int, settings: SourceSettings, header: str, right: bool) -> None:
    """Refuse what does not lie within the tolerance on either side.

    ``right`` says whether the signature is: only then does the refusal carry the ``age`` (ms), which tells of the clocks.
    """
    tolerance = settings.tolerance_seconds * 1000
    if -tolerance <= age <= tolerance:
        return
    doubt, way = (Doubt.STALE, "old") if age > 0 else (Doubt.FUTURE, "ahead")
    text = f"header {header}: {abs(age) // 1000} s {way}, accepted are {settings.tolerance_seconds} s"
    raise NotAuthentic(doubt, text, age if right else None)


def basic(request: Request, settings: SourceSettings) -> None:
    """Check ``Authorization: Basic``; both parts are compared, so that a right name takes no longer than a wrong one."""
    scheme, _, rest = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "basic":
        raise NotAuthentic(Doubt.MISSING_CREDENTIALS, "header authorization: missing, or not Basic")
    try:
        name, colon, password = base64.b64decode(rest.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        raise NotAuthentic(Doubt.BAD_CREDENTIALS, "header authorization: not base64") from None
    wanted = settings.password.get_secret_value() if settings.password is not None else ""
    right = same(name, settings.username or "") & same(password, wanted)
    if not right or not colon:
        raise NotAuthentic(Doubt.BAD_CREDENTIALS, "header authorization: wrong name or password")


def bearer(request: Request, wanted: Iterable[str | bytes]) -> None:
    """Check the shared token, in ``Authorization: Bearer`` or in the address; all that are wanted are compared."""
    scheme, _, found = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer":
        found = dict(parse_qsl(urlsplit(request.url).query)).get("token", "")
    if not found:
        raise NotAuthentic(Doubt.MISSING_CREDENTIALS, "token: neither in the header authorization nor in the address")
    right = False
    for one in wanted:
        right |= bool(one) and same(found.strip(), one)
    if not right:
        raise NotAuthentic(Doubt.BAD_CREDENTIALS, "token: wrong")


def credentials(request: Request, settings: SourceSettings) -> bool:
    """Check the name and password, and the token, that are set; return whether any was."""
    named = bool(settings.username or settings.password)
    if named:
        basic(request, settings)
    if settings.token is not None:
        bearer(request, [settings.token.get_secret_value()])
    return named or settings.token is not None
