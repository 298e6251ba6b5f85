"""Who has asked, through a CRM, that somebody is erased? Kept on a topic until it is done; then the id is gone from it too."""

from collections.abc import Iterable

import msgspec

from models.privacy.subject import Subject
from models.privacy.traces import ANONYMOUS

TOPIC = "erasure-requests"


class ErasureRequest(msgspec.Struct, frozen=True):
    """One request: who is meant, the source that said so, and when it came (RFC 3339)."""

    kind: str
    id: str
    by: str
    at: str

    def encode(self) -> bytes:
        """Return its record's value."""
        return msgspec.json.encode(self)


_decode = msgspec.json.Decoder(ErasureRequest).decode


def waiting(values: Iterable[bytes | None]) -> list[ErasureRequest]:
    """Return the requests that nobody has carried out yet, each person once, the oldest first."""
    found: dict[Subject, ErasureRequest] = {}
    for value in values:
        try:
            request = _decode(value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if request.id and not request.id.startswith(ANONYMOUS):
            found.setdefault(Subject(request.kind, request.id), request)
    return list(found.values())
