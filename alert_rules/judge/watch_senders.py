"""Which senders of events have gone silent, against their own usual rhythm? The fold from ``beats`` to findings.

What is measured of a sender is its rule's kind's (``alert_rules/kinds/silent.py``); who is looked at, and when, is this one's.

Nobody is silent who is just being heard, whatever times its events have (a history that is loaded, an outage that is caught up
with), nor who was heard on one day only: a file that was imported once has no rhythm to miss.

Rows: ``sender`` to its hours. Times are those of events, at most those of their arrival, so that history replays to the same.
"""

from collections.abc import Iterable, Sequence

import msgspec

from alert_rules.judge.finding import TOPIC, EntityFinding
from alert_rules.judge.rule import Rule, SenderRule
from alert_rules.kinds.entity_condition import SenderCondition
from alert_rules.kinds.silent import WEEKS
from alert_rules.records.dead_letter import dead_output
from models.beats import BEATS, Beat
from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS, Calendar, iso
from models.events.refused import Reason
from models.fold import Changes, Output, Record, Row

#: Senders that are watched; further ones are not.
MOST = 1_000
#: A sender that was heard so recently is not silent; as long must a worker listen before it says that somebody is.
PAUSE_MS = MINUTE_MS
#: So long after it was heard for the first time a sender must have been heard again to have a rhythm.
LISTENED_MS = DAY_MS
_WEEK = 7 * 24 * HOUR_MS
_CACHED = 10_000


class Sender(msgspec.Struct, array_like=True):
    """One sender: first and last event, the hours (their beginnings) with events, what it feeds, which rules say it is silent.

    ``since``, ``heard``: when it was heard first and last, whatever the times of its events (0: before that was noted).
    """

    first: int
    last: int
    hours: dict[int, int] = {}
    feeds: list[str] = []
    found: dict[str, int] = {}
    since: int = 0
    heard: int = 0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Sender).decode
_beat = msgspec.json.Decoder(Beat).decode


