"""The events of the small job: deterministic CRM events of about 234 bytes of JSON, and their topic."""

import random
from collections.abc import Iterable, Iterator

import orjson

from bench.small_fold import SmallFold, totals_of
from models.fold import Record
from stream.engine.app import Engine
from stream.engine.options import FoldSpec
from stream.engine.topic_list import Topic

CHANNELS = ["web", "phone", "email", "partner", "ads", "social"]
REGIONS = ["north", "south", "east", "west", "emea", "apac"]
STAGES = ["new", "qualified", "proposal", "negotiation", "won", "lost"]
OWNERS = [f"rep{i:02d}" for i in range(40)]
PAGES = ["/pricing", "/docs", "/home", "/demo", "/blog", "/contact"]
START = 1_780_000_000_000

TOPIC = "small"
TOPICS = (Topic(TOPIC),)


def specs() -> list[FoldSpec]:
    """The job's folds, for runners that take any job (``bench/chaos.py``)."""
    return [spec()]


def stream_of(count: int, seed: int) -> Iterator[tuple[str, bytes, bytes]]:
    """Events as (topic, key, value), for runners that take any job."""
    for key, value in events(count, seed, rate=100.0):
        yield TOPIC, key, value


def truth(stream: Iterable[tuple[str, bytes, bytes]]) -> object:
    """What the totals must be: one fold of all events, without an engine."""
    fold = SmallFold(0)
    fold.fold([Record(TOPIC, 0, 0, 0, key, value, ()) for _, key, value in stream])
    return fold.totals()


def totals(engine: Engine) -> object:
    """What the engine's folds have, over all partitions."""
    folds = (engine.driver.fold_of("small", partition) for partition in range(engine.options.partitions))
    return totals_of(fold for fold in folds if fold is not None)


def spec(lane: str = "state") -> FoldSpec:
    """The fold of the small job."""
    return FoldSpec(name="small", topics=(TOPIC,), make=SmallFold, lane=lane, doc="Fold the small job's events.")


def events(count: int, seed: int = 7, keys: int = 5_000, rate: float = 2_000.0) -> Iterator[tuple[bytes, bytes]]:
    """``count`` (key, value) pairs: 45 % deals, 25 % leads, 30 % page views; ``rate`` events a second of event time."""
    r = random.Random(seed)
    for i in range(count):
        kind = r.random()
        entity = r.randrange(keys)
        base = {
            "event_id": f"{i:016x}",
            "ts": START + int(i * 1000.0 / rate),
            "channel": r.choice(CHANNELS),
            "region": r.choice(REGIONS),
            "owner": r.choice(OWNERS),
        }
        event: dict[str, object]
        if kind < 0.45:
            key = f"deal-{entity:05d}"
            event = {
                "type": "deal",
                "deal_id": key,
                "stage": r.choice(STAGES),
                "amount": r.randrange(10_000, 910_000),
                "currency": "EUR",
                "probability": round(r.random(), 2),
                "account": f"acct-{entity % 700:04d}",
                "source": "crm",
            }
        elif kind < 0.7:
            key = f"lead-{entity:05d}"
            event = {
                "type": "lead",
                "lead_id": key,
                "status": r.choice(["open", "contacted", "converted", "dead"]),
                "score": r.randrange(100),
                "campaign": f"camp-{entity % 30:02d}",
                "email": f"user{entity}@example.com",
            }
        else:
            key = f"acct-{entity % 700:04d}"
            event = {
                "type": "web",
                "visitor_id": f"v{entity:06d}",
                "account": key,
                "page": r.choice(PAGES),
                "duration_s": r.randrange(3_000),
                "action": r.choice(["view", "click", "form", "download"]),
                "session": f"s{r.randrange(1 << 30):08x}",
            }
        yield key.encode(), orjson.dumps({**event, **base})
