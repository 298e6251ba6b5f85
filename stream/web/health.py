"""Can this process answer, and if not, why not?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_MEANING = {
    "starting": "starting: not connected to the broker yet",
    "restoring": "restoring: state is being read back from its topics",
    "stopped-fenced": "fenced: another worker owns these partitions now, or has this instance's name; this one has stopped",
    "stopped": "stopped",
}
_DETAILS = ("generation", "partitions", "lanes", "jumps", "broker", "roles")


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


def judge(
    status: Mapping[str, Any], *, view: str = "live", cache: Mapping[str, Any] | None = None, also: Sequence[str] = ()
) -> Health:
    """Return the health that follows from the engine's status, the view's and the cache's (``None``: there is no cache).

    ``view`` is ``live``, ``loading``, ``elsewhere`` where another worker holds it, or ``none`` where nobody here shows anything.
    ``also`` is added to what is degraded; ``reasons`` and ``notices`` in the status are those of the worker's other processes.
    """
    state = str(status.get("state", "unknown"))
    reasons: list[str] = []
    degraded: list[str] = list(also)
    if state != "running":
        said = _MEANING.get(state, f"engine state {state!r}")
        error = status.get("last_error")
        reasons.append(f"{said} ({error})" if error else said)
    else:
        for name, lane in sorted(dict(status.get("lanes") or {}).items()):
            if lane.get("last_error"):
                reasons.append(f"broker: checkpoint {name!r} has to wait: {lane['last_error']}")
        if view == "loading":
            state = "restoring"
            reasons.append("restoring: the view is being read back from the topic panes")
        elif view == "elsewhere":
            degraded.append("readings: another worker holds the view; here they are the last snapshot's")
    reasons += status.get("reasons", ())
    broker = status.get("broker")
    if isinstance(broker, Mapping) and broker.get("state") == "away":
        reasons.append(f"broker: away since {broker.get('since')}: {broker.get('error')}")
    if cache is not None and cache.get("state") == "away":
        degraded.append(
            f"redis: {cache.get('where')} is away since {cache.get('since')}: {cache.get('error')} "
            "(nothing is lost; a restarting web process has no numbers to show at first)"
        )
    notices = [
        f"retention: {name}: {lost} records had left the log before they were read" for name, lost in _jumps(status.get("jumps"))
    ]
    notices += status.get("notices", ())
    detail = {key: status[key] for key in _DETAILS if key in status}
    detail["view"] = view
    if cache is not None:
        detail["cache"] = dict(cache)
    return Health(state, tuple(reasons), tuple(degraded), tuple(notices), detail)


def _jumps(found: Any) -> list[tuple[str, int]]:
    """Return the offsets lost per ``topic/partition``, from ``{"topic/0": {"times": …, "offsets_lost": …}}``."""
    if not isinstance(found, Mapping):
        return []
    return sorted((str(name), int(jump["offsets_lost"])) for name, jump in found.items() if jump["offsets_lost"])
