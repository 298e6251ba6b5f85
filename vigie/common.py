"""What do all commands share: reading the settings, saying errors, logging?"""

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from models.kpis.catalogue import CatalogueError
from stream.errors import EngineStopped
from stream.settings import Settings, SettingsError, load
from stream.web.server import CannotListen
from vigie.rules import RulesError

#: Progress and messages; standard output is for results.
console = Console(stderr=True)

Config = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file (default: vigie.yaml or VIGIE_CONFIG).")]


def refuse(error: Exception | str, code: int = 1) -> NoReturn:
    """Say what is wrong and leave with the exit code."""
    console.print(f"vigie: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def settings_of(config: Path | None, **overrides: Any) -> Settings:
    """Return the settings, or say everything that is wrong with them and leave."""
    try:
        return load(config, **overrides)
    except SettingsError as error:
        refuse("settings:\n" + "\n".join(f"  {problem}" for problem in error.problems))


def log_to_stderr(level: str) -> None:
    """Set up logging for a command that runs long."""
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for noisy in ("faust", "mode", "aiokafka", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def run(main: Coroutine[Any, Any, int | None]) -> None:
    """Run a command to its end; what it refuses is one clear message and exit code 1. SIGTERM and SIGINT stop it in order."""
    try:
        code = asyncio.run(_until_signalled(main))
    except (RulesError, CatalogueError, CannotListen, EngineStopped, RuntimeError, ValueError, OSError) as error:
        logging.getLogger(__name__).debug("refused", exc_info=True)
        refuse(error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(code or 0)


async def _until_signalled(main: Coroutine[Any, Any, int | None]) -> int | None:
    task = asyncio.ensure_future(main)
    loop = asyncio.get_running_loop()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if stopped:
            return 0
        raise
