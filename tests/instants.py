"""Does everything hold at any hour of any day? ``python -m tests.instants [NAME | 2028-02-29T12:00Z ...] [-- pytest's words]``.

Runs the tests once for each instant, in processes whose wall clock begins there and goes on (``clock.c``): workers, Kafka,
Redis and Chromium that tests start are taken along; Prometheus, which asks the kernel itself, stays in the present.
At the first instant all run, and who reads the calendar clock is recorded (``calendar_reads.py``); a test that passed there and
read no clock would do the same at any other hour, and is not run again. Linux with glibc and a C compiler.
"""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "instants"
CLOCK = BUILD / "clock.so"

#: All in UTC, and after the days that tests' own events are of: what has not happened yet is refused. The clocks' changes are
#: coming ones of Europe/Paris and America/New_York, two minutes before.
INSTANTS = {
    "sunday-night": "2026-12-06T01:40Z",
    "first-of-month": "2027-04-01T00:00:30Z",
    "year-end": "2026-12-31T23:59Z",
    "new-year": "2027-01-01T00:00:10Z",
    "leap-day": "2028-02-29T12:00Z",
    "paris-spring": "2027-03-28T00:58Z",
    "paris-autumn": "2027-10-31T00:58Z",
    "new-york-spring": "2027-03-14T06:58Z",
    "new-york-autumn": "2027-11-07T05:58Z",
    "monday-opening": "2026-11-30T07:59Z",
}


def instant(name: str) -> datetime:
    """Return the moment of a name, or of a time written out; ends the program at what is neither."""
    try:
        moment = datetime.fromisoformat(INSTANTS.get(name, name))
    except ValueError:
        sys.exit(f"instants: no instant {name!r}; there are {' '.join(INSTANTS)}, or a time: 2028-02-29T12:00Z")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def build() -> Path:
    """Compile the clock, and return where it is."""
    BUILD.mkdir(parents=True, exist_ok=True)
    # Beside, then renamed: processes of another run may have it open.
    part = CLOCK.with_name(f"clock.{os.getpid()}.so")
    subprocess.run(["cc", "-Wall", "-Wextra", "-O2", "-shared", "-fPIC", "-o", part, ROOT / "tests" / "clock.c"], check=True)
    return part.rename(CLOCK)


def shifted(moment: datetime) -> dict[str, str]:
    """Return the environment of a process that begins at that moment."""
    earlier = os.environ.get("LD_PRELOAD", "")
    # A process that lives at another instant itself reads a clock that is shifted already: the shift is from the real one.
    ours = int(os.environ.get("SHIFTED_CLOCK", "0"))
    return {
        **os.environ,
        "LD_PRELOAD": f"{build()} {earlier}".strip(),
        # Not VIGIE_…: that would be a setting.
        "SHIFTED_CLOCK": str(round(moment.timestamp() - time.time()) + ours),
    }


def main(words: list[str]) -> int:
    """Run pytest at each instant; return 1 if it failed at one."""
    at = words.index("--") if "--" in words else len(words)
    moments = {name: instant(name) for name in words[:at] or INSTANTS}
    recorded = BUILD / f"reads-{os.getpid()}.json"
    results = {}
    for name, moment in moments.items():
        print(f"=== {name}: {moment.isoformat()} ===", flush=True)
        noting: list[str | Path] = ["--clock", CLOCK, "--note-reads", recorded]
        reads: list[str | Path] = ["--only-readers", recorded] if recorded.exists() else noting
        # A folder of its own: pytest takes folders of other runs for old ones by their times.
        command = [sys.executable, "-m", "pytest", f"--basetemp={BUILD / name.replace(':', '')}", "-p", "tests.calendar_reads"]
        results[name] = subprocess.run([*command, *reads, *words[at + 1 :]], env=shifted(moment), cwd=ROOT).returncode
    recorded.unlink(missing_ok=True)
    for name, code in results.items():
        print(f"{name:16} {'passed' if code == 0 else f'FAILED ({code})'}")
    return int(any(results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
