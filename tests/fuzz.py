"""Ask with inputs nobody thought of, for as long as there is time: ``python -m tests.fuzz MINUTES``.

The files are part of the ordinary tests, which try a few inputs of each. Here they are run again and again,
each round with a seed of its own, until the time is up or something is found: pytest then prints the input and its seed.
"""

import random
import subprocess
import sys
import time

#: The door and its adapters, the tracker, settings, files, every inner topic, sizes, merges, the API as its document has it.
FILES = (
    "tests/stream/test_fuzz.py",
    "tests/stream/sources/crm/test_fuzz.py",
    "tests/vigie/test_hostile.py",
    "tests/vigie/test_sizes.py",
    "tests/models/test_whole.py",
    "tests/integration/test_openapi.py",
)


def main(minutes: float) -> int:
    """Run rounds until the time is up; the exit code of the first that fails, else 0."""
    end, rounds = time.monotonic() + minutes * 60, 0
    while time.monotonic() < end:
        seed = random.SystemRandom().randrange(2**32)
        print(f"round {rounds + 1}, seed {seed}, {(end - time.monotonic()) / 60:.1f} minutes left", flush=True)
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-x", f"--hypothesis-seed={seed}", *FILES], check=False)
        if done.returncode:
            return done.returncode
        rounds += 1
    print(f"{rounds} rounds, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
