"""Who is told of what, and when? The fold from the ``alerts`` topic to the ``outbox``.

Transitions come in; silences and acknowledgements (records of type ``act``) come on the same topic, so that their order is
the log's. Messages for named receivers go to ``outbox``. Each decision about an alert is a record of type ``decision`` on
``alerts``, written when it changes: *notified*, *held* because …, or *suppressed* because … (it ended before it could be told).

All that is decided is decided by the pure stages in ``alert_rules/stages/``; here is their order, and the state: one row an
alert that stands, a group, a silence. Who was told of an incident hears how it goes on, whatever its labels become.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from alert_rules.alerting import Alerting, Heard
from alert_rules.dead import dead_output
from alert_rules.evaluate import Kind, digest
from alert_rules.note import note
from alert_rules.stages import silence as silences_
from alert_rules.stages.dedup import Notice, Standing, Told, decide
from alert_rules.stages.escalate import Rung, next_rung
from alert_rules.stages.group import Group
from alert_rules.stages.held import Held
from alert_rules.stages.inhibit import Inhibitions
from alert_rules.stages.mute import muted
from alert_rules.stages.route import Route, match_routes
from alert_rules.stages.silence import Silence, silenced
from alert_rules.whom import labels_of
from models.calendar import iso
from models.events.refused import Reason
from models.fold import Changes, Output, Record, Row

_QUIET = frozenset((Kind.PENDING.value, Kind.CANCELLED.value))
ACTS = ("silence", "unsilence", "ack", "unack")

#: So many alerts are looked at in one go (some 70 ms); in a storm the other groups have their turn at the next tick.
AT_ONCE = 2_000


class DispatchAlerts:
    """The one partition of alerts, folded into who is told what. ``plan`` says how; times are milliseconds since the epoch."""

    def __init__(self, plan: Alerting) -> None:
        self.plan = plan
        self._routes = plan.routes()
        self._alerts: dict[str, dict[str, Any]] = {}  # by incident: {"alert": transition, "ended": bool, "ack": act or None}
        self._groups: dict[str, Group] = {}
        self._of: dict[str, set[str]] = {}  # groups by incident
        self._silences: dict[str, Silence] = {}
        self._inhibitions = Inhibitions(plan.inhibit_rules)
        self._held: dict[str, dict[str, Held]] = {}  # by group and incident, as last said
        self._turns: list[tuple[int, int, str]] = []  # when, in the order of asking, which group
        self._asked = 0
        self._turn_of: dict[str, int] = {}
        self._dirty: set[str] = set()
        self._outputs: list[Output] = []
        self._homeless: list[str] = []
        self.now = 0
        self.decisions: dict[tuple[str, str], int] = {}  # how many, by (outcome, stage)

    # ── the fold ──

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back. Alerts whose route is no longer in the plan find their way anew at the next tick."""
        members: list[tuple[str, dict[str, Any]]] = []
        for key, value in rows:
            kind, _, name = key.decode().partition("|")
            tree = orjson.loads(value)
            if kind == "alert":
                self._alerts[name] = tree
                if not tree["ended"]:
                    self._inhibitions.stand(name, labels_of(tree["alert"]))
            elif kind == "silence":
                self._silences[name] = silences_.decode(tree)
            elif kind == "group":
                self._groups[name] = Group(**tree)
            else:
                members.append((name, tree))
        for place, tree in members:
            name, _, incident = place.partition("|")
            self._groups[name].members[incident] = None if tree["told"] is None else Told(*tree["told"])
            self._of.setdefault(incident, set()).add(name)
            if tree["held"] is not None:
                self._held.setdefault(name, {})[incident] = Held(*tree["held"])
        for name, group in self._groups.items():
            if group.route in self._routes:
                self._schedule(group, changed=True, incidents=group.members)
            else:
                self._homeless.append(name)

    def fold(self, records: Sequence[Record]) -> None:
        """Take transitions and acts; what cannot be read becomes a dead letter. Groups whose turn has come speak."""
        for record in records:
            if record.value is None:
                continue
            self.now = max(self.now, record.timestamp)
            try:
                tree = orjson.loads(record.value)
                match tree["type"]:
                    case "transition":
                        self._transition(tree)
                    case "act":
                        self._act(tree)
                    case _:
                        continue  # decisions and results: our own and the outbox's words
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                detail = f"{record.topic}: cannot be dispatched: {type(error).__name__}: {error}"
                self._outputs.append(dead_output(record, Reason.INVALID_DATA, detail, record.timestamp))
                continue
            self._run()

    def tick(self, now: int) -> None:
        """Let time pass: groups speak, silences end."""
        self.now = max(self.now, now)
        homeless, self._homeless = self._homeless, []
        for name in homeless:
            self._rehome(name)
        for id_ in [id_ for id_, silence in self._silences.items() if silence.ends <= self.now]:
            del self._silences[id_]
            self._dirty.add(f"silence|{id_}")
        self._run()

    def changes(self) -> Changes:
        """Return the rows and records since the last call."""
        rows = [Row(key.encode(), self._row(key)) for key in sorted(self._dirty)]
        self._dirty.clear()
        outputs, self._outputs = self._outputs, []
        return Changes(rows, outputs)

    def _row(self, key: str) -> bytes | None:
        kind, _, name = key.partition("|")
        if kind == "alert":
            found = self._alerts.get(name)
            return None if found is None else orjson.dumps(found)
        if kind == "silence":
            silence = self._silences.get(name)
            return None if silence is None else orjson.dumps(silences_.encode(silence))
        if kind == "member":
            name, _, incident = name.partition("|")
            group = self._groups.get(name)
            if group is None or incident not in group.members:
                return None
            told = group.members[incident]
            held = self._held.get(name, {}).get(incident)
            return orjson.dumps({"told": None if told is None else told.encode(), "held": held and list(held)})
        group = self._groups.get(name)
        return None if group is None else orjson.dumps(group.encode())

    # ── what comes in ──

    def _transition(self, tree: dict[str, Any]) -> None:
        if tree["kind"] in _QUIET:
            return
        incident, ended = str(tree["incident"]), tree["state"]["after"] == "inactive"
        labels = labels_of(tree)
        _ = tree["severity"], tree["since"], tree["at"], tree["rule"], tree["message"]["title"], tree["message"]["text"]
        before = self._alerts.get(incident)
        if before is None and ended:
            return  # it ended twice
        told = Kind(tree["kind"]).told
        if before is not None and not told:
            # Recovering and relapsed are not told: the words stay those of the last thing that was.
            before["state"] = tree["state"]["after"]
            self._dirty.add(f"alert|{incident}")
            return
        ack = before["ack"] if before is not None else None
        if ack is not None and before is not None and _graver(tree, before["alert"]):
            ack = None  # a warning was taken care of; that it became critical is another matter
        self._alerts[incident] = {"alert": tree, "state": tree["state"]["after"], "ended": ended, "ack": ack}
        self._dirty.add(f"alert|{incident}")
        if ended:
            self._inhibitions.end(incident)
        else:
            self._inhibitions.stand(incident, labels)
            for route in match_routes(self.plan.route, labels):
                self._join(route, incident, labels)
        for name in self._of.get(incident, ()):
            self._schedule(self._groups[name], changed=True, incidents=(incident,))

    def _join(self, route: Route, incident: str, labels: Mapping[str, str]) -> None:
        wanted = route.group_labels(incident, labels)
        name = digest(route.path, *(f"{key}={value}" for key, value in sorted(wanted.items())))
        group = self._groups.get(name)
        if group is None:
            thread = incident if set(wanted) == {"incident"} else digest(name, str(self.now))
            group = self._groups[name] = Group(name, route.path, wanted, thread, self.now)
        if incident not in group.members:
            group.members[incident] = None
            self._of.setdefault(incident, set()).add(name)
            self._dirty |= {f"group|{name}", f"member|{name}|{incident}"}

    def _act(self, tree: dict[str, Any]) -> None:
        act, by = tree["act"], str(tree["by"])
        match act:
            case "silence":
                silence = silences_.decode(tree["silence"] | {"by": by})
                self._silences[silence.id] = silence
                self._dirty.add(f"silence|{silence.id}")
            case "unsilence":
                if self._silences.pop(str(tree["id"]), None) is not None:
                    self._dirty.add(f"silence|{tree['id']}")
            case "ack" | "unack":
                incident = str(tree["incident"])
                found = self._alerts.get(incident)
                if found is not None and not found["ended"]:
                    found["ack"] = {"by": by, "at": str(tree["at"])} if act == "ack" else None
                    self._dirty.add(f"alert|{incident}")
                    for name in self._of.get(incident, ()):
                        self._schedule(self._groups[name], changed=False, incidents=(incident,))
            case _:
                raise ValueError(f"act: found {act!r} (accepted: {', '.join(ACTS)})")

    # ── turns ──

    def _schedule(self, group: Group, *, changed: bool, incidents: Iterable[str]) -> None:
        """Give a group its next turn, no later than the one it has; ``incidents`` may have a rung of their own ahead.

        Only those are looked at, so that an alert costs the same whether its group holds two or ten thousand.
        """
        route = self._routes.get(group.route)
        if route is None:
            return
        held = self._held.get(group.key, {})
        turns = [group.next_turn(route, self.now, changed=changed, held=bool(held)), self._turn_of.get(group.key)]
        # A rung that something holds back is looked at with the group's other turns, not in a circle.
        turns += [due for due, _, incident in self._rungs(group, route, incidents) if incident not in held]
        due = min((turn for turn in turns if turn is not None), default=None)
        if due is not None and group.flushed == self.now and not changed:
            due = max(due, self.now + 1)  # one turn an instant
        if due is not None and self._turn_of.get(group.key) != due:
            self._turn_of[group.key] = due
            self._asked += 1
            heapq.heappush(self._turns, (due, self._asked, group.key))

    def _rungs(self, group: Group, route: Route, incidents: Iterable[str]) -> list[tuple[int, Rung, str]]:
        ladder = self.plan.ladders.get(route.escalation or "")
        if ladder is None:
            return []
        found = [(incident, next_rung(ladder, self._standing(group, incident))) for incident in incidents]
        return [(rung[0], rung[1], incident) for incident, rung in found if rung is not None]

    def _standing(self, group: Group, incident: str) -> Standing:
        found = self._alerts[incident]
        return Standing(found["alert"]["severity"], found["ended"], found["ack"] is not None, group.members[incident])

    def _run(self) -> None:
        left = AT_ONCE
        while self._turns and self._turns[0][0] <= self.now and left > 0:
            due, _, name = heapq.heappop(self._turns)
            if self._turn_of.get(name) != due or name not in self._groups:
                continue
            del self._turn_of[name]
            left -= max(1, len(self._groups[name].members))
            self._turn(self._groups[name])

    def _turn(self, group: Group) -> None:
        """Let a group speak, if it has anything to say and nothing holds it back."""
        route, now = self._routes[group.route], self.now
        group.flushed = now
        free: dict[str, Standing] = {}
        quiet = muted(route, self.plan.intervals, now)
        known = self._held.setdefault(group.key, {})
        for incident in list(group.members):
            standing = self._standing(group, incident)
            held = self._hold(incident, quiet)
            if standing.ended and standing.told is None:
                held = held or known.get(incident) or Held("group", "it ended within group_wait")
                self._decided(group, [incident], "suppressed", held.stage, f"ended before it was told: {held.reason}")
                self._leave(group, incident)
            elif held is not None:
                if known.get(incident) != held:
                    known[incident] = held
                    self._decided(group, [incident], "held", held.stage, held.reason)
                    self._dirty.add(f"member|{group.key}|{incident}")
            else:
                if known.pop(incident, None) is not None:
                    self._dirty.add(f"member|{group.key}|{incident}")
                free[incident] = standing
        if group.members:
            self._speak(group, route, free)
        if group.members:
            self._schedule(group, changed=False, incidents=group.members)
        else:
            del self._groups[group.key]
            self._held.pop(group.key, None)
            self._dirty.add(f"group|{group.key}")

    def _hold(self, incident: str, quiet: Held | None) -> Held | None:
        labels = labels_of(self._alerts[incident]["alert"])
        return silenced(labels, self._silences.values(), self.now) or self._inhibitions.held(incident, labels) or quiet

    def _speak(self, group: Group, route: Route, free: Mapping[str, Standing]) -> None:
        now = self.now
        notice = decide(free, group.notified, route.repeat_interval, now)
        if notice is not None:
            heard = self.plan.resolve(route.receivers, now)
            if notice.kind != "repeated":
                known = {one.receiver for one in heard}
                heard += [Heard(name, "was told before") for name in group.heard if name not in known]
            self._send(group, notice, free, heard)
            group.notified = now
            for incident, standing in free.items():
                if standing.ended:
                    self._leave(group, incident)
                else:
                    told = standing.told
                    first = now if told is None or (told.severity != standing.severity and not told.step) else told.first
                    steps = (0, None) if told is None else (told.step, told.at)
                    self._tell(group, incident, Told(standing.severity, first, *steps))
        rungs = self._rungs(group, route, [incident for incident in free if incident in group.members])
        for due, rung, incident in rungs:
            if due <= now:
                self._escalate(group, rung, incident, free[incident])

    def _escalate(self, group: Group, rung: Rung, incident: str, standing: Standing) -> None:
        told = group.members[incident]
        assert told is not None  # who was not told has no rung
        heard = self.plan.resolve(rung.receivers, self.now)
        step = told.step + 1
        waited = f"not acknowledged, step {step} of the escalation"
        self._send(group, Notice("escalated", waited, (incident,)), {incident: standing}, heard)
        self._tell(group, incident, Told(told.severity, told.first, step, self.now))

    def _tell(self, group: Group, incident: str, told: Told) -> None:
        if group.members[incident] != told:
            group.members[incident] = told
            self._dirty.add(f"member|{group.key}|{incident}")

    def _send(self, group: Group, notice: Notice, about: Mapping[str, Standing], heard: Sequence[Heard]) -> None:
        alerts = [self._alerts[incident]["alert"] for incident in about]
        ended = frozenset(incident for incident, standing in about.items() if standing.ended)
        group.said += 1
        receivers = [one.receiver for one in heard]
        message = note(
            notice, alerts, ended, thread=group.thread, number=group.said, group=group.labels, route=group.route,
            now=self.now, receivers=receivers,
        )  # fmt: skip
        if reasons := {one.receiver: one.reason for one in heard if one.reason}:
            message["why_you"] = reasons
        self._outputs.append(Output("outbox", group.thread.encode(), orjson.dumps(message)))
        group.heard += [name for name in receivers if name not in group.heard]
        self._dirty.add(f"group|{group.key}")
        more = {"message": message["id"], "kind": notice.kind, "receivers": receivers}
        self._decided(group, list(notice.news or about), "notified", "dedup", notice.reason, **more)

    def _leave(self, group: Group, incident: str) -> None:
        group.members.pop(incident, None)
        self._held.get(group.key, {}).pop(incident, None)
        self._dirty.add(f"member|{group.key}|{incident}")
        groups = self._of.get(incident, set())
        groups.discard(group.key)
        if not groups:
            self._of.pop(incident, None)
            if self._alerts.get(incident, {}).get("ended"):
                del self._alerts[incident]
                self._dirty.add(f"alert|{incident}")

    def _rehome(self, name: str) -> None:
        """Take a group apart whose route is gone; its alerts that stand find the routes there are now."""
        group = self._groups.pop(name)
        self._dirty.add(f"group|{name}")
        for incident in list(group.members):
            alert = self._alerts[incident]
            if alert["ended"]:
                self._decided(group, [incident], "suppressed", "route", f"its route {group.route} is no longer there")
            self._leave(group, incident)
            if not alert["ended"]:
                labels = labels_of(alert["alert"])
                for route in match_routes(self.plan.route, labels):
                    self._join(route, incident, labels)
                for joined in self._of.get(incident, ()):
                    self._schedule(self._groups[joined], changed=True, incidents=(incident,))
        self._held.pop(name, None)

    def _decided(self, group: Group, incidents: list[str], outcome: str, stage: str, reason: str, **more: Any) -> None:
        self.decisions[outcome, stage] = self.decisions.get((outcome, stage), 0) + 1
        tree = {
            "type": "decision",
            "outcome": outcome,
            "stage": stage,
            "reason": reason,
            "incidents": incidents,
            "group": group.labels,
            "route": group.route,
            "at": iso(self.now),
        } | more
        self._outputs.append(Output("alerts", group.thread.encode(), orjson.dumps(tree)))

    # ── who looks ──

    def silences(self) -> list[Silence]:
        """Return the silences that have not ended, by end."""
        return sorted((s for s in self._silences.values()), key=lambda s: (s.ends, s.id))

    def standing(self, incident: str) -> dict[str, Any] | None:
        """Return what operators see of an incident: acknowledged by whom, held back why, told whom; None where there is none."""
        found = self._alerts.get(incident)
        if found is None:
            return None
        groups = [self._groups[name] for name in sorted(self._of.get(incident, ()))]
        held = [one for group in groups if (one := self._held.get(group.key, {}).get(incident)) is not None]
        return {
            "acknowledged": found["ack"],
            "held": [{"stage": one.stage, "reason": one.reason} for one in held],
            "told": sorted({name for group in groups if group.members[incident] is not None for name in group.heard}),
        }


def _graver(tree: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    return bool(tree["severity"] == "critical" != before["severity"])
