"""Which alerts stand, after all the readings so far? The fold from the ``readings`` topic to the ``alerts`` topic."""

import contextlib
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from alert_rules.judge.alert_view import AlertWords, shown
from alert_rules.judge.explanation import PageLink, explanation, no_link
from alert_rules.judge.finding import TOPIC as FINDINGS
from alert_rules.judge.finding import EntityFinding
from alert_rules.judge.life_table import STANDING, Phase, TransitionKind
from alert_rules.judge.lifecycle import AlertChange, AlertState, decode_state, encode_state, evaluate, orphaned
from alert_rules.judge.observation import Observation
from alert_rules.judge.reading import observe
from alert_rules.judge.rule import KpiRule, Rule
from alert_rules.judge.transition_record import NOBODY, written
from alert_rules.judge.watched_readings import WatchedReadings
from alert_rules.records.alerts import Transition, encode
from alert_rules.records.dead_letter import dead_output
from models.calendar import MINUTE_MS
from models.events.refused import Reason
from models.fold import Changes, Output, Record, Row
from models.goals.plan import Playbook
from models.kpis.reading import Reading
from models.kpis.roll_kpis import BREACHED, CLEAR, UNCLEAR, Stand, Wanted
from models.owners import Owners

#: So many alerts are listed at most (some 35 µs each): in a storm the list must not hold up the loop that folds.
LISTED = 500
#: The row that says when a reading was heard last, to the minute.
HEARD = "heard"
#: Readings come every few seconds: where none came for so long (ms), nobody looked, and nothing is known of that time.
GAP_MS = 2 * MINUTE_MS