class WatchSenders:
    """The one partition of beats. ``settle``: for so long (ms) after a worker's first tick nobody is found silent."""

    def __init__(self, rules: Iterable[Rule], calendar: Calendar, *, settle: int = 0) -> None:
        self._settle = settle
        self._settled = 0
        self._calendar = calendar
        self._senders: dict[str, Sender] = {}
        self._dirty: set[str] = set()
        self._outputs: list[Output] = []
        self._minute = -1
        self._now = 0
        self._hours: dict[int, int] = {}  # the hour of the week of hours since the epoch
        self.refused = 0
        self.use(rules)

    def use(self, rules: Iterable[Rule]) -> None:
        """Take other rules; senders are looked at anew at the next tick."""
        self._rules: list[tuple[Rule, SenderCondition]] = [
            (rule, rule.watch) for rule in rules if isinstance(rule, SenderRule) and isinstance(rule.watch, SenderCondition)
        ]
        self._least = min((step.threshold for rule, _ in self._rules for step in rule.ladder), default=0.0)
        self._minute = -1

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the senders back."""
        for key, value in rows:
            self._senders[key.decode()] = _decode(value)

    def fold(self, records: Sequence[Record]) -> None:
        """Hear that senders are alive; what cannot be read becomes a dead letter."""
        for record in records:
            if record.value is None or record.key is None:
                continue
            try:
                beat, name = _beat(record.value), record.key.decode()
            except (ValueError, msgspec.MsgspecError) as error:
                self.refused += 1
                self._outputs.append(dead_output(record, Reason.INVALID_DATA, f"{record.topic}: {error}", record.timestamp))
                continue
            sender = self._senders.get(name)
            if sender is None:
                if len(self._senders) >= MOST:
                    continue
                sender = self._senders[name] = Sender(beat.at, beat.at, {}, [], {}, record.timestamp)
            # In a replay the clock is that of the events, and what arrives has come later than it says.
            sender.heard = min(record.timestamp, self._now) if self._now else record.timestamp
            sender.since = min(sender.since, sender.heard)
            self._hear(sender, beat)
            self._dirty.add(name)
            if sender.found:
                self._minute = -1  # it is looked at with the next tick, whenever that is

    def _hear(self, sender: Sender, beat: Beat) -> None:
        sender.first, sender.last = min(sender.first, beat.at), max(sender.last, beat.at)
        hour = beat.at - beat.at % HOUR_MS
        if hour > sender.last - (WEEKS + 1) * _WEEK:
            sender.hours[hour] = 1
        if len(sender.hours) > (WEEKS + 1) * 7 * 24:
            oldest = sender.last - (WEEKS + 1) * _WEEK
            sender.hours = {hour: 1 for hour in sender.hours if hour > oldest}
        if beat.topic not in sender.feeds:
            sender.feeds = sorted([*sender.feeds, beat.topic])

    def tick(self, now: int) -> None:
        """Let time pass (epoch ms): once a minute every sender is looked at."""
        if not self._now:
            self._settled = now + self._settle
        self._now = max(self._now, now)
        if self._now // MINUTE_MS != self._minute:
            self._minute = self._now // MINUTE_MS
            for name, sender in self._senders.items():
                self._look(name, sender)

    def changes(self) -> Changes:
        """Return the rows and findings since the last call."""
        rows = [Row(name.encode(), _encode(self._senders[name])) for name in sorted(self._dirty)]
        self._dirty.clear()
        outputs, self._outputs = self._outputs, []
        return Changes(rows, outputs)

    def _look(self, name: str, sender: Sender) -> None:
        values: dict[type[SenderCondition], float] = {}
        for rule, condition in self._rules:
            beyond, value, kind = 0, None, type(condition)
            if all(name in accepted for _, accepted in condition.where):
                if kind not in values:
                    values[kind] = condition.of_sender(sender, self._least, self._now, self._hour_of_week)
                value = values[kind]
                beyond = sum(value > step.threshold for step in rule.ladder)
            if beyond and rule.id not in sender.found and not self._listened(sender):
                continue
            if beyond != sender.found.get(rule.id, 0):
                self._say(rule.id, name, sender, beyond, value, rule.unit)
        for gone in sender.found.keys() - {rule.id for rule, _ in self._rules}:
            self._say(gone, name, sender, 0, None, why="the rule is no longer there")

    def _listened(self, sender: Sender) -> bool:
        """Whether it was listened for long enough to say that a sender is silent."""
        regular = not sender.since or sender.heard - sender.since >= LISTENED_MS
        return regular and self._now >= self._settled and self._now - sender.heard >= PAUSE_MS

    def _say(
        self,
        rule: str,
        name: str,
        sender: Sender,
        beyond: int,
        value: float | None,
        unit: str = "hours",
        why: str = "it sends again",
    ) -> None:
        facts = {
            "sender": name,
            "feeds": ", ".join(sender.feeds),
            "last": iso(sender.last),
            "silence": (self._now - sender.last) / 1000,
        }
        over = None if beyond else why
        finding = EntityFinding(rule, {"sender": name}, self._now, value, unit, None, facts, over)
        self._outputs.append(Output(TOPIC, finding.key, finding.encode()))
        if beyond:
            sender.found[rule] = beyond
        else:
            sender.found.pop(rule, None)
            self._outputs.append(Output(TOPIC, finding.key, None))
        self._dirty.add(name)

    def _hour_of_week(self, at: int) -> int:
        found = self._hours.get(at)
        if found is None:
            if len(self._hours) > _CACHED:
                self._hours.clear()
            local = self._calendar.local(at)
            found = self._hours[at] = local.weekday() * 24 + local.hour
        return found

    def __len__(self) -> int:
        """How many senders are watched."""
        return len(self._senders)


__all__ = ["BEATS", "MOST", "Sender", "WatchSenders"]
