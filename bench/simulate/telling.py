"""Is every incident told, and nothing that nobody can know of told twice? Dispatch and delivery in a simulated world.

The receivers take their time, refuse for a while, and keep what they were told. A worker that dies in between sends again, as it
must: under the first id, with the same bytes, and never before the intent is on the broker.
"""

import asyncio
from typing import ClassVar

import orjson

from agents.deliver_notifications import NAME, Deliverer
from agents.dispatch_alerts import Dispatcher
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome, Retry, Sent
from alert_rules.tell.plan import everything_to
from bench.simulate.world import World
from models.calendar import iso
from stream.engine.app import Engine, build_app
from stream.engine.backend import POSITION, Message
from stream.engine.options import EngineOptions, wall_clock
from stream.engine.topic_list import Topic

RECEIVERS = ("ann", "bob")


class _Receiver:
    """One who is told."""

    follows = False

    def __init__(self, world: "TellingWorld", name: str) -> None:
        self._world = world
        self._name = name

    async def send(self, delivery: Delivery) -> Outcome:
        """Be told, sometimes not; the answer may come late, or to nobody."""
        world, network = self._world, self._world.network
        await asyncio.sleep(network.delay())
        if network.happens("retry"):
            return Retry("busy", after=200)
        world.arrived(self._name, delivery)
        await asyncio.sleep(network.delay())
        return Sent()

    async def close(self) -> None:
        """Nothing is open."""


class TellingWorld(World):
    """Transitions are published; dispatch and delivery run."""

    topics: ClassVar[tuple[Topic, ...]] = tuple(Topic(name, partitioned=False) for name in ("alerts", "outbox", "dead-letters"))

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.incidents: list[str] = []
        #: Receiver and id of a message → what came under it, each time; and receiver and incident → ids in their order.
        self.told: dict[tuple[str, str], list[bytes]] = {}
        self.about: dict[tuple[str, str], list[str]] = {}

    def build(self, options: EngineOptions) -> Engine:
        """Return a worker that tells."""
        plan = everything_to(RECEIVERS)
        dispatcher = Dispatcher(plan)
        deliverer = Deliverer({name: _Receiver(self, name) for name in RECEIVERS}, plan=plan)
        engine = build_app(options, [dispatcher.spec(), deliverer.spec()])
        dispatcher.owned.bind(engine)
        deliverer.owned.bind(engine)
        deliverer.wrote = lambda: engine.poke(NAME)
        return engine

    def _publish(self) -> None:
        incident = f"i{len(self.incidents)}"
        self.incidents.append(incident)
        now = iso(wall_clock())
        fired = {
            "type": "transition", "id": f"t-{incident}", "incident": incident, "kind": "fired", "rule": "win-rate-drop",
            "severity": "critical", "segment": {"source": incident}, "at": now, "since": now, "value": 0.1,
            "message": {"title": "Win rate", "text": "It is low"},
        }  # fmt: skip
        self.broker.publish(Message("alerts", orjson.dumps(fired), incident.encode(), 0))

    def arrived(self, receiver: str, delivery: Delivery) -> None:
        """Somebody is told."""
        self.told.setdefault((receiver, delivery.id), []).append(orjson.dumps(delivery.alert))
        self.about.setdefault((receiver, delivery.incident), []).append(delivery.id)
        log = self.broker.logs[self.options.changelog(NAME), 0]
        for message, transaction in reversed(log.entries):
            if message is not None and message.key == delivery.row.encode() and transaction is not None and transaction.end:
                if message.value is None:
                    self.say(f"{receiver} is told of {delivery.incident}, whose end is on the broker already")
                return
        self.say(f"{receiver} is told of {delivery.incident} before the intent is on the broker")

    def _level(self) -> bool:
        if any(log.open for log in self.broker.logs.values()):
            return False
        for fold, topic in (("dispatch-alerts", "alerts"), (NAME, "outbox")):
            log = self.broker.logs[topic, 0]
            last = max((i + 1 for i, entry in enumerate(log.entries) if entry.message is not None), default=0)
            if int(self._rows(fold, 0).get(POSITION + topic.encode()) or 0) < last:
                return False
        return not any(b"|" in key and value for key, value in self._rows(NAME, 0).items() if key[:1] not in (POSITION, b"#"))

    def _compare(self) -> None:
        for incident in self.incidents:
            for receiver in RECEIVERS:
                ids = self.about.get((receiver, incident), [])
                if len(set(ids)) != 1:
                    self.say(f"{receiver} was told of {incident} under {len(set(ids))} ids")
                elif len(ids) > 1 and not self.outcome.done and not self.network.seen:
                    self.say(f"{receiver} was told of {incident} {len(ids)} times, and nothing had happened")
        for (receiver, id_), bodies in self.told.items():
            if len(set(bodies)) > 1:
                self.say(f"{receiver} was told two things under {id_}")
        ends = [orjson.loads(value) for _, value in self._read("alerts", 0)]
        sent = [(end["receiver"], end["incident"]) for end in ends if end["type"] == "notification" and end["outcome"] == "sent"]
        if sorted(sent) != sorted((receiver, incident) for receiver in RECEIVERS for incident in self.incidents):
            self.say(f"{len(sent)} messages have an end, of {len(RECEIVERS) * len(self.incidents)}")
