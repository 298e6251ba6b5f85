"""What is handed to a fold at once, and under which ownership?

One *chunk* is what a fetch brought for one partition, with the position before it (``start``) and the position after it
(``end``). Both are the fetch positions of the client, not offsets of records: what lies between and is no record
(transaction markers, aborted and compacted records) is accounted for. A fold takes a chunk only if it begins where its
state ends, so a chunk that was under way during a seek or a rebalance can't slip in, and none can be skipped.
"""

from typing import NamedTuple

from models.fold import Record

#: Records of one chunk; folds take it piece by piece (``pace.py``).
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


def cut(chunk: Chunk, most: int) -> tuple[Chunk, Chunk | None]:
    """The first at most ``most`` records of a chunk as one, and what follows them, if anything."""
    if len(chunk.records) <= most:
        return chunk, None
    first = chunk.records[:most]
    end = first[-1].offset + 1
    return Chunk(chunk.start, end, first), Chunk(end, chunk.end, chunk.records[most:])


def split(chunk: Chunk, most: int) -> list[Chunk]:
    """The same records in chunks of at most ``most``; the chain start → end stays whole."""
    pieces = []
    left: Chunk | None = chunk
    while left is not None:
        piece, left = cut(left, most)
        pieces.append(piece)
    return pieces
