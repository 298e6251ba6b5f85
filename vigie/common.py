"""What do all commands share: reading the settings, saying errors, logging?"""

import asyncio
import logging
import os
import shutil
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from confluent_kafka import KafkaError, KafkaException
from rich.console import Console
from rich.markup import escape

from models.events.scalars import clean_text
from models.kpis.catalogue import CatalogueError
from stream.config.settings import Settings, SettingsError
from stream.engine.errors import EngineError
from stream.logs import JsonLines
from vigie.rule_files import RulesError
from vigie.settings import load

log = logging.getLogger(__name__)

#: Progress and messages; standard output is for results. Lines are never wrapped: logs and pipes have no width.
console = Console(stderr=True, soft_wrap=True, highlight=False)

Config = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file (default: vigie.yaml or VIGIE_CONFIG).")]

#: A stop that takes longer is cut off: below the 30 s that orchestrators give before they kill. Seconds.
_STOP_SECONDS = 25.0
#: Signals closer together are one: a terminal sends to the whole group, and whoever started us passes it on. Seconds.
_SAME_SIGNAL = 1.0

_FORMAT = "%(asctime)sZ %(levelname)s %(name)s: %(message)s"
#: Libraries whose information is about themselves; what they warn of still comes through.
_QUIET = ("faust", "mode", "aiokafka", "httpx", "uvicorn")


def plain(text: object) -> str:
    """Return a text as it may go to a terminal: no control character but the line's end, nothing that cannot be seen."""
    return "\n".join(clean_text(line) if not line.isprintable() else line for line in str(text).split("\n"))


def cell(value: object) -> str:
    """Return a text of a table's cell: one line, and no markup of the library that draws the table."""
    return escape(clean_text(str(value)))


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
    console.print(f"vigie: {plain(error)}", style="red", markup=False)
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


class _Lines(logging.Formatter):
    """One line is one record: what others wrote can begin no line of its own, and reaches no terminal as a command."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = plain(record.message).replace("\n", "\n    ")
        return super().formatMessage(record)


def log_to_stderr(level: str, form: str = "text", role: str = "") -> None:
    """Set up logging for a command that runs long: one line for what an operator has to know, in UTC.

    ``form``: ``text``, or ``json`` for programs (``stream/logs.py``). ``role`` is said in each line, where several
    processes write one log.
    """
    handler = logging.StreamHandler(sys.stderr)
    text = _FORMAT.replace("%(name)s", f"{role} %(name)s") if role else _FORMAT
    formatter: logging.Formatter = JsonLines(role) if form == "json" else _Lines(text, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    if level != "debug":
        handler.addFilter(_NoServiceChatter())
        for noisy in _QUIET:
            logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def run(main: Coroutine[Any, Any, int | None], *, at_once: Callable[[], object] = lambda: None) -> None:
    """Run a command to its end; what it refuses is one clear message and exit code 1. SIGTERM and SIGINT stop it in order,
    a second one at once; a stop that hangs is cut off after 25 s. ``at_once`` is called where it is not waited for any longer."""
    try:
        code = asyncio.run(_until_signalled(main, at_once))
    except typer.Exit:  # it has been said already; a RuntimeError by descent
        raise
    except (RulesError, CatalogueError, EngineError, RuntimeError, ValueError, OSError) as error:
        log.debug("refused", exc_info=True)
        refuse(error)
    except KafkaException as error:
        refuse(f"Kafka: {error.args[0].str()}")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(code or 0)


class _Stop:
    """What a signal to stop does: the first asks, the second does not ask any more."""

    def __init__(self, task: "asyncio.Future[int | None]", at_once: Callable[[], object]) -> None:
        self._task = task
        self._at_once = at_once
        self._loop = asyncio.get_running_loop()
        self._began: float | None = None

    @property
    def asked(self) -> bool:
        """Whether somebody wants us to stop."""
        return self._began is not None

    def signalled(self) -> None:
        """Take a signal."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
            log.info("stopping: last checkpoint, then leaving the group")
            # A thread of its own: it must also see a loop that hangs, or that waits for a thread while it is closed.
            guard = threading.Timer(_STOP_SECONDS, self._leave, [f"not stopped within {_STOP_SECONDS:g} s"])
            guard.daemon = True
            guard.start()
            self._task.cancel()
        elif now - self._began > _SAME_SIGNAL:
            self._leave("a second signal")

    def _leave(self, why: str) -> None:
        """End the process now. What is durable stays so; whoever comes next restores it."""
        waiting = sorted(task.get_name() for task in asyncio.all_tasks(self._loop) if not task.done())
        log.warning("%s: ended without the rest (under way: %s)", why, ", ".join(waiting) or "nothing")
        self._at_once()
        logging.shutdown()
        os._exit(1)


async def _until_signalled(main: Coroutine[Any, Any, int | None], at_once: Callable[[], object]) -> int | None:
    task = asyncio.ensure_future(main)
    stop = _Stop(task, at_once)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.signalled)
    try:
        return await task
    except asyncio.CancelledError:
        if stop.asked:
            log.info("stopped")
            return 0
        raise
