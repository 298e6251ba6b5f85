"""How long is a lane's interval, how much is folded at once, and may a fetch wait? What the clock says of the work decides.

A checkpoint costs the more, the less of what it writes falls together: few records between two of them are written dearly. So it
is made soon while that hardly costs anything, and seldom while there is a backlog to work off, when nobody sees the difference.
"""

from collections.abc import Sequence

from stream.engine.backend import Message

#: What one checkpoint may hold: rows and outputs, and their bytes.
MOST_MESSAGES, MOST_BYTES = 50_000, 32 * 1024 * 1024
#: Records that are folded before it is known what a record brings to a checkpoint.
_FIRST_RECORDS = 500
_MOST_RECORDS = 200_000
#: The share of time that checkpoints may take where there is no backlog, what one takes at the least, and what each of its
#: messages costs those who write and read it (s): some 20 µs for a producer, and as much for whoever merges it.
_SHARE, _LEAST, _MESSAGE = 0.1, 0.005, 0.00002
#: A backlog is more records than this, and than were folded since the last checkpoint.
BACKLOG = 1_000
#: One of so many messages is weighed.
_WEIGHED = 16

#: A fetch that brings fewer records than this costs more than they do: request and answer name each partition (some 25 µs).
SMALL_FETCH = 200
#: So many of those may come at once after a pause, and so many a second for ever.
SMALL_BURST, SMALL_RATE = 25, 25

#: For so long (s) folds may keep the event loop at a time.
TURN = 0.002
#: Records that are folded at once, at least and at most.
FEW, MANY = 8, 2_000


class CheckpointPace:
    """The interval of one lane, between ``shortest`` and ``longest`` (s); ``usual`` is that under a steady load."""

    def __init__(self, shortest: float, usual: float, longest: float) -> None:
        self._shortest = shortest
        self._usual = usual
        self._longest = longest
        self.interval = usual
        self._records = 0  # folded since the last snapshot
        self._most_records = _FIRST_RECORDS

    @property
    def fixed(self) -> bool:
        """Whether the interval is always the same."""
        return self._shortest == self._longest

    def folded(self, records: int) -> bool:
        """Note records that were folded; return whether a checkpoint is to be made now, for it would become too large."""
        self._records += records
        return self._records >= self._most_records

    def taken(self, seconds: float, rows: Sequence[Message], outputs: Sequence[Message], left: int) -> None:
        """Note a snapshot that kept the loop so many seconds, and what it will write; ``left`` records are still to be folded."""
        records, self._records = self._records, 0
        count = len(rows) + len(outputs)
        if left > max(BACKLOG, records):
            self.interval = min(max(self.interval * 2, self._usual), self._longest)
        else:
            self.interval = min(max((seconds + _LEAST + count * _MESSAGE) / _SHARE, self._shortest), self._usual)
        if records and count:
            weighed = (*rows[::_WEIGHED], *outputs[::_WEIGHED])
            size = sum(len(message.value or b"") + len(message.key) for message in weighed) * _WEIGHED
            share = min(MOST_MESSAGES / count, MOST_BYTES / max(size, 1))
            self._most_records = int(min(max(records * share, FEW), _MOST_RECORDS))


class Turn:
    """How many records of a fold take about as long as folds may keep the loop at a time."""

    def __init__(self) -> None:
        self._each: float | None = None  # seconds a record, lately

    @property
    def records(self) -> int:
        """So many at once."""
        return FEW * 8 if self._each is None else int(min(max(TURN / max(self._each, 1e-9), FEW), MANY))

    def took(self, records: int, seconds: float) -> None:
        """Note how long so many took."""
        each = seconds / records
        self._each = each if self._each is None else self._each + (each - self._each) * 0.2


class FetchPace:
    """Whether the broker is to gather what the next fetch brings. What comes now and then, and what follows from it, is not."""

    def __init__(self) -> None:
        self._left: float = SMALL_BURST
        self._at = 0.0

    @property
    def gathers(self) -> bool:
        """Whether there have been too many small fetches lately."""
        return self._left < 1

    def took(self, records: int, now: float) -> None:
        """Note how many records a fetch has brought; ``now`` in seconds."""
        self._left = min(self._left + (now - self._at) * SMALL_RATE, SMALL_BURST)
        self._at = now
        if 0 < records < SMALL_FETCH:
            self._left = max(self._left - 1, 0)
