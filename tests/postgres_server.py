"""A real PostgreSQL for tests: a free port of the loopback, a data directory of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.tools import free_port, program

#: Where Debian puts the programs that are not for everybody's path.
_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").is_dir() else []


def _program(name: str) -> str:
    found = next((str(folder / name) for folder in reversed(_DEBIAN) if (folder / name).exists()), name)
    return program(found)


def _as_somebody_else() -> list[str]:
    """Return what a command begins with, so that it does not run as root, as which PostgreSQL refuses to run."""
    return ["unshare", "--user", "--map-user=1000"] if os.getuid() == 0 else []


class Postgres:
    """A PostgreSQL server."""

    def __init__(self) -> None:
        self._initdb, self._server = _program("initdb"), _program("postgres")
        self.directory = Path(tempfile.mkdtemp(prefix="vigie-postgres-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        given = ["-D", str(self.directory), "-U", "vigie", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C"]
        made = subprocess.run([*_as_somebody_else(), self._initdb, *given], check=False, capture_output=True)
        assert made.returncode == 0, made.stderr.decode()

    @property
    def url(self) -> str:
        return f"postgresql://vigie@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and return once it listens."""
        options = {"fsync": "off", "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "20"}
        given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [*_as_somebody_else(), self._server, "-D", str(self.directory), "-p", str(self.port), *given]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 180
        while "ready" not in self._state():
            assert time.monotonic() < end and self._process.poll() is None, "PostgreSQL does not start"
            time.sleep(0.05)

    def _state(self) -> str:
        file = self.directory / "postmaster.pid"
        try:
            return file.read_text().splitlines()[7].strip()
        except (OSError, IndexError):
            return ""

    def stop(self) -> None:
        """Stop it at once, as a machine does that goes away; what was committed stays."""
        if self._process is not None:
            self._process.send_signal(3)  # SIGQUIT: immediate
            self._process.wait()
            (self.directory / "postmaster.pid").unlink(missing_ok=True)
            self._process = None

    def remove(self) -> None:
        """Stop it, and remove what it kept."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
