"""What is kept of a record that could not be used, so that people can see why and send it again?"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from models.events.refused import Reason, Refused
from models.fold import Record

#: Up to this many bytes, a value is kept whole; of a larger one its beginning, size and digest.
VALUE_KEPT = 65_536
KEY_KEPT = 4_096
HEADERS_KEPT = 16_384
DETAIL_KEPT = 2_000
#: The header that counts how often a record has been sent again.
REDRIVES = "vigie_redrives"


class NotRedrivable(ValueError):
    """The dead letter does not hold the whole record."""


class Redriven(NamedTuple):
    """A record to be sent again; ``topic`` as in the dead letter."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record of the topic ``dead-letters``: JSON, bytes in base64, times in epoch milliseconds.

    ``size`` and ``sha256`` are those of the original value; ``cut`` names the parts that were too large to be kept whole.
    """

    reason: Reason
    detail: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    first_seen: int
    key: bytes | None = None
    value: bytes | None = None
    headers: list[tuple[str, bytes | None]] = []
    size: int = 0
    sha256: str = ""
    cut: list[str] = []

    @property
    def id(self) -> str:
        """Return where the record was found: the same record always has the same id."""
        return f"{self.topic}-{self.partition}-{self.offset}"

    @property
    def redrives(self) -> int:
        """Return how often the record had been sent again before."""
        return _redrives(self.headers)

    def encode(self) -> bytes:
        """Return the record's value on ``dead-letters``."""
        return msgspec.json.encode(self)

    def redrive(self) -> Redriven:
        """Return the original record with one more redrive counted; raise NotRedrivable where it was not kept whole."""
        if self.cut:
            where = f"{self.topic}, partition {self.partition}, offset {self.offset}"
            raise NotRedrivable(
                f"{self.id}: {', '.join(self.cut)} too large to be kept whole ({self.size} bytes, sha256 {self.sha256}); "
                f"the original is at {where} for as long as the broker keeps it"
            )
        headers = [header for header in self.headers if header[0] != REDRIVES]
        headers.append((REDRIVES, str(self.redrives + 1).encode()))
        return Redriven(self.topic, self.key, self.value, headers)


_decode = msgspec.json.Decoder(DeadLetter).decode


def dead_letter(record: Record, refused: Refused, first_seen: int, *, topic: str | None = None) -> DeadLetter:
    """Return the dead letter of a record.

    ``first_seen`` is when it was refused, in epoch milliseconds; ``topic`` replaces the record's, as where the installation's
    prefix is to be left out.
    """
    cut: list[str] = []
    value = record.value
    size = 0 if value is None else len(value)
    digest = "" if value is None else hashlib.sha256(value).hexdigest()
    if value is not None and size > VALUE_KEPT:
        cut.append("value")
        value = bytes(value[:VALUE_KEPT])
    key = record.key
    if key is not None and len(key) > KEY_KEPT:
        cut.append("key")
        key = bytes(key[:KEY_KEPT])
    headers = _kept(record.headers)
    if len(headers) < len(record.headers):
        cut.append("headers")
    return DeadLetter(
        reason=refused.reason,
        detail=refused.detail[:DETAIL_KEPT].encode(errors="replace").decode(),
        topic=record.topic if topic is None else topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        first_seen=first_seen,
        key=key,
        value=value,
        headers=headers,
        size=size,
        sha256=digest,
        cut=cut,
    )


def decode(value: bytes) -> DeadLetter:
    """Read a record's value of ``dead-letters``; raise ValueError with what is wrong."""
    try:
        return _decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"dead letter: {error}") from None


def _kept(headers: Sequence[tuple[str, bytes | None]]) -> list[tuple[str, bytes | None]]:
    kept: list[tuple[str, bytes | None]] = []
    room = HEADERS_KEPT
    for name, content in headers:
        room -= len(name) + len(content or b"")  # Kafka's headers may be null
        if room < 0:
            break
        kept.append((name, content))
    return kept


def _redrives(headers: Sequence[tuple[str, bytes | None]]) -> int:
    for name, content in headers:
        if name == REDRIVES and content is not None and content.isdigit() and len(content) < 10:
            return int(content)
    return 0
