"""How is a batch read in which a producer has named a header in something that is not UTF-8?

Kafka says that names are UTF-8 and does not look; aiokafka raises in the middle of the batch, each time it is fetched, so that
one such record would end every worker for ever. Batches are read as fast as ever, and only one that cannot be is read again, with
what is not UTF-8 written out (``\\\\xff``).
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords


class Batches:
    """aiokafka's ``MemoryRecords``, with the bytes at hand: ``raw`` is a fetch, ``start`` where the present batch begins."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.start = self._next = 0
        self._records: Any = MemoryRecords(raw)

    def size_in_bytes(self) -> int:
        """The size of all batches."""
        return len(self.raw)

    def has_next(self) -> bool:
        """Whether there is a whole further batch."""
        return bool(self._records.has_next())

    def next_batch(self) -> Any:
        """The next batch."""
        self.start = self._next
        self._next += 12 + int.from_bytes(self.raw[self.start + 8 : self.start + 12], "big")
        return self._records.next_batch()

    @property
    def end(self) -> int:
        """The offset after the present batch, records of it that were compacted away included."""
        return int(DefaultRecordBatch(self.raw[self.start : self._next]).next_offset)

    def again(self) -> Iterator[Any]:
        """The records of the present batch, header names that are not UTF-8 written out."""
        batch = _DefaultRecordBatchPy(self.raw[self.start : self._next])
        batch._maybe_uncompress()
        batch._buffer = _Lenient(batch._buffer)
        yield from batch


class _Lenient(bytearray):
    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return _Lenient(found) if isinstance(index, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace")


def all_of(records: Any) -> list[Any]:
    """All records of a fetch (aiokafka's ``PartitionRecords``), whatever their headers are called."""
    found: list[Any] = []
    while True:
        try:
            found.extend(records)  # on an error, what came before it stays
            return found
        except UnicodeDecodeError:
            for record in records._records.again():
                if record.offset >= records.next_fetch_offset:
                    found.append(records._consumer_record(records._tp, record))
            records.next_fetch_offset = records._records.end
            records._records_iterator = records._unpack_records()


fetcher.MemoryRecords = Batches
