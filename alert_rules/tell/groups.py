"""Which alerts people are notified of together, and what is said of them when their turn comes?

The state that ``dispatch`` folds into: the alerts that stand, the groups they are in, what holds them back, and who was notified.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alert_rules.records.alerts import Decision
from alert_rules.records.alerts import encode as encode_alerts
from alert_rules.records.ids import digest
from alert_rules.records.message import MessageKind, Occasion
from alert_rules.records.message import encode as encode_message
from alert_rules.tell.alert_row import AlertRow
from alert_rules.tell.group_message import group_message
from alert_rules.tell.labels import labels_of
from alert_rules.tell.plan import Alerting, Recipient
from alert_rules.tell.stages.chain import Circumstances, StageChain
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


class Groups:
    """The groups of one plan. Times are milliseconds since the epoch; ``now`` is set by the fold, and never goes back.

    ``dirty`` holds the names of rows that have changed, ``outputs`` what is to be written. ``decisions`` counts by (outcome,
    stage), ``unnotified`` by receiver the alerts that ended before it could be notified of them.
    """

    def __init__(self, plan: Alerting, decisions: Counter[tuple[str, str]], unnotified: Counter[str]) -> None:
        self.plan = plan
        self.routes = plan.routes()
        self.alerts: dict[str, AlertRow] = {}  # by incident
        self.groups: dict[str, Group] = {}
        self.of: dict[str, set[str]] = {}  # groups by incident
        self.threads: dict[str, str] = {}  # groups by what their messages call an incident
        self.silences: dict[str, Silence] = {}
        self.inhibitions = Inhibitions(plan.inhibit_rules)
        self.stale = Stale()
        self.suppressed: dict[str, dict[str, Suppression]] = {}  # by group and incident, as last said
        self.homeless: list[str] = []  # groups whose route is gone
        self.dirty: set[str] = set()
        self.outputs: list[Output] = []
        self.decisions = decisions
        self.unnotified = unnotified
        self.now = 0
        self.not_before = 0  # nobody is notified before this: the history of a first start is still being read
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
        self.suppressed.get(group.key, {}).pop(incident, None)
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
            self.suppressed.pop(group.key, None)
            self.dirty.add(f"group|{group.key}")

    # ── turns ──

    def schedule(self, group: Group, *, changed: bool, incidents: Iterable[str]) -> None:
        """Give a group its next turn, no later than the one it has; ``incidents`` may have a rung of their own ahead.

        Only those are looked at, so that an alert costs the same whether its group holds two or ten thousand.
        """
        route = self.routes.get(group.route)
        if route is None:
            return
        suppression = self.suppressed.get(group.key, {})
        turns = [group.next_turn(route, self.now, changed=changed, suppressed=bool(suppression)), self._turns.due_of(group.key)]
        # A rung that something holds back is looked at with the group's other turns, not in a circle.
        turns += [due for due, _, incident in self._rungs(group, route, incidents) if incident not in suppression]
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
        known = self.suppressed.setdefault(group.key, {})
        for incident in list(group.members):
            standing = self.standing(group, incident)
            suppression = chain.suppression(self.alerts[incident].alert)
            if standing.ended and standing.notified is None:
                suppression = suppression or known.get(incident) or Suppression("group", "it ended within group_wait")
                self.decided(
                    group, [incident], "suppressed", suppression.stage, f"ended before it was told: {suppression.reason}"
                )
                self.unnotified.update(one.receiver for one in self.plan.resolve(route.receivers, now))
                self._leave(group, incident)
            elif suppression is not None:
                if known.get(incident) != suppression:
                    known[incident] = suppression
                    self.decided(group, [incident], "held", suppression.stage, suppression.reason)
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
        """Return how an alert is now, and what the group's receivers have been notified of."""
        found = self.alerts[incident]
        return MemberStanding(str(found.alert.severity), found.ended, found.ack is not None, group.members[incident])

    def _chain(self, route: Route) -> StageChain:
        silences = list(self.silences.values())
        return StageChain(route, Circumstances(self.now, silences, self.inhibitions, self.stale, self.plan.intervals))

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
            recipients = self.plan.resolve(route.receivers, now)
            if notice.kind is not MessageKind.REPEATED:
                known = {one.receiver for one in recipients}
                recipients += [Recipient(name, "was told before") for name in group.recipients if name not in known]
            self._send(group, notice, free, recipients)
            group.notified = now
            for incident, standing in free.items():
                if standing.ended:
                    self._leave(group, incident)
                else:
                    notified = standing.notified
                    first = (
                        now
                        if notified is None or (notified.severity != standing.severity and not notified.step)
                        else notified.first
                    )
                    steps = (0, None) if notified is None else (notified.step, notified.at)
                    self._note(group, incident, Notified(standing.severity, first, *steps))
        rungs = self._rungs(group, route, [incident for incident in free if incident in group.members])
        for due, rung, incident in rungs:
            if due <= now:
                self._escalate(group, rung, incident, free[incident])

    def _escalate(self, group: Group, rung: Rung, incident: str, standing: MemberStanding) -> None:
        notified = group.members[incident]
        assert notified is not None  # who was not told has no rung
        recipients = self.plan.resolve(rung.receivers, self.now)
        step = notified.step + 1
        notice = Notice(MessageKind.ESCALATED, Occasion(step=step), {incident: ""})
        self._send(group, notice, {incident: standing}, recipients)
        self._note(group, incident, Notified(notified.severity, notified.first, step, self.now))

    def acknowledged(self, group: Group, incidents: Sequence[str], kind: MessageKind, by: str) -> None:
        """Let those who were notified of some alerts hear that somebody takes care of them (or no longer does)."""
        news = {incident: "" for incident in incidents if group.members.get(incident) is not None}
        if not news or not group.recipients:
            return
        about = {incident: self.standing(group, incident) for incident, notified in group.members.items() if notified is not None}
        notice = Notice(kind, Occasion(by=by), news)
        self._send(group, notice, about, [Recipient(name, "was told before") for name in group.recipients])

    def _note(self, group: Group, incident: str, notified: Notified) -> None:
        if group.members[incident] != notified:
            group.members[incident] = notified
            self.dirty.add(f"member|{group.key}|{incident}")

    def _send(self, group: Group, notice: Notice, about: Mapping[str, MemberStanding], recipients: Sequence[Recipient]) -> None:
        alerts = [self.alerts[incident].alert for incident in about]
        acks = {incident: ack for incident in about if (ack := self.alerts[incident].ack) is not None}
        ended = frozenset(incident for incident, standing in about.items() if standing.ended)
        group.said += 1
        receivers = [one.receiver for one in recipients]
        message = group_message(
            notice, alerts, ended, thread=group.thread, number=group.said, group=group.labels, route=group.route,
            now=self.now, receivers=receivers, acks=acks, why_you={one.receiver: one.reason for one in recipients if one.reason},
        )  # fmt: skip
        self.outputs.append(Output("outbox", group.thread.encode(), encode_message(message)))
        group.recipients += [name for name in receivers if name not in group.recipients]
        self.dirty.add(f"group|{group.key}")
        more = {"message": message.id, "kind": notice.kind, "receivers": receivers}
        self.decided(group, list(notice.news or about), "notified", "dedup", str(message.why_now), **more)

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
