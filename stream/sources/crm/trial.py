"""What would become of a request that somebody has written down? The form of ``vigie sources try`` and of the vectors."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from stream.sources.crm.base import Request, Unusable, Verdict
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.values import moment

FIELDS = ("method", "url", "headers", "body", "body_base64", "body_repeat", "received_at", "settings")

_REPEATED = 1 << 24


class BadLine(ValueError):
    """The line is not a request; the text says why."""


class TrialLine(NamedTuple):
    """One line: the request but for its address, and the settings that override the source's own."""

    request: Request
    settings: Mapping[str, Any]

    def called(self, settings: SourceSettings, public_url: str = "") -> Request:
        """Return the request with the address that was called."""
        return self.request._replace(url=settings.address(self.request.url, public_url))


def read_line(line: bytes, now: int) -> TrialLine:
    """Return the request of a line; raise :class:`BadLine`. It arrived at ``now`` (epoch ms) where it does not say when."""
    try:
        tree = orjson.loads(line)
    except ValueError as error:
        raise BadLine(f"not JSON: {error}") from None
    if not isinstance(tree, dict):
        raise BadLine("found no object (accepted: a JSON object a line)")
    return of(tree, now)


def of(tree: Mapping[str, Any], now: int) -> TrialLine:
    """Return the request that a mapping with :data:`FIELDS` describes; raise :class:`BadLine`."""
    settings = tree.get("settings") or {}
    if not isinstance(settings, dict):
        raise BadLine("settings: found no object")
    received = tree.get("received_at")
    try:
        at = now if received is None else moment(received, "received_at")
    except Unusable as error:
        raise BadLine(error.detail) from None
    method, url = tree.get("method") or "POST", tree.get("url") or ""
    if not isinstance(method, str) or not isinstance(url, str):
        raise BadLine("method, url: accepted are texts")
    return TrialLine(Request(method.upper(), url, headers(tree.get("headers") or {}), body(tree), at), settings)


def headers(found: Any) -> dict[str, str]:
    """Return headers with lower-case names, from an object or a list of pairs; what is there twice is joined as HTTP says."""
    pairs = found.items() if isinstance(found, dict) else found
    joined: dict[str, str] = {}
    try:
        for name, value in pairs:
            for one in value if isinstance(value, list) else [value]:
                text, key = str(one), str(name).lower()
                joined[key] = f"{joined[key]}, {text}" if key in joined else text
    except (TypeError, ValueError):
        raise BadLine("headers: accepted are an object, or an array of pairs") from None
    return joined


def body(tree: Mapping[str, Any]) -> bytes:
    """Return the body's bytes: of ``body_base64``, of ``body`` as UTF-8, or ``body_repeat``: a text, how often, and an end."""
    if tree.get("body_repeat") is not None:
        match tree["body_repeat"]:
            case [str(unit), int(count), str(end)] if 0 <= len(unit) * count <= _REPEATED:
                return (unit * count + end).encode()
        raise BadLine(f"body_repeat: accepted are a text, a count and a text, up to {_REPEATED} characters")
    if tree.get("body_base64") is not None:
        try:
            return base64.b64decode(tree["body_base64"], validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise BadLine("body_base64: not base64") from None
    found = tree.get("body")
    if found is None:
        return b""
    return found.encode("utf-8", "surrogatepass") if isinstance(found, str) else orjson.dumps(found)


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as the command prints it."""
    found: dict[str, Any] = {
        "accepted": verdict.accepted,
        "status": verdict.status,
        "reason": verdict.reason,
        "detail": verdict.detail,
        "events": list(verdict.events),
    }
    if verdict.erasures:
        found["erasures"] = [list(one) for one in verdict.erasures]
    if verdict.unusable:
        found["unusable"] = [{"reason": one.reason.value, "detail": one.detail} for one in verdict.unusable]
    if verdict.ignored:
        found["ignored"] = list(verdict.ignored)
    if verdict.body:
        found["response"] = {"content_type": verdict.content_type, "body": verdict.body.decode()}
    return found
