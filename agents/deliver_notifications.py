"""Who is notified, and did it arrive? Sends what the outbox says is due, and tells it how each attempt ended."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from agents.notifiers.base import Notifier
from alert_rules.tell.deliver_notifications import DeliverNotifications, no_outcomes
from alert_rules.tell.delivery import Action, Delivery
from alert_rules.tell.outcome import Outcome, Retry
from alert_rules.tell.plan import Alerting, everything_to
from alert_rules.tell.receiver_health import ReceiverHealth
from alert_rules.words.reader import ANYBODY, Reader
from models.fold import PartitionFold
from stream.engine.options import FoldSpec, wall_clock
from stream.engine.owned import Owned
from stream.engine.waiting import end
from stream.logs import INCIDENT
from stream.tracing import UNTRACED, Tracing

log = logging.getLogger(__name__)

NAME = "deliver-notifications"
#: A lane of its own: intents must be durable at once, whatever the other folds are writing.
LANE = "deliveries"


class Deliverer:
    """Drives the outbox: at most one attempt a receiver at a time, so that one that hangs holds up nobody else.

    ``wrote`` is called when the result of an attempt waits to be written: the engine's ``poke(NAME)``.
    ``clock`` gives milliseconds since the epoch: the wall clock, also in a replay, because receivers live in it.
    ``plan`` says who hears of a receiver that fails; ``actions`` gives what a receiver may do with a message; ``sent`` is
    called with what has arrived, and when; ``readers`` says of receivers how they read, where it is not as everybody does;
    ``tracing`` follows what led to a message.
    """

    def __init__(
        self,
        notifiers: Mapping[str, Notifier],
        *,
        wrote: Callable[[], object] = lambda: None,
        clock: Callable[[], int] = wall_clock,
        plan: Alerting | None = None,
        actions: Callable[[Delivery], tuple[Action, ...]] = lambda delivery: (),
        sent: Callable[[Delivery, int], None] = lambda delivery, now: None,
        readers: Mapping[str, Reader] | None = None,
        tracing: Tracing = UNTRACED,
    ) -> None:
        self.notifiers = dict(notifiers)
        self.plan = everything_to(()) if plan is None else plan
        self.actions = actions
        self.sent = sent
        self._readers = dict(readers or {})
        self.wrote = wrote
        self.owned: Owned[DeliverNotifications] = Owned(NAME)
        self._clock = clock
        self._tracing = tracing
        self._news = asyncio.Event()
        #: Attempts by (receiver, outcome), zeros included: ``vigie_notifications_total``.
        self.outcomes = no_outcomes(self.notifiers)

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it."""
        return self.owned.spec(
            self._make,
            topics=("outbox",),
            lane=LANE,
            on_durable=self.deliver,
            doc="Tell every receiver of the alerts, at least once, and keep what has not arrived yet.",
        )

    def _make(self, partition: int) -> DeliverNotifications:
        fallback = self.plan.fallback
        return DeliverNotifications(
            tuple(self.notifiers),
            on_news=self._news.set,
            outcomes=self.outcomes,
            follows=[name for name, notifier in self.notifiers.items() if notifier.follows],
            health=ReceiverHealth(self.notifiers, self._fallback, fallback.after),
            sent=lambda delivery, now: self.sent(delivery, now),
        )

    def _fallback(self, now: int) -> list[str]:
        """Return who is to hear of a receiver that fails."""
        return [one.receiver for one in self.plan.resolve(self.plan.fallback.receivers, now)]

    async def deliver(self, partition: int, fold: PartitionFold) -> None:
        """Send until nothing is left to be sent. Cancelled when the partition goes to another worker, which finds the
        intents of what was under way and sends them again under the same ids."""
        assert isinstance(fold, DeliverNotifications)  # our own spec made it
        under_way: dict[asyncio.Task[Outcome], Delivery] = {}
        try:
            while True:
                self._news.clear()
                for delivery in fold.take(self._clock()):
                    under_way[asyncio.create_task(self._attempt(delivery), name=f"notify {delivery.receiver}")] = delivery
                due = fold.next_due()
                if not under_way and due is None:
                    return
                await self._wait(under_way, due)
                for task in [task for task in under_way if task.done()]:
                    fold.done(under_way.pop(task), task.result(), self._clock())
                    self.wrote()
        finally:
            await end(*under_way)

    async def _wait(self, under_way: Mapping[asyncio.Task[Outcome], Delivery], due: int | None) -> None:
        """Wait for the end of an attempt, for the time of the next one, or for news from the fold."""
        seconds = None if due is None else max(due - self._clock(), 1) / 1000
        news = asyncio.create_task(self._news.wait(), name="news")
        try:
            await asyncio.wait({news, *under_way}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()

    async def _attempt(self, delivery: Delivery) -> Outcome:
        INCIDENT.set(delivery.incident)  # of this task, and of what it logs
        try:
            reader = self._readers.get(delivery.receiver, ANYBODY)
            whole = replace(delivery, actions=self.actions(delivery), reader=reader)
            with self._tracing.attempt(str(delivery.alert.get("id")), delivery.receiver):
                outcome = await self.notifiers[delivery.receiver].send(whole)
        except Exception as error:
            # A notifier's bug must not stop the others; what the error says may hold a secret, its kind does not.
            outcome = Retry(f"internal error ({type(error).__name__})")
            log.exception("receiver %s: %s", delivery.receiver, type(error).__name__, exc_info=False)
        if isinstance(outcome, Retry):
            log.warning("receiver %s: not told yet: %s", delivery.receiver, outcome.reason)
        return outcome

    @property
    def depth(self) -> int:
        """How many messages have no end yet, of those in this worker's hands."""
        fold = self.owned()
        return 0 if fold is None else fold.depth

    def oldest(self) -> int | None:
        """Return when the oldest message without an end came (milliseconds since the epoch)."""
        fold = self.owned()
        return None if fold is None else fold.oldest()

    def waiting(self) -> dict[str, int]:
        """Return how many messages have no end yet, by receiver."""
        fold = self.owned()
        return {} if fold is None else {name: count for name, (count, _) in fold.waiting().items()}

    def ages(self) -> dict[str, float]:
        """Return how long the oldest message without an end has been waiting, by receiver, seconds; 0 where none waits."""
        fold, now = self.owned(), self._clock()
        waiting = {} if fold is None else fold.waiting()
        return {name: 0.0 if first is None else max(0, now - first) / 1000 for name, (_, first) in waiting.items()}

    def failing(self) -> dict[str, float]:
        """Return for how long nothing has arrived, by receiver, seconds; 0 where the last attempt did."""
        fold, now = self.owned(), self._clock()
        if fold is None:
            return {}
        since = {name: found.since for name, found in fold.health.failing.items()}
        return {name: max(0, now - since[name]) / 1000 if name in since else 0.0 for name in self.notifiers}

    async def close(self) -> None:
        """Let go of the receivers' connections."""
        for notifier in self.notifiers.values():
            await notifier.close()
