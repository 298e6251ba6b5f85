"""Is this parsed YAML a rule, and if not, what is wrong, where, and what would be right?

All problems of all files are found in one go: a file is read to its end whatever its first lines hold.
"""

import re
from collections.abc import Mapping
from typing import Any

from alert_rules.judge.rule import GROUPS, Known, KpiFacts, KpiRule, Rule, Statistic, rule_of
from alert_rules.judge.transition_record import check_summary
from alert_rules.kinds.condition import Condition
from alert_rules.kinds.value import VALUE
from alert_rules.parse.entity_rule_file import WATCHED, read_entity
from alert_rules.parse.entity_test_file import read_entity_tests
from alert_rules.parse.ladders import CONDITIONS, read_condition, read_ladder
from alert_rules.parse.rule_test_file import read_tests
from alert_rules.words.quantities import TemplateError
from models.config.problem import FileProblem
from models.config.reader import TreeReader, kind_of
from models.config.suggest import near
from models.panes.windows import Window, WindowError

__all__ = ["KEYS", "FileProblem", "parse_rules"]

KEYS = (
    "id", "title", "kpi", "window", "by", "groups", "warn", "critical", *CONDITIONS, "severity", "for", "keep_firing_for",
    "active", "min_samples", "sure", "labels", "summary", "runbook", "tests",
)  # fmt: skip
#: Of a rule on single deals or leads.
ENTITY_KEYS = (
    "id", "title", "entity", "where", *WATCHED, "warn", "critical", "severity", "groups", "labels", "summary", "runbook", "tests",
)  # fmt: skip
MOST_GROUPS = 10_000
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def parse_rules(documents: Mapping[str, Any], known: Known) -> tuple[list[Rule], list[FileProblem]]:
    """Return the rules of some files (path to parsed YAML) and all that is wrong with them; both sorted by file.

    A rule that has a problem is not returned.
    """
    rules: list[Rule] = []
    problems: list[FileProblem] = []
    owners: dict[str, str] = {}
    for file, tree in sorted(documents.items()):
        reader = _RuleReader(file, known)
        rule = reader.rule(tree)
        problems += reader.problems
        if rule is None:
            continue
        if rule.id in owners:
            problems.append(
                FileProblem(file, "id", f"{rule.id!r} is the id of {owners[rule.id]} too (accepted: one file a rule)")
            )
            continue
        owners[rule.id] = file
        rules.append(rule)
    return rules, problems


