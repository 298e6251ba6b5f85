"""What has each customer bought? Connects the customers' events to ``customer-states``."""

from models.business import Business
from models.customers.live import EVENTS, KnowCustomers
from stream.engine.options import FoldSpec
from stream.engine.topics import partition_for

NAME = "know-customers"
#: A lane of their own: no KPI waits for it.
LANE = "customers"
#: What the engine checkpoints every so many of its checkpoint intervals.
EVERY = 2


def know_customers(business: Business, partitions: int) -> FoldSpec:
    """Return the fold as the engine runs it."""
    return FoldSpec(
        name=NAME,
        topics=(EVENTS,),
        make=lambda partition: KnowCustomers(partition, business, lambda key: partition_for(key, partitions)),
        lane=LANE,
        doc=__doc__ or "",
    )
