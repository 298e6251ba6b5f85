"""Timelines that read as Alertmanager's acceptance tests do: at a time this happens, between two times that is told.

The clock is simulated: it stands at each second in turn, as a worker's ticks do. ``restart()`` ends the worker and starts
another one from the rows that were written.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
import yaml

from alert_rules.parse.plan_file import Alerting, everything_to, parse_alerting
from alert_rules.tell.dispatch_alerts import DispatchAlerts
from alert_rules.words.durations import human
from models.calendar import iso
from models.config.durations import parse
from models.fold import Record
from tests.alert_rules.readings import BASE

RECEIVERS = ("chat", "mail", "ann", "bob", "cleo", "boss")


class Said(NamedTuple):
    """A message: when (milliseconds after the beginning), to whom, what kind, about which alerts."""

    at: int
    receivers: tuple[str, ...]
    kind: str
    about: tuple[str, ...]
    tree: dict[str, Any]


def plan(text: str, zone: str = "UTC") -> Alerting:
    """A plan from YAML."""
    found, problems = parse_alerting(yaml.safe_load(text), RECEIVERS, zone)
    assert found is not None, problems
    return found


class Line:
    """One worker after another, on one simulated clock."""

    def __init__(self, alerting: Alerting | str | None = None, *, start: int = BASE, began: str | None = None) -> None:
        """``began`` is when the first worker starts, where there is a history before it."""
        self.plan = plan(alerting) if isinstance(alerting, str) else alerting or everything_to(("chat",))
        self.start = self.now = start
        self.began = 0 if began is None else start + parse(began)
        self.fold = DispatchAlerts(self.plan, began=self.began)
        self.fold.restore(())
        self.rows: dict[bytes, bytes] = {}
        self.said: list[Said] = []
        self.decisions: list[dict[str, Any]] = []
        self.dead: list[bytes] = []
        self._standing: dict[str, dict[str, Any]] = {}
        self._todo: list[tuple[int, int, Callable[[], None]]] = []
        self._offset = 0

    # ── what happens ──

    def at(self, time: str | int, do: Callable[[], None]) -> "Line":
        """Let something happen so long after the beginning."""
        self._todo.append((self.start + parse(time), len(self._todo), do))
        return self

    def fire(self, name: str, severity: str = "warn", **labels: str) -> Callable[[], None]:
        """An alert fires, or changes its severity."""
        return lambda: self._transition(name, "fired" if name not in self._standing else "upgraded", severity, labels)

    def resolve(self, name: str) -> Callable[[], None]:
        """An alert ends."""
        return lambda: self._transition(name, "resolved", None, {})

    def silence(self, id_: str, *matchers: str, ends: str, starts: str | int = 0) -> Callable[[], None]:
        """Somebody silences what the matchers say."""
        silence = {"id": id_, "matchers": list(matchers), "starts": self.start + parse(starts), "ends": self.start + parse(ends)}
        return lambda: self.put({"type": "act", "act": "silence", "by": "ann", "silence": silence})

    def unsilence(self, id_: str) -> Callable[[], None]:
        """Somebody ends a silence."""
        return lambda: self.put({"type": "act", "act": "unsilence", "by": "ann", "id": id_})

    def ack(self, name: str, act: str = "ack", **more: Any) -> Callable[[], None]:
        """Somebody takes care of an incident."""
        return lambda: self.put({"type": "act", "act": act, "by": "ann", "incident": name, "at": iso(self.now)} | more)

    def restart(self, alerting: str | None = None) -> Callable[[], None]:
        """The worker ends; another one takes over from the rows, maybe with another plan."""

        def do() -> None:
            if alerting is not None:
                self.plan = plan(alerting)
            self.fold = DispatchAlerts(self.plan, began=max(self.began, self.now) if self.began else 0)
            self.fold.restore(sorted(self.rows.items()))

        return do

    # ── the run ──

    def run(self, until: str, step: int = 1000) -> "Line":
        """Let the clock run."""
        end = self.start + parse(until)
        self._todo.sort()
        while self.now <= end:
            while self._todo and self._todo[0][0] <= self.now:
                self._todo.pop(0)[2]()
                self._commit()
            self.fold.tick(self.now)
            self._commit()
            self.now += step
        return self

    def replay(self, until: str) -> "Line":
        """Let what has happened so far be read from the topic at once, as a first start does: no clock ticks in between."""
        end = self.start + parse(until)
        self._todo.sort()
        while self._todo and self._todo[0][0] <= end:
            at, _, do = self._todo.pop(0)
            self.now = at
            do()
            self._commit()
        self.now = end
        return self

    def put(self, value: Any) -> None:
        """Put a record on the topic."""
        body = value if isinstance(value, bytes) else orjson.dumps(value)
        self.fold.fold([Record("alerts", 0, self._offset, self.now, b"k", body, ())])
        self._offset += 1

    def _transition(self, name: str, kind: str, severity: str | None, labels: dict[str, str]) -> None:
        before = self._standing.get(name)
        tree = transition(
            name, kind, severity or (before or {})["severity"], labels or (before or {}).get("labels", {}), self.now
        )
        if before is not None:
            tree["since"] = before["since"]
        if kind == "resolved":
            del self._standing[name]
        else:
            self._standing[name] = tree
        self.put(tree)

    def _commit(self) -> None:
        changes = self.fold.changes()
        for row in changes.rows:
            if row.value is None:
                self.rows.pop(row.key, None)
            else:
                self.rows[row.key] = row.value
        for output in changes.outputs:
            tree = orjson.loads(output.value or b"null")
            if output.topic == "outbox":
                about = tuple(alert["incident"] for alert in tree["alerts"])
                self.said.append(Said(self.now - self.start, tuple(tree["receivers"]), tree["kind"], about, tree))
            elif output.topic == "alerts":
                self.decisions.append(tree)
            else:
                self.dead.append(output.value or b"")

    # ── what is expected ──

    def want(self, *expected: tuple[str, str, str, str]) -> None:
        """Assert all that was said: (when, receivers, kind, alerts). When: ``30s to 31s``, or ``30s``: two seconds from then."""
        found = [(seen.at, " ".join(seen.receivers), seen.kind, " ".join(sorted(seen.about))) for seen in self.said]
        listed = "\n".join(f"{human(at)}: {receivers}: {kind} {about}" for at, receivers, kind, about in found)
        assert [one[1:] for one in found] == [one[1:] for one in expected], listed
        for (at, *_), (when, *_) in zip(found, expected, strict=True):
            first, to, last = when.partition(" to ")
            begin = parse(first)
            assert begin <= at <= (parse(last) if to else begin + 2000), f"{when}:\n{listed}"

    def ends(self) -> list[tuple[str, str, str]]:
        """Return what was decided, messages aside: (outcome, stage, incidents)."""
        return [(d["outcome"], d["stage"], " ".join(d["incidents"])) for d in self.decisions if d["outcome"] != "notified"]


def transition(name: str, kind: str, severity: str, labels: dict[str, str], now: int) -> dict[str, Any]:
    """A transition as the evaluation writes it."""
    after = "inactive" if kind == "resolved" else "firing"
    segment = {"source": labels["source"]} if "source" in labels else {}
    return {
        "type": "transition",
        "id": f"{name}-{kind}-{now}",
        "incident": name,
        "kind": kind,
        "rule": labels.get("rule", "win-rate-drop"),
        "kpi": "win_rate",
        "window": "7d",
        "segment": segment,
        "state": {"before": "pending", "after": after},
        "severity": severity,
        "at": iso(now),
        "since": iso(now),
        "fired": iso(now),
        "value": 0.1,
        "unit": "ratio",
        "threshold": 0.2,
        "direction": "below",
        "labels": {k: v for k, v in labels.items() if k not in ("source", "rule")},
        "runbook": "docs/runbooks/win-rate-drop.md",
        "message": {"title": f"[{severity.upper()}] {name}", "text": f"{name} is low\n\nWhy: it is"},
    }
