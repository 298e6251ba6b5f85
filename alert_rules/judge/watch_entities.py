"""Which open deals and leads are beyond what their rules allow? One partition of them, folded into findings.

The present of each entity comes from ``deal-states`` and ``lead-states``, the probabilities from ``predictions``, and what a
partition cannot know by itself (how long deals usually stay in a stage) from ``limits``. Time is followed with a queue of due
times: an entity is looked at when something is heard of it, and when time alone may have taken it over a threshold.

Rows: ``d|id`` and ``l|id`` to the entity with its standing findings; ``limits``. Outputs: findings (``finding.py``).
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence

import msgspec
import orjson

from alert_rules.judge.finding import TOPIC, EntityFinding
from alert_rules.judge.rule import EntityRule, Rule
from alert_rules.judge.watched_entity import WatchedEntry, became, decode, encode, ended, known, named
from alert_rules.kinds.entity_condition import QUANTILES, EntityCondition, Limits, MeasuredEntity
from alert_rules.kinds.win_probability import remember
from alert_rules.records.dead_letter import dead_output
from models.due_queue import DueQueue
from models.events.refused import Reason
from models.fold import Changes, Output, Record, Row
from models.folds.entity_snapshots import DEAL_STATES, LEAD_STATES, decode_deal, decode_lead

PREDICTIONS, LIMITS = "predictions", "limits"
#: So many findings of one rule stand in one partition at most.
MOST = 1_000
#: So many entities of a partition are looked at in one go (some 10 ms); the others have their turn at the next tick.
AT_ONCE = 2_000
#: While history is being told (a first start, a backfill), a deal is known as it was then, and would be found stalled before its
#: next event is read. So nothing begins as long as so many facts older than a day arrive within the pause.
HISTORY = 5
DAY_MS = 86_400_000
PAUSE_MS = 60_000
#: What had been beyond a threshold for longer than this when it was first heard of is old: it begins no alert.
OLD_MS = 7 * DAY_MS
_LARGEST = 2**53  # no time and no stay is longer (ms), and a row holds no larger number


class WatchEntities:
    """One partition. ``currency`` is that of amounts; ``most`` bounds the standing findings of each rule.

    ``settle``: for so long (ms) nothing begins after the first tick of a partition that has no state yet.
    """

    def __init__(self, rules: Iterable[Rule], currency: str = "EUR", *, most: int = MOST, settle: int = 0) -> None:
        self._currency = currency
        self._settle = settle
        self._restored = False
        self._most = most
        self._entries: dict[str, WatchedEntry] = {}
        self._limits: Limits = {}
        self._touched: set[str] = set()
        self._due = DueQueue()
        self._dirty: set[str] = set()
        self._standing: Counter[str] = Counter()
        self._outputs: list[Output] = []
        self._now = 0
        self._old: deque[int] = deque(maxlen=HISTORY)  # when the latest facts older than a day were heard
        self._history_until = 0
        self.beyond: Counter[str] = Counter()  # findings that were not said because their rule had enough standing, by rule
        self.old: Counter[str] = Counter()  # findings that were not said because they were old when they were first heard of
        self.refused = 0
        self.use(rules)

    def use(self, rules: Iterable[Rule]) -> None:
        """Take other rules: everything is looked at anew, in turns."""
        self._rules: dict[str, list[tuple[EntityRule, EntityCondition, list[float]]]] = {"deal": [], "lead": []}
        for rule in rules:
            if isinstance(rule, EntityRule):
                self._rules[rule.by].append((rule, rule.watch, [step.threshold for step in rule.ladder]))
        self._named = {rule.id: rule for rules_ in self._rules.values() for rule, _, _ in rules_}
        conditions = [condition for rules_ in self._rules.values() for _, condition, _ in rules_]
        self._within = max((condition.remembers for condition in conditions), default=0)
        self._look_at_all()

    def _look_at_all(self, kind: str = "") -> None:
        for key in self._entries:
            if key.startswith(kind):
                self._due.schedule(key, 0)

    def open(self) -> Iterable[WatchedEntry]:
        """Return the open deals and the unanswered leads of this partition."""
        return self._entries.values()

    def usual(self) -> dict[str, int]:
        """Return how long (ms) nine of ten deals stay in a stage, by stage; of the stages that enough have left."""
        place = tuple(QUANTILES).index("p90")
        return {stage: limit for stage, values in self._limits.items() if (limit := values[place]) is not None}

    # ── the fold ──

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the entities back; they are looked at anew, in turns: the rules may be others."""
        for key, value in rows:
            self._restored = True
            name = key.decode()
            if name == LIMITS:
                self._limits = orjson.loads(value)
            else:
                entry = self._entries[name] = decode(value)
                entry.heard = entry.heard or 1  # a row of before that was noted: what it holds was not old
                self._standing.update(entry.found.keys())
        self._look_at_all()

    def fold(self, records: Sequence[Record]) -> None:
        """Hear of entities, probabilities and limits; what cannot be read becomes a dead letter."""
        take: dict[str, Callable[[Record], None]] = {
            DEAL_STATES: self._deal, LEAD_STATES: self._lead, PREDICTIONS: self._prediction, LIMITS: self._new_limits,
        }  # fmt: skip
        for record in records:
            try:
                take[record.topic](record)
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError, msgspec.MsgspecError) as error:
                self.refused += 1
                detail = f"{record.topic}: {type(error).__name__}: {error}"
                self._outputs.append(dead_output(record, Reason.INVALID_DATA, detail, record.timestamp))

    def _deal(self, record: Record) -> None:
        key = f"d|{(record.key or b'').decode()}"
        deal = None if record.value is None else decode_deal(record.value)
        if deal is None or deal.status != "open":
            self._gone(key, "it is gone" if deal is None else became(deal.status))
            return
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = WatchedEntry(deal=deal, odds=[], found={}, heard=self._now, old={})
        else:
            entry.deal = deal
        self._hear(key, deal.changed)

    def _lead(self, record: Record) -> None:
        key = f"l|{(record.key or b'').decode()}"
        lead = None if record.value is None else decode_lead(record.value)
        if lead is None or lead.status != "open" or lead.contacted is not None:
            # Whoever was answered is watched no more: no rule asks for what comes after.
            over = "it is gone" if lead is None else "it was answered" if lead.status == "open" else became(lead.status)
            self._gone(key, over)
            return
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = WatchedEntry(lead=lead, odds=[], found={}, heard=self._now, old={})
        else:
            entry.lead = lead
        self._hear(key, lead.changed)

    def _hear(self, key: str, changed: int) -> None:
        self._touched.add(key)
        if self._now - changed > DAY_MS:
            self._old.append(self._now)
            if len(self._old) == HISTORY and self._now - self._old[0] <= PAUSE_MS:
                self._history_until = self._now + PAUSE_MS

    def _prediction(self, record: Record) -> None:
        entry = self._entries.get(f"d|{(record.key or b'').decode()}")
        if record.value is None or entry is None or not self._within:
            return
        tree = orjson.loads(record.value)
        if tree.get("prior"):
            return  # nothing has been learnt yet: what the first lessons change is no news of this deal
        win, at = float(tree["win"]), int(tree["at"])
        if not 0 <= win <= 1:
            raise ValueError(f"win: found {win:g} (accepted: from 0 to 1)")
        if not 0 <= at <= _LARGEST:
            raise ValueError(f"at: found {at} (accepted: milliseconds since 1970)")
        remember(entry.odds, at, win, self._within)
        self._touched.add(f"d|{(record.key or b'').decode()}")

    def _new_limits(self, record: Record) -> None:
        stages = {} if record.value is None else orjson.loads(record.value)["stages"]
        limits = {str(s): [None if value is None else int(value) for value in values] for s, values in stages.items()}
        known = [value for values in limits.values() for value in values if value is not None]
        if any(len(values) != len(QUANTILES) for values in limits.values()) or not all(0 <= value <= _LARGEST for value in known):
            raise ValueError(f"limits: found {stages!r} (accepted: {len(QUANTILES)} quantiles for each stage)")
        if limits != self._limits:
            self._limits = limits
            self._dirty.add(LIMITS)
            self._look_at_all("d|")

    def tick(self, now: int) -> None:
        """Let time pass (epoch ms): whose time has come is looked at."""
        if not self._now and not self._restored:
            self._history_until = now + self._settle
            for entry in self._entries.values():
                entry.heard = now
        self._now = max(self._now, now)
        for _ in range(AT_ONCE):
            if (key := self._due.pop(self._now)) is None:
                break
            self._look(key)

    def changes(self) -> Changes:
        """Return the rows and findings since the last call."""
        if self._now:
            for key in sorted(self._touched):
                self._look(key)
                self._dirty.add(key)
            self._touched.clear()
        rows = [Row(key.encode(), self._row(key)) for key in sorted(self._dirty)]
        self._dirty.clear()
        # In whose turn it was depends on when they were last looked at, and that on restarts: the order here does not.
        outputs = sorted(self._outputs, key=lambda output: output.key if output.topic == TOPIC else b"")
        self._outputs = []
        return Changes(rows, outputs)

    def _row(self, key: str) -> bytes | None:
        if key == LIMITS:
            return orjson.dumps(self._limits)
        entry = self._entries.get(key)
        return None if entry is None else encode(entry)

    # ── looking ──

    def _look(self, key: str) -> None:
        """Measure one entity by every rule that is about it; say what has changed; note when to look again."""
        entry = self._entries.get(key)
        if entry is None:
            return
        state, now = entry.state, self._now
        soonest: int | None = None
        for rule, condition, thresholds in self._rules["deal" if entry.deal is not None else "lead"]:
            measured = condition.measure(thresholds, state, self._limits, entry.odds, now)
            if measured.due is not None and (soonest is None or measured.due < soonest):
                soonest = measured.due
            beyond = 0 if measured.value is None else sum(measured.value > threshold for threshold in thresholds)
            if beyond and rule.id not in entry.found and now < self._history_until:
                soonest = self._history_until if soonest is None else min(soonest, self._history_until)
            elif beyond and rule.id not in entry.found and self._was_old(key, entry, rule.id, condition, beyond, thresholds):
                continue
            elif beyond:
                self._stand(key, entry, rule, beyond, measured)
            elif rule.id in entry.found:
                self._end(key, entry, rule.id, ended(entry.found[rule.id][1], state), measured.value)
            elif rule.id in entry.old:
                del entry.old[rule.id]
                self._dirty.add(key)
        for gone in [rule for rule in entry.found if rule not in self._named]:
            self._end(key, entry, gone, "the rule is no longer there", None)
        if soonest is None:
            self._due.cancel(key)
        else:
            self._due.schedule(key, max(soonest, now + 1))

    def _was_old(
        self, key: str, entry: WatchedEntry, rule: str, condition: EntityCondition, beyond: int, thresholds: Sequence[float]
    ) -> bool:
        """Whether an entity was beyond its step for so long when it was first heard of that it is no news."""
        if beyond <= entry.old.get(rule, 0):
            return True
        since = condition.crossed(thresholds[beyond - 1], entry.state, self._limits, self._now)
        if since >= entry.heard - OLD_MS:
            entry.old.pop(rule, None)
            return False
        entry.old[rule] = beyond
        self.old[rule] += 1
        self._dirty.add(key)
        return True

    def _stand(self, key: str, entry: WatchedEntry, rule: Rule, beyond: int, measured: MeasuredEntity) -> None:
        facts = known(entry.state)
        before = entry.found.get(rule.id)
        if before is not None and before == (beyond, facts):
            return
        if before is None:
            if self._standing[rule.id] >= self._most:
                self.beyond[rule.id] += 1
                return
            self._standing[rule.id] += 1
        entry.found[rule.id] = (beyond, facts)
        self._dirty.add(key)
        facts = {**facts, **measured.numbers}
        self._say(EntityFinding(rule.id, named(key), self._now, measured.value, rule.unit, self._currency, facts))

    def _end(self, key: str, entry: WatchedEntry, rule: str, why: str, value: float | None) -> None:
        _, facts = entry.found.pop(rule)
        self._standing[rule] -= 1
        self._dirty.add(key)
        its = self._named.get(rule)
        finding = EntityFinding(rule, named(key), self._now, value, its.unit if its else "count", self._currency, facts, over=why)
        self._say(finding)
        self._outputs.append(Output(TOPIC, finding.key, None))

    def _say(self, finding: EntityFinding) -> None:
        self._outputs.append(Output(TOPIC, finding.key, finding.encode()))

    def _gone(self, key: str, why: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        for rule in list(entry.found):
            self._end(key, entry, rule, why, None)
        self._due.cancel(key)
        self._touched.discard(key)
        self._dirty.add(key)

    def __len__(self) -> int:
        """How many deals and leads are watched."""
        return len(self._entries)
