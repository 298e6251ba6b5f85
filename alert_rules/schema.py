"""Is this parsed YAML a rule, and if not, what is wrong, where, and what would be right?

All problems of all files are found in one go: a file is read to its end whatever its first lines hold.
"""

import math
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from alert_rules import durations
from alert_rules.message import check_summary
from alert_rules.rule import Direction, Known, KpiFacts, Moment, Rule, Severity, Step, Timeline
from alert_rules.suggest import near
from alert_rules.wording import TemplateError, number
from models.windows import Window, WindowError

KEYS = ("id", "kpi", "window", "by", "warn", "critical", "for", "min_samples", "sure", "labels", "summary", "runbook", "tests")
_STEP_KEYS = ("below", "above", "clear_above", "clear_below")
_TEST_KEYS = ("name", "timeline")
_MOMENT_KEYS = ("at", "value", "sample", "expect", "says")
EXPECTED = ("inactive", "pending", "warn", "critical", "warn recovering", "critical recovering")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Problem(NamedTuple):
    """One thing that is wrong: in which file, under which key, what was found and what is accepted."""

    file: str
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.text}" if self.key else f"{self.file}: {self.text}"


def parse_rules(documents: Mapping[str, Any], known: Known) -> tuple[list[Rule], list[Problem]]:
    """Return the rules of some files (path to parsed YAML) and all that is wrong with them; both sorted by file.

    A rule that has a problem is not returned.
    """
    rules: list[Rule] = []
    problems: list[Problem] = []
    owners: dict[str, str] = {}
    for file, tree in sorted(documents.items()):
        reader = _Reader(file, known)
        rule = reader.rule(tree)
        problems += reader.problems
        if rule is None:
            continue
        if rule.id in owners:
            problems.append(Problem(file, "id", f"{rule.id!r} is the id of {owners[rule.id]} too (accepted: one file a rule)"))
            continue
        owners[rule.id] = file
        rules.append(rule)
    return rules, problems


