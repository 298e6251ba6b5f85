"""Who is meant, and which records and rows are theirs?

A *cell* is one record of a topic or one row of a fold's state, wherever it is kept. Topics are named without the installation's
prefix, state by its fold.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import orjson

from models.privacy.fields import LINKS

#: Of whom something can be held. ``email`` is the hash of an address, as events have it: all leads of that address are meant.
KINDS = ("lead", "deal", "customer", "visitor", "owner", "email")


class Subject(NamedTuple):
    """A kind and an id, as events have it."""

    kind: str
    id: str


class Cell(NamedTuple):
    """One record (``offset``, headers) or row of state (no offset); ``at`` is what its keeper knows it by."""

    where: str
    partition: int
    offset: int | None
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    at: object = None


#: Gives the cells in which any of these bytes may be, or all of them.
Scan = Callable[[Iterable[bytes]], Iterator[Cell]]

#: Topics of events, and the kinds of what their subjects name.
EVENTS = {
    "deals": ("deal",),
    "deal-merges": ("deal",),
    "leads": ("lead",),
    "lead-merges": ("lead",),
    "engagement": ("visitor", "lead"),
    "customers": ("customer",),
    "spend": ("owner",),
}
#: Topics and states that are keyed by an entity: how its key begins, and the kinds.
KEYED = {
    "acquaintances": (("", "lead"), ("", "deal")),
    "deal-states": (("", "deal"),),
    "lead-states": (("", "lead"),),
    "predictions": (("", "deal"),),
    "deal-outlooks": (("", "deal"),),
    "lead-predictions": (("", "lead"),),
    "fold-deals": (("E", "deal"),),
    "fold-leads": (("E", "lead"),),
    "fold-engagement": (("E", "visitor"), ("E", "lead")),
    "fold-customers": (("E", "customer"),),
    "know-customers": (("E", "customer"),),
    "customer-states": (("", "customer"),),
    "fold-spend": (("E", "owner"),),
    "predict-deals": (("E", "deal"), ("A", "customer")),
    "predict-leads": (("E", "lead"), ("V", "visitor"), ("V", "lead")),
    "watch-entities": (("d|", "deal"), ("l|", "lead")),
}
_ENTITIES = ("deal", "lead", "customer", "visitor")
_LOGGED = {"fold-deals": "deal", "fold-leads": "lead"}


def tree_of(value: bytes | None) -> Any:
    """Return a value as JSON, None where it is none. Whole numbers keep all their digits."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def owners_of(cell: Cell, tree: Any) -> set[Subject]:
    """Return whose a cell is: one entity, under each kind that its id may be of; nobody's where it is of several."""
    if cell.where in EVENTS:
        ids = {text for text in (_subject(cell, tree), cell.key.decode(errors="replace")) if text}
        return {Subject(kind, id) for kind in EVENTS[cell.where] for id in ids}
    key = cell.key.decode(errors="replace")
    found = {Subject(kind, key[len(begin) :]) for begin, kind in KEYED.get(cell.where, ()) if key.startswith(begin)}
    if cell.where == "examples" and isinstance(tree, dict) and isinstance(tree.get("entity"), str):
        found.add(Subject(str(tree.get("model")), tree["entity"]))
    return found


def _subject(cell: Cell, tree: Any) -> str:
    for name, body in cell.headers:  # binary mode: the attributes are headers
        if name == "ce_subject" and body is not None:
            return body.decode(errors="replace")
    subject = tree.get("subject") if isinstance(tree, dict) else None
    return subject if isinstance(subject, str) else ""


def data_of(cell: Cell, tree: Any) -> Any:
    """Return the data of an event in either mode."""
    if any(name.startswith("ce_") for name, _ in cell.headers):
        return tree
    return tree.get("data") if isinstance(tree, dict) else None


def same_person(cell: Cell, tree: Any, known: set[Subject]) -> Iterator[Subject]:
    """Yield who is the same as somebody known, by what this cell says: merged with them, their visitor, of their address."""
    its = owners_of(cell, tree)
    if cell.where in EVENTS:
        data = data_of(cell, tree)
        if not isinstance(data, dict):
            return
        yield from _merged(cell.where, its, data, known)
        if Subject("lead", str(data.get("lead_id"))) in known and cell.where == "engagement":
            yield from (one for one in its if one.kind == "visitor")
            if isinstance(data.get("visitor_id"), str):
                yield Subject("visitor", data["visitor_id"])
        if cell.where == "leads" and Subject("email", str(data.get("email_hash"))) in known:
            yield from its
    elif cell.where == "fold-engagement" and isinstance(tree, list) and len(tree) > 6 and tree[6]:
        # A visitor's row remembers which lead it is for longer than the events are kept.
        lead = tree[6][1].get("lead_id") if len(tree[6]) > 1 else None
        if Subject("lead", str(lead)) in known:
            yield from (one for one in its if one.kind == "visitor")
    elif cell.where in _LOGGED and isinstance(tree, list) and tree:
        kind = _LOGGED[cell.where]
        for entry in tree[0]:
            said = entry[3]
            if entry[2] == "merged" and isinstance(said.get("into"), str):
                into = Subject(kind, said["into"])
                yield from {into} if its & known else its if into in known else ()
            if kind == "lead" and Subject("email", str(said.get("email_hash"))) in known:
                yield from its
        base = tree[2] if len(tree) > 2 else None
        if kind == "lead" and base and Subject("email", str(base[0].get("email_hash"))) in known:
            yield from its


def _merged(where: str, its: set[Subject], data: dict[str, Any], known: set[Subject]) -> Iterator[Subject]:
    kind = EVENTS[where][0] if EVENTS[where] else ""
    for name in ("into", "origin"):
        other = data.get(name)
        if isinstance(other, str):
            if its & known:
                yield Subject(kind, other)
            elif Subject(kind, other) in known:
                yield from its


def needles(texts: Iterable[str]) -> set[bytes]:
    """Return how these texts look in JSON and in keys: as they are, and as writers of JSON escape them."""
    found: set[bytes] = set()
    for text in texts:
        if text:
            found |= {text.encode(errors="replace"), orjson.dumps(text)[1:-1], _ascii(text)}
    return found


def _ascii(text: str) -> bytes:
    import json

    return json.dumps(text)[1:-1].encode()


def links(tree: Any) -> Iterator[Subject]:
    """Yield whom a record names by its links: its lead, account, deal, visitor, owner."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if isinstance(value, str) and name in LINKS:
                yield Subject(LINKS[name], value)
            yield from links(value)
    elif isinstance(tree, list):
        for one in tree:
            yield from links(one)


def mentions(tree: Any, known: Collection[Subject]) -> bool:
    """Whether an event of somebody else names one of them."""
    return any(one in known for one in links(tree))


def spoken_of(tree: Any) -> set[Subject]:
    """Return which deal, lead, account or visitor an alert is about; nobody where it is about several, or about a figure."""
    if not isinstance(tree, dict):
        return set()
    segment = tree.get("segment")
    if not isinstance(segment, dict):
        segment = tree["alert"].get("segment") if isinstance(tree.get("alert"), dict) else None
    pairs = segment.items() if isinstance(segment, dict) else ()
    return {Subject(kind, id) for kind, id in pairs if kind in _ENTITIES and isinstance(id, str)}
