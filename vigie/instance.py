"""How do the parts become one running Vigie? The only place that connects settings, engine, folds, rules and web."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson
from confluent_kafka import KafkaError, KafkaException

from agents import (
    deliver_notifications,
    foresee,
    keep_alert_states,
    know_customers,
    learn,
    pick_highlights,
    predict_deals,
    predict_leads,
)
from agents.deliver_notifications import Deliverer
from agents.dispatch_alerts import Dispatcher
from agents.evaluate_alerts import Evaluator
from agents.foresee import Foreseer, others, watched
from agents.mirror_tables import MirrorTables, check
from agents.notifiers import build as build_notifiers
from agents.notifiers import readers_of
from agents.roll_kpis import Roller
from agents.send_digest import foreseen, send_digest, summed
from agents.watch_entities import Watcher
from agents.watch_senders import SenderWatcher
from agents.watch_standings import StandingWatcher
from agents.worker import entity_folds, prediction_folds
from alert_rules.judge.evaluate_alerts import GAP_MS
from alert_rules.judge.rule import Rule
from alert_rules.judge.watch_entities import PAUSE_MS
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.plan import Alerting
from models.business import Business
from models.calendar import MINUTE_MS, epoch_ms, iso
from models.customers.live import KnowCustomers
from models.folds.partition import TOPICS, EntityPartition
from models.targets import Targets
from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings, SettingsError
from stream.engine.app import Engine, build_app
from stream.engine.engines import Engines
from stream.engine.options import FoldSpec, wall_clock
from stream.engine.owned import Owned
from stream.engine.topics import create, partition_for
from stream.engine.waiting import end
from stream.ledger.erasing import LedgerPrivacy
from stream.ledger.keeping import Housekeeper
from stream.metrics import Metrics
from stream.tracing import UNTRACED, tracing_of
from stream.web.predictions import Elsewhere, Entity
from vigie.acts import links_of
from vigie.collector import calm_collector, keep_calm
from vigie.counting import Counting
from vigie.evolving import Evolving
from vigie.faults import Teller
from vigie.lanes import LANES, engine_options
from vigie.plans import plans_of, playbooks_of
from vigie.roles import ALL, FOLD, FOLDED, PREDICT, SERVE, Role, role_of, role_of_lane
from vigie.routes import load_alerting
from vigie.rule_files import load_rules

if TYPE_CHECKING:  # River and numpy take a second to import
    from models.learners.live_learn import LearnModels
    from models.learners.live_predict import PredictPartition

log = logging.getLogger(__name__)

#: The fold that answers, by what it is asked about.
PREDICTING: dict[Entity, str] = {"deal": predict_deals.NAME, "lead": predict_leads.NAME}
#: What librdkafka answers while no broker does.
_AWAY = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE)


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
        foreseeing: bool | None = None,
        roles: Collection[Role] | None = None,
        **options: Any,
    ) -> None:
        """``predicting`` and ``foreseeing`` (forecasts of the period, of the predictions) None are as the settings say.

        ``roles``: the folds of these, in a group for each; None: all in one.
        """
        self.settings = settings
        self.roles = frozenset(ALL if roles is None else roles)
        if SERVE not in self.roles:
            alerting = delivering = False
        self.housekeeper: Housekeeper | None = None
        self.privacy: LedgerPrivacy | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._calming: asyncio.Task[None] | None = None
        self.business = business or settings.business.business()
        self.catalogue = load_catalogue(settings.kpi_files, settings.business.pairs)
        plan, targets = load_alerting(settings), settings.quotas()
        found = load_rules(self.catalogue, settings.rule_folders, plan, targets) if alerting else []
        self.rules = found if rules is None else rules(found)
        lanes = [lane for lane in LANES if role_of_lane(lane) in self.roles]
        self.metrics = Metrics(lanes=lanes, role="+".join(role for role in ALL if role in self.roles))
        self.options = engine_options(settings, brokers, clock=clock, observer=self.metrics, **options)
        self.evaluator = Evaluator(
            self.rules, link=settings.crm_url, people=settings.people, gap=0 if paced else GAP_MS,
            playbooks=playbooks_of(settings, self.catalogue, self.rules if alerting and rules is None else None),
        )  # fmt: skip
        digest = send_digest(plan, self.catalogue) if alerting and delivering else None
        wanted = others(self.evaluator.wanted) | (summed(plan) if digest is not None else set())
        self.roller = Roller(
            self.business,
            self.catalogue,
            wanted,
            clock=clock,
            targets=targets,
            partitions=settings.kafka.partitions if alerting else 0,
            paced=paced,
            alarm=self.evaluator.stand if alerting else None,
            plans=plans_of(settings, self.catalogue),
        )
        settle = 0 if paced else PAUSE_MS
        live = clock is wall_clock
        self.watcher = Watcher(self.rules, self.business.currency, settle=settle)
        self.sender_watcher = SenderWatcher(self.rules, self.business.calendar, settle=settle)
        self.standing_watcher = StandingWatcher(self.rules, self.business.currency, hold=0 if paced else 15 * MINUTE_MS)
        notifiers = build_notifiers(settings) if delivering else {}
        self._delivering, self._digesting = alerting and delivering, digest is not None
        readers = readers_of(settings) if delivering else {}
        tracing = tracing_of(settings.tracing) if live else UNTRACED
        self.deliverer = Deliverer(
            notifiers, plan=plan, sent=self._sent, actions=links_of(settings).actions, readers=readers, tracing=tracing
        )
        self.dispatcher = Dispatcher(plan)
        specs = [*entity_folds(self.business, settings.kafka.partitions), self.roller.spec()]
        if delivering:  # of a replay nobody asks about single customers
            specs.append(know_customers.know_customers(self.business, settings.kafka.partitions))
        self.foreseer: Foreseer | None = None
        if settings.models.live if predicting is None else predicting:
            if PREDICT in self.roles:
                specs += self._prediction_folds()
        if SERVE in self.roles and (settings.models.live if foreseeing is None else foreseeing):
            self.foreseer = self._foreseer(targets, plan, alerting=alerting, alone=not live)
            specs.append(self.foreseer.spec())
        if alerting:
            specs += [pick_highlights.spec(self.business), self.watcher.spec(), self.sender_watcher.spec(), self.evaluator.spec()]
            specs.append(self.standing_watcher.spec())
        if alerting and delivering:
            specs += [self.dispatcher.spec(), self.deliverer.spec(), keep_alert_states.keep_alert_states()]
        if digest is not None:
            specs.append(digest)
        self.mirror: MirrorTables | None = None
        if delivering and settings.postgres.url.get_secret_value():
            check()
            self.mirror = MirrorTables(settings.postgres, settings.business.currency, settings.people, clock=clock)
            specs += self.mirror.specs()
        specs = [tracing.traced(spec) for spec in specs if role_of(spec) in self.roles]
        self.engine: Engine = build_app(self.options, specs) if roles is None else self._by_role(specs)
        self.deliverer.wrote = lambda: self.engine.poke(deliver_notifications.NAME)
        self.entities: list[Owned[EntityPartition]] = [Owned(f"fold-{name}") for name in TOPICS]
        self.predicting: dict[Entity, Owned[PredictPartition]] = {name: Owned(fold) for name, fold in PREDICTING.items()}
        self.trainer: Owned[LearnModels] = Owned(learn.NAME)
        self.customers: Owned[KnowCustomers] = Owned(know_customers.NAME)
        agents = (
            self.roller,
            self.watcher,
            self.sender_watcher,
            self.standing_watcher,
            self.evaluator,
            self.dispatcher,
            self.deliverer,
        )
        for owned in (
            *(agent.owned for agent in agents),
            *self.entities,
            *self.predicting.values(),
            self.trainer,
            self.customers,
        ):
            owned.bind(self.engine)
        if self.foreseer is not None:
            self.foreseer.owned.bind(self.engine)
        self._foreseeing: asyncio.Task[None] | None = None
        for mirrored in () if self.mirror is None else self.mirror.owned.values():
            mirrored.bind(self.engine)
        self.evolving = Evolving(self.partitions)
        self.faults = Teller(self.metrics, [spec.name for spec in specs])
        self.counting = Counting(self.engine, self.metrics, self.entities, self.evolving, self.faults)

    def _by_role(self, specs: Sequence[FoldSpec]) -> Engine:
        """Return the engines of the roles, each with its group."""
        return Engines(
            {
                role: build_app(
                    replace(self.options, role="" if role == FOLD else role, base_topics=FOLDED, observer=self.metrics.of(role)),
                    mine,
                )
                for role in ALL
                if (mine := [spec for spec in specs if role_of(spec) == role])
            }
        )

    def reload(self, settings: Settings) -> list[Rule]:
        """Take rules, the plan of who is told, targets, objectives, challenges and tests, all or nothing; return the rules.

        Raise :class:`SettingsError` or :class:`~vigie.rule_files.RulesError` with all that is wrong; then everything stays as it
        was. What else has changed in the settings needs a restart. Receivers that this process does not know are refused.
        """
        plan, targets, plans = load_alerting(settings), settings.quotas(), plans_of(settings, self.catalogue)
        unknown = sorted({receiver.name for receiver in settings.receivers} - set(self.deliverer.notifiers))
        if unknown and self._delivering:
            raise SettingsError([f"receivers: {', '.join(unknown)}: new receivers need a restart"])
        rules = load_rules(self.catalogue, settings.rule_folders, plan, targets)
        self.rules = rules
        self.evaluator.use(rules)
        digest = summed(plan) if self._digesting else set()
        self.roller.watch(others(self.evaluator.wanted) | digest, targets)
        self.roller.declare(plans)
        if self.foreseer is not None:
            self.foreseer.use(watched({*self.evaluator.wanted, *foreseen(plan)}), targets)
        self.watcher.use(rules)
        self.sender_watcher.use(rules)
        self.standing_watcher.use(rules)
        self.dispatcher.use(plan)
        self.deliverer.plan = plan
        return rules

    def _foreseer(self, targets: Targets, plan: Alerting, *, alerting: bool, alone: bool) -> Foreseer:
        rules_on = watched({*self.evaluator.wanted, *foreseen(plan)}) if alerting else frozenset()
        return Foreseer(self.business, rules_on, targets, clock=self.options.clock, alone=alone)

    def _prediction_folds(self) -> list[FoldSpec]:
        settings = self.settings.models
        start: dict[str, bytes] = {name: read_document(name, path) for name, path in settings.start.items()}
        # Where nobody waits for a KPI (a replay) every question is asked.
        asks = settings.asks if self.options.clock is wall_clock else None
        return prediction_folds(
            self.business,
            self.options.partitions,
            interval=settings.interval,
            asks=asks,
            start=start,
            objected=self.settings.privacy.objections,
        )

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
        unnotified = {(name, "suppressed"): self.dispatcher.unnotified[name] for name in self.deliverer.notifiers}
        return {**self.deliverer.outcomes, **unnotified}

    @property
    def clock(self) -> Callable[[], int]:
        """Now, in epoch milliseconds."""
        return self.options.clock

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
        self._calming = asyncio.create_task(keep_calm(self.engine), name="collector")
        self.counting.start()
        if self.foreseer is not None and self.options.clock is wall_clock:
            poke = partial(self.engine.poke, foresee.NAME)
            self._foreseeing = asyncio.create_task(self.foreseer.run(poke), name="forecasts")
        if self.housekeeper is not None:
            self._keeping = asyncio.create_task(self.housekeeper.run(), name="housekeeping")

    async def stop(self) -> None:
        """A last checkpoint, then let go of everything."""
        await self.counting.stop()
        await end(self._calming)
        if self._foreseeing is not None:
            await end(self._foreseeing)
        if self._keeping is not None:
            await end(self._keeping)
        await self.engine.stop()
        await self.deliverer.close()

    def partitions(self) -> Iterator[EntityPartition]:
        """Yield the entity partitions in this worker's hands."""
        for owned in self.entities:
            yield from owned

    def customer_parts(self) -> list[KnowCustomers] | None:
        """Return all partitions of the customers; None where some are with another worker, or being restored."""
        parts = list(self.customers)
        return parts if len(parts) == self.options.partitions else None

    def predictions(self) -> Iterator[dict[str, Any]]:
        """Yield what is expected of each open deal and lead in this worker's hands."""
        for owned in self.predicting.values():
            for fold in owned:
                yield from fold.answers()

    def forecasts(self) -> list[bytes]:
        """Return what was said of periods and what came, as JSON, where this worker keeps it."""
        fold = None if self.foreseer is None else self.foreseer.owned()
        return [] if fold is None else fold.on_record()

    def answer(self, entity: Entity, key: str) -> Mapping[str, Any] | None:
        """Return what is expected of an open deal or lead; raise :class:`Elsewhere` where another worker has its partition."""
        partition = partition_for(key.encode(), self.options.partitions)
        found = self.predicting[entity](partition)
        if found is None:
            raise Elsewhere("its partition is with another worker, or being restored; `vigie web` knows all")
        return found.answer(key)

    def models(self) -> Sequence[Mapping[str, Any]]:
        """Return what is known of each model: by who learns, if that is this worker, else by the last release it was sent."""
        trainer = self.trainer()
        if trainer is not None:
            return trainer.status()
        latest = [self._release(owned) for owned in self.predicting.values()]
        return [release.status for release in latest if release is not None]

    def document(self, model: str) -> bytes | None:
        """Return a model as JSON, as it was last sent round, or None."""
        owned = self.predicting.get(cast(Entity, model))
        latest = None if owned is None else self._release(owned)
        return None if latest is None else bytes(latest.document)

    @staticmethod
    def _release(owned: "Owned[PredictPartition]") -> Any:
        """Return the last release that any partition of a fold was sent, or None."""
        releases = [fold.speaker.release for fold in owned if fold.speaker.release is not None]
        return max(releases, key=lambda release: release.at, default=None)


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
