"""What do the folds that predict have in common, as the engine sees them?"""

from models.business import Business
from models.fold import PartitionFold
from stream.engine.options import FoldSpec
from stream.engine.topics import partition_for

#: A lane of their own: no KPI waits for a prediction.
LANE = "predictions"
#: What the engine checkpoints every so many of its checkpoint intervals.
EVERY = 4


def prediction_fold(
    model: str,
    name: str,
    topics: tuple[str, ...],
    business: Business,
    partitions: int,
    asks: int | None,
    doc: str | None,
    objected: frozenset[str] = frozenset(),
) -> FoldSpec:
    """Return the spec of one such fold; ``asks`` bounds the questions of all its partitions between two ticks; None: no bound.

    ``objected`` are the ids of whom nothing is predicted.
    """

    def make(partition: int) -> PartitionFold:
        # River and numpy take a second to import; the engine makes folds in a thread of its own.
        from models.learners.live_kinds import KINDS
        from models.learners.live_predict import PredictPartition

        share = None if asks is None else max(asks // partitions, 10)
        return PredictPartition(
            KINDS[model], partition, business, lambda key: partition_for(key, partitions), asks=share, objected=objected
        )

    news = "model-snapshots"
    return FoldSpec(name=name, topics=(*topics, news), make=make, lane=LANE, doc=doc or "", told=(news,))
