"""What do the folds of entities have in common, as the engine sees them?"""

from models.business import Business
from models.folds.partition import TOPICS, EntityPartition
from stream.engine.options import FoldSpec
from stream.engine.topics import partition_for

#: All folds of entities share a checkpoint: one transaction for what one moment's events have changed.
LANE = "state"


def entity_fold(name: str, business: Business, partitions: int, doc: str | None) -> FoldSpec:
    """Return the spec of one entity fold; ``partitions`` is how many its topics have."""
    return FoldSpec(
        name=f"fold-{name}",
        topics=TOPICS[name],
        make=lambda partition: EntityPartition(name, partition, business, lambda key: partition_for(key, partitions)),
        lane=LANE,
        doc=doc or "",
    )
