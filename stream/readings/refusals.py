"""How many events of some types could not be used lately, and why? Counted on ``dead-letters``."""

import contextlib
from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

import orjson

from models.events.dead_letter import DeadLetter, decode, decode_redrive
from stream.engine.on_kafka import backend_of
from stream.engine.options import EngineOptions

#: So many records are looked at, the newest, and so many at a time.
MOST = 20_000
_BLOCK = 2_000
#: What is told of records that say no type.
UNREADABLE = ""


class RefusalCounts(NamedTuple):
    """How many of each type were refused for each reason; ``whole``: whether all since then were looked at."""

    counts: dict[str, dict[str, int]]
    whole: bool


def refusals(options: EngineOptions, types: Collection[str], topics: Collection[str], since: int) -> RefusalCounts:
    """Return the refused events of these types, and the records of these topics that say none, that came since (epoch ms).

    Those that were sent again and used since are out of it. Blocks. Raise ``KafkaException`` where the broker does not answer.
    """
    standing: dict[str, tuple[str, str]] = {}
    with contextlib.closing(backend_of(options).log(options, "dead-letters")) as log:
        first, end = log.bounds()
        least = at = max(first, end - MOST)
        while at < end:
            stop = min(at + _BLOCK, end)
            for _, value in log.block(at, stop):
                if value is not None:
                    _take(value, standing, types, topics, since)
            at = stop
    counts: dict[str, Counter[str]] = {}
    for kind, reason in standing.values():
        counts.setdefault(kind, Counter())[reason] += 1
    return RefusalCounts({kind: dict(sorted(found.items())) for kind, found in sorted(counts.items())}, least == first)


def _take(
    value: bytes, standing: dict[str, tuple[str, str]], types: Collection[str], topics: Collection[str], since: int
) -> None:
    again = decode_redrive(value)
    if again is not None:
        standing.pop(again.redriven, None)
        return
    try:
        letter = decode(value)
    except ValueError:  # somebody else has written it
        return
    kind = _type(letter)
    if letter.timestamp >= since and (kind in types if kind else letter.topic in topics):
        standing[letter.id] = kind, str(letter.reason)


def _type(letter: DeadLetter) -> str:
    """Return the type that a record says to be of."""
    for name, content in letter.headers:
        if name == "ce_type" and content:
            return content.decode(errors="replace")
    try:
        event: Any = orjson.loads(letter.value or b"")
    except ValueError:
        return UNREADABLE
    kind = event.get("type") if isinstance(event, dict) else None
    return kind if isinstance(kind, str) else UNREADABLE
