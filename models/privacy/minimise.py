"""What is kept of a field that is about a person: nothing, a hash, or its beginning? Applied to events before they are written.

Data minimisation (GDPR, article 5.1 c): what is never written need not be erased. Only fields that no figure is made of may be
changed, so that every KPI stays what it was.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

#: What is done to a field: it is left out, replaced by its hash, or cut to so many characters.
How = Literal["drop", "hash"] | int

#: Fields of the envelope, which can only be left out, and of ``data``.
_ENVELOPE = frozenset(("traceparent", "tracestate"))
MINIMISED = _ENVELOPE | {"name", "first_name", "last_name", "email_hash", "referrer", "cta"}


class Minimise:
    """Changes events as settings say. ``key`` is the installation's own: without it nobody can try names against the hashes."""

    def __init__(self, fields: Mapping[str, How], key: bytes = b"") -> None:
        """Raises ``ValueError`` for a field or a change that is not accepted, or a hash without a key."""
        for name, how in fields.items():
            if name not in MINIMISED:
                raise ValueError(f"{name}: no such field, or figures are made of it (accepted: {', '.join(sorted(MINIMISED))})")
            if how != "drop" and name in _ENVELOPE:
                raise ValueError(f"{name}: found {how!r} (accepted: drop)")
        if "hash" in fields.values() and len(key) < 16:
            raise ValueError("salt: not set, or shorter than 16 characters, though a field is to be hashed")
        self._envelope = {name: how for name, how in fields.items() if name in _ENVELOPE}
        self._data = {name: how for name, how in fields.items() if name not in _ENVELOPE}
        self._key = key[:64]  # the longest that BLAKE2b takes

    def __bool__(self) -> bool:
        """Whether anything is changed at all."""
        return bool(self._envelope or self._data)

    def __call__(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event as it is to be written; the one given stays as it is."""
        found = self._changed(event, self._envelope)
        data = event.get("data")
        if isinstance(data, dict):
            changed = self._changed(data, self._data)
            if changed is not data:
                found = {**found, "data": changed}
        return found

    def text(self, name: str, value: str) -> str | None:
        """Return what is kept of a field's text; None where nothing is."""
        how = self._data.get(name)
        return None if how == "drop" else self._kept(name, value, how)

    def _changed(self, tree: dict[str, Any], fields: Mapping[str, How]) -> dict[str, Any]:
        if not any(name in tree for name in fields):
            return tree
        found = {name: self._kept(name, value, fields.get(name)) for name, value in tree.items() if fields.get(name) != "drop"}
        return {name: value for name, value in found.items() if value != "" or tree[name] == ""}

    def _kept(self, name: str, value: Any, how: How | None) -> Any:
        if how is None or not isinstance(value, str) or not value:
            return value  # null clears a field whatever is kept of it; what is no text is refused where events are read
        if isinstance(how, int):
            return value[:how].rstrip()
        return hashlib.blake2b(f"{name}\0{value}".encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).hexdigest()
