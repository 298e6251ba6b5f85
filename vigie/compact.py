"""``vigie compact``: make the file of one machine as small as what it keeps."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from stream.engine.backend import Partition
from stream.engine.options import EngineOptions, FoldSpec
from stream.ledger.compaction import Compaction
from stream.ledger.keeping import expire
from stream.ledger.lock import LedgerLock, LedgerTaken
from stream.ledger.log_reader import LedgerError
from stream.ledger.on_ledger import OnLedger
from stream.ledger.schema import LedgerRefused
from stream.ledger.store import Ledger
from vigie.common import Config, console, plain, refuse, settings_of
from vigie.lanes import engine_options
from vigie.ledger import place
from vigie.topics import folds_of


def command(config: Config = None) -> None:
    """Let go of what is no longer kept, and give its room back to the disk. Stop `vigie up` first; it does the like by itself."""
    settings = settings_of(config)
    if not settings.kafka.embedded:
        refuse("kafka.brokers: a Kafka keeps everything here, and compacts by itself", 2)
    path = place(settings)
    if not path.exists():
        refuse(f"{path}: there is no such file")
    before = path.stat().st_size
    try:
        ledger = Ledger(path)
        try:
            options = engine_options(settings, str(path), backend=OnLedger(ledger))
            gone = _tidy(ledger, options, folds_of(settings, options))
        finally:
            ledger.close()
        _vacuum(path)
    except (LedgerRefused, LedgerTaken, LedgerError, ValueError) as error:
        refuse(error)
    console.print(
        f"{plain(path)}: {gone:,} records have gone; {before / 1e6:,.1f} MB before, {path.stat().st_size / 1e6:,.1f} MB now"
    )


def _tidy(ledger: Ledger, options: EngineOptions, specs: list[FoldSpec]) -> int:
    backend = OnLedger(ledger)
    backend.create(options, specs)
    folded: dict[Partition, int] = {}
    for spec in specs:
        if spec.replayed:
            continue  # it begins with what there is
        for partition in range(options.partitions_of(spec.topics[0])):
            key = options.changelog(spec.name), partition
            reached = backend.read_changelogs(options, [key], lambda: False)[key].positions
            for topic in spec.topics:
                log, at = (options.physical(topic), partition), reached.get(topic, 0)
                folded[log] = min(at, folded.get(log, at))
    keep = {options.physical(topic.name): topic.retention for topic in options.topics if topic.retention is not None}

    def taken(topic: str, partition: int) -> int | None:
        return folded.get((topic, partition))

    now = options.clock()
    return expire(ledger, keep, now, taken) + Compaction(ledger).run(now, taken)


def _vacuum(path: Path) -> None:
    size, free = path.stat().st_size, shutil.disk_usage(path.parent).free
    if free < 2 * size:
        raise LedgerRefused(f"{path}: to be written anew it needs {2 * size >> 20} MB free; found {free >> 20} MB")
    lock = LedgerLock(path.with_suffix(".lock")).take()
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            file.execute("PRAGMA synchronous = FULL")
            file.execute("VACUUM")
    except sqlite3.Error as error:
        raise LedgerRefused(f"{path}: {error}; `vigie check` looks at it") from error
    finally:
        lock.release()
