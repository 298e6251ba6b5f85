"""What is there to be learnt from what became of deals and leads? Connects ``examples`` to ``model-snapshots``."""

from collections.abc import Mapping

from models.fold import PartitionFold
from stream.engine.options import FoldSpec
from stream.engine.topic_list import COMPACTED_SOON

NAME = "learn"
#: A lane of its own and a slow one: each checkpoint writes the documents of what has learnt.
LANE = "lessons"
#: What the engine checkpoints every so many of its checkpoint intervals.
EVERY = 8


def learn(partitions: int, interval: int, start: Mapping[str, bytes] | None = None) -> FoldSpec:
    """Learn every example once, judge the answers, and tell the model to those who predict."""

    def make(partition: int) -> PartitionFold:
        from models.learners.live_learn import LearnModels

        return LearnModels(partitions, interval, start)

    return FoldSpec(name=NAME, topics=("examples",), make=make, lane=LANE, doc=learn.__doc__ or "", changelog=COMPACTED_SOON)
