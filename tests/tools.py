"""Programs of Debian packages that some tests need: skipped loudly where absent, failed in CI."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable

import pytest

from tests.kafka_broker import free_port as free_port  # one for all: no client of anybody is given such a port meanwhile


def program(*names: str) -> str:
    """Return the path of the first program found; without one the test is skipped, in CI it fails."""
    for name in names:
        if path := shutil.which(name):
            return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"{names[0]} is required in CI")
    pytest.skip(f"NOT TESTED: {names[0]} is not installed")


async def eventually(holds: Callable[[], object], seconds: float = 120) -> None:
    """Return once the condition holds; raise ``TimeoutError``. For what another task or process does."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
