"""``vigie upgrade``: what will a worker of this version, with these settings, make of the state that is there?"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import orjson
import typer
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from agents.worker import entity_folds
from models.business import Business
from models.folds.evolve import DefinitionChange, difference, kept_under, made_of
from models.measures import FROM_PRESENT
from models.panes.segments import Segments
from stream.config.settings import Settings
from stream.engine.backend import Partition
from stream.engine.client_logs import client_logger
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.restore import first_and_last, read_through
from stream.ledger.copies import state
from stream.ledger.schema import LedgerRefused
from vigie.common import Config, console, no_broker, refuse, settings_of, wrapped
from vigie.lanes import engine_options
from vigie.ledger import place

_WHAT = {
    "measures": "measures",
    "business.timezone": "time zone",
    "business.currency": "currency",
    "business.maturity": "maturity",
    "business.session_gap": "session gap",
    "business.segment_limit": "values per dimension",
    "business.rates": "exchange rates",
    "business.pipelines": "stages of the pipelines",
    "business.stages": "order of the stages",
    "business.response_sla": "time to answer a lead",
    "business.pairs": "pairs of dimensions",
    "business.stalled_after": "time until a deal has stalled",
    "rules": "rules of counting",
}
#: What becomes of measures, in the order in which it is told.
_FATES = {
    "revised": "kept, and brought in line with the rules of this version by the facts that are kept",
    "derived": "new, counted from the facts that are kept",
    "anew": "counted anew from the facts that are kept",
    "from_now": "new, counted from now on",
    "mixed": "counted as it is meant now from now on; what was counted stays as it was meant then",
    "lost": "lost: what was counted means nothing under these settings; counted from now on",
    "removed": "no longer measured",
}


@dataclass
class FoldUpgrade:
    """What there is of one fold, and what becomes of its measures."""

    fold: str
    partitions: int = 0  # that have state
    entities: int = 0
    panes: int = 0
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    revised: list[str] = field(default_factory=list)
    derived: list[str] = field(default_factory=list)
    anew: list[str] = field(default_factory=list)
    from_now: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def take(self, keys: Counter[str], change: DefinitionChange) -> None:
        """Add one partition."""
        self.partitions += 1
        self.entities += keys["E"]
        self.panes += keys["P"]
        self.changed += [_WHAT[name] for name in change.why if _WHAT[name] not in self.changed]
        for fate in ("kept", *_FATES):
            mine: list[str] = getattr(self, fate)
            mine += [name for name in getattr(change, fate) if name not in mine]

    def lines(self) -> Iterator[str]:
        """Yield lines for people."""
        yield f"{self.fold}: {self.entities:,} entities and {self.panes:,} panes in {self.partitions} partitions"
        if not self.changed:
            yield "  kept as it is"
            return
        yield f"  changed: {', '.join(self.changed)}; {len(self.kept)} measures are kept as they are"
        for fate, words in _FATES.items():
            names: list[str] = getattr(self, fate)
            if names:
                yield f"  {', '.join(names)}: {words}"
        if self.derived or self.anew:
            yield "  in the background, when a worker starts: KPIs made of these have no value until it is done (see /readyz)"
            steps = [name for name in self.derived + self.anew if name not in FROM_PRESENT]
            if steps:
                yield f"  of more than 64 facts the oldest are kept no longer: {', '.join(steps)} may be whole only since then"


def state_of(rows: Mapping[bytes, bytes], keys: Counter[str], fold: str, business: Business, into: FoldUpgrade) -> None:
    """Judge one partition by its rows ``!``, ``S`` and ``O``."""
    one = orjson.loads(rows[b"!"])
    segments = Segments(business.segment_limit)
    segments.load(orjson.loads(rows.get(b"S", b"{}")))
    segments.load_others(orjson.loads(rows.get(b"O", b"{}")))
    before = kept_under(one)
    limit = before.get("business.segment_limit", business.segment_limit)
    change = difference(fold, before, made_of(fold, business, one["watermark"]), full=segments.full(limit))
    into.take(keys, change)


class _State:
    """What is kept of some folds, row by row; ``folds`` has their names by changelog."""

    def __init__(self, folds: Mapping[str, str]) -> None:
        self._folds = folds
        self._rows: dict[Partition, dict[bytes, bytes]] = {}
        self._names: dict[Partition, set[bytes]] = {}

    def take(self, key: Partition, name: bytes, value: bytes | None) -> None:
        """Take a row, None for one that was removed: of each name the last one counts."""
        if name[:1] in b"!SO" and value is not None:
            self._rows.setdefault(key, {})[name] = value
        elif value is None:
            self._names.setdefault(key, set()).discard(name)
        else:
            self._names.setdefault(key, set()).add(name)

    def judged(self, business: Business) -> list[FoldUpgrade]:
        """Return what there is of each fold."""
        found = {fold: FoldUpgrade(fold) for fold in self._folds.values()}
        for key, rows in self._rows.items():
            if b"!" in rows:
                fold = self._folds[key[0]]
                state_of(rows, Counter(chr(name[0]) for name in self._names.get(key, ())), fold, business, found[fold])
        return list(found.values())


def check(options: EngineOptions, specs: Iterable[FoldSpec], business: Business, ledger: Path | None = None) -> list[FoldUpgrade]:
    """Return what there is of each fold of entities: on Kafka, or in a ledger of this machine.

    Raises :class:`confluent_kafka.KafkaException` where no broker answers, :class:`LedgerRefused` where there is no ledger.
    """
    folds = {options.changelog(spec.name): spec.name.removeprefix("fold-") for spec in specs}
    kept = _State(folds)
    if ledger is not None:
        for changelog, partition, name, value in state(ledger):
            if changelog in folds:
                kept.take((changelog, partition), name, value)
        return kept.judged(business)
    there = AdminClient(options.client(), logger=client_logger()).list_topics(timeout=10).topics
    wanted: list[Partition] = [(t, p) for t in folds if t in there for p in there[t].partitions]
    bounds = first_and_last(options, wanted)
    read_through(options, bounds, lambda key, message: kept.take(key, message.key(), message.value()), lambda: False)
    return kept.judged(business)


def command(
    only: Annotated[bool, typer.Option("--check", help="Say what is kept, counted anew, counted from now on, or lost.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    config: Config = None,
) -> None:
    """Say what this version, with these settings, will make of the state that is there; exit code 1 where some is lost.

    Nothing is changed: a worker brings older state up by itself when it starts.
    """
    if not only:
        refuse("a worker brings older state up by itself when it starts; what it will do says: vigie upgrade --check", 2)
    settings = settings_of(config)
    found = _found(settings)
    if as_json:
        print(orjson.dumps([asdict(kept) for kept in found], option=orjson.OPT_INDENT_2).decode())
    else:
        for kept in found:
            for line in kept.lines():
                print(wrapped(line))
    if any(kept.lost for kept in found):
        raise typer.Exit(1)


def _found(settings: Settings) -> list[FoldUpgrade]:
    options = engine_options(settings, settings.kafka.brokers)
    business = settings.business.business()
    ledger = place(settings) if settings.kafka.embedded else None
    try:
        found = check(options, entity_folds(business, options.partitions), business, ledger)
    except KafkaException as error:
        refuse(no_broker(options.brokers, error))
    except LedgerRefused as error:
        refuse(error)
    if not any(kept.partitions for kept in found):
        console.print(f"no state is kept under the application name {settings.application}: a worker begins anew")
    return [kept for kept in found if kept.partitions]