class _RuleReader(TreeReader):
    """Reads one file."""

    def __init__(self, file: str, known: Known) -> None:
        super().__init__(file)
        self.known = known

    def rule(self, tree: Any) -> Rule | None:
        if not isinstance(tree, dict):
            self.bad("", f"found {kind_of(tree)} (accepted: a mapping with the keys {', '.join(KEYS)})")
            return None
        if "entity" in tree:
            return self._checked(self._entity(tree))
        return self._checked(self._of_kpi(tree))

    def _checked(self, rule: Rule | None) -> Rule | None:
        if rule is None:
            return None
        try:
            check_summary(rule)
        except TemplateError as error:
            self.bad("summary", str(error))
            return None
        return rule

    def _entity(self, tree: dict[str, Any]) -> Rule | None:
        self.keys(tree, ENTITY_KEYS)
        id_ = self._id(tree)
        found = read_entity(self, tree, self.known)
        groups = self._groups(tree)
        labels, title = self._labels(tree), self._title(tree)
        summary, runbook = self.text(tree, "summary"), self._runbook(tree)
        tests = read_entity_tests(self, tree, found[0], self.known) if found is not None else ()
        if self.problems or not (id_ and found and summary and runbook):
            return None
        condition, (direction, ladder) = found
        kind = rule_of(condition)
        return kind(
            id=id_, direction=direction, ladder=ladder, labels=labels, summary=summary, runbook=runbook, tests=tests,
            unit=condition.UNIT, title=title or condition.TITLE, zone=self.known.zone, groups=groups,
            depends=(f"{condition.ENTITY}s",) if condition.ENTITY in ("deal", "lead", "customer") else (), watch=condition,
        )  # fmt: skip

    def _of_kpi(self, tree: dict[str, Any]) -> Rule | None:
        self.keys(tree, KEYS)
        id_ = self._id(tree)
        kpi, title = self.text(tree, "kpi"), self._title(tree)
        facts = self.known.kpis.get(kpi) if kpi else None
        if kpi and facts is None:
            self.bad("kpi", f'unknown KPI "{kpi}"{near(kpi, sorted(self.known.kpis))}')
        window = self._window(tree)
        by = self._by(tree, facts)
        groups = self._groups(tree)
        some = facts or KpiFacts("count", "")
        condition = read_condition(self, tree, some, window, self.known)
        if some.windows and window is not None and window.name not in some.windows:
            self.bad("window", f"found {window.name}: {kpi} is told of a period (accepted: {', '.join(some.windows)})")
        if some.windows and condition != VALUE:
            self.bad(condition.KEY, f"found with {kpi}, which has no past to be compared with (accepted: warn, critical)")
        ladder = read_ladder(self, tree, condition, some)
        wait = self.duration(tree.get("for", 0), "for")
        if condition.waits is not None:
            if "for" in tree:
                self.bad("for", f"found beside {condition.KEY}, which says how long (accepted: one of the two)")
            wait = condition.waits
        keep = self.duration(tree.get("keep_firing_for", 0), "keep_firing_for")
        active = self._active(tree)
        min_samples = self._min_samples(tree, facts, condition)
        sure, statistic = self._sure(tree, facts, condition)
        labels = self._labels(tree)
        summary = self.text(tree, "summary")
        runbook = self._runbook(tree)
        tests = read_tests(self, tree, some, condition)
        if self.problems or not (id_ and kpi and window and summary and runbook and facts and ladder):
            return None
        return KpiRule(
            id=id_, kpi=kpi, window=window.name, by=by, direction=ladder[0], ladder=ladder[1], wait=wait, min_samples=min_samples,
            labels=labels, summary=summary, runbook=runbook, tests=tests, unit=facts.unit, sure=sure, title=title or facts.label,
            condition=condition, keep=keep, active=active,
            times=tuple(interval for name in active for interval in self.known.intervals[name]),
            groups=groups, statistic=statistic, depends=facts.topics, zone=self.known.zone,
        )  # fmt: skip

    def _title(self, tree: Mapping[str, Any]) -> str | None:
        """Return what the rule's alerts are called, where the file says so."""
        title = self.text(tree, "title") if "title" in tree else None
        if title is not None and (len(title) > 80 or not title.isprintable()):
            self.bad("title", f"found {title[:90]!r} (accepted: one line of at most 80 characters)")
        return title

    def _id(self, tree: Mapping[str, Any]) -> str | None:
        id_ = self.text(tree, "id")
        if id_ is None:
            return None
        if not _ID.fullmatch(id_) or len(id_) > 60:
            self.bad("id", f"found {id_!r} (accepted: small letters, digits and hyphens, at most 60, such as win-rate-drop)")
            return None
        stem = re.split(r"[/\\]", self.file)[-1].rsplit(".", 1)[0]
        if id_ != stem:
            self.bad("id", f"found {id_!r} (accepted: the file's name, {stem!r})")
        return id_

    def _window(self, tree: Mapping[str, Any]) -> Window | None:
        name = self.text(tree, "window")
        try:
            return Window.parse(name) if name else None
        except WindowError as error:
            self.bad("window", str(error))
            return None

    def _by(self, tree: Mapping[str, Any], facts: KpiFacts | None) -> str | None:
        by = self.text(tree, "by") if "by" in tree else None
        if by and facts and facts.dimensions is not None and by not in facts.dimensions:
            self.bad("by", f'"{tree.get("kpi")}" is not told by "{by}"{near(by, sorted(facts.dimensions))}')
        return by

    def _groups(self, tree: Mapping[str, Any]) -> int:
        groups = tree.get("groups", GROUPS)
        if type(groups) is not int or not 1 <= groups <= MOST_GROUPS:
            self.bad("groups", f"found {groups!r} (accepted: a whole number from 1 to {MOST_GROUPS})")
            return GROUPS
        return groups

    def _active(self, tree: Mapping[str, Any]) -> tuple[str, ...]:
        if "active" not in tree:
            return ()
        names = tree["active"] if isinstance(tree["active"], list) else [tree["active"]]
        if not names:
            self.bad("active", "found [] (accepted: the name of an interval, or some)")
        known = self.known.intervals
        for name in names:
            if name not in known:
                self.bad("active", f"undefined time interval {name!r}{near(name, sorted(known))}")
        return tuple(str(name) for name in names if name in known)

    def _min_samples(self, tree: Mapping[str, Any], facts: KpiFacts | None, condition: Condition) -> float:
        if "min_samples" not in tree:
            return 0
        value = self.number(tree["min_samples"], "min_samples", "count")
        if value is not None and value < 0:
            self.bad("min_samples", f"found {value:g} (accepted: a number from 0)")
        if value and facts is not None and not facts.sampled:
            self.bad("min_samples", f'"{tree.get("kpi")}" has no sample (accepted: leave it out)')
        elif value and condition.waits is not None:
            self.bad("min_samples", f"found beside {condition.KEY}, which waits for no sample at all (accepted: leave it out)")
        return value or 0

    def _sure(self, tree: Mapping[str, Any], facts: KpiFacts | None, condition: Condition) -> tuple[float | None, Statistic]:
        if "sure" not in tree:
            return None, Statistic.BETA
        value = self.number(tree["sure"], "sure", "ratio")
        if value is not None and not 0.5 <= value < 1:
            self.bad("sure", f"found {value:g} (accepted: a probability from 0.5, below 1, such as 0.9)")
        statistic = condition.statistic(facts) if facts is not None else Statistic.BETA
        if statistic is None:
            self.bad(
                "sure",
                f'there is no stated test for {condition.KEY} of "{tree.get("kpi")}" '
                "(accepted: for a share of counted cases, its change in %, the change of a count in %, a score with an interval; "
                "else min_samples)",
            )
        return value, statistic or Statistic.BETA

    def _labels(self, tree: Mapping[str, Any]) -> dict[str, str]:
        labels = tree.get("labels", {})
        if not isinstance(labels, dict) or not all(isinstance(k, str) and isinstance(v, str) for k, v in labels.items()):
            self.bad("labels", f"found {labels!r} (accepted: a mapping of texts)")
            return {}
        for name in ("rule", "severity", "segment"):
            if name in labels:
                self.bad(f"labels.{name}", "is set by Vigie itself (accepted: any other name)")
        return labels

    def _runbook(self, tree: Mapping[str, Any]) -> str | None:
        runbook = self.text(tree, "runbook")
        pages = self.known.runbooks
        if runbook and "://" not in runbook and pages is not None and runbook not in pages:
            self.bad("runbook", f"no such page {runbook!r}{near(runbook, sorted(pages))}")
        return runbook
