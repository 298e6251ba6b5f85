"""What would a believable sales company, and the mischief of real networks, send to Vigie?"""

from models.simulator.live import QUOTAS, LiveCompany
from models.simulator.mischief import Mischief
from models.simulator.world import DailyRates, World

__all__ = ["QUOTAS", "DailyRates", "LiveCompany", "Mischief", "World"]
