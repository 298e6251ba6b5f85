"""How is somebody taken out of one record or row, so that every figure stays what it is?

Their ids become drawn names, the same everywhere; what only they are told by is taken out; amounts, times, stages and segments
stay. So what was counted stays counted, is taken back and booked anew as before, and can be folded again from the log.
"""

import base64
import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from models.entities.entity_log import ERASED
from models.events.dead_letter import DeadLetter, Redrive, decode, decode_redrive
from models.folds.sessions import page_name
from models.privacy.fields import LINKS, REMOVED
from models.privacy.subject import KEYED, Cell, Subject, owners_of, spoken_of, tree_of
from models.privacy.traces import CALLED, Traces

#: Stands where a name stood in a text.
GONE = "erased"
#: What is said of a dead letter that somebody was in.
BLANK = "somebody was in it who has been erased: nothing of it is kept"
#: Fields in which no id is looked for: an id of few digits looks like one of these.
_NEVER = frozenset(
    "amount cost currency default_currency time at type specversion stage pipeline expected_close_date day term_end opened_at "
    "kind level status datacontenttype unit window kpi since fired from".split()
)
#: Fields that hold an id of a deal, a lead, a visitor or an account, whatever it looks like.
_IDS = frozenset(("id", "subject", "entity", "deal", "lead", "customer", "visitor", "into", "origin", "path", *LINKS))
#: What stands before an id in the key of a row that is of nobody else.
_BEFORE = frozenset(begin for rows in KEYED.values() for begin, _ in rows if begin)
#: Fields, and rows without names, that hold an id of an event, a session, a message or an alert.
_EXACT = frozenset(("", "id", "incident", "incidents", "session_id", "message_id", "event", "events"))
#: Lists of deals and leads behind figures, and models.
_LISTS = frozenset(("pick-highlights", "highlights"))
_MODELS = frozenset(("learn", "model-snapshots"))
#: Where in a row digests of ids are remembered.
_SEEN = {"fold-deals": 3, "fold-leads": 3, "fold-engagement": 3, "fold-customers": 0}
_encode = msgspec.json.Encoder().encode


