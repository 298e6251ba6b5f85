"""What is handed to a fold at once, and under which ownership?

One *chunk* is what a fetch brought for one partition, with the position before it (``start``) and the position after it
(``end``). Both are the fetch positions of the client, not offsets of records: what lies between and is no record
(transaction markers, aborted and compacted records) is accounted for. A fold takes a chunk only if it begins where its
state ends, so a chunk that was under way during a seek or a rebalance can't slip in, and none can be skipped.
"""

from typing import NamedTuple

from models.fold import Record

#: Records of one chunk: bounds how long a fold keeps the event loop (2,000 × 5 µs = 10 ms).
MAX_RECORDS = 2_000


class Chunk(NamedTuple):
    """Consecutive records of one partition: all that the log holds from ``start`` up to, not including, ``end``."""

    start: int
    end: int
    records: list[Record]


class Ownership(NamedTuple):
    """Under which generation of the group, and as which member, partitions are owned: the fencing token."""

    generation: int
    member: str
    group: str


def split(chunk: Chunk, most: int) -> list[Chunk]:
    """The same records in chunks of at most ``most``; the chain start → end stays whole."""
    if len(chunk.records) <= most:
        return [chunk]
    pieces = []
    start = chunk.start
    for first in range(0, len(chunk.records), most):
        records = chunk.records[first : first + most]
        last = first + most >= len(chunk.records)
        end = chunk.end if last else records[-1].offset + 1
        pieces.append(Chunk(start, end, records))
        start = end
    return pieces
