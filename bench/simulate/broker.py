"""What does a Kafka promise, and what not? Topics, transactions and one consumer group, in memory, on the simulated loop.

Each method is one moment at the broker. Who asks, and how long asking takes, is ``clients.py``. As on Kafka the end of a
transaction is decided at once and written to each partition some time later; until then who reads what is committed stops there.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from typing import Any, NamedTuple

from stream.engine.backend import Message
from stream.engine.chunks import Ownership

Partition = tuple[str, int]


class Refusal(Exception):
    """The broker's answer is no. ``code`` is one of librdkafka's names."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Busy(Exception):
    """Not yet: the end of the transaction before is still being written. Ask again."""


class Transaction:
    """Of one producer; ``end`` is how it was decided."""

    __slots__ = ("begins", "end", "offsets", "unwritten")

    def __init__(self) -> None:
        self.begins: dict[Partition, int] = {}  # its first offset
        self.offsets: dict[Partition, int] = {}
        self.end: bool | None = None
        self.unwritten: set[Partition] = set()


class Entry(NamedTuple):
    """One offset of a log: a record, or the mark at the end of a transaction (``message`` None)."""

    message: Message | None
    transaction: Transaction | None


class Producing:
    """What the coordinator knows of a transactional id."""

    __slots__ = ("epoch", "under_way")

    def __init__(self) -> None:
        self.epoch = -1
        self.under_way: Transaction | None = None


class Log:
    """One partition. ``stable`` is the offset below which all transactions have ended."""

    __slots__ = ("entries", "open")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.open: dict[Transaction, int] = {}

    @property
    def end(self) -> int:
        """The high watermark."""
        return len(self.entries)

    @property
    def stable(self) -> int:
        """The last stable offset."""
        return min(self.open.values(), default=len(self.entries))

    def read(self, start: int, most: int) -> tuple[int, list[tuple[int, Message]]]:
        """Return what is committed from an offset on, and where that ends: at most so many records."""
        at = start
        found: list[tuple[int, Message]] = []
        end = self.stable
        while at < end and len(found) < most:
            message, transaction = self.entries[at]
            if message is not None and (transaction is None or transaction.end):
                found.append((at, message))
            at += 1
        return at, found


class Member:
    """Of the group; ``joining`` is told its generation and partitions."""

    __slots__ = ("deadline", "joining")

    def __init__(self) -> None:
        self.deadline = 0.0
        self.joining: Any = None


