"""Who keeps the entities of each fold?"""

from collections.abc import Callable

from models.business import Business
from models.folds.deal_keeper import DealKeeper
from models.folds.engagement_keeper import EngagementKeeper
from models.folds.keeper import Keeper
from models.folds.lead_keeper import LeadKeeper
from models.folds.tally_keeper import TallyKeeper
from models.panes.segments import Segments
from models.panes.store import Panes

#: The keeper of each entity fold.
KEEPERS: dict[str, Callable[[Business, Panes, Segments], Keeper]] = {
    "deals": DealKeeper,
    "leads": LeadKeeper,
    "engagement": EngagementKeeper,
    "customers": TallyKeeper,
    "spend": TallyKeeper,
}