class Rewritten(NamedTuple):
    """A cell as it is to be from now on."""

    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class Rewriter:
    """Takes one person out of cells. One object may be used for any number of them."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self._ids = {one.id: new for one, new in traces.ids.items()}
        self._known = frozenset(traces.ids)
        self._exact = {**traces.events, **traces.sessions, **traces.incidents}
        self._digests = traces.digests
        self._metric = False
        self._needles = [needle for needle in traces.needles() if needle]
        # Nobody else can be meant by these wherever they stand; an id of few digits is told by its field alone.
        ids = {id: new for id, new in self._ids.items() if distinctive(id)} | traces.incidents
        alone = ids | dict.fromkeys(traces.names_alone(), GONE)
        self._alone = _pattern(alone)
        # In what is somebody else's, the same name is a namesake's.
        self._others = _pattern(ids)
        self._elsewhere = self._alone
        # Where the person is spoken of anyway, a first name is theirs.
        here = alone | {name: GONE for name in traces.names if len(name) > 1}
        self._here = _pattern(here)
        self._owners = {one.id: new for one, new in traces.ids.items() if one.kind == "owner"}
        # A model's features are made of nothing but values of attributes.
        self._model = _pattern(alone | self._owners)
        self._in_letters = _bytes_pattern(self._needles)

    def touches(self, cell: Cell) -> bool:
        """Whether any of what the person is known by may be in a cell."""
        if cell.where == "dead-letters":
            return True
        parts = (cell.key, cell.value or b"", *(body or b"" for _, body in cell.headers))
        return any(needle in part for part in parts for needle in self._needles)

    def __call__(self, cell: Cell) -> Rewritten | None:
        """Return the cell without the person, None where it says nothing of them."""
        if cell.where == "dead-letters":
            return self._letter(cell)
        if not self.touches(cell):
            return None
        tree = tree_of(cell.value)
        own = bool(owners_of(cell, tree) & self._known)
        about = owners_of(cell, tree) | spoken_of(tree)
        self._elsewhere = self._others if about and not self.concerns(about) else self._alone
        # What a metric is called is no one's name.
        self._metric = _type(cell, tree) == "metric.recorded"
        headers = [self._header(*header, own=own) for header in cell.headers]
        value = cell.value
        if isinstance(tree, (dict, list)):
            new = self._tree(cell, tree, own=own)
            # Nothing in it is theirs: however it is written, it stays as it is.
            value = value if new == tree else _encode(new)
        elif value is not None:
            value = self._key(cell.where, value, own=own)
        found = Rewritten(self._key(cell.where, cell.key, own=own), value, [one for one in headers if one is not None])
        changed = found.key != cell.key or found.value != cell.value or list(found.headers) != list(cell.headers)
        return found if changed else None

    def speaks(self, text: str) -> bool:
        """Whether a text of a record of several people names this one, or an alert, event or lesson of theirs."""
        found = text.encode(errors="replace")
        return any(needle in found for needle in self._needles)

    def concerns(self, about: Iterable[Subject]) -> bool:
        """Whether one of these is the person, or a deal or account of theirs."""
        return any(one in self._known or one in self._traces.linked for one in about)

    # -- values --------------------------------------------------------------------------------------------------------

    def _tree(self, cell: Cell, tree: Any, *, own: bool) -> Any:
        if cell.where in _LISTS and isinstance(tree, list):
            return [self._item(item) for item in tree]
        if cell.where in _MODELS:
            self._elsewhere = self._model
            return self._walk(tree, "", own=False)
        found = self._walk(tree, "", own=own)
        if own and cell.where in _SEEN and isinstance(found, list):
            at = _SEEN[cell.where]
            if len(found) > at:
                new = {str(digest) for digest in self._digests.values()}
                found[at] = {one if one in new else str(secrets.randbits(64)): hour for one, hour in found[at].items()}
        if own and cell.where in CALLED and isinstance(found, list):
            if len(found) > 1 and found[1]:  # digests of ids of invoices
                found[1] = base64.b64encode(secrets.token_bytes(len(base64.b64decode(tree[1])))).decode()
            found[CALLED[cell.where] :] = [""] if len(found) > CALLED[cell.where] else []
        if own and cell.where in ("fold-deals", "fold-leads") and isinstance(found, list):
            found += [[], 0, None, {}, ERASED][len(found) :]
            found[4] = ERASED
        return found

    def _item(self, item: Any) -> Any:
        """A deal or lead in the lists behind figures (``models/kpis/highlights.py``): its id, and what people call it."""
        if isinstance(item, list) and len(item) > 1:
            if item[1] in self._ids:
                item = [item[0], self._ids[item[1]], *item[2:7], *("" for _ in item[7:])]
            elif not any(Subject(kind, item[1]) in self._traces.linked for kind in ("deal", "lead")):
                return self._of_another(item)
        return self._walk(item, "", own=False)

    def _of_another(self, tree: Any) -> Any:
        kept, self._elsewhere = self._elsewhere, self._others
        try:
            return self._walk(tree, "", own=False)
        finally:
            self._elsewhere = kept

    def _walk(self, tree: Any, name: str, *, own: bool) -> Any:
        if isinstance(tree, dict):
            if not own and self._elsewhere is self._alone and self._is_another(tree):
                return self._of_another(tree)
            return self._dict(tree, own=own)
        if isinstance(tree, list):
            if name == "path":
                return [self._ids.get(one, one) for one in tree]
            return [self._walk(one, name, own=own) for one in tree]
        if isinstance(tree, str):
            return self._text(tree, name, own=own)
        if isinstance(tree, int) and not isinstance(tree, bool):
            return self._digests.get(tree, tree)
        return tree

    def _dict(self, tree: dict[str, Any], *, own: bool) -> dict[str, Any]:
        here = own or any(Subject(kind, str(tree.get(name))) in self._known for name, kind in _OF.items()) or self._is(tree)
        found: dict[str, Any] = {}
        for name, value in tree.items():
            if here and name in REMOVED and not self._metric:
                continue
            if name in LINKS and isinstance(value, str):
                self._link(found, name, value, own=own)
            elif name == "page" and here and isinstance(value, str):
                found[name] = page_name(value)
            elif name in _NEVER and not isinstance(value, (dict, list)):
                found[name] = value
            else:
                found[self._name(name, own=here)] = self._walk(value, name, own=here)
        return found

    def _is(self, tree: dict[str, Any]) -> bool:
        """Whether a part of a record is about the person: it has one of their ids as its own."""
        return isinstance(tree.get("id"), str) and tree["id"] in self._ids and "type" not in tree

    def _is_another(self, tree: dict[str, Any]) -> bool:
        """Whether a part of a record, one of several behind a figure or in a message, is about somebody else alone."""
        about = spoken_of(tree)
        if tree.get("entity") in ("deal", "lead") and isinstance(tree.get("id"), str):
            about.add(Subject(tree["entity"], tree["id"]))
        return bool(about) and not self.concerns(about)

    def _link(self, found: dict[str, Any], name: str, value: str, *, own: bool) -> None:
        """A link to the person: their own say so under the new name, others no longer. Of theirs to others nothing stays."""
        new = self._traces.ids.get(Subject(LINKS[name], value))
        if name == "owner":
            found[name] = value if new is None else new
        elif new is not None:
            found[name] = new if own else None
        elif not own:
            found[name] = value

    def _name(self, name: str, *, own: bool) -> str:
        """A name in an object that is a map: by event, by digest, by segment."""
        if name.isdigit() and int(name) in self._digests:
            return str(self._digests[int(name)])
        return self._text(name, "", own=own)

    def _text(self, text: str, name: str, *, own: bool) -> str:
        if text in self._exact and (name in _EXACT or distinctive(text)):
            return self._exact[text]
        if text in self._ids and (name in _IDS or distinctive(text)):
            return self._ids[text]
        dimension, found, value = text.partition("=")
        if found and value in self._owners and dimension == "owner":
            return f"owner={self._owners[value]}"
        if text in self._owners and name in ("", "owner"):
            return self._owners[text]
        if not found and name == "segment" and text in self._ids:
            return self._ids[text]
        if found and dimension in _KINDS and value in self._ids:
            return f"{dimension}={self._ids[value]}"
        pattern, new = self._here if own else self._elsewhere
        return text if pattern is None else pattern.sub(lambda match: new[match[0]], text)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def _key(self, where: str, key: bytes, *, own: bool) -> bytes:
        """Return a key without the person: ids stand in it whole, or after one of the signs that keys are made with."""
        try:
            text = key.decode()
        except UnicodeDecodeError:
            return key
        if own:
            for id, new in sorted(self._ids.items(), key=lambda pair: -len(pair[0])):
                if text == id or (text.endswith(id) and text[: -len(id)] in _BEFORE):
                    return (text[: -len(id)] + new).encode()
        if text in self._exact:
            return self._exact[text].encode()
        for kind in _KINDS:
            before, found, rest = text.partition(f"{kind}=")
            if found:
                for one, new in self._traces.ids.items():
                    if one.kind == kind and (rest == one.id or rest.startswith(one.id + "|")):
                        return f"{before}{found}{new}{rest[len(one.id) :]}".encode()
        pattern, new_ = self._elsewhere
        return key if pattern is None else pattern.sub(lambda match: new_[match[0]], text).encode()

    def _header(self, name: str, body: bytes | None, *, own: bool) -> tuple[str, bytes | None] | None:
        if own and name in ("ce_traceparent", "ce_tracestate", "traceparent", "tracestate"):
            return None
        if body is None:
            return name, body
        text = body.decode(errors="surrogateescape")
        return name, self._text(text, name.removeprefix("ce_"), own=own).encode(errors="surrogateescape")

    # -- dead letters --------------------------------------------------------------------------------------------------

    def _letter(self, cell: Cell) -> Rewritten | None:
        """Return a letter that says nothing but why and where, where the person is in it; as it is in what was sent again."""
        if cell.value is None:
            return None
        redrive = decode_redrive(cell.value)
        try:
            letter: DeadLetter | Redrive = redrive or decode(cell.value)
        except ValueError:
            found = Rewritten(b"", b"{}", ())
            return found if self._in_letters.search(cell.value) else None
        if isinstance(letter, Redrive):
            return None
        parts = [letter.key, letter.value, letter.detail.encode(), *(part for _, part in letter.headers)]
        if not any(self._in_letters.search(part) for part in parts if part):
            return None
        return Rewritten(cell.key, blank(letter).encode(), cell.headers)


def blank(letter: DeadLetter) -> DeadLetter:
    """Return a letter of which nothing is left but why and where."""
    return DeadLetter(
        reason=letter.reason, detail=BLANK, topic=letter.topic, partition=letter.partition, offset=letter.offset,
        timestamp=letter.timestamp, first_seen=letter.first_seen, cut=["value"], letter=letter.letter,
    )  # fmt: skip


def _type(cell: Cell, tree: Any) -> str:
    said = next((body for name, body in cell.headers if name == "ce_type" and body), None)
    return said.decode(errors="replace") if said is not None else str(tree.get("type", "")) if isinstance(tree, dict) else ""


def without_digests(cell: Cell, gone: frozenset[str]) -> bytes | None:
    """Return what says that a letter was sent again without the digest of its value, where that is one of these."""
    redrive = decode_redrive(cell.value or b"")
    if redrive is None or redrive.sha256 not in gone:
        return None
    return msgspec.structs.replace(redrive, sha256="").encode()


_OF = {"entity": "lead", "deal": "deal", "lead": "lead"}
_KINDS = ("deal", "lead", "owner", "customer", "visitor")


def distinctive(id: str) -> bool:
    """Whether nothing else in a record is likely to look like this id."""
    return len(id) >= 8 or (len(id) >= 5 and not id.isdigit())


def _bytes_pattern(texts: Sequence[bytes]) -> re.Pattern[bytes]:
    longest = b"|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))
    return re.compile(rb"(?<![A-Za-z0-9])(?:%b)(?![A-Za-z0-9])" % longest)


def _pattern(names: dict[str, str]) -> tuple[re.Pattern[str] | None, dict[str, str]]:
    if not names:
        return None, names
    longest = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<![^\W_])(?:{longest})(?![^\W_])"), names