class _Reader:
    """Reads one file; collects its problems."""

    def __init__(self, file: str, known: Known) -> None:
        self.file = file
        self.known = known
        self.problems: list[Problem] = []

    def bad(self, key: str, text: str) -> None:
        self.problems.append(Problem(self.file, key, text))

    def keys(self, tree: Mapping[Any, Any], accepted: Collection[str], key: str = "") -> None:
        for name in tree:
            if name not in accepted:
                self.bad(f"{key}{name}", f'unknown key "{name}"{near(name, accepted)}')

    def rule(self, tree: Any) -> Rule | None:
        if not isinstance(tree, dict):
            self.bad("", f"found {_kind(tree)} (accepted: a mapping with the keys {', '.join(KEYS)})")
            return None
        self.keys(tree, KEYS)
        id_ = self._id(tree)
        kpi = self.text(tree, "kpi")
        facts = self.known.kpis.get(kpi) if kpi else None
        if kpi and facts is None:
            self.bad("kpi", f'unknown KPI "{kpi}"{near(kpi, sorted(self.known.kpis))}')
        window = self.text(tree, "window")
        if window:
            try:
                Window.parse(window)
            except WindowError as error:
                self.bad("window", str(error))
        by = self.text(tree, "by") if "by" in tree else None
        if by and facts and facts.dimensions is not None and by not in facts.dimensions:
            self.bad("by", f'"{kpi}" is not told by "{by}"{near(by, sorted(facts.dimensions))}')
        direction, ladder = self._ladder(tree, facts or KpiFacts("count", ""))
        wait = self.duration(tree.get("for", 0), "for")
        min_samples = self._min_samples(tree, facts)
        sure = self._sure(tree, facts)
        labels = self._labels(tree)
        summary = self.text(tree, "summary")
        runbook = self._runbook(tree)
        tests = self._tests(tree, facts or KpiFacts("count", ""))
        if self.problems or not (id_ and kpi and window and summary and runbook and facts and direction and ladder):
            return None
        rule = Rule(
            id_, kpi, window, by, direction, ladder, wait, min_samples, labels, summary, runbook, tests,
            facts.unit, sure, facts.label,
        )  # fmt: skip
        try:
            check_summary(rule)
        except TemplateError as error:
            self.bad("summary", str(error))
            return None
        return rule

    def text(self, tree: Mapping[str, Any], key: str, where: str = "") -> str | None:
        value = tree.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
        found = "nothing" if key not in tree else repr(value)
        self.bad(f"{where}{key}", f"found {found} (accepted: a text)")
        return None

    def number(self, value: Any, key: str, unit: str) -> float | None:
        """Read a number in the KPI's unit; a duration may be written as such where the unit is time."""
        if unit in ("seconds", "days") and isinstance(value, str):
            try:
                return durations.parse(value) / (1000 if unit == "seconds" else 86_400_000)
            except ValueError as error:
                self.bad(key, str(error))
                return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            more = " or a duration, such as 4h" if unit in ("seconds", "days") else ""
            self.bad(key, f"found {value!r} (accepted: a number{more})")
            return None
        return float(value)

    def duration(self, value: Any, key: str) -> int:
        try:
            return durations.parse(value)
        except ValueError as error:
            self.bad(key, str(error))
            return 0

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

    def _ladder(self, tree: Mapping[str, Any], facts: KpiFacts) -> tuple[Direction | None, tuple[Step, ...]]:
        steps: list[Step] = []
        directions: set[Direction] = set()
        for severity in Severity:
            if severity.value in tree:
                read = self._step(tree[severity.value], severity, facts)
                if read is not None:
                    directions.add(read[0])
                    steps.append(read[1])
        if not any(severity.value in tree for severity in Severity):
            self.bad("warn", "found nothing (accepted: warn, critical or both, each with below or above)")
        if len(directions) > 1:
            self.bad("critical", "found below in one step and above in the other (accepted: the same side in both)")
        if not steps or len(directions) != 1:
            return None, ()
        direction = directions.pop()
        if len(steps) == 2:
            self._ordered(direction, steps[0], steps[1], facts.unit)
        return direction, tuple(steps)

    def _ordered(self, direction: Direction, warn: Step, critical: Step, unit: str) -> None:
        below = direction is Direction.BELOW
        side = "below" if below else "above"
        if critical.threshold >= warn.threshold if below else critical.threshold <= warn.threshold:
            self.bad(
                f"critical.{side}",
                f"found {critical.threshold:g} ({number(critical.threshold, unit)}) "
                f"(accepted: further {side} than warn's {warn.threshold:g})",
            )
        elif critical.clear > warn.clear if below else critical.clear < warn.clear:
            self.bad(
                f"critical.clear_{'above' if below else 'below'}",
                f"found {critical.clear:g} (accepted: not beyond warn's {warn.clear:g}, which would end before it)",
            )

    def _step(self, tree: Any, severity: Severity, facts: KpiFacts) -> tuple[Direction, Step] | None:
        key = severity.value
        if not isinstance(tree, dict):
            self.bad(key, f"found {_kind(tree)} (accepted: a mapping such as {{below: 0.2, clear_above: 0.22}})")
            return None
        self.keys(tree, _STEP_KEYS, f"{key}.")
        sides = [side for side in Direction if side.value in tree]
        if len(sides) != 1:
            found = " and ".join(sides) or "neither below nor above"
            self.bad(key, f"found {found} (accepted: one of below, above)")
            return None
        (direction,) = sides
        below = direction is Direction.BELOW
        clear_key, wrong = ("clear_above", "clear_below") if below else ("clear_below", "clear_above")
        if wrong in tree:
            self.bad(f"{key}.{wrong}", f"does not go with {direction} (accepted: {clear_key})")
        threshold = self.number(tree[direction.value], f"{key}.{direction}", facts.unit)
        if threshold is None:
            return None
        clear = self.number(tree[clear_key], f"{key}.{clear_key}", facts.unit) if clear_key in tree else threshold
        if clear is None:
            return None
        for name, value in ((direction.value, threshold), (clear_key, clear)):
            if facts.bounded and not 0 <= value <= 1:
                self.bad(f"{key}.{name}", f"found {value:g} (accepted: a share from 0 to 1; {value:g} % is {value / 100:g})")
        if clear < threshold if below else clear > threshold:
            side = "above" if below else "below"
            self.bad(f"{key}.{clear_key}", f"found {clear:g} (accepted: at or {side} the threshold {threshold:g})")
        if facts.bounded and (threshold >= 1 if below else threshold <= 0) and 0 <= threshold <= 1:
            self.bad(f"{key}.{direction}", f"found {threshold:g}: nearly always true of a share from 0 to 1")
        return direction, Step(severity, threshold, clear)

    def _min_samples(self, tree: Mapping[str, Any], facts: KpiFacts | None) -> float:
        if "min_samples" not in tree:
            return 0
        value = self.number(tree["min_samples"], "min_samples", "count")
        if value is not None and value < 0:
            self.bad("min_samples", f"found {value:g} (accepted: a number from 0)")
        if value and facts is not None and not facts.sampled:
            self.bad("min_samples", f'"{tree.get("kpi")}" has no sample (accepted: leave it out)')
        return value or 0

    def _sure(self, tree: Mapping[str, Any], facts: KpiFacts | None) -> float | None:
        if "sure" not in tree:
            return None
        value = self.number(tree["sure"], "sure", "ratio")
        if value is not None and not 0.5 <= value < 1:
            self.bad("sure", f"found {value:g} (accepted: a probability from 0.5, below 1, such as 0.9)")
        if facts is not None and not facts.bounded:
            self.bad("sure", f'"{tree.get("kpi")}" is not a share of counted cases (accepted: min_samples, or leave it out)')
        return value

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

    def _tests(self, tree: Mapping[str, Any], facts: KpiFacts) -> tuple[Timeline, ...]:
        tests = tree.get("tests")
        if not isinstance(tests, list) or not tests:
            self.bad("tests", "found none (accepted: a list of timelines, at least one that fires and one that stays silent)")
            return ()
        before = len(self.problems)
        read = tuple(self._timeline(test, f"tests[{n}]", facts) for n, test in enumerate(tests))
        if len(self.problems) > before:
            return ()
        speaks = [any(moment.expect not in ("inactive", "pending") for moment in test.moments) for test in read]
        if not any(speaks):
            self.bad("tests", "none of them fires (accepted: at least one that does)")
        if all(speaks):
            self.bad("tests", "none of them stays silent (accepted: at least one that does)")
        return read

    def _timeline(self, tree: Any, key: str, facts: KpiFacts) -> Timeline:
        nothing = Timeline("", ())
        if not isinstance(tree, dict):
            self.bad(key, f"found {_kind(tree)} (accepted: a mapping with the keys {', '.join(_TEST_KEYS)})")
            return nothing
        self.keys(tree, _TEST_KEYS, f"{key}.")
        name = self.text(tree, "name", f"{key}.")
        moments = tree.get("timeline")
        if not isinstance(moments, list) or not moments:
            self.bad(f"{key}.timeline", "found none (accepted: a list of {at, value, sample, expect})")
            return nothing
        read: list[Moment] = []
        for n, moment in enumerate(moments):
            one = self._moment(moment, f"{key}.timeline[{n}]", facts)
            if one is not None and read and one.at <= read[-1].at:
                self.bad(f"{key}.timeline[{n}].at", f"found {moment['at']} (accepted: after the line before)")
            if one is not None:
                read.append(one)
        return Timeline(name or "", tuple(read))

    def _moment(self, tree: Any, key: str, facts: KpiFacts) -> Moment | None:
        if not isinstance(tree, dict):
            self.bad(key, f"found {_kind(tree)} (accepted: a mapping with the keys {', '.join(_MOMENT_KEYS)})")
            return None
        self.keys(tree, _MOMENT_KEYS, f"{key}.")
        for name in ("at", "value", "expect"):
            if name not in tree:
                self.bad(f"{key}.{name}", "found nothing")
                return None
        value = None if tree["value"] is None else self.number(tree["value"], f"{key}.value", facts.unit)
        sample = self.number(tree["sample"], f"{key}.sample", "count") if "sample" in tree else None
        expect = tree["expect"]
        if expect not in EXPECTED:
            self.bad(f"{key}.expect", f"found {expect!r}{near(expect, EXPECTED)}")
            return None
        says = self.text(tree, "says", f"{key}.") if "says" in tree else None
        return Moment(self.duration(tree["at"], f"{key}.at"), value, sample, expect, says)


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
