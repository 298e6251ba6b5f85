"""Where do snapshots go where there is no Redis? Into this process, for as long as it runs."""

import time
from collections.abc import Sequence


class Memory:
    """What snapshots ask of a Redis, with the same answers."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, float]] = {}

    async def ping(self) -> bool:
        """Return that it is there."""
        return True

    async def set(self, key: str, value: bytes, ex: float) -> bool:
        """Keep a value for ``ex`` seconds."""
        self._kept[key] = value, time.monotonic() + ex
        return True

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of the keys, None where there is none, or none any more."""
        now = time.monotonic()
        found = (self._kept.get(key, (None, now)) for key in keys)
        return [value if until > now else None for value, until in found]

    async def unlink(self, *keys: str) -> None:
        """Forget these keys."""
        for key in keys:
            self._kept.pop(key, None)

    async def aclose(self) -> None:
        """Forget everything."""
        self._kept.clear()
