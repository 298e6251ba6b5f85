"""What is kept of a record that could not be used, so that people can see why and send it again?"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from xxhash import xxh3_64_intdigest

from models.events.refused import Reason, Refused
from models.fold import Record

#: Up to this many bytes, a value is kept whole; of a larger one its beginning, size and digest.
VALUE_KEPT = 65_536
KEY_KEPT = 4_096
HEADERS_KEPT = 16_384
_ID = re.compile(r"[A-Za-z0-9._-]{1,300}-\d{1,10}-\d{1,20}", re.ASCII)
DETAIL_KEPT = 2_000
#: The headers that count how often a record has been sent again, and name the dead letter that it was sent from.
REDRIVES, LETTER = "vigie_redrives", "vigie_letter"
#: What has come back so often is not sent again without being asked for by name.
MOST_REDRIVES = 5


class NotRedrivable(ValueError):
    """The dead letter does not hold the whole record, or has been sent again too often."""


class Redriven(NamedTuple):
    """A record to be sent again; ``topic`` as in the dead letter."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record of the topic ``dead-letters``: JSON, bytes in base64, times in epoch milliseconds.

    ``size`` and ``sha256`` are those of the original value; ``cut`` names the parts that were too large to be kept whole.
    ``letter`` is the id of the dead letter that a redriven record was sent from: it keeps it. ``taken`` are digests of the ids of
    the events of a request (of webhooks or trackers) that could be used.
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
    letter: str = ""
    taken: list[int] = []

    @property
    def id(self) -> str:
        """Return where the record was first found: the same record always has the same id, however often it is sent again."""
        return self.letter or f"{self.topic}-{self.partition}-{self.offset}"

    @property
    def redrives(self) -> int:
        """Return how often the record had been sent again before."""
        return _redrives(self.headers)

    def encode(self) -> bytes:
        """Return the record's value on ``dead-letters``."""
        return msgspec.json.encode(self)

    def had(self, event_id: str) -> bool:
        """Whether the event of a request could be used when it came, or was sent again since."""
        return xxh3_64_intdigest(event_id.encode()) in self.taken

    def redrive(self, *, force: bool = False) -> Redriven:
        """Return the original record with one more redrive counted.

        Raise :class:`NotRedrivable` where it was not kept whole, or has come back :data:`MOST_REDRIVES` times, unless forced.
        """
        if self.redrives >= MOST_REDRIVES and not force:
            again = f"sent again {self.redrives} times, and refused each time"
            raise NotRedrivable(f"{self.id}: {again}; once more with its id and --force")
        if self.cut:
            where = f"{self.topic}, partition {self.partition}, offset {self.offset}"
            raise NotRedrivable(
                f"{self.id}: {', '.join(self.cut)} too large to be kept whole ({self.size} bytes, sha256 {self.sha256}); "
                f"the original is at {where} for as long as the broker keeps it"
            )
        return Redriven(self.topic, self.key, self.value, self._once_more())

    def _once_more(self) -> list[tuple[str, bytes | None]]:
        headers = [header for header in self.headers if header[0] not in (REDRIVES, LETTER)]
        return [*headers, (REDRIVES, str(self.redrives + 1).encode()), (LETTER, self.id.encode())]

    def left(self, taken: Iterable[str], refused: Refused, now: int) -> "DeadLetter":
        """Return what is left of a request of which these events (ids) were sent again, and others still cannot be used."""
        digests = dict.fromkeys([*self.taken, *(xxh3_64_intdigest(event_id.encode()) for event_id in taken)])
        return msgspec.structs.replace(
            self,
            reason=refused.reason,
            detail=refused.detail[:DETAIL_KEPT],
            headers=self._once_more(),
            taken=list(digests),
            letter=self.id,
            first_seen=now,
        )


class Redrive(msgspec.Struct, frozen=True, kw_only=True):
    """That a dead letter was sent again: written to ``dead-letters`` in the transaction that sent it.

    ``number`` counts from 1; ``at`` is in epoch milliseconds. A letter stands if it came back as often as it was sent again.
    """

    redriven: str
    sha256: str
    number: int
    at: int

    def encode(self) -> bytes:
        """Return the record's value on ``dead-letters``."""
        return msgspec.json.encode(self)


_decode = msgspec.json.Decoder(DeadLetter).decode
_decode_redrive = msgspec.json.Decoder(Redrive).decode


def dead_letter(
    record: Record, refused: Refused, first_seen: int, *, topic: str | None = None, taken: Iterable[str] = ()
) -> DeadLetter:
    """Return the dead letter of a record.

    ``first_seen`` is when it was refused, in epoch milliseconds; ``topic`` replaces the record's, as where the installation's
    prefix is to be left out; ``taken`` are the ids of a request's events that could be used.
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
        letter=_letter(record.headers),
        taken=[xxh3_64_intdigest(event_id.encode()) for event_id in taken],
    )


def decode(value: bytes) -> DeadLetter:
    """Read a record's value of ``dead-letters``; raise ValueError with what is wrong."""
    try:
        return _decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"dead letter: {error}") from None


def decode_redrive(value: bytes) -> Redrive | None:
    """Return what says that a letter was sent again, None where the value says anything else."""
    try:
        return _decode_redrive(value)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _letter(headers: Sequence[tuple[str, bytes | None]]) -> str:
    """Return the id of the letter that a record was sent again from; empty where it was not."""
    for name, content in headers:
        if name == LETTER and content is not None:
            text = content[:KEY_KEPT].decode("ascii", "replace")
            return text if _ID.fullmatch(text) and _redrives(headers) else ""
    return ""


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
