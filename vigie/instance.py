"""How do the parts become one running Vigie? The only place that connects settings, engine, folds, rules and web."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

import orjson
from confluent_kafka import KafkaError, KafkaException

from agents import (
    deliver_notifications,
    dispatch_alerts,
    evaluate_alerts,
    learn,
    pick_highlights,
    predict_deals,
    predict_leads,
    prediction_fold,
    roll_kpis,
    watch_entities,
    watch_senders,
)
from agents.deliver_notifications import Deliverer
from agents.dispatch_alerts import Dispatcher
from agents.entity_fold import LANE as STATE
from agents.evaluate_alerts import Evaluator
from agents.notifiers import build as build_notifiers
from agents.roll_kpis import Roller
from agents.send_digest import send_digest, summed
from agents.watch_entities import Watcher
from agents.watch_senders import SenderWatcher
from agents.worker import entity_folds, prediction_folds
from alert_rules.delivery import Delivery
from alert_rules.evaluator import GAP_MS
from alert_rules.rule import Rule
from alert_rules.watch import PAUSE_MS, WatchEntities
from models.business import Business
from models.calendar import epoch_ms, iso
from models.partition import TOPICS, EntityPartition
from stream.app import Engine, build_app
from stream.catalogue import load_catalogue
from stream.embedded import EmbeddedBroker
from stream.metrics import Metrics
from stream.options import EAGER, EngineOptions, FoldSpec, wall_clock
from stream.settings import Settings, SettingsError
from stream.topics import create, declared, partition_for
from stream.waiting import end
from stream.web.predictions import Elsewhere, Entity
from vigie.acts import links_of
from vigie.evolving import Evolving
from vigie.faults import Teller
from vigie.routes import load_alerting
from vigie.rules import load_rules

log = logging.getLogger(__name__)

#: Lanes whose results people wait for: each checkpoints as soon as something has changed.
EAGER_LANES = (roll_kpis.LANE, evaluate_alerts.LANE, dispatch_alerts.LANE, deliver_notifications.LANE, watch_entities.LANE)
#: The fold that answers, by what it is asked about.
PREDICTING: dict[Entity, str] = {"deal": predict_deals.NAME, "lead": predict_leads.NAME}
#: Lanes that may wait: what they write is large, and nobody's number depends on it.
SLOW_LANES = {
    prediction_fold.LANE: prediction_fold.EVERY,
    learn.LANE: learn.EVERY,
    pick_highlights.LANE: pick_highlights.EVERY,
}
#: What librdkafka answers while no broker does.
_AWAY = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE)


def security(settings: Settings) -> dict[str, str]:
    """Return the Kafka clients' security settings under librdkafka's names."""
    kafka = settings.kafka
    if kafka.security_protocol == "PLAINTEXT":
        return {}
    found: dict[str, str] = {"security.protocol": kafka.security_protocol}
    if kafka.security_protocol.startswith("SASL"):
        found |= {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.username": kafka.sasl_username,
            "sasl.password": kafka.sasl_password.get_secret_value(),
        }
    if kafka.ssl_ca is not None:
        found["ssl.ca.location"] = str(kafka.ssl_ca)
    if kafka.ssl_certificate is not None and kafka.ssl_key is not None:
        found |= {"ssl.certificate.location": str(kafka.ssl_certificate), "ssl.key.location": str(kafka.ssl_key)}
        if kafka.ssl_key_password.get_secret_value():
            found["ssl.key.password"] = kafka.ssl_key_password.get_secret_value()
    return found


def engine_options(settings: Settings, brokers: str, **more: Any) -> EngineOptions:
    """Return what the engine has to know; ``brokers`` is the real address where the settings say ``embedded``."""
    kafka = settings.kafka
    known: dict[str, Any] = {
        "brokers": brokers,
        "application": settings.application,
        "instance": settings.instance,
        "topic_prefix": kafka.topic_prefix,
        "partitions": kafka.partitions,
        "checkpoint_interval": settings.checkpoint_interval / 1000,
        "lane_intervals": {
            **dict.fromkeys(EAGER_LANES, EAGER),
            **{lane: settings.checkpoint_interval * every / 1000 for lane, every in SLOW_LANES.items()},
        },
        "session_timeout": kafka.session_timeout / 1000,
        "security": security(settings),
        "embedded": kafka.embedded,
    }
    return EngineOptions(**(known | more))


class Instance:
    """One worker with everything it does. ``clock`` is now (epoch ms): the wall clock, or the watermark in a replay.

    ``paced``: readings for the rules are made when the clock has moved on, and only then. ``rules`` chooses among the rules.
    """

    def __init__(
        self,
        settings: Settings,
        brokers: str,
        *,
        clock: Callable[[], int] = wall_clock,
        business: Business | None = None,
        alerting: bool = True,
        delivering: bool = True,
        paced: bool = False,
        rules: Callable[[list[Rule]], list[Rule]] | None = None,
        predicting: bool | None = None,
        **options: Any,
    ) -> None:
        """``predicting`` None is as the settings say."""
        self.settings = settings
        self.business = business or settings.business.business()
        self.catalogue = load_catalogue(settings.kpi_files, settings.business.pairs)
        plan, targets = load_alerting(settings), settings.quotas()
        found = load_rules(self.catalogue, settings.rule_folders, plan, targets) if alerting else []
        self.rules = found if rules is None else rules(found)
        self.metrics = Metrics(lanes=(STATE, *EAGER_LANES, *SLOW_LANES))
        self.options = engine_options(settings, brokers, clock=clock, observer=self.metrics, **options)
        self.evaluator = Evaluator(self.rules, link=settings.crm_url, people=settings.people, gap=0 if paced else GAP_MS)
        digest = send_digest(plan, self.catalogue) if alerting and delivering else None
        wanted = self.evaluator.wanted | (summed(plan) if digest is not None else set())
        self.roller = Roller(
            self.business,
            self.catalogue,
            wanted,
            clock=clock,
            targets=targets,
            partitions=settings.kafka.partitions if alerting else 0,
            paced=paced,
            alarm=self.evaluator.stand if alerting else None,
        )
        settle = 0 if paced else PAUSE_MS
        self.watcher = Watcher(self.rules, self.business.currency, self._watched, settle=settle)
        self.sender_watcher = SenderWatcher(
            self.rules, self.business.calendar, lambda: self._owned(watch_senders.NAME), settle=settle
        )
        notifiers = build_notifiers(settings.receivers) if delivering else {}
        self._delivering, self._digesting = alerting and delivering, digest is not None
        self.deliverer = Deliverer(notifiers, plan=plan, sent=self._sent, actions=links_of(settings).actions)
        self.dispatcher = Dispatcher(plan)
        specs = [*entity_folds(self.business, settings.kafka.partitions), self.roller.spec()]
        if settings.models.live if predicting is None else predicting:
            specs += self._prediction_folds()
        if alerting:
            specs += [pick_highlights.spec(self.business), self.watcher.spec(), self.sender_watcher.spec(), self.evaluator.spec()]
        if alerting and delivering:
            specs += [self.dispatcher.spec(), self.deliverer.spec()]
        if digest is not None:
            specs.append(digest)
        self.engine: Engine = build_app(self.options, specs)
        self.deliverer.wrote = lambda: self.engine.driver.poke(deliver_notifications.NAME)
        self.deliverer.owned = lambda: self._owned(deliver_notifications.NAME)
        self.dispatcher.owned = lambda: self._owned(dispatch_alerts.NAME)
        self.evaluator.owned = lambda: self._owned(evaluate_alerts.NAME)
        self._counted: WeakKeyDictionary[EntityPartition, dict[Any, int]] = WeakKeyDictionary()
        self.evolving = Evolving(self.partitions)
        self._counting: asyncio.Task[None] | None = None
        self.faults = Teller(self.metrics, [spec.name for spec in specs])

    def reload(self, settings: Settings) -> list[Rule]:
        """Take the rules, the plan of who is told and the targets of other settings, all or nothing; return the rules.

        Raise :class:`SettingsError` or :class:`~vigie.rules.RulesError` with all that is wrong; then everything stays as it was.
        What else has changed in the settings needs a restart. Receivers that this process does not know are refused.
        """
        plan, targets = load_alerting(settings), settings.quotas()
        unknown = sorted({receiver.name for receiver in settings.receivers} - set(self.deliverer.notifiers))
        if unknown and self._delivering:
            raise SettingsError([f"receivers: {', '.join(unknown)}: new receivers need a restart"])
        rules = load_rules(self.catalogue, settings.rule_folders, plan, targets)
        self.rules = rules
        self.evaluator.use(rules)
        digest = summed(plan) if self._digesting else set()
        self.roller.watch(self.evaluator.wanted | digest, targets)
        self.watcher.use(rules)
        self.sender_watcher.use(rules)
        self.dispatcher.use(plan)
        self.deliverer.plan = plan
        return rules

    def _prediction_folds(self) -> list[FoldSpec]:
        settings = self.settings.models
        start: dict[str, bytes] = {name: read_document(name, path) for name, path in settings.start.items()}
        # Where nobody waits for a KPI (a replay) every question is asked.
        asks = settings.asks if self.options.clock is wall_clock else None
        return prediction_folds(self.business, self.options.partitions, interval=settings.interval, asks=asks, start=start)

    def _sent(self, delivery: Delivery, now: int) -> None:
        at = epoch_ms(datetime.fromisoformat(str(delivery.alert.get("at") or iso(delivery.created))))
        self.metrics.notified(delivery.receiver, (now - at) / 1000, (now - delivery.created) / 1000)

    def alerts(self) -> list[dict[str, Any]] | None:
        """Return the alerts that stand and what is done about them; None where another worker holds them."""
        if self.evaluator.owned() is None:
            return None
        return [self.dispatcher.annotated(alert) for alert in self.evaluator.current()]

    def notifications(self) -> dict[tuple[str, str], int]:
        """Return the attempts to notify by (receiver, outcome), and what was suppressed before it could be told."""
        untold = {(name, "suppressed"): self.dispatcher.untold[name] for name in self.deliverer.notifiers}
        return {**self.deliverer.outcomes, **untold}

    @property
    def clock(self) -> Callable[[], int]:
        """Now, in epoch milliseconds."""
        return self.options.clock

    def holds(self, name: str) -> bool:
        """Whether a fold of a topic of one partition is in this worker's hands."""
        return self._owned(name) is not None

    def _watched(self) -> Iterator[WatchEntities]:
        """Yield the partitions of deals and leads that are watched here."""
        for partition in range(self.settings.kafka.partitions):
            found = self._owned(watch_entities.NAME, partition)
            if found is not None:
                yield found

    def _owned(self, name: str, partition: int = 0) -> Any:
        """Return the fold of a partition if it is in this worker's hands, else None."""
        try:
            return self.engine.driver.fold_of(name, partition)
        except RuntimeError:  # not started yet
            return None

    async def create_topics(self) -> None:
        """Create the topics that are missing on a Kafka; wait for one that does not answer yet, and say so once."""
        kafka = self.settings.kafka
        if kafka.embedded:
            return  # it was made with them
        said = False
        while True:
            try:
                made = await asyncio.to_thread(create, self.options, self.engine.specs, replication=kafka.replication)
            except KafkaException as error:
                if error.args[0].code() not in _AWAY:
                    raise
                if not said:
                    said = True
                    log.error("no broker answers at %s: %s; trying again", kafka.brokers, error.args[0].str())
                await asyncio.sleep(1)
                continue
            if made:
                log.info("%d topics created", len(made))
            return

    async def start(self, patience: float | None = None) -> None:
        """Start the engine: it waits for broker and topics (for ever, or ``patience`` seconds), and then restores its folds."""
        await self.engine.start(patience=patience)
        calm_collector()
        self._counting = asyncio.create_task(self._count_for_ever(), name="metrics")

    async def stop(self) -> None:
        """A last checkpoint, then let go of everything."""
        if self._counting is not None:
            await end(self._counting)
        await self.engine.stop()
        await self.deliverer.close()

    def partitions(self) -> Iterator[EntityPartition]:
        """Yield the entity partitions in this worker's hands."""
        for fold in TOPICS:
            for partition in range(self.settings.kafka.partitions):
                found = self._fold(f"fold-{fold}", partition)
                if found is not None:
                    yield found

    def predictions(self) -> Iterator[dict[str, Any]]:
        """Yield what is expected of each open deal and lead in this worker's hands."""
        for name in (predict_deals.NAME, predict_leads.NAME):
            for partition in range(self.settings.kafka.partitions):
                found = self.engine.driver.fold_of(name, partition)
                if found is not None:
                    yield from found.answers()

    def answer(self, entity: Entity, key: str) -> Mapping[str, Any] | None:
        """Return what is expected of an open deal or lead; raise :class:`Elsewhere` where another worker has its partition."""
        partition = partition_for(key.encode(), self.options.partitions)
        found = self._fold(PREDICTING[entity], partition)
        if found is None:
            raise Elsewhere("its partition is with another worker, or being restored; `vigie web` knows all")
        answer: Mapping[str, Any] | None = found.answer(key)
        return answer

    def models(self) -> Sequence[Mapping[str, Any]]:
        """Return what is known of each model: by who learns, if that is this worker, else by the last bulletin it was sent."""
        pupil = self._owned(learn.NAME)
        if pupil is not None:
            status: Sequence[Mapping[str, Any]] = pupil.status()
            return status
        latest = [self._bulletin(name) for name in PREDICTING.values()]
        return [bulletin.status for bulletin in latest if bulletin is not None]

    def document(self, model: str) -> bytes | None:
        """Return a model as JSON, as it was last sent round, or None."""
        name = PREDICTING.get(cast(Entity, model))
        latest = None if name is None else self._bulletin(name)
        return None if latest is None else bytes(latest.document)

    def _bulletin(self, name: str) -> Any:
        """Return the last bulletin that any partition of a fold was sent, or None."""
        folds = [self._fold(name, partition) for partition in range(self.options.partitions)]
        bulletins = [fold.bulletin for fold in folds if fold is not None and fold.bulletin is not None]
        return max(bulletins, key=lambda bulletin: bulletin.at, default=None)

    def _fold(self, name: str, partition: int) -> Any:
        try:
            return self.engine.driver.fold_of(name, partition)
        except RuntimeError:  # not started yet
            return None

    # What folds count, they count in plain dictionaries; here the differences go to Prometheus.

    async def _count_for_ever(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.count()

    def count(self) -> None:
        """Carry what the folds have counted since the last call into the metrics."""
        metrics = self.metrics
        self.evolving.log()
        for partition in self.partitions():
            before = self._counted.setdefault(partition, {})
            for (topic, kind, outcome), new in _since(before, "outcome", partition.outcomes):
                metrics.events(topic, kind, outcome if kind else "dead_letter", new)
                if not kind:
                    metrics.dead_letters(outcome, new)
            for (kind, _), new in _since(before, "unknown", partition.unknown_fields):
                metrics.unknown_fields(kind, new)
            for dimension, new in _since(before, "overflow", partition.overflow):
                metrics.overflowed(dimension, new)
            for source, at in partition.last_event.items():
                metrics.source_seen(source, at)
            while partition.delays:
                metrics.delayed(partition.delays.popleft() / 1000)
        for name in self.engine.driver.specs:
            for number in range(self.options.partitions_of(self.engine.driver.specs[name].topics[0])):
                found = getattr(self._fold(name, number), "faults", None)
                if found is not None:
                    self.faults.tell(name, number, found)


def read_document(name: str, path: Path) -> bytes:
    """Return a model's document from a file; raise ``OSError`` or ``ValueError`` naming the setting where there is none."""
    try:
        document = path.read_bytes()
        orjson.loads(document)
    except OSError as error:
        raise OSError(f"models.start.{name}: {path}: cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise ValueError(
            f"models.start.{name}: {path}: found no JSON ({error}); accepted: what `vigie models warm` writes"
        ) from error
    return document


def _since(before: dict[Any, int], what: str, totals: Mapping[Any, int]) -> Iterator[tuple[Any, int]]:
    """Yield what has been added to each total since the last call, and remember it."""
    for name, total in totals.items():
        new = total - before.get((what, name), 0)
        if new:
            before[what, name] = total
            yield name, new


def calm_collector() -> None:
    """Let Python's garbage collector rest.

    Folds make many small objects that live on and hardly any cycles; at the default thresholds the search for cycles takes
    a quarter of the fold's time (17.8 against 14.3 µs an event), and finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@contextlib.asynccontextmanager
async def prepared(settings: Settings, **more: Any) -> AsyncIterator[Instance]:
    """Make an instance that is still to be started, with the embedded broker where the settings say so; stop both at the end.

    ``more`` goes to :class:`Instance`.
    """
    broker = EmbeddedBroker().start() if settings.kafka.embedded else None
    try:
        instance = Instance(settings, broker.bootstrap if broker else settings.kafka.brokers, **more)
        if broker:
            broker.create(declared(instance.options, instance.engine.specs))
        try:
            yield instance
        finally:
            await instance.stop()
    finally:
        if broker:
            await asyncio.to_thread(broker.stop)


@contextlib.asynccontextmanager
async def running(settings: Settings, *, create_topics: bool = True, **more: Any) -> AsyncIterator[Instance]:
    """Run an instance: on a broker of its own in this process where the settings say ``embedded``, else on theirs.

    ``more`` goes to :class:`Instance`. Topics that are missing are created, unless told not to.
    """
    async with prepared(settings, **more) as instance:
        if create_topics:
            await instance.create_topics()
        await instance.start()
        yield instance
