"""What does a worker that is measured say of itself?"""

import re
import urllib.request


def page(port: int, path: str) -> str:
    """Return what it answers; nothing while it does not."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def waiting(port: int) -> float:
    """Return how many records are not folded yet; infinite while that is not known."""
    found = [float(value) for value in re.findall(r"^vigie_lag_records\{[^}]*\} (\S+)$", page(port, "/metrics"), re.M)]
    return sum(found) if found else float("inf")
