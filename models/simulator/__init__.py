"""What would a believable sales company, and the mischief of real networks, send to Vigie?"""

from models.simulator.world import Rates, World

__all__ = ["Rates", "World"]
