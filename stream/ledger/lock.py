"""Who has the ledger? One process at a time; a second one is told which."""

import fcntl
import logging
import os
import socket
from pathlib import Path
from typing import IO, Self

log = logging.getLogger(__name__)


class LedgerTaken(Exception):
    """Another process has it."""


class LedgerLock:
    """Held while open; the operating system lets go of it however the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self) -> Self:
        """Take it, or raise :class:`LedgerTaken` with who has it."""
        file = open(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            who = file.read(200).strip() or "another process"
            file.close()
            raise LedgerTaken(f"{self._path.parent}: held by {who}; stop that one, or name another data_dir") from None
        before = file.read(200).strip()
        host = before.rpartition(" on ")[2]
        if host and host != socket.gethostname():
            log.warning(
                "%s: last held by %s, and not let go of; if that still runs, stop one of both: people are told twice",
                self._path.parent,
                before,
            )
        file.truncate(0)
        file.seek(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        self._file = file
        return self

    def release(self) -> None:
        """Let go."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None
