"""What is worth an alert of how tests, objectives, challenges and customers stand? The fold from ``standings`` to findings.

A standing is absolute (``models/goals/standings.py``; customers: ``models/customers/quiet.py``), so a repeat changes nothing, and
what is no longer so ends its alert. Rows: the standing's key to what it says and which rules have found it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import orjson

from alert_rules.judge.finding import TOPIC, EntityFinding
from alert_rules.judge.rule import Rule, StandingRule
from alert_rules.kinds.standing import StandingCondition
from alert_rules.records.dead_letter import dead_output
from models.calendar import MINUTE_MS
from models.events.refused import Reason
from models.fold import Changes, Output, Record, Row

STANDINGS = "standings"
#: The key under which all customers that have moved lately are told at once.
CUSTOMERS = "customers"
#: So many standings are watched; further ones are not.
MOST = 5_000
_EPOCH = date(1970, 1, 1).toordinal()
_KINDS = ("experiment", "objective", "challenge", "customer")


class WatchStandings:
    """The one partition of standings. ``currency`` is that of amounts.

    ``hold``: what is beyond a threshold for so long (ms) is said; while a history is loaded, figures are those of a part of it.
    """

    def __init__(self, rules: Iterable[Rule], currency: str = "EUR", *, hold: int = 0) -> None:
        self._hold = hold
        self._begun: dict[tuple[str, str], int] = {}  # by standing and rule: since when it is beyond, where that was not said yet
        self._currency = currency
        self._standings: dict[str, dict[str, Any]] = {}
        self._found: dict[str, dict[str, Any]] = {}  # by standing and rule: step and facts
        self._dirty: set[str] = set()
        self._outputs: list[Output] = []
        self._now, self._minute = 0, -1
        self.refused = 0
        self.use(rules)

    def use(self, rules: Iterable[Rule]) -> None:
        """Take other rules: everything is looked at anew at the next tick."""
        self._rules = {rule.id: rule for rule in rules if isinstance(rule, StandingRule)}
        self._minute = -1

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the standings back."""
        for key, value in rows:
            tree = orjson.loads(value)
            self._standings[key.decode()] = tree["standing"]
            self._found[key.decode()] = tree["found"]

    def fold(self, records: Sequence[Record]) -> None:
        """Take standings as they are now; what cannot be read becomes a dead letter."""
        for record in records:
            key = (record.key or b"").decode(errors="replace")
            try:
                if key == CUSTOMERS:
                    self._customers({} if record.value is None else orjson.loads(record.value))
                elif record.value is None:
                    self._gone(key)
                else:
                    self._take(key, orjson.loads(record.value))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self.refused += 1
                detail = f"{record.topic}: {type(error).__name__}: {error}"
                self._outputs.append(dead_output(record, Reason.INVALID_DATA, detail, record.timestamp))

    def _customers(self, tree: Mapping[str, Any]) -> None:
        """Take all customers that have moved lately; those that are not among them any more are so no longer."""
        customers = {f"customer|{one['customer']}": one for one in tree.get("customers", ())}
        for key in [key for key in self._standings if key.startswith("customer|") and key not in customers]:
            self._gone(key)
        for key, one in customers.items():
            self._take(key, one)

    def _take(self, key: str, tree: Any) -> None:
        kind = key.partition("|")[0]
        if not isinstance(tree, dict) or kind not in _KINDS:
            raise ValueError(f"found the key {key!r:.80} (accepted: {', '.join(_KINDS)}, each with | and an id, or {CUSTOMERS})")
        for rule in self._rules.values():
            if rule.by == kind:
                _watch(rule).of_standing(tree, _EPOCH)  # what cannot be measured is found now
                _known(rule, tree)
        if self._standings.get(key) == tree or (key not in self._standings and len(self._standings) >= MOST):
            return
        self._standings[key] = tree
        self._dirty.add(key)
        if self._now:
            self._look(key)

    def tick(self, now: int) -> None:
        """Let time pass: what was news ends, once a minute."""
        self._now = max(self._now, now)
        if self._now // MINUTE_MS != self._minute:
            self._minute = self._now // MINUTE_MS
            for key in list(self._standings):
                self._look(key)

    def _look(self, key: str) -> None:
        kind, _, name = key.partition("|")
        standing, found = self._standings[key], self._found.setdefault(key, {})
        today = _EPOCH + self._now // 86_400_000
        for rule in self._rules.values():
            if rule.by != kind:
                continue
            value = _watch(rule).of_standing(standing, today)
            beyond = 0 if value is None else sum(value > step.threshold for step in rule.ladder)
            facts = _known(rule, standing)
            if not beyond:
                self._begun.pop((key, rule.id), None)
            elif rule.id not in found and self._now - self._begun.setdefault((key, rule.id), self._now) < self._hold:
                continue
            if beyond and found.get(rule.id) != [beyond, facts]:
                found[rule.id] = [beyond, facts]
                self._say(rule, kind, name, value, facts, None)
            elif not beyond and rule.id in found:
                del found[rule.id]
                self._say(rule, kind, name, value, facts, "it is no longer so")
            else:
                continue
            self._dirty.add(key)
        for gone in [rule for rule in found if rule not in self._rules]:
            del found[gone]
            self._dirty.add(key)

    def _gone(self, key: str) -> None:
        standing, found = self._standings.pop(key, None), self._found.pop(key, {})
        if standing is None:
            return
        kind, _, name = key.partition("|")
        for rule_id in found:
            if rule_id in self._rules:
                self._say(self._rules[rule_id], kind, name, None, _known(self._rules[rule_id], standing), "it is gone")
        self._dirty.add(key)

    def _say(self, rule: Rule, kind: str, name: str, value: float | None, facts: Mapping[str, Any], over: str | None) -> None:
        finding = EntityFinding(rule.id, {kind: name}, self._now, value, rule.unit, self._currency, facts, over)
        self._outputs.append(Output(TOPIC, finding.key, finding.encode()))
        if over is not None:
            self._outputs.append(Output(TOPIC, finding.key, None))

    def changes(self) -> Changes:
        """Return the rows and findings since the last call."""
        rows = [Row(key.encode(), self._row(key)) for key in sorted(self._dirty)]
        outputs, self._outputs = self._outputs, []
        self._dirty.clear()
        return Changes(rows, outputs)

    def _row(self, key: str) -> bytes | None:
        if key not in self._standings:
            return None
        return orjson.dumps({"standing": self._standings[key], "found": self._found.get(key, {})})


def _watch(rule: StandingRule) -> StandingCondition:
    assert isinstance(rule.watch, StandingCondition)  # no such rule is made of another
    return rule.watch


def _known(rule: StandingRule, standing: Mapping[str, Any]) -> dict[str, Any]:
    """Return what people are told of a standing; what is not known is left out."""
    found = {"name": standing.get("name"), **_watch(rule).known(standing)}
    return {name: value for name, value in found.items() if value is not None and value != ""}
