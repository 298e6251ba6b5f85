"""Which dead letters stand, and how is one sent again exactly once?

What is sent again, and that it was (:class:`models.events.dead_letter.Redrive`), is one transaction. A letter that comes
back keeps its id, and stands again; one that does not is done with.
"""

import contextlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

from models.events.dead_letter import DeadLetter, Redrive, decode, decode_redrive
from stream.engine.address import address
from stream.engine.backend import Message, Superseded
from stream.engine.on_kafka import backend_of
from stream.engine.options import EngineOptions, wall_clock
from stream.engine.topics import partition_for

#: Records of the topic that are read at once.
_BLOCK = 1_000
#: Letters that are sent again in one transaction.
_BATCH = 100


class FoundLetter(NamedTuple):
    """A record of ``dead-letters``: its offset, and the letter, or that one was sent again."""

    offset: int
    said: DeadLetter | Redrive


def read(
    options: EngineOptions, damaged: Callable[[str], None] = lambda text: None, end: int | None = None
) -> Iterator[FoundLetter]:
    """Yield what is on ``dead-letters`` at the call (below ``end``), oldest first; ``damaged`` is told of what is neither.

    Raise ``KafkaException`` where the broker does not answer. What is written meanwhile is left out.
    """
    topic = options.physical("dead-letters")
    with contextlib.closing(backend_of(options).log(options, "dead-letters")) as log:
        at, stop = log.bounds()
        if end is not None:
            stop = min(end, stop)
        while at < stop:
            until = min(at + _BLOCK, stop)
            for offset, value in log.block(at, until):
                if value is not None:
                    try:
                        yield FoundLetter(offset, decode_redrive(value) or decode(value))
                    except ValueError as problem:  # somebody else has written it
                        damaged(f"{topic}, offset {offset}: {problem}")
            at = until


def standing(options: EngineOptions, damaged: Callable[[str], None] = lambda text: None) -> Iterator[DeadLetter]:
    """Yield each letter that was not sent again since it last came, once, in the order in which they last came.

    The topic is read twice, so that letters need not be held: they may be many and large.
    """
    last: dict[tuple[str, str], int] = {}
    sent: dict[tuple[str, str], int] = {}
    end = 0
    for offset, said in read(options, damaged):
        if isinstance(said, Redrive):
            of = said.redriven, said.sha256
            sent[of] = max(sent.get(of, 0), said.number)
        else:
            last[said.id, said.sha256] = offset
        end = offset + 1
    if not last:
        return
    for offset, said in read(options, end=end):
        if isinstance(said, DeadLetter):
            of = said.id, said.sha256
            if last[of] == offset and said.redrives >= sent.get(of, 0):
                yield said


class AnotherRedrive(RuntimeError):
    """Somebody else has begun to send dead letters again: what was not committed here was not sent."""


class Redriver:
    """Sends letters again in transactions. A context manager: what is not committed at its end is not sent.

    To be opened before the letters are read: it ends whoever does the same, so that nobody sends what another has sent.
    """

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self.sent = self._waiting = 0
        with _one_at_a_time():
            self._transaction = backend_of(options).transaction(options, "redrive")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.commit()
        elif kind is not AnotherRedrive:
            self._transaction.abort()

    def send(self, topic: str, key: bytes, value: bytes | None, headers: list[tuple[str, bytes | None]] | None = None) -> None:
        """Write one record in the transaction under way."""
        partition = partition_for(key, self._options.partitions_of(topic))
        with _one_at_a_time():
            self._transaction.write(Message(self._options.physical(topic), value, key, partition, headers or ()))

    def publish(self, value: bytes) -> None:
        """Write one event in structured mode."""
        self.send(*address(value), value)

    def done(self, letter: DeadLetter) -> None:
        """All that is to be sent of the letter was: write that down."""
        said = Redrive(redriven=letter.id, sha256=letter.sha256, number=letter.redrives + 1, at=wall_clock())
        self.send("dead-letters", letter.id.encode(), said.encode())
        self._waiting += 1
        if self._waiting >= _BATCH:
            self.commit()

    def commit(self) -> None:
        """Make all that was written visible, or nothing of it."""
        with _one_at_a_time():
            self._transaction.commit()
        self.sent, self._waiting = self.sent + self._waiting, 0


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    try:
        yield
    except Superseded:
        raise AnotherRedrive(
            "another `vigie dead-letters redrive` has begun; see what is left: vigie dead-letters list"
        ) from None
