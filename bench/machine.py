"""What else was this machine doing while we measured?

On a shared machine a rate says little without that: the CPU seconds a contender used hardly depend on it, its events a second do.
"""

import os
import resource
import time
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def _busy() -> float:
    """CPU seconds that anybody has used since the machine started."""
    fields = [int(field) for field in Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _wait, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / _TICK


def _used_by(pid: int | None) -> float:
    """CPU seconds of a process so far, its ended children left out."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Others:
    """How many cores were busy with what is not ours, from the making of this object to :meth:`cores`."""

    def __init__(self, broker: int | None) -> None:
        self._broker = broker
        self._at = self._now()
        self._began = time.perf_counter()

    def _now(self) -> float:
        own = os.times()
        return _busy() - _children() - _used_by(self._broker) - own.user - own.system

    def cores(self) -> float:
        """Mean number of cores."""
        return round(max(0.0, (self._now() - self._at) / (time.perf_counter() - self._began)), 2)


def wait_until_quiet(patience: float, limit: float = 0.3) -> None:
    """Wait until less than ``limit`` cores are busy for a second; no longer than ``patience`` seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = _busy()
        time.sleep(1)
        if _busy() - before < limit:
            return


def described() -> dict[str, str | int]:
    """Processor, cores and memory, for the report."""
    info = Path("/proc/cpuinfo").read_text("utf-8")
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 30)
    return {"processor": model, "cores": os.cpu_count() or 0, "memory_gib": memory}