class EvaluateAlerts:
    """The one partition of readings, folded into the state of every (rule, segment) that is not inactive.

    Rows: ``rule|segment`` to the state's JSON, with what was seen of it when the row was written. Outputs: every transition, on
    ``alerts``, keyed by incident.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        link: PageLink = no_link,
        people: Owners = NOBODY,
        *,
        gap: int = 0,
        playbooks: Iterable[Playbook] = (),
    ) -> None:
        """``link`` gives the address of a deal's or lead's page, ``people`` who is behind an owner's id.

        ``gap``: time in which no reading came for so long (ms) does not count towards ``for`` (0: all time does; in a replay
        readings are as far apart as its steps). ``playbooks`` say what is to be done about an alert.
        """
        self._gap, self._heard = gap, 0
        self._playbooks = {rule: book for book in playbooks for rule in book.rules}
        self._link, self._people, self._alert_words = link, people, AlertWords()
        self._because: dict[str, Mapping[str, Any]] = {}  # of the alerts that stand: the latest that explains their reading
        self._states: dict[str, AlertState] = {}
        self._standing: Counter[str] = Counter()  # alerts by rule
        self._on: Counter[str] = Counter()  # alerts that stand, by their readings' key
        self._orphans: list[tuple[AlertState, str]] = []  # with why nothing will end them
        self._take(rules)
        self.beyond: dict[str, int] = {}  # readings whose alert did not begin because its rule had enough standing, by rule
        #: Of the alerts that stand, for those who look: as of the last row that was written, after a restart.
        self._latest: dict[str, Observation] = {}
        self._dirty: set[str] = set()
        self._outputs: list[Output] = []
        self.refused = 0  # readings that could not be read, since the start

    def use(self, rules: Iterable[Rule]) -> None:
        """Take other rules: alerts go on under the new thresholds; those whose rule is gone, or watches something else, end."""
        before = self.rules
        self._take(rules)
        self._on.clear()
        self._standing.clear()
        for state in self._states.values():
            self._count(state.rule, state.segment, 1)
            old, new = before.get(state.rule), self.rules.get(state.rule)
            if old is not None and new is not None and old.watches != new.watches:
                self._orphans.append((state, f"the rule {state.rule} watches something else now"))
            else:
                self._adopt(state)

    def _adopt(self, state: AlertState) -> None:
        """Note an alert that nothing will end because its rule is not there, or is told by something else."""
        rule = self.rules.get(state.rule)
        if rule is None:
            self._orphans.append((state, f"the rule {state.rule} is no longer there"))
        elif rule.by != (state.segment.partition("=")[0] if "=" in state.segment else None):
            self._orphans.append((state, f"the rule {state.rule} watches something else now"))

    def _take(self, rules: Iterable[Rule]) -> None:
        self.rules = {rule.id: rule for rule in rules}
        self._watching = WatchedReadings(self.rules.values())

    @property
    def wanted(self) -> set[Wanted]:
        """The readings that the rules need, each with what it is to be compared with."""
        return self._watching.wanted

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the states back; those of rules that are gone are ended at the next tick."""
        for key, value in rows:
            tree = orjson.loads(value)
            if key.decode() == HEARD:
                self._heard = tree
                continue
            state = decode_state(tree)
            self._states[key.decode()] = state
            if tree.get("because"):
                self._because[key.decode()] = tree["because"]
            rule = self.rules.get(state.rule)
            if rule is not None and "seen" in tree:
                body = orjson.dumps(tree["seen"])
                with contextlib.suppress(ValueError):  # of a version that saw something else
                    self._latest[key.decode()] = observe(body) if isinstance(rule, KpiRule) else EntityFinding.decode(body)
            self._count(state.rule, state.segment, 1)
            self._adopt(state)

    def fold(self, records: Sequence[Record]) -> None:
        """Evaluate the rules that watch each reading; what is not a reading becomes a dead letter.

        A record without a value says that its segment has no readings any more.
        """
        for record in records:
            if record.topic == FINDINGS:
                self._find(record)
                continue
            if record.value is None:
                self._vanished(record)
                continue
            if self._gap:
                self._hear(record.timestamp)
            if self._watching.well(record.value, self._on):
                continue  # by far the most end here, unread
            try:
                reading = observe(record.value)
            except ValueError as error:
                self.refused += 1
                self._outputs.append(dead_output(record, Reason.INVALID_DATA, f"{record.topic}: {error}", record.timestamp))
                continue
            for rule in self._watching.rules_of(reading):
                self._evaluate(rule, reading)

    def _hear(self, now: int) -> None:
        """Note when readings come; after a time without any, what waits goes on waiting as if that time had not been."""
        if self._heard and now - self._heard > self._gap:
            for key, state in self._states.items():
                if state.blind is None:
                    self._states[key] = replace(state, blind=max(self._heard, state.at))
                    self._dirty.add(key)
        if now // MINUTE_MS > self._heard // MINUTE_MS:
            self._dirty.add(HEARD)
        self._heard = max(self._heard, now)

    def _find(self, record: Record) -> None:
        """Take a finding about a single deal, lead or sender; what is over ends with its reason."""
        if record.value is None:
            self._taken_back(record)
            return
        try:
            finding = EntityFinding.decode(record.value)
        except ValueError as error:
            self.refused += 1
            self._outputs.append(dead_output(record, Reason.INVALID_DATA, f"{record.topic}: {error}", record.timestamp))
            return
        rule = self.rules.get(finding.rule)
        if rule is None or isinstance(rule, KpiRule):
            return
        if finding.over is None:
            self._evaluate(rule, finding)
            return
        key = f"{rule.id}|{finding.segment_name}"
        state = self._states.get(key)
        if state is not None:
            self._forget(key, rule.id)
            self._dirty.add(key)
            ended = orphaned(state, max(finding.at, state.at), finding.over)
            self._say(rule, replace(ended, seen=finding))

    def _taken_back(self, record: Record) -> None:
        """End the alert of a finding that is no more, where what said why was let go: only the last of a key is kept."""
        key = (record.key or b"").decode(errors="replace")
        state = self._states.get(key)
        rule = None if state is None else self.rules.get(state.rule)
        if state is not None and rule is not None:
            self._forget(key, rule.id)
            self._dirty.add(key)
            self._say(rule, orphaned(state, max(record.timestamp, state.at), "what it was about is no longer so"))

    def _evaluate(self, rule: Rule, seen: Observation) -> None:
        key = f"{rule.id}|{seen.segment_name}"
        before = self._states.get(key)
        after, transitions = evaluate(rule, before, seen)
        if after is None and before is None:
            return
        if before is None and self._standing[rule.id] >= rule.groups:
            self.beyond[rule.id] = self.beyond.get(rule.id, 0) + 1
            return
        # Not every reading is explained: what was said last holds until then.
        fresh = seen.because if isinstance(seen, Reading) else None
        because = fresh or self._because.get(key)
        if after is not None:
            self._latest[key] = seen
            if fresh:
                self._because[key] = fresh
                self._dirty.add(key)
        if after is before:
            return
        if after is None:
            self._forget(key, rule.id)
        else:
            if before is None:
                self._count(rule.id, after.segment, 1)
            self._states[key] = after
        self._dirty.add(key)
        for transition in transitions:
            self._say(rule, transition, because)

    def _count(self, rule: str, segment: str, by: int) -> None:
        self._standing[rule] += by
        watching = self.rules.get(rule)
        if isinstance(watching, KpiRule):
            place = f"{watching.kpi}|{watching.window}|{segment}"
            self._on[place] += by
            if not self._on[place]:
                del self._on[place]

    def _forget(self, key: str, rule: str) -> None:
        self._count(rule, self._states.pop(key).segment, -1)
        self._latest.pop(key, None)
        self._because.pop(key, None)

    def _vanished(self, record: Record) -> None:
        """End the alerts of a segment that has no readings any more: their topic's record has been taken back."""
        kpi, _, rest = (record.key or b"").decode(errors="replace").partition("|")
        window, _, segment = rest.partition("|")
        by = segment.partition("=")[0] if "=" in segment else None
        for rule in self._watching.rules_on(kpi, window, by):
            key = f"{rule.id}|{segment}"
            state = self._states.get(key)
            if state is not None:
                self._forget(key, rule.id)
                self._dirty.add(key)
                self._say(rule, orphaned(state, max(record.timestamp, state.at), f"{segment} has no readings any more"))

    def _say(self, rule: Rule, transition: AlertChange, because: Mapping[str, Any] | None = None) -> None:
        why = explanation(rule, transition, because, self._link, self._people) if transition.kind.notifies else None
        book = self._playbooks.get(rule.id)
        if why is not None and book is not None and transition.kind is not TransitionKind.RESOLVED:
            why["playbook"] = book.todo(transition.fired or transition.at)
        self._write(written(rule, transition, why, self._people))

    def _write(self, transition: Transition) -> None:
        self._outputs.append(Output("alerts", transition.incident.encode(), encode(transition)))

    def tick(self, now: int) -> None:
        """End the alerts of rules that are gone. Nothing else: the readings' own times are what counts."""
        for state, why in self._orphans:
            key = f"{state.rule}|{state.segment}"
            if self._states.get(key) is not state:
                continue
            self._forget(key, state.rule)
            self._dirty.add(key)
            self._write(written(state.rule, orphaned(state, now, why), {}))
        self._orphans.clear()

    def changes(self) -> Changes:
        """Return the rows and transitions since the last call."""
        rows = [Row(key.encode(), self._row(key)) for key in sorted(self._dirty)]
        outputs, self._outputs = self._outputs, []
        self._dirty.clear()
        return Changes(rows, outputs)

    def _row(self, key: str) -> bytes | None:
        if key == HEARD:
            return orjson.dumps(self._heard)
        state, because, seen = self._states.get(key), self._because.get(key), self._latest.get(key)
        if state is None:
            return None
        tree = encode_state(state) | ({} if because is None else {"because": because})
        if seen is not None:
            body = (replace(seen, because=None) if isinstance(seen, Reading) else seen).encode()
            tree["seen"] = orjson.Fragment(body)
        return orjson.dumps(tree)

    def stand(self, reading: Reading) -> Stand | None:
        """Return how a reading stands to each step of the rules that watch it, None where all is clear."""
        found: list[int] = []
        for rule in self._watching.rules_of(reading):
            value = rule.condition.measured(reading, rule.min_samples)
            for step in rule.ladder:
                if value is None:
                    found.append(CLEAR)
                elif step.breached(rule.direction, value):
                    found.append(BREACHED)
                else:
                    found.append(CLEAR if step.cleared(rule.direction, value) else UNCLEAR)
        return tuple(found) if any(found) else None

    def current(self, limit: int = LISTED) -> list[dict[str, Any]]:
        """Return the alerts that stand, gravest and oldest first, ``limit`` at most, as ``GET /api/alerts`` shows them."""
        order = {Phase.FIRING: 0, Phase.RECOVERING: 1, Phase.PENDING: 2}
        states = heapq.nsmallest(
            limit, self._states.items(), key=lambda item: (order[item[1].phase], -item[1].severity.rank, item[1].started, item[0])
        )
        return [
            shown(
                state,
                self.rules.get(state.rule),
                self._latest.get(key),
                self._because.get(key),
                self._link,
                self._people,
                self._alert_words,
            )
            for key, state in states
        ]

    def incidents(self) -> set[str]:
        """Return the ids of all the alerts that stand."""
        return {state.incident for state in self._states.values()}

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Return how many alerts stand by (rule, severity, state), zeros included: ``vigie_alerts``."""
        counts = {
            (rule.id, step.severity.value, phase.value): 0
            for rule in self.rules.values()
            for step in rule.ladder
            for phase in STANDING
        }
        for state in self._states.values():
            label = (state.rule, state.severity.value, state.phase.value)
            counts[label] = counts.get(label, 0) + 1
        return counts
