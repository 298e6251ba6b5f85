"""A real Redis (or Valkey) for tests: a free port of the loopback, nothing written to a disk unless asked for."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.tools import free_port, program


class Redis:
    """A real Redis server of our own."""

    def __init__(self, directory: Path, *more: str) -> None:
        path = program("redis-server", "valkey-server")
        self.port = free_port()
        self._command = [path, "--port", str(self.port), "--save", "", "--bind", "127.0.0.1", "--dir", str(directory)]
        self._command += more
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
