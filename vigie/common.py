"""What do all commands share: reading the settings, saying errors, logging?"""

import asyncio
import logging
import shutil
import signal
import sys
import textwrap
import time
from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from confluent_kafka import KafkaError, KafkaException
from rich.console import Console

from models.kpis.catalogue import CatalogueError
from stream.errors import EngineError
from stream.settings import Settings, SettingsError, load
from stream.web.server import CannotListen
from vigie.rules import RulesError

log = logging.getLogger(__name__)

#: Progress and messages; standard output is for results. Lines are never wrapped: logs and pipes have no width.
console = Console(stderr=True, soft_wrap=True, highlight=False)

Config = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file (default: vigie.yaml or VIGIE_CONFIG).")]

_FORMAT = "%(asctime)sZ %(levelname)s %(name)s: %(message)s"
#: Libraries whose information is about themselves; what they warn of still comes through.
_QUIET = ("faust", "mode", "aiokafka", "httpx", "uvicorn")


def wrapped(text: str, indent: int = 4) -> str:
    """Return a text in lines that fit the terminal, broken between words; as it is where it goes to a file or a pipe."""
    columns = shutil.get_terminal_size((0, 0)).columns
    if not columns:
        return text
    return textwrap.fill(
        text, max(columns - 1, 40), subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False,
        drop_whitespace=True,
    )  # fmt: skip


def local_time(iso: str) -> str:
    """Return a time of the API as this machine's clock would show it, to the minute."""
    try:
        return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return iso


def refuse(error: Exception | str, code: int = 1) -> NoReturn:
    """Say what is wrong and leave with the exit code: 1 refused or failed, 2 wrong usage."""
    console.print(f"vigie: {error}", style="red", markup=False)
    raise typer.Exit(code)


def no_broker(brokers: str, error: KafkaException) -> str:
    """Return what to say where a Kafka does not answer, or refuses."""
    code, text = error.args[0].code(), error.args[0].str()
    if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return f"{brokers}: {text} (run: vigie topics create)"
    return f"kafka.brokers: {brokers}: {text}" + (" (is Kafka running there, and is the address right?)" if code < 0 else "")


def settings_of(config: Path | None, **overrides: Any) -> Settings:
    """Return the settings, or say everything that is wrong with them and leave."""
    try:
        return load(config, **overrides)
    except SettingsError as error:
        refuse("settings:\n" + "\n".join(f"  {problem}" for problem in error.problems))


class _NoServiceChatter(logging.Filter):
    """Keeps out the "[^-Consumer]: Starting..." of Faust's services: ours say it under the names of our own modules."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or not str(record.msg).startswith("[^")


def log_to_stderr(level: str) -> None:
    """Set up logging for a command that runs long: one line for what an operator has to know, in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter(_FORMAT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    if level != "debug":
        handler.addFilter(_NoServiceChatter())
        for noisy in _QUIET:
            logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def run(main: Coroutine[Any, Any, int | None]) -> None:
    """Run a command to its end; what it refuses is one clear message and exit code 1. SIGTERM and SIGINT stop it in order."""
    try:
        code = asyncio.run(_until_signalled(main))
    except typer.Exit:  # it has been said already; a RuntimeError by descent
        raise
    except (RulesError, CatalogueError, CannotListen, EngineError, RuntimeError, ValueError, OSError) as error:
        log.debug("refused", exc_info=True)
        refuse(error)
    except KafkaException as error:
        refuse(f"Kafka: {error.args[0].str()}")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(code or 0)


async def _until_signalled(main: Coroutine[Any, Any, int | None]) -> int | None:
    task = asyncio.ensure_future(main)
    loop = asyncio.get_running_loop()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:  # a second signal must not cut the last checkpoint short; SIGKILL is there for that
            stopped = True
            log.info("stopping: last checkpoint, then leaving the group")
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if stopped:
            log.info("stopped")
            return 0
        raise
