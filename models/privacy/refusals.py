"""Who was erased, so that no late event brings them back? Only keyed hashes of their ids are remembered.

An event *of* somebody who was erased is refused, with nothing of it kept; one of somebody else that names them is taken
without the name.
"""

import hashlib
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import orjson

from models.privacy.fields import LINKS, NAMES
from models.privacy.subject import EVENTS, Cell, Subject, data_of, owners_of

#: Without these an event of that type says nothing.
_NEEDED = {
    "web.identified": ("visitor_id", "lead_id"),
    "rep.hired": ("owner",),
    "rep.trained": ("owner",),
}


class Screened(NamedTuple):
    """What may be kept of an event: ``refused``, or its value, which may be another than it was."""

    refused: bool
    value: bytes | None


class Refusals:
    """The hashes of who was erased. ``salt`` is the installation's: without it nobody can try out ids."""

    def __init__(self, salt: bytes, hashes: Iterable[str] = ()) -> None:
        self._salt = salt
        self._hashes = set(hashes)

    def __len__(self) -> int:
        return len(self._hashes)

    def hash(self, subject: Subject) -> str:
        """Return under what somebody is remembered."""
        text = f"{subject.kind}\x1f{subject.id}".encode(errors="replace")
        return hashlib.blake2b(text, key=self._salt, digest_size=16).hexdigest()

    def add(self, hashes: Iterable[str]) -> None:
        """Remember more."""
        self._hashes.update(hashes)

    def has(self, subject: Subject) -> bool:
        """Whether somebody was erased."""
        return self.hash(subject) in self._hashes

    def screen(self, cell: Cell) -> Screened:
        """Look at an event on its way in."""
        if not self._hashes or cell.where not in EVENTS:
            return Screened(False, cell.value)
        try:
            tree = orjson.loads(cell.value or b"null")
        except orjson.JSONDecodeError:
            tree = None
        if any(map(self.has, owners_of(cell, tree))):
            return Screened(True, None)
        data = data_of(cell, tree)
        if not isinstance(data, dict):
            return Screened(False, cell.value)
        found = self._named(cell.where, data)
        if not found:
            return Screened(False, cell.value)
        type_ = tree.get("type", "") if data is not tree else _type(cell)
        if found & {"into", "origin", "path", *_NEEDED.get(type_, ())}:
            return Screened(True, None)
        for name in found:
            del data[name]
        return Screened(False, orjson.dumps(tree))

    def _named(self, where: str, data: dict[str, Any]) -> set[str]:
        """Return the fields by which an event names somebody who was erased, and the names that go with them."""
        texts = {name: value for name, value in data.items() if isinstance(value, str)}
        found = {name for name, kind in LINKS.items() if name in texts and self.has(Subject(kind, texts[name]))}
        kinds: Collection[str] = EVENTS[where]
        found |= {name for name in ("into", "origin") for kind in kinds if name in texts and self.has(Subject(kind, texts[name]))}
        if found - {"owner"}:  # what it is called may be who it is about
            found |= texts.keys() & set(NAMES)
        if "email_hash" in texts and self.has(Subject("email", texts["email_hash"])):
            found |= texts.keys() & set(NAMES)
        return found


def _type(cell: Cell) -> str:
    return next((body.decode(errors="replace") for name, body in cell.headers if name == "ce_type" and body), "")
