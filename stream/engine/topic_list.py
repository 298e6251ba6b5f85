"""Which topics are there, each with how it is kept?"""

from collections.abc import Mapping
from dataclasses import dataclass, field

DAY = 86_400_000
#: State rows of one key may outgrow Kafka's default of 1 MiB (a visitor's remembered ids).
MAX_ROW_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """A declared topic: ``partitioned`` means by entity key, else it has one partition. ``retention`` in ms, None = ever."""

    name: str
    partitioned: bool = True
    compact: bool = False
    retention: int | None = None
    config: Mapping[str, str] = field(default_factory=dict)


#: When a record came is the broker's word, by which arrival and retention go; Kafka's default is whatever the producer wrote.
STAMPED_BY_BROKER = {"message.timestamp.type": "LogAppendTime"}
#: For topics of few large records that are written again and again: compaction only sees segments that are full.
COMPACTED_SOON = {"segment.bytes": str(32 * 1024 * 1024), "min.cleanable.dirty.ratio": "0.1"}
#: Events are kept for replays and new readers, page views for a month; numbers live in the folds' state, which keeps them longer.
#: What is kept how long, topics and state, is one table: ``stream/engine/retention.py``.
TOPICS: tuple[Topic, ...] = (
    Topic("deals", retention=400 * DAY),
    Topic("leads", retention=400 * DAY),
    Topic("engagement", retention=35 * DAY),
    Topic("customers", retention=400 * DAY),
    Topic("spend", retention=400 * DAY),
    Topic("deal-merges", retention=400 * DAY),
    Topic("lead-merges", retention=400 * DAY),
    Topic("deal-states", compact=True),
    Topic("lead-states", compact=True),
    Topic("customer-states", compact=True),
    Topic("customer-moves", retention=400 * DAY),
    Topic("acquaintances", retention=35 * DAY),
    Topic("examples", partitioned=False, retention=35 * DAY),
    Topic("model-snapshots", compact=True, config=COMPACTED_SOON),
    Topic("predictions", compact=True),
    Topic("lead-predictions", compact=True),
    Topic("deal-outlooks", partitioned=False, compact=True),
    Topic("forecasts", partitioned=False, compact=True),
    Topic("limits", compact=True),
    Topic("findings", partitioned=False, compact=True),
    Topic("beats", partitioned=False, retention=35 * DAY),
    Topic("panes", partitioned=False, compact=True),
    Topic("highlights", partitioned=False, compact=True),
    Topic("readings", partitioned=False, compact=True),
    Topic("objectives", partitioned=False, compact=True),
    Topic("standings", partitioned=False, compact=True),
    Topic("alerts", partitioned=False, retention=400 * DAY),
    Topic("alert-states", partitioned=False, compact=True),
    Topic("outbox", partitioned=False, retention=30 * DAY),
    Topic("dead-letters", partitioned=False, retention=90 * DAY),
    Topic("erasures", partitioned=False, compact=True),
    Topic("erasure-requests", partitioned=False, retention=400 * DAY),
    Topic("audit", partitioned=False, retention=800 * DAY),
)
