"""How often may somebody, by a rate that allows for some at once?"""

import os
from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b

#: Addresses whose rate is watched at a time; the one that was quiet for longest is forgotten first.
CLIENTS = 20_000


@dataclass
class Bucket:
    """Tokens that come back at a ``rate`` a second, at most ``most`` of them. A rate of 0 never runs out."""

    rate: float
    most: float
    tokens: float = field(init=False)
    at: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.tokens = self.most

    def take(self, now: int) -> bool:
        """Take one at the time ``now`` (epoch ms); return whether there was one."""
        if not self.rate:
            return True
        if self.at:
            self.tokens = min(self.most, self.tokens + max(0, now - self.at) / 1000 * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Clients:
    """A bucket for each address, kept by a hash whose key is this process's own. A rate of 0 never runs out."""

    def __init__(self, rate: float, most: float) -> None:
        self._rate, self._most = rate, most
        self._buckets: OrderedDict[bytes, Bucket] = OrderedDict()
        self._salt = os.urandom(32)

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: str, now: int) -> bool:
        """Take one for an address at ``now`` (epoch ms); return whether there was one."""
        return not self._rate or self._of(client).take(now)

    def left(self, client: str, now: int) -> bool:
        """Whether an address could take one, without taking it."""
        bucket = self._of(client)
        return not self._rate or bucket.at == 0 or bucket.tokens + max(0, now - bucket.at) / 1000 * bucket.rate >= 1

    def _of(self, client: str) -> Bucket:
        key = blake2b(client.encode(), digest_size=16, key=self._salt).digest()
        bucket = self._buckets.pop(key, None) or Bucket(self._rate, self._most)
        self._buckets[key] = bucket
        if len(self._buckets) > CLIENTS:
            self._buckets.popitem(last=False)
        return bucket
