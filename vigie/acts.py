"""How does an operator's act get onto the topic ``alerts``?"""

import asyncio

from stream.options import EngineOptions
from stream.publisher import Publisher


class Acts:
    """Writes acts, one at a time, over a producer that is made with the first one."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._publisher: Publisher | None = None
        self._lock = asyncio.Lock()

    async def put(self, key: bytes, value: bytes) -> None:
        """Write one and return once the broker has it; raise ``OSError`` where it does not take it within 5 s."""
        async with self._lock:
            if self._publisher is None:
                self._publisher = Publisher(self._options, message_timeout_ms=5_000)
            failed = self._publisher.failed
            self._publisher.send("alerts", key, value)
            await self._publisher.flushed()
            if self._publisher.failed > failed:
                raise OSError("the broker did not take it")

    def close(self) -> None:
        """Let the producer go."""
        if self._publisher is not None:
            self._publisher.close()
