"""``vigie backup``, ``restore`` and ``check``: the ledger of one machine, as a file."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from stream.config.settings import Settings
from stream.ledger import copies
from stream.ledger.lock import LedgerTaken
from stream.ledger.schema import LedgerRefused
from stream.ledger.store import Ledger
from vigie.common import Config, console, plain, refuse, settings_of

#: What the ledger is called in ``data_dir``.
FILE = "vigie.db"


def mark(settings: Settings) -> Path:
    """Return the file that says that what was kept here is being moved, or was (``vigie move``)."""
    return settings.data_dir / "vigie.moved"


def place(settings: Settings) -> Path:
    """Return where an installation without a Kafka keeps everything."""
    return settings.data_dir / FILE


@contextlib.contextmanager
def ledger_of(settings: Settings, *, in_memory: bool) -> Iterator[Ledger | None]:
    """Open the file that keeps everything where there is no Kafka; one that is gone at the end where nothing is to be kept.

    Raises :class:`~stream.ledger.lock.LedgerTaken` or :class:`LedgerRefused`.
    """
    if not settings.kafka.embedded:
        yield None
    elif in_memory:
        with tempfile.TemporaryDirectory(prefix="vigie-", ignore_cleanup_errors=True) as folder:
            yield Ledger(Path(folder) / FILE, durable=False)
    elif mark(settings).exists():
        raise LedgerRefused(f"{place(settings)}: {json.loads(mark(settings).read_bytes())['found']}")
    else:
        yield Ledger(place(settings))


def _local(config: Path | None) -> Path:
    settings = settings_of(config)
    if not settings.kafka.embedded:
        refuse("kafka.brokers: a Kafka keeps everything here; back that up (docs/reliability.md)", 2)
    return place(settings)


def backup(
    file: Annotated[Path, typer.Argument(help="The copy to write; it must not be there yet.")],
    config: Config = None,
) -> None:
    """Copy everything that this machine keeps into one file, also while `vigie up` runs."""
    source = _local(config)
    try:
        size = copies.backup(source, file)
    except (LedgerRefused, OSError) as error:
        refuse(error)
    console.print(f"{plain(file)}: {size / 1e6:,.1f} MB, all of one moment")


def restore(
    file: Annotated[Path, typer.Argument(help="What `vigie backup` wrote.")],
    config: Config = None,
) -> None:
    """Put a copy in place of what this machine keeps; what was there is kept beside it."""
    target = _local(config)
    try:
        kept = copies.restore(file, target)
    except (LedgerRefused, LedgerTaken, OSError) as error:
        refuse(error)
    console.print(f"{plain(target)}: restored" + (f"; what was there: {plain(kept)}" if kept else ""))


def check(
    file: Annotated[Path | None, typer.Argument(help="A copy to look at (default: what this machine keeps).")] = None,
    config: Config = None,
) -> None:
    """Look whether a ledger is whole: its pages, and whether state and logs fit together. Ends with 1 where not."""
    path = _local(config) if file is None else file
    try:
        found = list(copies.problems(path))
    except LedgerRefused as error:
        refuse(error)
    for line in found:
        console.print(plain(line))
    if found:
        raise typer.Exit(1)
    console.print(f"{plain(path)}: whole")
