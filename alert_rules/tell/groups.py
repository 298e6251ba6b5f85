"""Which alerts are told together, and what is said of them when their turn comes?

The state that ``dispatch`` folds into: the alerts that stand, the groups they are in, what holds them back, and who was told.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from alert_rules.records.alerts import Decision, Transition
from alert_rules.records.alerts import encode as encode_alerts
from alert_rules.records.ids import digest
from alert_rules.records.message import Acknowledgement
from alert_rules.records.message import encode as encode_message
from alert_rules.tell.group_message import group_message
from alert_rules.tell.labels import labels_of
from alert_rules.tell.plan import Alerting, Recipient
from alert_rules.tell.stages.chain import Chain, Circumstances
from alert_rules.tell.stages.dedup import MemberStanding, Notice, Notified, decide
from alert_rules.tell.stages.escalate import Rung, next_rung
from alert_rules.tell.stages.group import Group
from alert_rules.tell.stages.inhibit import Inhibitions
from alert_rules.tell.stages.route import EACH, Route, match_routes
from alert_rules.tell.stages.silence import Silence
from alert_rules.tell.stages.stale import Stale
from alert_rules.tell.stages.suppression import Suppression
from models.calendar import iso
from models.due_queue import DueQueue
from models.fold import Output

#: So many alerts are looked at in one go (some 50 ms); in a storm the other groups have their turn at the next tick. A group
#: that speaks costs as much as so many alerts more.
AT_ONCE = 2_000
_SPEAKING = 4


class AlertRow(msgspec.Struct):
    """One alert that stands, or whose end is still to be told: its last transition that people are told, and who takes care."""

    alert: Transition
    state: str
    ended: bool
    ack: Acknowledgement | None = None


class Groups:
    """The groups of one plan. Times are milliseconds since the epoch; ``now`` is set by the fold, and never goes back.

    ``dirty`` holds the names of rows that have changed, ``outputs`` what is to be written. ``decisions`` counts by (outcome,
    stage), ``untold`` by receiver the alerts that ended before it could be told.
    """

    def __init__(self, plan: Alerting, decisions: Counter[tuple[str, str]], untold: Counter[str]) -> None:
        self.plan = plan
        self.routes = plan.routes()
        self.alerts: dict[str, AlertRow] = {}  # by incident
        self.groups: dict[str, Group] = {}
        self.of: dict[str, set[str]] = {}  # groups by incident
        self.threads: dict[str, str] = {}  # groups by what their messages call an incident
        self.silences: dict[str, Silence] = {}
        self.inhibitions = Inhibitions(plan.inhibit_rules)
        self.stale = Stale()
        self.held: dict[str, dict[str, Suppression]] = {}  # by group and incident, as last said
        self.homeless: list[str] = []  # groups whose route is gone
        self.dirty: set[str] = set()
        self.outputs: list[Output] = []
        self.decisions = decisions
        self.untold = untold
        self.now = 0
        self.not_before = 0  # nobody is told before this: the history of a first start is still being read
        self._turns = DueQueue()  # of groups, in the order of asking
        self._asked = 0

    def use(self, plan: Alerting) -> None:
        """Take another plan. Groups whose route is gone are taken apart at the next tick; the others are looked at anew."""
        self.plan = plan
        self.routes = plan.routes()
        self.inhibitions = Inhibitions(plan.inhibit_rules)
        for incident, found in self.alerts.items():
            if not found.ended:
                self.inhibitions.stand(incident, labels_of(found.alert))  # who is silent stays known
        self._turns.clear()
        self.homeless = [name for name, group in self.groups.items() if group.route not in self.routes]
        for group in self.groups.values():
            if group.route in self.routes:
                self.schedule(group, changed=True, incidents=group.members)

    # ── who is in which group ──

    def join(self, incident: str) -> None:
        """Put an alert that stands into the groups of the routes that take it."""
        labels = labels_of(self.alerts[incident].alert)
        self.inhibitions.stand(incident, labels)
        self.stale.stand(incident, self.alerts[incident].alert)
        for route in match_routes(self.plan.route, labels):
            wanted = route.group_labels(incident, labels)
            name = digest(route.path, *(f"{key}={value}" for key, value in sorted(wanted.items())))
            group = self.groups.get(name)
            if EACH not in route.group_by and any(
                g.route == route.path and set(g.labels) == {"incident"} for g in self.of_incident(incident)
            ):
                continue  # it began when the route told each by itself, and goes on so
            if group is None:
                thread = incident if set(wanted) == {"incident"} else digest(name, str(self.now))
                group = self.groups[name] = Group(name, route.path, wanted, thread, self.now)
                self.threads[thread] = name
            if incident not in group.members:
                group.members[incident] = None
                self.of.setdefault(incident, set()).add(name)
                self.dirty |= {f"group|{name}", f"member|{name}|{incident}"}

    def of_incident(self, incident: str) -> list[Group]:
        """Return the groups that an alert is in, in a fixed order."""
        return [self.groups[name] for name in sorted(self.of.get(incident, ()))]

    def forget(self, incident: str) -> None:
        """Let go of an alert that ended before anybody was to know of it."""
        for group in self.of_incident(incident):
            self._leave(group, incident)
            self._close_if_empty(group)
        if self.alerts.pop(incident, None) is not None:
            self.dirty.add(f"alert|{incident}")

    def rehome(self, name: str) -> None:
        """Take a group apart whose route is gone; its alerts that stand find the routes there are now."""
        group = self.groups[name]
        for incident in list(group.members):
            ended = self.alerts[incident].ended
            if ended:
                self.decided(group, [incident], "suppressed", "route", f"its route {group.route} is no longer there")
            self._leave(group, incident)
            if not ended:
                self.join(incident)
                for joined in self.of_incident(incident):
                    if joined is not group:
                        self.schedule(joined, changed=True, incidents=(incident,))
        self._close_if_empty(group)

    def _leave(self, group: Group, incident: str) -> None:
        group.members.pop(incident, None)
        self.held.get(group.key, {}).pop(incident, None)
        self.dirty.add(f"member|{group.key}|{incident}")
        groups = self.of.get(incident, set())
        groups.discard(group.key)
        if not groups:
            self.of.pop(incident, None)
            if incident in self.alerts and self.alerts[incident].ended:
                del self.alerts[incident]
                self.dirty.add(f"alert|{incident}")

    def _close_if_empty(self, group: Group) -> None:
        if not group.members:
            del self.groups[group.key]
            if self.threads.get(group.thread) == group.key:
                del self.threads[group.thread]
            self.held.pop(group.key, None)
            self.dirty.add(f"group|{group.key}")

    # ── turns ──

    def schedule(self, group: Group, *, changed: bool, incidents: Iterable[str]) -> None:
        """Give a group its next turn, no later than the one it has; ``incidents`` may have a rung of their own ahead.

        Only those are looked at, so that an alert costs the same whether its group holds two or ten thousand.
        """
        route = self.routes.get(group.route)
        if route is None:
            return
        held = self.held.get(group.key, {})
        turns = [group.next_turn(route, self.now, changed=changed, held=bool(held)), self._turns.due_of(group.key)]
        # A rung that something holds back is looked at with the group's other turns, not in a circle.
        turns += [due for due, _, incident in self._rungs(group, route, incidents) if incident not in held]
        due = min((turn for turn in turns if turn is not None), default=None)
        if due is not None:
            due = max(due, self.not_before)
        if due is not None and group.flushed == self.now and not changed:
            due = max(due, self.now + 1)  # one turn an instant
        if due is not None:
            self._asked += 1
            self._turns.schedule(group.key, due, self._asked)

    def run(self) -> None:
        """Let the groups speak whose turn has come."""
        left = AT_ONCE
        while left > 0 and (name := self._turns.pop(self.now)) is not None:
            if name in self.groups:
                left -= _SPEAKING + len(self.groups[name].members)
                self._turn(self.groups[name])

    def _turn(self, group: Group) -> None:
        """Let a group speak, if it has anything to say and nothing holds it back."""
        route, now = self.routes[group.route], self.now
        group.flushed = now
        free: dict[str, MemberStanding] = {}
        chain = self._chain(route)
        known = self.held.setdefault(group.key, {})
        for incident in list(group.members):
            standing = self.standing(group, incident)
            held = chain.suppression(self.alerts[incident].alert)
            if standing.ended and standing.told is None:
                held = held or known.get(incident) or Suppression("group", "it ended within group_wait")
                self.decided(group, [incident], "suppressed", held.stage, f"ended before it was told: {held.reason}")
                self.untold.update(one.receiver for one in self.plan.resolve(route.receivers, now))
                self._leave(group, incident)
            elif held is not None:
                if known.get(incident) != held:
                    known[incident] = held
                    self.decided(group, [incident], "held", held.stage, held.reason)
                    self.dirty.add(f"member|{group.key}|{incident}")
            else:
                if known.pop(incident, None) is not None:
                    self.dirty.add(f"member|{group.key}|{incident}")
                free[incident] = standing
        if group.members:
            self._speak(group, route, free)
        if group.members:
            self.schedule(group, changed=False, incidents=group.members)
        else:
            self._close_if_empty(group)

    def standing(self, group: Group, incident: str) -> MemberStanding:
        """Return how an alert is now, and what the group's receivers have been told of it."""
        found = self.alerts[incident]
        return MemberStanding(str(found.alert.severity), found.ended, found.ack is not None, group.members[incident])

    def _chain(self, route: Route) -> Chain:
        silences = list(self.silences.values())
        return Chain(route, Circumstances(self.now, silences, self.inhibitions, self.stale, self.plan.intervals))

    def _rungs(self, group: Group, route: Route, incidents: Iterable[str]) -> list[tuple[int, Rung, str]]:
        ladder = self.plan.ladders.get(route.escalation or "")
        if ladder is None:
            return []
        found = [(incident, next_rung(ladder, self.standing(group, incident))) for incident in incidents]
        return [(rung[0], rung[1], incident) for incident, rung in found if rung is not None]

    # ── what is said ──

    def _speak(self, group: Group, route: Route, free: Mapping[str, MemberStanding]) -> None:
        now = self.now
        notice = decide(free, group.notified, route.repeat_interval, now)
        if notice is not None:
            heard = self.plan.resolve(route.receivers, now)
            if notice.kind != "repeated":
                known = {one.receiver for one in heard}
                heard += [Recipient(name, "was told before") for name in group.heard if name not in known]
            self._send(group, notice, free, heard)
            group.notified = now
            for incident, standing in free.items():
                if standing.ended:
                    self._leave(group, incident)
                else:
                    told = standing.told
                    first = now if told is None or (told.severity != standing.severity and not told.step) else told.first
                    steps = (0, None) if told is None else (told.step, told.at)
                    self._tell(group, incident, Notified(standing.severity, first, *steps))
        rungs = self._rungs(group, route, [incident for incident in free if incident in group.members])
        for due, rung, incident in rungs:
            if due <= now:
                self._escalate(group, rung, incident, free[incident])

    def _escalate(self, group: Group, rung: Rung, incident: str, standing: MemberStanding) -> None:
        told = group.members[incident]
        assert told is not None  # who was not told has no rung
        heard = self.plan.resolve(rung.receivers, self.now)
        step = told.step + 1
        waited = f"not acknowledged, step {step} of the escalation"
        self._send(group, Notice("escalated", waited, {incident: ""}), {incident: standing}, heard)
        self._tell(group, incident, Notified(told.severity, told.first, step, self.now))

    def acknowledged(self, group: Group, incidents: Sequence[str], kind: str, by: str) -> None:
        """Let those who were told of some alerts hear that somebody takes care of them (or no longer does)."""
        news = {incident: "" for incident in incidents if group.members.get(incident) is not None}
        if not news or not group.heard:
            return
        about = {incident: self.standing(group, incident) for incident, told in group.members.items() if told is not None}
        words = f"acknowledged by {by}" if kind == "acknowledged" else f"{by} took the acknowledgement back"
        self._send(group, Notice(kind, words, news), about, [Recipient(name, "was told before") for name in group.heard])

    def _tell(self, group: Group, incident: str, told: Notified) -> None:
        if group.members[incident] != told:
            group.members[incident] = told
            self.dirty.add(f"member|{group.key}|{incident}")

    def _send(self, group: Group, notice: Notice, about: Mapping[str, MemberStanding], heard: Sequence[Recipient]) -> None:
        alerts = [self.alerts[incident].alert for incident in about]
        acks = {incident: ack for incident in about if (ack := self.alerts[incident].ack) is not None}
        ended = frozenset(incident for incident, standing in about.items() if standing.ended)
        group.said += 1
        receivers = [one.receiver for one in heard]
        message = group_message(
            notice, alerts, ended, thread=group.thread, number=group.said, group=group.labels, route=group.route,
            now=self.now, receivers=receivers, acks=acks, why_you={one.receiver: one.reason for one in heard if one.reason},
        )  # fmt: skip
        self.outputs.append(Output("outbox", group.thread.encode(), encode_message(message)))
        group.heard += [name for name in receivers if name not in group.heard]
        self.dirty.add(f"group|{group.key}")
        more = {"message": message.id, "kind": notice.kind, "receivers": receivers}
        self.decided(group, list(notice.news or about), "notified", "dedup", notice.reason, **more)

    def decided(self, group: Group | None, incidents: list[str], outcome: str, stage: str, reason: str, **more: Any) -> None:
        """Write a decision down, and count it; ``group`` None where it is about none."""
        self.decisions[outcome, stage] += 1
        decision = Decision(
            outcome=outcome,
            stage=stage,
            reason=reason,
            incidents=incidents,
            group={} if group is None else group.labels,
            route=None if group is None else group.route,
            at=iso(self.now),
            **more,
        )
        key = group.thread if group is not None else (incidents or ["acts"])[0]
        self.outputs.append(Output("alerts", key.encode(), encode_alerts(decision)))
