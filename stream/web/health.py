"""Can this process answer, and if not, why not?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

#: The states in which an instance's numbers are complete.
_RUNNING = frozenset({"running", "live"})
_MEANING = {
    "starting": "starting: not connected to the broker yet",
    "restoring": "restoring: state is being read back from its topics",
    "broker-away": "the broker cannot be reached; what is shown is the last known",
    "fenced": "fenced: another instance owns this state; this one stops",
    "stopped": "stopped",
    "stopping": "stopping",
}


class StatusSource(Protocol):
    """What tells the state of the engine: ``engine.status`` is one."""

    def __call__(self) -> Mapping[str, Any]:
        """Return ``state`` and, where known, ``reason``, ``jumps``, ``partitions``, ``last_checkpoint``, ``last_error``."""


@dataclass(frozen=True, slots=True)
class Health:
    """The judgement: ``reasons`` make it unready, ``degraded`` and ``notices`` do not."""

    state: str
    reasons: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether the instance should be given traffic."""
        return not self.reasons

    def json(self) -> dict[str, Any]:
        """Return the body of ``/readyz``."""
        return {
            "ready": self.ready,
            "state": self.state,
            "reasons": list(self.reasons),
            "degraded": list(self.degraded),
            "notices": list(self.notices),
            **self.detail,
        }


def judge(status: Mapping[str, Any], cache: Mapping[str, Any] | None = None) -> Health:
    """Return the health that follows from the engine's status and the cache's state (``None``: there is no cache)."""
    state = str(status.get("state", "unknown"))
    reasons: list[str] = []
    if state not in _RUNNING:
        said = status.get("reason") or _MEANING.get(state, f"engine state {state!r}")
        reasons.append(str(said))
    elif status.get("broker") in ("away", False):
        reasons.append(_MEANING["broker-away"])
    degraded: list[str] = []
    if cache is not None and cache.get("state") == "away":
        degraded.append(
            f"redis: away since {cache.get('since', 'the start')}: {cache.get('error', 'no answer')}"
            " (nothing is lost; a restarting web process has no numbers to show at first)"
        )
    notices = [
        f"retention: {name}: {count} records had left the log before they were read"
        for name, count in sorted(_jumps(status.get("jumps")).items())
    ]
    detail = {
        key: status[key]
        for key in ("partitions", "positions", "lag", "jumps", "last_checkpoint", "last_error", "restored")
        if key in status
    }
    if cache is not None:
        detail["cache"] = dict(cache)
    return Health(state, tuple(reasons), tuple(degraded), tuple(notices), detail)


def _jumps(found: Any) -> dict[str, int]:
    """Return records lost per partition, from ``{partition: count}`` or ``{partition: {"records": n}}``, zeros left out."""
    if not isinstance(found, Mapping):
        return {}
    counts: dict[str, int] = {}
    for name, value in found.items():
        count = value.get("records", value.get("count", 0)) if isinstance(value, Mapping) else value
        if count:
            counts[str(name)] = int(count)
    return counts
