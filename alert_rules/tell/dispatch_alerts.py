"""Who is notified of what, and when? The fold from the ``alerts`` topic to the ``outbox``.

Transitions come in; silences and acknowledgements (records of type ``act``) come on the same topic, so that their order is
the log's. Messages for named receivers go to ``outbox``. Each decision about an alert is a record of type ``decision`` on
``alerts``, written when it changes: *notified*, *held* because …, *suppressed* (it ended before anybody was notified), or
*refused* (an act that could not be carried out: no such alert stands, its link was used before).

All that is decided is decided by the pure stages in ``stages/``; their order is in ``groups``, the state here: one
row an alert that stands, a group, a member, a silence, a used link. Who was notified of an incident hears how it goes on,
whatever its labels become.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from alert_rules.judge.life_table import TransitionKind
from alert_rules.records.alerts import Act, Transition, decode
from alert_rules.records.dead_letter import dead_output
from alert_rules.records.facts import gravity
from alert_rules.records.message import Acknowledgement
from alert_rules.tell.alert_row import AlertRow
from alert_rules.tell.dispatch_rows import DispatchRows
from alert_rules.tell.group_message import common_of
from alert_rules.tell.groups import AT_ONCE, Groups
from alert_rules.tell.plan import Alerting
from alert_rules.tell.stages import silence as silences_
from alert_rules.tell.stages.silence import Silence
from models.events.refused import Reason
from models.fold import Changes, Output, Record, Row

__all__ = ["ACTS", "AT_ONCE", "DispatchAlerts"]

_QUIET = frozenset((TransitionKind.PENDING.value, TransitionKind.CANCELLED.value))
ACTS = ("silence", "unsilence", "ack", "unack")
#: The row that says when this installation began to tell people: what is older is history.
_BEGUN = "begun"
#: So long after the first start the history must have been read, milliseconds; of what stands then people are notified.
SETTLED = 30_000
#: A used link is remembered for a year at most, whatever it says of itself.
_LINK_KEPT = 366 * 86_400_000


class DispatchAlerts:
    """The one partition of alerts, folded into who is notified of what. ``plan`` says how; times are epoch milliseconds.

    ``began`` is now: a fold that finds no state of its own takes what was written before it for history, of which it tells
    only what still stands. ``decisions`` and ``unnotified`` are counted by (outcome, stage), and by receiver.
    """

    def __init__(
        self,
        plan: Alerting,
        *,
        began: int = 0,
        decisions: Counter[tuple[str, str]] | None = None,
        unnotified: Counter[str] | None = None,
    ) -> None:
        self.plan = plan
        self.decisions = Counter() if decisions is None else decisions
        self._state = Groups(plan, self.decisions, Counter() if unnotified is None else unnotified)
        self._kept = DispatchRows(self._state)
        self._began = began
        self._outputs: list[Output] = []

    def use(self, plan: Alerting) -> None:
        """Take another plan of who is notified when."""
        self.plan = plan
        self._state.use(plan)

    # ── the fold ──

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back. Alerts whose route is no longer in the plan find their way anew at the next tick."""
        state, kept = self._state, self._kept
        if not kept.restore(rows) and self._began:
            kept.begun = self._began
            state.dirty.add(_BEGUN)
        if kept.begun is not None:
            state.not_before = kept.begun + SETTLED
        for name, group in state.groups.items():
            if group.route in state.routes:
                state.schedule(group, changed=True, incidents=group.members)
            else:
                state.homeless.append(name)

    def fold(self, records: Sequence[Record]) -> None:
        """Take transitions and acts; what cannot be read becomes a dead letter. Groups whose turn has come speak."""
        state = self._state
        for record in records:
            if record.value is None:
                continue
            state.now = max(state.now, record.timestamp)
            # Of what came since the first start people are notified as usual; what came before waits until all of it is known.
            history = self._kept.begun is not None and record.timestamp < self._kept.begun
            state.not_before = (self._kept.begun or 0) + SETTLED if history else 0
            try:
                match decode(record.value):
                    case Transition() as transition:
                        self._transition(transition, history)
                    case Act() as act:
                        self._act(act)
                    case _:
                        continue  # decisions and results: our own and the outbox's words
            except ValueError as error:  # msgspec's are ValueErrors
                detail = f"{record.topic}: cannot be dispatched: {type(error).__name__}: {error}"
                self._outputs.append(dead_output(record, Reason.INVALID_DATA, detail, record.timestamp))
                continue
            state.run()

    def tick(self, now: int) -> None:
        """Let time pass: groups speak, silences end."""
        state = self._state
        state.now = max(state.now, now)
        homeless, state.homeless = state.homeless, []
        for name in homeless:
            state.rehome(name)
        for id_ in [id_ for id_, silence in state.silences.items() if silence.ends <= state.now]:
            del state.silences[id_]
            state.dirty.add(f"silence|{id_}")
        for id_ in [id_ for id_, expires in self._kept.links.items() if expires <= state.now]:
            del self._kept.links[id_]
            state.dirty.add(f"link|{id_}")
        state.run()

    def changes(self) -> Changes:
        """Return the rows and records since the last call."""
        state = self._state
        rows = [Row(key.encode(), self._kept.value(key)) for key in sorted(state.dirty)]
        state.dirty.clear()
        outputs = self._outputs + state.outputs
        self._outputs, state.outputs = [], []
        return Changes(rows, outputs)

    # ── what comes in ──

    def _transition(self, transition: Transition, history: bool) -> None:
        kind = TransitionKind(transition.kind)
        if kind.value in _QUIET:
            return
        if None in (transition.rule, transition.severity, transition.since) or (
            transition.zone is None and transition.message is None
        ):
            raise ValueError("a transition without rule, severity, since or words")
        state = self._state
        incident, ended = transition.incident, transition.over
        before = state.alerts.get(incident)
        if before is None and ended:
            return  # it ended twice
        if before is not None and not kind.notifies:
            # Recovering and relapsed are not told: the words stay those of the last thing that was.
            before.state = transition.state.after if transition.state is not None else before.state
            state.dirty.add(f"alert|{incident}")
            return
        ack = before.ack if before is not None else None
        if ack is not None and before is not None and gravity(transition.severity) > gravity(before.alert.severity):
            ack = None  # a warning was taken care of; that it became critical is another matter
        after = transition.state.after if transition.state is not None else ""
        state.alerts[incident] = AlertRow(transition, after, ended, ack)
        state.dirty.add(f"alert|{incident}")
        if ended:
            state.inhibitions.end(incident)
            state.stale.end(incident)
            if history and all(group.members[incident] is None for group in state.of_incident(incident)):
                state.forget(incident)
        else:
            state.join(incident)
        for group in state.of_incident(incident):
            state.schedule(group, changed=True, incidents=(incident,))

    def _act(self, act: Act) -> None:
        state, by = self._state, act.by
        if act.link is not None and not self._use(act, by):
            return
        match act.act:
            case "silence" if act.silence is not None:
                silence = silences_.decode(act.silence | {"by": by})
                state.silences[silence.id] = silence
                state.dirty.add(f"silence|{silence.id}")
            case "unsilence" if act.id is not None:
                if state.silences.pop(act.id, None) is not None:
                    state.dirty.add(f"silence|{act.id}")
            case "ack" | "unack" if act.incident is not None:
                self._acknowledge(act.incident, act.act == "ack", by, act.at)
            case name if name in ACTS:
                raise ValueError(f"{name}: found nothing that it is about (accepted: silence, id or incident with it)")
            case name:
                raise ValueError(f"act: found {name!r} (accepted: {', '.join(ACTS)})")

    def _use(self, act: Act, by: str) -> bool:
        """Use a link up; False where it was used before: whatever it says, it says it once."""
        state, id_ = self._state, str(act.link)
        if id_ in self._kept.links:
            about = [] if act.incident is None else [act.incident]
            state.decided(None, about, "refused", "link", f"the link was used before ({act.act} by {by})")
            return False
        if act.link_expires is None:
            raise ValueError("link_expires: found nothing (accepted: milliseconds since the epoch, with a link)")
        self._kept.links[id_] = min(act.link_expires, state.now + _LINK_KEPT)
        state.dirty.add(f"link|{id_}")
        return True

    def _acknowledge(self, name: str, taken: bool, by: str, at: str) -> None:
        """Take care of an incident, or of all that a group's thread has told."""
        state = self._state
        named = state.groups.get(state.threads.get(name, ""))
        incidents = [name] if name in state.alerts else [i for i, notified in named.members.items() if notified] if named else []
        changed: list[str] = []
        for incident in incidents:
            found = state.alerts[incident]
            if not found.ended and (found.ack is None) is taken:
                found.ack = Acknowledgement(by, at) if taken else None
                state.dirty.add(f"alert|{incident}")
                changed.append(incident)
        if not changed:
            why = "it is so already" if incidents else "no such alert stands"
            state.decided(None, [name], "refused", "act", f"{'ack' if taken else 'unack'} by {by}: {why}")
        touched = {group.key: group for incident in changed for group in state.of_incident(incident)}
        for group in touched.values():
            state.acknowledged(group, changed, "acknowledged" if taken else "unacknowledged", by)
            state.schedule(group, changed=False, incidents=[i for i in changed if i in group.members])

    # ── who looks ──

    @property
    def now(self) -> int:
        """The latest instant that it knows of."""
        return self._state.now

    def silences(self) -> list[Silence]:
        """Return the silences that have not ended, by end."""
        return sorted(self._state.silences.values(), key=lambda s: (s.ends, s.id))

    def used(self, link: str) -> bool:
        """Whether a link has been used."""
        return link in self._kept.links

    def stands(self, name: str) -> bool:
        """Whether an incident, or what a thread is about, stands and has not ended."""
        state = self._state
        found = state.alerts.get(name)
        return not found.ended if found is not None else name in state.threads

    def title(self, name: str) -> str | None:
        """Return an incident's title in people's words, or what a group's thread is about; None where it is not known."""
        state = self._state
        found, group = state.alerts.get(name), state.groups.get(state.threads.get(name, ""))
        if found is not None:
            return found.alert.message.title if found.alert.message is not None else None
        return None if group is None else common_of(group.labels, [state.alerts[one].alert for one in group.members]) or None

    def threads(self) -> set[str]:
        """Return what the messages of the groups there are call an incident."""
        return set(self._state.threads)

    def standing(self, incident: str) -> dict[str, Any] | None:
        """Return what operators see of an incident: acknowledged by whom, suppressed why, who was notified.

        None where there is none.
        """
        state = self._state
        found = state.alerts.get(incident)
        if found is None:
            return None
        groups = state.of_incident(incident)
        suppression = [one for group in groups if (one := state.suppressed.get(group.key, {}).get(incident)) is not None]
        return {
            "acknowledged": None if found.ack is None else msgspec.to_builtins(found.ack),
            "held": [{"stage": one.stage, "reason": one.reason} for one in suppression],
            "told": sorted({name for group in groups if group.members[incident] is not None for name in group.recipients}),
        }
