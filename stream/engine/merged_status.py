"""How are several engines, in one process or in several, as one?"""

from collections.abc import Mapping
from typing import Any

#: Of several states the first that one of them is in.
_WORST = ("stopped-fenced", "stopped", "starting", "restoring", "running")


def merged(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what several engines' status, by name, come to: the state of the one that is least far, and all that they hold."""
    states = {name: str(status.get("state", "starting")) for name, status in found.items()}
    state = min(states.values(), key=lambda one: _WORST.index(one) if one in _WORST else 0, default="starting")
    errors = [f"{name}: {status['last_error']}" for name, status in found.items() if status.get("last_error")]
    generations = [status["generation"] for status in found.values() if status.get("generation") is not None]
    parts: dict[str, list[int]] = {}
    jumps: dict[str, Any] = {}
    for status in found.values():
        for name, held in dict(status.get("partitions") or {}).items():
            parts[name] = sorted({*parts.get(name, ()), *held})
        for place, jump in dict(status.get("jumps") or {}).items():  # two roles may read one topic
            jumps[place] = max(jump, jumps.get(place, jump), key=lambda one: int(one["offsets_lost"]))
    return {
        "state": state,
        # They count each by itself: it grows with every rebalance of any of them.
        "generation": sum(generations) if generations else None,
        "partitions": parts,
        "jumps": jumps,
        "lanes": {name: lane for status in found.values() for name, lane in dict(status.get("lanes") or {}).items()},
        "last_error": "; ".join(errors) or None,
    }
