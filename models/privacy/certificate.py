"""What is kept of an erasure: when, by whom, why, where somebody was found, and when it was gone. Nothing of who it was."""

import msgspec

TOPIC = "erasures"
#: The key under which the installation's salt is kept.
SALT = b"salt"
#: The key under which is kept what is under way on a Kafka.
WORK = b"work"
#: The form of what an operator may say of why.
WHY = 200


class Certificate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One erasure, on the topic ``erasures``. Times are RFC 3339.

    ``hashes`` are those under which the person is remembered (keyed, `models/privacy/refusals.py`); ``known_as`` counts the ids
    by kind, ``found`` records and rows by where they were. ``gone`` is when the last byte was, None while that is under way;
    ``left`` names what is not in Vigie's hands.
    """

    id: str
    kind: str
    hashes: list[str]
    outcome: str  # erased | nothing held
    asked: str
    by: str
    why: str = ""
    known_as: dict[str, int] = {}
    found: dict[str, int] = {}
    erased: str = ""
    gone: str | None = None
    left: list[str] = []

    def encode(self) -> bytes:
        """Return its record's value."""
        return msgspec.json.encode(self)


decode = msgspec.json.Decoder(Certificate).decode