class Broker:
    """Topics, whose ``partitions`` the group's members share. ``timeout`` is that of transactions; both are in seconds."""

    def __init__(
        self, loop: Any, dice: random.Random, partitions: Sequence[Partition], *, timeout: float, session: float
    ) -> None:
        self._loop = loop
        self._context = Context()  # what it does belongs to no process
        self._dice = dice
        self._timeout = timeout
        self._session = session
        self._partitions = sorted(partitions)
        self.logs: defaultdict[Partition, Log] = defaultdict(Log)
        self.producers: defaultdict[str, Producing] = defaultdict(Producing)
        self.committed: dict[Partition, int] = {}
        self.generation = 0
        self.members: dict[str, Member] = {}
        self.rebalancing = False
        self._joined = 0
        self._round = 0
        self._changes: list[Any] = []

    def _later(self, seconds: float, call: Callable[..., object], *arguments: Any) -> None:
        self._loop.call_later(seconds, call, *arguments, context=self._context)

    # --- records ------------------------------------------------------------------------------------------------------

    def publish(self, message: Message) -> None:
        """Append a record outside of any transaction."""
        self.logs[message.topic, message.partition].entries.append(Entry(message, None))
        self._grown()

    def grows(self, call: Any) -> None:
        """Call this once, at the next change of any log."""
        self._changes.append(call)

    def _grown(self) -> None:
        changes, self._changes = self._changes, []
        for call in changes:
            call()

    # --- transactions -------------------------------------------------------------------------------------------------

    def init(self, name: str) -> int:
        """Register a producer: whoever had the name before is fenced, and its transaction aborted. Return the epoch."""
        producing = self.producers[name]
        if producing.under_way is not None:
            if producing.under_way.end is None:
                producing.epoch += 1
                self._decide(producing, False)
            raise Busy
        producing.epoch += 1
        return producing.epoch

    def _producing(self, name: str, epoch: int) -> Producing:
        producing = self.producers[name]
        if producing.epoch != epoch:
            raise Refusal("_FENCED")
        if producing.under_way is not None and producing.under_way.end is not None:
            raise Busy
        return producing

    def _transaction(self, producing: Producing) -> Transaction:
        found = producing.under_way
        if found is None:
            found = producing.under_way = Transaction()
            self._later(self._timeout, self._overdue, producing, found)
        return found

    def append(self, name: str, epoch: int, messages: Sequence[Message]) -> int:
        """Append records of one partition in the producer's transaction; return the offset after the last."""
        transaction = self._transaction(self._producing(name, epoch))
        where = (messages[0].topic, messages[0].partition)
        log = self.logs[where]
        transaction.begins.setdefault(where, log.end)
        log.open.setdefault(transaction, log.end)
        log.entries.extend(Entry(message, transaction) for message in messages)
        self._grown()
        return log.end

    def offsets(self, name: str, epoch: int, positions: Iterable[tuple[str, int, int]], token: Ownership) -> None:
        """Take positions into the transaction, if the group knows the token."""
        transaction = self._transaction(self._producing(name, epoch))
        if token.member not in self.members:
            raise Refusal("UNKNOWN_MEMBER_ID")
        if token.generation != self.generation:
            raise Refusal("ILLEGAL_GENERATION")
        transaction.offsets.update({(topic, partition): offset for topic, partition, offset in positions})

    def finish(self, name: str, epoch: int, committed: bool) -> None:
        """Decide how the transaction ends."""
        producing = self._producing(name, epoch)
        if producing.under_way is not None:
            self._decide(producing, committed)

    def _overdue(self, producing: Producing, transaction: Transaction) -> None:
        if producing.under_way is transaction and transaction.end is None:
            producing.epoch += 1
            self._decide(producing, False)

    def _decide(self, producing: Producing, committed: bool) -> None:
        transaction = producing.under_way
        assert transaction is not None
        transaction.end = committed
        transaction.unwritten = set(transaction.begins)
        if not transaction.begins:
            self._ended(producing, transaction)
        for where in transaction.begins:
            self._later(self._dice.expovariate(200), self._mark, producing, transaction, where)

    def _mark(self, producing: Producing, transaction: Transaction, where: Partition) -> None:
        log = self.logs[where]
        log.entries.append(Entry(None, transaction))
        del log.open[transaction]
        transaction.unwritten.discard(where)
        if not transaction.unwritten:
            self._ended(producing, transaction)
        self._grown()

    def _ended(self, producing: Producing, transaction: Transaction) -> None:
        if transaction.end:
            self.committed.update(transaction.offsets)
        producing.under_way = None

    # --- the group ----------------------------------------------------------------------------------------------------

    def join(self, member: str, joining: Any) -> str:
        """Join, or join again; ``joining`` is called with generation and partitions. Return the member's id."""
        if member not in self.members:
            self._joined += 1
            member = f"m{self._joined}"
            self.members[member] = Member()
            self._later(self._session, self._watch, member)
        known = self.members[member]
        known.joining = joining
        known.deadline = self._loop.now + self._session
        self._rebalance()
        return member

    def beat(self, member: str, generation: int) -> str:
        """A heartbeat: ``ok``, ``rejoin`` or ``unknown``."""
        known = self.members.get(member)
        if known is None or generation != self.generation:
            return "unknown"
        known.deadline = self._loop.now + self._session
        return "rejoin" if self.rebalancing else "ok"

    def leave(self, member: str) -> None:
        """A member goes."""
        if self.members.pop(member, None) is not None:
            self._rebalance()

    def _watch(self, member: str) -> None:
        known = self.members.get(member)
        if known is None:
            return
        if known.deadline <= self._loop.now and known.joining is None:
            self.leave(member)
        else:
            self._later(max(known.deadline - self._loop.now, 0.5), self._watch, member)

    def _rebalance(self) -> None:
        if not self.rebalancing:
            self.rebalancing = True
            self._round += 1
            self._later(self._session, self._complete, self._round)
        if all(member.joining is not None for member in self.members.values()):
            self._complete(self._round)

    def _complete(self, round: int) -> None:
        if not self.rebalancing or round != self._round:
            return
        for name in [name for name, member in self.members.items() if member.joining is None]:
            del self.members[name]
        self.rebalancing = False
        self.generation += 1
        names = list(self.members)
        self._dice.shuffle(names)
        share: dict[str, list[Partition]] = {name: [] for name in names}
        for topic, partition in self._partitions if names else ():
            share[names[partition % len(names)]].append((topic, partition))
        for name, member in self.members.items():
            joining, member.joining = member.joining, None
            member.deadline = self._loop.now + self._session
            joining(self.generation, share[name])
