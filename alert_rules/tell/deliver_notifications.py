"""Who has still to be notified of what, and when is the next attempt? The fold from the ``outbox`` topic to what is sent.

The dispatch puts messages there, each with its receivers; what operators redrive from the dead letters comes back there
too, for its one receiver.

The promise: of every incident people are notified at least once, and what comes twice carries the same id. A message is first
a row (an *intent*); it is sent only once that row is durable; the row goes when the result is known. Whoever dies in between
leaves the intent, and the successor sends it again under the same id. Each message has one of the ends *sent* and
*dead-lettered*, which is written to ``alerts`` as a record of type ``notification``.

Within a receiver, the messages of one incident keep their order; those of other incidents do not wait for them. One
receiver never waits for another.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from alert_rules.judge.life_table import TransitionKind
from alert_rules.records.alerts import Notification, encode
from alert_rules.records.dead_letter import dead_output
from alert_rules.records.ids import digest
from alert_rules.records.message import MessageKind, read_message
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.memos import PREFIX, Memos
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent, backoff
from alert_rules.tell.receiver_health import ReceiverHealth
from alert_rules.words.durations import human
from models.calendar import DAY_MS, iso
from models.due_queue import DueQueue
from models.events.refused import Reason
from models.fold import Changes, Output, Record, Row

__all__ = ["OUTCOMES", "DeliverNotifications", "Delivery", "no_outcomes"]

_ORDER = b"#order"  # the row of the next message's number, so that a number is never used twice
_HEALTH = "#health|"  # rows of receivers that fail
_NOTIFYING = frozenset(kind.value for kind in TransitionKind if kind.notifies)
#: Kinds of messages that only those hear who show how an incident stands (``follows``); others would take them for news.
FOLLOWED = frozenset((MessageKind.ACKNOWLEDGED, MessageKind.UNACKNOWLEDGED))


OUTCOMES = ("sent", "retried", "rejected", "expired")


def no_outcomes(receivers: Iterable[str]) -> Counter[tuple[str, str]]:
    """Return the count of attempts before the first one: every (receiver, outcome) at 0."""
    return Counter({(receiver, outcome): 0 for receiver in receivers for outcome in OUTCOMES})


class DeliverNotifications:
    """The one partition of alerts, folded into the messages that have not reached their receivers yet.

    ``receivers`` are the names of those who get everything. ``patience`` is for how long a message is tried, in milliseconds.
    ``on_news`` is called when there may be something new to :meth:`take`; ``outcomes`` counts attempts by (receiver, outcome).
    ``follows`` names the receivers that show how an incident stands: they hear of acknowledgements, too. ``health`` watches
    the receivers; ``sent`` is called with what has arrived, and when.
    """

    def __init__(
        self,
        receivers: Collection[str],
        *,
        patience: int = DAY_MS,
        on_news: Callable[[], None] = lambda: None,
        outcomes: Counter[tuple[str, str]] | None = None,
        follows: Collection[str] = (),
        health: ReceiverHealth | None = None,
        sent: Callable[[Delivery, int], None] = lambda delivery, now: None,
    ) -> None:
        self._on_news = on_news
        self._follows = frozenset(follows)
        self._sent = sent
        self.health = ReceiverHealth(receivers) if health is None else health
        self._memos = Memos()
        self.receivers = tuple(receivers)
        self.patience = patience
        self.outcomes = no_outcomes(receivers) if outcomes is None else outcomes
        self._open: dict[str, Delivery] = {}
        self._queues: dict[tuple[str, str], deque[str]] = {}
        self._heads = {receiver: DueQueue() for receiver in receivers}
        self._paused: dict[str, int] = {}
        self._busy: set[str] = set()  # receivers with an attempt under way
        self._unwritten: list[str] = []  # intents that are in memory only, in their order
        self._writing: list[str] = []  # intents in a checkpoint that is not confirmed yet, in their order
        self._homeless: list[Delivery] = []
        self._dirty: set[str] = set()
        self._outputs: list[Output] = []
        self._next_order = 0
        self._numbered = False  # whether a number was used since the last checkpoint

    # ── the fold ──

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the intents back: each is durable, and may or may not have been sent."""
        found: list[Delivery] = []
        memos: dict[str, dict[str, Any]] = {}
        for key, value in rows:
            name, tree = key.decode(), orjson.loads(value)
            if key == _ORDER:
                self._next_order = tree
            elif name.startswith(PREFIX) and "memo" in tree:
                memos[name] = tree
            elif name.startswith(_HEALTH) and "since" in tree:
                self.health.restore(name.removeprefix(_HEALTH), tree)
            else:
                found.append(Delivery.decode(tree))
        self._memos.restore(memos)
        for delivery in sorted(found, key=lambda d: d.order):
            self._open[delivery.row] = delivery
            if delivery.receiver in self._heads:
                self._enqueue(delivery)
            else:
                self._homeless.append(delivery)

    def fold(self, records: Sequence[Record]) -> None:
        """Make an intent for every receiver of each message (or transition: redriven from before there were messages)."""
        for record in records:
            if record.value is None:
                continue
            try:
                tree = orjson.loads(record.value)
                if tree["type"] != "message" and (tree["type"] != "transition" or tree["kind"] not in _NOTIFYING):
                    continue
                message = read_message(tree)
                if not message.id:
                    raise ValueError("id: found nothing (accepted: a text)")
            except (ValueError, KeyError, TypeError) as error:
                detail = f"{record.topic}: not a message: {type(error).__name__}: {error}"
                self._outputs.append(dead_output(record, Reason.INVALID_DATA, detail, record.timestamp))
                continue
            for receiver in self.receivers if message.receivers is None else message.receivers:
                if message.kind in FOLLOWED and receiver not in self._follows:
                    continue
                self._intend(message.id, message.incident, receiver, record.timestamp, tree)

    def _intend(self, id_: str, incident: str, receiver: str, now: int, alert: dict[str, Any]) -> None:
        delivery = Delivery(f"msg_{digest(id_, receiver)}", receiver, incident, self._next_order, now, 0, now, None, alert)
        if delivery.row in self._open:
            return  # told twice upstream: the same message is already on its way
        self._next_order += 1
        self._numbered = True
        self._open[delivery.row] = delivery
        self._dirty.add(delivery.row)
        if receiver in self._heads:
            self._unwritten.append(delivery.row)
        else:
            self._homeless.append(delivery)

    def tick(self, now: int) -> None:
        """Give up the messages whose receiver is no longer configured; say who fails; forget what nobody asks for any more."""
        homeless, self._homeless = self._homeless, []
        for delivery in homeless:
            self._bury(delivery, "rejected", "it is not configured", now)
        self._outputs += self.health.tick(now)
        self._memos.tick(now)

    def changes(self) -> Changes:
        """Return the rows and records since the last call; :meth:`durable` says later that they are written."""
        rows = [
            Row(key.encode(), None if (found := self._open.get(key)) is None else orjson.dumps(found.encode()))
            for key in sorted(self._dirty)
        ]
        if self._numbered:
            rows.append(Row(_ORDER, str(self._next_order).encode()))
            self._numbered = False
        for receiver in sorted(self.health.dirty):
            failing = self.health.failing.get(receiver)
            rows.append(Row(f"{_HEALTH}{receiver}".encode(), None if failing is None else orjson.dumps(failing.encode())))
        self.health.dirty.clear()
        rows += self._memos.rows()
        outputs, self._outputs = self._outputs, []
        self._dirty.clear()
        self._writing += self._unwritten
        self._unwritten.clear()
        return Changes(rows, outputs)

    # ── what the shell asks and tells ──

    def durable(self) -> None:
        """Hear that all that :meth:`changes` has returned is written: its intents may be sent."""
        for row in self._writing:
            self._enqueue(self._open[row])
        self._writing.clear()
        self._on_news()

    def take(self, now: int) -> list[Delivery]:
        """Return what is to be attempted now, at most one message a receiver; each must end in :meth:`done`."""
        taken: list[Delivery] = []
        for receiver, heads in self._heads.items():
            if receiver in self._busy or self._paused.get(receiver, 0) > now:
                continue
            if (row := heads.pop(now)) is not None:
                self._busy.add(receiver)
                delivery = self._open[row]
                taken.append(replace(delivery, memo=self._memos.get(delivery)))
        return taken

    def done(self, delivery: Delivery, outcome: Outcome, now: int) -> None:
        """Hear how an attempt ended."""
        self._busy.discard(delivery.receiver)
        match outcome:
            case Sent(memo):
                self._outputs += self.health.worked(delivery.receiver, now)
                self._sent(delivery, now)
                if memo is not None:
                    self._memos.remember(delivery, memo, now)
                self._end(replace(delivery, attempts=delivery.attempts + 1), "sent", None, now)
            case Rejected(reason):
                self.health.failed(delivery.receiver, reason, now, given_up=True)
                self._bury(replace(delivery, attempts=delivery.attempts + 1), "rejected", reason, now)
            case Retry(reason, after):
                attempts = delivery.attempts + 1
                wait = backoff(delivery.id, attempts) if after is None else after
                if after is not None:
                    self._paused[delivery.receiver] = now + after
                # From the first attempt on: a message that waited for a worker has not been tried yet.
                tried = now if delivery.tried is None else delivery.tried
                expired = now + wait - tried > self.patience
                self.health.failed(delivery.receiver, reason, now, given_up=expired)
                if expired:
                    given_up = f"given up after {attempts} attempts in {human(now - tried)}: {reason}"
                    self._bury(replace(delivery, attempts=attempts), "expired", given_up, now)
                    return
                self.outcomes[delivery.receiver, "retried"] += 1
                later = replace(delivery, attempts=attempts, due=now + wait, tried=tried, memo=None, actions=())
                self._open[later.row] = later
                self._dirty.add(later.row)
                self._heads[later.receiver].schedule(later.row, later.due, later.order)

    def next_due(self) -> int | None:
        """Return when the next attempt may be made, None where nothing waits (milliseconds since the epoch)."""
        dues = [
            max(due, self._paused.get(receiver, 0))
            for receiver, heads in self._heads.items()
            if receiver not in self._busy and (due := heads.next_due()) is not None
        ]
        return min(dues, default=None)

    def waiting(self) -> dict[str, tuple[int, int | None]]:
        """Return by receiver how many messages have no end yet, and when the oldest of them came (epoch milliseconds)."""
        found: dict[str, tuple[int, int | None]] = dict.fromkeys(self.receivers, (0, None))
        for delivery in self._open.values():
            count, oldest = found.get(delivery.receiver, (0, None))
            first = delivery.created if oldest is None else min(oldest, delivery.created)
            found[delivery.receiver] = (count + 1, first)
        return found

    @property
    def depth(self) -> int:
        """How many messages have no end yet."""
        return len(self._open)

    def oldest(self) -> int | None:
        """Return when the oldest message without an end came (milliseconds since the epoch)."""
        return min((delivery.created for delivery in self._open.values()), default=None)

    # ── within ──

    def _enqueue(self, delivery: Delivery) -> None:
        queue = self._queues.setdefault((delivery.receiver, delivery.incident), deque())
        queue.append(delivery.row)
        if len(queue) == 1:
            self._heads[delivery.receiver].schedule(delivery.row, delivery.due, delivery.order)

    def _end(self, delivery: Delivery, outcome: str, reason: str | None, now: int) -> None:
        self.outcomes[delivery.receiver, outcome] += 1
        self._open.pop(delivery.row, None)
        self._dirty.add(delivery.row)
        queue = self._queues.get((delivery.receiver, delivery.incident))
        if queue and queue[0] == delivery.row:
            queue.popleft()
            if queue:
                head = self._open[queue[0]]
                self._heads[head.receiver].schedule(head.row, head.due, head.order)
            else:
                del self._queues[delivery.receiver, delivery.incident]
        notification = Notification(
            id=delivery.id,
            transition=delivery.alert.get("id"),
            incident=delivery.incident,
            receiver=delivery.receiver,
            outcome="sent" if outcome == "sent" else "dead_lettered",
            reason=reason,
            attempts=delivery.attempts,
            at=iso(now),
        )
        self._outputs.append(Output("alerts", delivery.incident.encode(), encode(notification)))

    def _bury(self, delivery: Delivery, outcome: str, reason: str, now: int) -> None:
        # Put on `outbox` by a redrive, the notification goes again to this receiver, under the same id, and to nobody else.
        again = orjson.dumps(delivery.alert | {"receivers": [delivery.receiver]})
        record = Record("outbox", 0, delivery.order, delivery.created, delivery.incident.encode(), again, ())
        self._outputs.append(dead_output(record, Reason.UNDELIVERABLE, f"receiver {delivery.receiver!r}: {reason}", now))
        self._end(delivery, outcome, reason, now)
