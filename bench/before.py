"""What did another commit take for the same? A checkout of it, with an environment of its own, measured in turn with ours.

``make bench`` compares with :data:`COMMIT`; ``python -m bench --before ANOTHER`` with another one, ``--before ''`` with none.
What runs is that commit's own ``bench.contend`` and ``bench.latency``, on the same events and the same broker.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.kafka_broker import ROOT

#: What the budgets of speed are relative to.
COMMIT = "9b1ae70"
_HOW = ("bench/contend.py", "bench/latency.py")
_SETTINGS = re.compile(r'(Settings\.model_validate\(\s*\{\s*)("application")')


class Checkout:
    """Another commit's code, ready to run."""

    def __init__(self, commit: str) -> None:
        """Make it where it is missing, in ``build/before``; raises :class:`subprocess.CalledProcessError` where that fails."""
        self.root = ROOT / "build" / "before" / commit
        made = self.root / ".made"
        if not made.exists():
            if not self.root.exists():
                subprocess.run(["git", "clone", "-q", "--shared", "--no-checkout", str(ROOT), str(self.root)], check=True)
            subprocess.run(["git", "checkout", "-q", "--force", commit], cwd=self.root, check=True)
            for name in _HOW:
                _let_settings_in(self.root / name)
            subprocess.run(["make", "-s", ".venv/.dev"], cwd=self.root, check=True)
            made.touch()
        self.python = str(self.root / ".venv" / "bin" / "python")

    def run(self, module: str, *arguments: str, predictions: bool, timeout: float) -> dict[str, Any]:
        """Run one of its benches; return what it prints as JSON. Raises ``RuntimeError``, or what a time-out raises."""
        environment = os.environ | {"BENCH_SETTINGS": json.dumps({"models": {"live": predictions}})}
        command = [self.python, "-m", module, *arguments]
        return printed(command, self.root, timeout, environment)


def _let_settings_in(file: Path) -> None:
    text = file.read_text("utf-8")
    more = '**__import__("json").loads(__import__("os").environ["BENCH_SETTINGS"]), '
    changed, count = _SETTINGS.subn(rf"\g<1>{more}\g<2>", text)
    if not count:
        raise RuntimeError(f"{file}: found no settings that begin with an application; only such a bench can be run beside ours")
    file.write_text(changed, "utf-8")


def printed(command: list[str], folder: Path, timeout: float, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a command; return its last line, a JSON object. Raises ``RuntimeError`` where it fails, or what a time-out raises."""
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    if result.returncode or not result.stdout.strip():
        raise RuntimeError(f"{' '.join(command[2:7])}: exit {result.returncode}: {result.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(result.stdout.strip().splitlines()[-1])
    return found
