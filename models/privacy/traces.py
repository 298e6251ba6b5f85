"""By what is somebody known in what is kept: ids, ids of their events and alerts, names; and by what names is each replaced?"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from xxhash import xxh3_64_intdigest

from models.privacy.fields import NAMES
from models.privacy.finder import finder_of
from models.privacy.subject import EVENTS, Cell, Scan, Subject, data_of, links, mentions, needles, owners_of, tree_of

#: How the drawn names of who was erased begin.
ANONYMOUS = "erased-"
#: Where in a row what people call somebody stands.
CALLED = {"know-customers": 3, "customer-states": 3}
#: Draws a name that says nothing, for who was of this kind and id.
Draw = Callable[[Subject], str]


def drawn(_: Subject) -> str:
    """Return a name that nobody else has."""
    return ANONYMOUS + secrets.token_hex(8)


@dataclass
class Traces:
    """What somebody is known by. ``ids`` and the others give what stands in its place from now on.

    ``linked`` are deals and accounts of theirs: a name in those is the person's, in anybody else's it is a namesake's.
    """

    ids: dict[Subject, str]
    linked: set[Subject] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    events: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)  # and messages
    incidents: dict[str, str] = field(default_factory=dict)
    lessons: set[tuple[str, str]] = field(default_factory=set)  # model, id

    @property
    def digests(self) -> dict[int, int]:
        """The digests under which ids of events are remembered, each with that of the new id."""
        found = {_digest(old): _digest(new) for old, new in self.events.items()}
        return found | {_digest(f"{model}:{id}"): _digest(f"{model}:{self.events[id]}") for model, id in self.lessons}

    def needles(self) -> set[bytes]:
        """Return the bytes one of which is in every cell that says anything of them."""
        # Who learns remembers the lessons of an entity by nothing but digests of their ids.
        lessons = (str(_digest(f"{model}:{id}")) for model, id in self.lessons)
        return needles((*(one.id for one in self.ids), *self.names_alone(), *self.incidents, *lessons))

    def names_alone(self) -> list[str]:
        """Return the names that mean nobody else wherever they stand: of several words, or a hash."""
        return [name for name in self.names if len(name) >= 5 and (" " in name.strip() or len(name) >= 32)]


def traces_of(known: Iterable[Subject], scan: Scan, incident: Callable[..., str], draw: Draw = drawn) -> Traces:
    """Collect what these, who are one person, are known by. ``incident`` makes an alert's id of rule, segment and start."""
    [found] = traces_of_all([known], scan, incident, draw)
    return found


def traces_of_all(
    people: Iterable[Iterable[Subject]], scan: Scan, incident: Callable[..., str], draw: Draw = drawn
) -> list[Traces]:
    """Collect what each of some people is known by (:func:`traces_of`), in one reading."""
    found = [_Collected(Traces({one: draw(one) for one in sorted(known)}), incident) for known in people]
    finder = finder_of((one.id for one in person.ids) for person in found)
    for cell in scan(needles(one.id for person in found for one in person.ids)):
        who = finder(cell)
        tree = tree_of(cell.value) if who else None
        for number in who:
            found[number].take(cell, tree)
    return [person.done() for person in found]


class _Collected:
    """What has been found of one person."""

    def __init__(self, traces: Traces, incident: Callable[..., str]) -> None:
        self.ids = traces.ids
        self._traces, self._incident = traces, incident
        self._events: set[str] = set()
        self._sessions: set[str] = set()

    def take(self, cell: Cell, tree: Any) -> None:
        ids, found = self.ids, self._traces
        if cell.where == "alerts" and isinstance(tree, dict) and isinstance(tree.get("segment"), dict):
            if any(Subject(*pair) in ids for pair in tree["segment"].items()) and isinstance(tree.get("incident"), str):
                found.incidents.setdefault(tree["incident"], secrets.token_hex(10))
        if cell.where == "evaluate-alerts" and isinstance(tree, dict) and isinstance(tree.get("segment"), str):
            one = Subject(*tree["segment"].split("=", 1)) if "=" in tree["segment"] else None
            if one in ids:  # one that stands: its id is made anew whenever it is spoken of
                old, new = ((tree["rule"], f"{one.kind}={id}", str(tree["started"])) for id in (one.id, ids[one]))
                found.incidents[self._incident(*old)] = self._incident(*new)
        its = owners_of(cell, tree)
        if not its & ids.keys():
            if mentions(tree, ids.keys()):
                found.linked |= its
        else:
            found.linked.update(one for one in links(tree) if one.kind in ("deal", "customer"))
            _names(tree, found.names)
            if cell.where in CALLED and isinstance(tree, list) and len(tree) > CALLED[cell.where]:
                found.names.add(str(tree[CALLED[cell.where]]))
            self._events.update(_event_ids(cell, tree))
            self._sessions.update(_sessions(cell, tree))
            if cell.where == "examples":
                found.lessons.add((str(tree["model"]), str(tree["id"])))

    def done(self) -> Traces:
        found = self._traces
        self._events.update(id for _, id in found.lessons)
        found.names.update(one.id for one in self.ids if one.kind == "email")
        found.names -= {""}
        common = ANONYMOUS + secrets.token_hex(8)
        # In the order of the old ones: of two facts of one moment, the id says which came first.
        found.events = {old: f"{common}-{number:06d}" for number, old in enumerate(sorted(self._events))}
        found.sessions = {old: f"{common}-s{number:06d}" for number, old in enumerate(sorted(self._sessions - {""}))}
        return found


def _digest(text: str) -> int:
    return xxh3_64_intdigest(text.encode())


def _names(tree: Any, names: set[str]) -> None:
    if isinstance(tree, dict):
        for name in NAMES:
            if isinstance(tree.get(name), str):
                names.add(tree[name].strip())
        parts = [tree.get("first_name"), tree.get("last_name")]
        if all(isinstance(part, str) and part for part in parts):
            names.add(" ".join(str(part) for part in parts))
    for one in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        _names(one, names)


def _event_ids(cell: Cell, tree: Any) -> Iterable[str]:
    if cell.where in EVENTS:
        if isinstance(tree, dict) and isinstance(tree.get("id"), str):
            yield tree["id"]
        yield from (body.decode(errors="replace") for name, body in cell.headers if name == "ce_id" and body is not None)
        data = data_of(cell, tree)
        if isinstance(data, dict) and isinstance(data.get("facts"), list):
            yield from (str(fact[1]) for fact in data["facts"])
    elif cell.where in ("fold-deals", "fold-leads") and isinstance(tree, list) and tree:
        yield from (entry[1] for entry in tree[0])
    elif cell.where == "fold-customers" and isinstance(tree, list) and len(tree) > 5 and tree[5]:
        yield tree[5]
    elif cell.where == "fold-engagement" and isinstance(tree, list) and tree:
        yield from (key[1] for session in tree[0] for key in session[6:8] if key[1])


def _sessions(cell: Cell, tree: Any) -> Iterable[str]:
    if cell.where == "engagement":
        data = data_of(cell, tree)
        if isinstance(data, dict):
            yield from (data[name] for name in ("session_id", "message_id") if isinstance(data.get(name), str))
    elif cell.where == "fold-engagement" and isinstance(tree, list) and tree:
        yield from (session[0] for session in tree[0])
        yield from tree[5] if len(tree) > 5 else ()
