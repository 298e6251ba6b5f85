"""Processes of one installation under test: a real Kafka, a real Redis, and doors that can be killed and come back."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.integration.installation import Installation, until
from tests.kafka_broker import free_port

#: Programs that stand in for ``vigie web``: ``real`` is the thing itself.
VARIANTS = ("real", "silent", "bare")


class Door:
    """One ``vigie web`` on a port of its own, which it keeps over :meth:`kill` and :meth:`start`."""

    def __init__(
        self,
        site: Installation,
        name: str,
        *,
        variant: str = "real",
        cores: set[int] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.name = name
        self._site = site
        self._variant = variant
        self._cores = cores
        self._more = dict(more or {})
        self._log = site.directory / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Door":
        """Start it (again)."""
        environment = self._site.environment | {"VIGIE_WEB__PORT": str(self.port), "VIGIE_INSTANCE": self.name} | self._more
        module = ["vigie", "web"] if self._variant == "real" else ["bench.door_variants", self._variant]
        cores = self._cores

        def pin() -> None:
            if cores is not None:
                os.sched_setaffinity(0, cores)

        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *module],
                env=environment | {"PYTHONPATH": os.getcwd()},
                cwd=self._site.directory,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=pin,
            )
        return self

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(errors="replace")

    def answers(self) -> bool:
        """Whether it takes requests."""
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2).close()
        except (OSError, urllib.error.URLError):
            return False
        return True

    def up(self, seconds: float = 60) -> "Door":
        """Wait until it takes requests."""
        until(
            lambda: self.answers() or self.process is None or self.process.poll() is not None, seconds, lambda: self.log[-2000:]
        )
        assert self.process is not None and self.process.poll() is None, self.log[-2000:]
        return self

    def kill(self) -> None:
        """``kill -9``."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def cpu(self) -> float:
        """CPU seconds used so far."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Resident bytes."""
        assert self.process is not None
        return int(Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def installed(brokers: str, prefix: str, directory: Path, settings: Mapping[str, Any], **more: Any) -> Installation:
    """Write the settings file and create the topics."""
    (directory / "vigie.yaml").write_text(json.dumps(settings))
    site = Installation(brokers, prefix, directory, CONFIG=str(directory / "vigie.yaml"), **more)
    site.done("topics", "create")
    return site


def first(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait for something to be true, and return it."""
    return until(what, seconds)
