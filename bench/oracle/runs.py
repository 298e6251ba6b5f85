"""Which histories are replayed, how, and what comes of comparing each with the truth?"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bench.oracle.compare import Verdict, compare, readings, same_readings
from bench.oracle.truth import truth
from models.simulator import Mischief, World
from models.simulator.bad import KINDS
from stream.sources.files import FileReject, ReadOptions, read_file
from vigie.simulate import START, simulate

WINDOWS = ("24h", "7d", "30d", "week", "month", "quarter")
#: All that a full run asks for: up to the longest that is accepted.
EVERY_WINDOW = (*WINDOWS, "90d", "365d", "year", "750d")
DIMENSIONS = ("owner", "team", "source", "campaign", "product", "region", "segment", "variant", "stage", "reason", "page")
AMSTERDAM = "Europe/Amsterdam"
#: A repeated id with another content is no transport fault: which of the two stands is a rule of its own, with its own tests.
BAD = tuple(kind for kind in KINDS if kind not in ("other_content", "too_large"))


FOREVER = "9999"


@dataclass(frozen=True)
class Data:
    """A history. ``path`` None is the simulated company, told for ``days``; ``until`` cuts a history short."""

    name: str
    format: str = "jsonl"
    path: Path | None = None
    days: int = 60
    until: str = FOREVER

    def events(self, zone: str) -> Iterator[dict[str, Any]]:
        """The events in time order."""
        if self.path is None:
            world = World(7, START, self.days).events()
            yield from Mischief(seed=7, reopen=0.15, merge=0.05).apply(world)  # type: ignore[misc]
            return
        for item in read_file(self.path, self.format, ReadOptions(zone=ZoneInfo(zone))):
            if not isinstance(item, FileReject) and item.event["time"] < self.until:
                yield item.event


@dataclass(frozen=True)
class Mode:
    """How a history is replayed."""

    broker: str = "ledger"  # or kafka
    zone: str = "UTC"
    restated: bool = False
    disturbed: bool = False
    bad: bool = False

    @property
    def label(self) -> str:
        """What makes it different, in words."""
        faults = "shuffled, repeated, late" + (", with bad records" if self.bad else "")
        parts = [self.broker, self.zone, "restated" if self.restated else "in order"]
        return ", ".join([*parts, *([faults] if self.disturbed else [])])


@dataclass
class Result:
    """What one replay came to."""

    data: str
    mode: Mode
    events: int
    seconds: float
    verdict: Verdict
    against: str = "SQL"


class ReplayFailed(RuntimeError):
    """``vigie replay`` did not end well; its last words are in the message."""


@dataclass
class Oracle:
    """Replays histories and compares, in one scratch directory. ``bootstrap`` is the real Kafka's address."""

    scratch: Path
    bootstrap: str | None = None
    say: Callable[[str], None] = lambda text: None
    patience: float = 600.0
    windows: Sequence[str] = WINDOWS
    dimensions: Sequence[str] = DIMENSIONS
    _files: dict[tuple[str, str, bool, bool], Path] = field(default_factory=dict)

    def run(self, data: Data, modes: Sequence[Mode]) -> Iterator[Result]:
        """Replay in each mode; a disturbed history is also compared with the undisturbed one, where that was restated before."""
        restated: dict[str, Any] = {}
        for mode in modes:
            began = time.monotonic()
            self.say(f"{data.name}, {mode.label}: replaying")
            found = readings(self._replay(data, mode))
            seconds = time.monotonic() - began
            self.say(f"{data.name}, {mode.label}: asking DuckDB")
            # What is spoilt is compared with what was good: SQL is not asked to know bad records.
            lines = self._lines(data, mode.zone, mode.disturbed, bad=False)
            true = truth(lines, self.windows, mode.zone, restated=mode.restated)
            yield Result(data.name, mode, true.events, seconds, compare(found, true, self.dimensions))
            if mode.restated and not mode.disturbed:
                restated[mode.zone] = found
            elif mode.disturbed and mode.zone in restated:
                verdict = same_readings(restated[mode.zone], found)
                yield Result(data.name, mode, true.events, 0.0, verdict, "the undisturbed replay")

    def _lines(self, data: Data, zone: str, disturbed: bool, *, bad: bool) -> Path:
        key = (data.name, zone, disturbed, bad)
        path = self._files.get(key)
        if path is None:
            path = self._files[key] = self.scratch / f"events-{len(self._files)}.jsonl"
            faults = Mischief(seed=3, duplicates=0.1, disorder=1.0, late=0.05, bad=0.01 if bad else 0.0, bad_kinds=BAD)
            simulate(path, events=data.events(zone), mischief=faults if disturbed else None)
        return path

    def _replay(self, data: Data, mode: Mode) -> Path:
        out = self.scratch / "readings.jsonl"
        out.unlink(missing_ok=True)
        source = [str(self._lines(data, mode.zone, mode.disturbed, bad=mode.bad))]
        if data.path is not None and data.until == FOREVER and not mode.disturbed:
            source = ["--format", data.format, str(data.path)]
        command = [sys.executable, "-m", "vigie", "replay", *source, "--every", "month", "--kpis-out", str(out)]
        for window in self.windows:
            command += ["--window", window]
        for dimension in self.dimensions:
            command += ["--by", dimension]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")}
        environ["VIGIE_BUSINESS__TIMEZONE"] = mode.zone
        if mode.broker == "kafka":
            if self.bootstrap is None:
                raise ReplayFailed("no Kafka to replay on")
            environ["VIGIE_KAFKA__BROKERS"] = self.bootstrap
        if mode.restated:
            command.append("--restated")
        try:
            done = subprocess.run(
                command, env=environ, cwd=self.scratch, capture_output=True, text=True, timeout=self.patience, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ReplayFailed(f"{data.name}, {mode.label}: not done after {self.patience:.0f} s") from error
        # 1 with readings: some lines were rejected, as in the modes with bad records.
        if done.returncode > 1 or not out.exists():
            raise ReplayFailed(f"{data.name}, {mode.label}: exit code {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
        return out
