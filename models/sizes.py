"""Does all that a fold reads and writes fit into its topics? The first look at a record, and the last before a transaction.

Folds bound what they keep and say, each in its own way. What is too large all the same (a record that somebody else wrote to an
inner topic, a pane of a million different amounts) is told as a dead letter: with it no transaction could ever be committed, and
the worker would stop at the same record after each restart.
"""

from collections.abc import Sequence

from xxhash import xxh3_64_intdigest

from models.events.dead_letter import dead_letter
from models.events.refused import Reason, Refused
from models.fold import LARGEST_ROW, Changes, Output, Record, Row

LETTERS = "dead-letters"
#: Nothing that a fold hears of one deal, one alert or one message is larger (bytes): what it keeps of it then fits into a row.
#: Events have a limit of their own (``models/events/decode.py``).
LARGEST_RECORD = 1024 * 1024
_TOLD = frozenset(
    ("alerts", "outbox", "readings", "findings", "deal-states", "lead-states", "predictions", "lead-predictions", "beats")
)


class Sizes:
    """What one partition of one fold may read and write. What cannot be written is told once, until it fits again."""

    __slots__ = ("_fold", "_letters", "_partition", "_told")

    def __init__(self, fold: str, partition: int) -> None:
        self._fold = fold
        self._partition = partition
        self._told: set[int] = set()
        self._letters: list[Output] = []

    def take(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return the records that the fold may have; the others become dead letters, which :meth:`fit` hands over."""
        if not records or records[0].topic not in _TOLD or not any(map(_is_beyond, records)):
            return records
        for record in filter(_is_beyond, records):
            said = f"{record.topic}: key and value have {_size(record)} bytes, accepted are {LARGEST_RECORD}"
            letter = dead_letter(record, Refused(Reason.TOO_LARGE, said), record.timestamp)
            self._letters.append(Output(LETTERS, letter.id.encode(), letter.encode()))
        return [record for record in records if not _is_beyond(record)]

    def fit(self, changes: Changes, now: int) -> tuple[Changes, list[str]]:
        """Return what can be written, and what could not be, in words; ``now`` in epoch milliseconds.

        Of a row that is left out the last one that fitted stays in the changelog; an output is not sent.
        """
        rows, outputs = changes
        if self._letters:
            outputs, self._letters = [*outputs, *self._letters], []
            changes = Changes(rows, outputs)
        if not self._told and not any(map(_is_large, rows)) and not any(map(_is_large, outputs)):
            return changes, []
        letters: list[Output] = []
        told: list[str] = []
        kept_rows = [row for row in rows if self._fits(row, f"row of {self._fold}", self._fold, now, letters, told)]
        kept = [o for o in outputs if self._fits(o, f"output of {self._fold} for {o.topic}", o.topic, now, letters, told)]
        return Changes(kept_rows, kept + letters), told

    def _fits(self, what: Row | Output, name: str, topic: str, now: int, letters: list[Output], told: list[str]) -> bool:
        digest = xxh3_64_intdigest(b"%b|%b" % (name.encode(), what.key))
        if not _is_large(what):
            self._told.discard(digest)
            return True
        if digest not in self._told:
            self._told.add(digest)
            said = f"{name}, partition {self._partition}: {_size(what)} bytes, accepted are {LARGEST_ROW}"
            record = Record(topic, self._partition, digest, now, what.key, what.value, ())
            letter = dead_letter(record, Refused(Reason.TOO_LARGE, f"{said}; what was written under its key before stands"), now)
            letters.append(Output(LETTERS, letter.id.encode(), letter.encode()))
            told.append(f"{said}: {what.key[:200]!r}")
        return False


def _size(what: Row | Output | Record) -> int:
    return len(what.key or b"") + len(what.value or b"")


def _is_large(what: Row | Output) -> bool:
    return _size(what) > LARGEST_ROW


def _is_beyond(record: Record) -> bool:
    return _size(record) > LARGEST_RECORD
