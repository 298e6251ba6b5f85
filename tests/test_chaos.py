"""Do the real folds stay exact when workers and the broker are killed, paused and restarted? (`make chaos` runs more seeds.)"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.kafka
@pytest.mark.usefixtures("kafka_jars")
@pytest.mark.parametrize("seed", [3, 11])
def test_totals_are_exact_after_chaos(seed: int) -> None:
    command = [sys.executable, "-m", "bench.chaos", "--seed", str(seed), "--seconds", "30", "--rate", "1000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "EXACT" in done.stdout
