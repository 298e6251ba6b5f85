"""Programs of Debian packages that some tests need: skipped loudly where absent, failed in CI."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Callable

import pytest


def program(*names: str) -> str:
    """Return the path of the first program found; without one the test is skipped, in CI it fails."""
    for name in names:
        if path := shutil.which(name):
            return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"{names[0]} is required in CI")
    pytest.skip(f"NOT TESTED: {names[0]} is not installed")


def free_port() -> int:
    """Return a port that is free on the loopback now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


async def eventually(holds: Callable[[], object], seconds: float = 60) -> None:
    """Return once the condition holds; raise ``TimeoutError``. For what another task or process does."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
