"""What would a believable sales company, and the mischief of real networks, send to Vigie?"""

from models.simulator.live import QUOTAS, Live
from models.simulator.mischief import Mischief
from models.simulator.world import Rates, World

__all__ = ["QUOTAS", "Live", "Mischief", "Rates", "World"]
