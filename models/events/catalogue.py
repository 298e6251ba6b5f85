"""Which types of event are there, and on which topic does each belong?"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, get_args

from models.events.customers import CustomerEvent
from models.events.deals import DealEvent
from models.events.engagement import EngagementEvent
from models.events.leads import LeadEvent
from models.events.merges import DealAbsorbed, LeadAbsorbed, MergeEvent
from models.events.spend import SpendEvent
from models.events.wire import Envelope

#: Any event of the contract.
Event: TypeAlias = DealEvent | LeadEvent | EngagementEvent | CustomerEvent | SpendEvent | MergeEvent

#: The union of each topic's event structs; topics are named without the installation's prefix.
TOPICS: Mapping[str, Any] = MappingProxyType(
    {
        "deals": DealEvent,
        "leads": LeadEvent,
        "engagement": EngagementEvent,
        "customers": CustomerEvent,
        "spend": SpendEvent,
        "deal-merges": DealAbsorbed,
        "lead-merges": LeadAbsorbed,
    }
)


def _tag(struct: type[Envelope]) -> str:
    return str(struct.__struct_config__.tag)


#: The struct of each type.
STRUCTS: Mapping[str, type[Envelope]] = MappingProxyType(
    {_tag(struct): struct for union in TOPICS.values() for struct in get_args(union) or (union,)}
)
#: The type of each struct, as it is written on the wire and in metrics.
TYPE_OF: Mapping[type[Envelope], str] = MappingProxyType({struct: tag for tag, struct in STRUCTS.items()})
#: The topic of each type.
TOPIC_OF: Mapping[str, str] = MappingProxyType(
    {_tag(struct): topic for topic, union in TOPICS.items() for struct in get_args(union) or (union,)}
)
