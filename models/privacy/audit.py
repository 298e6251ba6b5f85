"""Who read what of persons, and who acted? A log of which no line can be changed or taken out without that showing.

Each start of a process that serves begins a chain: every entry has the hash of the one before, and the first one that of the last
entry of all that there was then. So whoever changes or removes one has to change all that follow. What cannot be seen from within
is an end that was cut off: hence :func:`verify` says where each chain stands, to be noted elsewhere.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

#: The topic.
TOPIC = "audit"
#: What the first entry of a chain says: what it is keyed with.
BEGINS = "chain begun"
#: Names and paths are not longer.
_LONGEST = 200


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, tag="audit", tag_field="type"):
    """One line. ``of`` is the keyed hash of an id (hex), no id; ``hash`` that of all the other fields."""

    chain: str
    number: int
    at: str
    by: str
    what: str  # such as "GET /api/deals/{id}"
    before: str  # the hash of the entry before
    via: str = ""  # the address that asked, or "session"
    status: int = 0
    of: str = ""
    key: str = ""  # of a chain's first entry: what ids are hashed with in it
    hash: str = ""


_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(Entry).decode


def hash_of(entry: Entry) -> str:
    """Return the hash that an entry must have (SHA-256 of its other fields, hex)."""
    return hashlib.sha256(_encode(msgspec.structs.replace(entry, hash=""))).hexdigest()


def encode(entry: Entry) -> bytes:
    """Return the record of an entry."""
    return _encode(entry)


def read(value: bytes | None) -> Entry | None:
    """Return the entry of a record; None where it is none."""
    try:
        return _decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


class Chain:
    """One chain, as it goes on."""

    def __init__(self, first: Entry, last: Entry) -> None:
        self.last = last
        self._key = bytes.fromhex(first.key)

    @classmethod
    def begin(cls, at: str, by: str, after: str = "") -> "Chain":
        """Begin a new one: its first entry is :attr:`last`. ``by`` is the process, ``after`` the last entry's hash."""
        key = secrets.token_hex(32)
        entry = Entry(chain=secrets.token_hex(8), number=0, at=at, by=by[:_LONGEST], what=BEGINS, before=after, key=key)
        entry = msgspec.structs.replace(entry, hash=hash_of(entry))
        return cls(entry, entry)

    def of(self, kind: str, id: str) -> str:
        """Return the keyed hash of an id."""
        return keyed(self._key, kind, id)

    def next(self, at: str, by: str, what: str, *, via: str = "", status: int = 0, of: str = "") -> Entry:
        """Return the entry that follows; it counts once it is set as :attr:`last`."""
        last = self.last
        entry = Entry(
            chain=last.chain, number=last.number + 1, at=at, by=by[:_LONGEST], what=what[:_LONGEST], before=last.hash,
            via=via[:_LONGEST], status=status, of=of,
        )  # fmt: skip
        return msgspec.structs.replace(entry, hash=hash_of(entry))


def keyed(key: bytes, kind: str, id: str) -> str:
    """Return what stands for an id in a chain."""
    return hmac.digest(key, f"{kind}\0{id}".encode("utf-8", "surrogatepass"), "sha256").hex()[:32]


class Stand(NamedTuple):
    """Where a chain stands: how many entries there are, the last one's number and hash, and what is wrong with it."""

    by: str
    entries: int
    number: int
    hash: str
    wrong: list[str]


def verify(records: Iterable[bytes | None], *, whole: bool = True) -> dict[str, Stand]:
    """Return the stand of each chain, in the order of their beginnings.

    Records must come in the order of the log; ``whole`` says that none has gone by age: else a chain begins with what is there.
    An entry that comes twice, the same, was written twice and counts once.
    """
    last: dict[str, Entry] = {}
    found: dict[str, Stand] = {}
    seen: set[str] = set()
    for place, value in enumerate(records):
        entry = read(value)
        if entry is None:
            found.setdefault("", Stand("", 0, -1, "", [])).wrong.append(f"record {place} is no entry")
            continue
        stand = found.get(entry.chain) or Stand(entry.by if entry.what == BEGINS else "", 0, -1, "", [])
        before = last.get(entry.chain)
        if before == entry:
            continue
        if hash_of(entry) != entry.hash:
            stand.wrong.append(f"entry {entry.number} is not what was written")
        if before is not None and entry.number != before.number + 1:
            stand.wrong.append(f"entry {entry.number} follows {before.number}")
        elif before is not None and entry.before != before.hash:
            stand.wrong.append(f"entry {entry.number} does not follow the one before it")
        elif before is None and entry.number == 0 and entry.before and seen and entry.before not in seen:
            stand.wrong.append("what was last before it is missing")
        elif before is None and entry.number and whole:
            stand.wrong.append(f"begins with entry {entry.number}")
        seen.add(entry.hash)
        last[entry.chain] = entry
        found[entry.chain] = Stand(stand.by, stand.entries + 1, entry.number, entry.hash, stand.wrong)
    return found


def about(records: Iterable[bytes | None], kind: str = "", id: str = "") -> Iterator[Mapping[str, Any]]:
    """Yield the entries in words, those of one id where it is given (chains whose beginning is gone cannot tell)."""
    keys: dict[str, bytes] = {}
    for value in records:
        entry = read(value)
        if entry is None:
            continue
        if entry.key:
            keys[entry.chain] = bytes.fromhex(entry.key)
        if id and (entry.chain not in keys or entry.of != keyed(keys[entry.chain], kind, id)):
            continue
        yield {"at": entry.at, "by": entry.by, "what": entry.what, "via": entry.via, "status": entry.status}
