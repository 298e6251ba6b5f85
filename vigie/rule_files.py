"""Are the alert rules sound, and which are in force: the shipped ones and the folders' own?"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from alert_rules.judge.rule import Known, Rule
from alert_rules.parse.plan_file import Alerting
from alert_rules.parse.rule_file import parse_rules
from alert_rules.trial.rule_test_run import Failure, run
from models.config.problem import FileProblem
from models.config.suggest import near
from models.config.yaml_text import YamlText
from models.kpis.catalogue import Catalogue
from models.targets import Targets
from models.time_intervals import usual
from stream.config.yaml_file import open_yaml

#: How the shipped rules' files are called in messages.
SHIPPED = "alert_rules/rules"
_RUNBOOKS = Path("docs/runbooks")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RulesError(ValueError):
    """The rules cannot be used; ``problems`` lists all that is wrong in all files."""

    def __init__(self, problems: Sequence[FileProblem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, problems)))


class Checked(NamedTuple):
    """The sound rules, by id, and all that is wrong with the others.

    ``tested`` are the same rules as their own tests know them: the shipped ones with the usual times in UTC, whatever zone
    and times the settings name, because their timelines were written for these.
    """

    rules: list[Rule]
    problems: list[FileProblem]
    tested: list[Rule]


def check(
    catalogue: Catalogue, folders: Sequence[Path] = (), plan: Alerting | None = None, targets: Targets | None = None
) -> Checked:
    """Read the shipped rules and the folders' own; a folder's file replaces the shipped one of the same name.

    ``plan`` has the named times that rules may be active at (default: the usual ones, in UTC), ``targets`` the quotas.
    """
    intervals = usual("UTC") if plan is None else plan.intervals
    problems = _targets(catalogue, targets)
    texts: dict[str, YamlText] = {}
    shipped: dict[str, Any] = {}
    for entry in files("alert_rules").joinpath("rules").iterdir():
        if entry.name.endswith((".yaml", ".yml")):
            shipped[f"{SHIPPED}/{entry.name}"] = yaml.load(entry.read_text("utf-8"), _LOADER)
    own: dict[str, Any] = {}
    for folder in folders:
        if not folder.is_dir():
            problems.append(FileProblem(str(folder), "", "no such folder (rule_folders)"))
            continue
        for path in sorted(folder.glob("*.y*ml")):
            before = len(problems)
            texts[str(path)] = text = open_yaml(path, problems)
            if len(problems) == before or text.tree is not None:
                own[str(path)] = text.tree
    replaced = {Path(file).stem for file in own}
    shipped = {file: tree for file, tree in shipped.items() if Path(file).stem not in replaced}
    # A shipped rule about targets is there for those who have some.
    rules, wrong = parse_rules(shipped, Known.of(catalogue, _pages(), intervals))
    pinned, _ = parse_rules(shipped, Known.of(catalogue, _pages(), usual("UTC")))
    own_rules, own_wrong = parse_rules(own, Known.of(catalogue, None, intervals, targets))
    problems += wrong + [_placed(problem, texts) for problem in own_wrong]
    return Checked(_by_id(rules + own_rules), problems, _by_id(pinned + own_rules))


def _by_id(rules: Sequence[Rule]) -> list[Rule]:
    return sorted(rules, key=lambda rule: rule.id)


def _targets(catalogue: Catalogue, targets: Targets | None) -> list[FileProblem]:
    """Return the targets of KPIs, or by dimensions, that there are not."""
    problems: list[FileProblem] = []
    for kpi, _, segment in targets.places() if targets is not None else ():
        found = catalogue.kpis.get(kpi)
        dimension = segment.partition("=")[0]
        if found is None:
            problems.append(FileProblem("targets", kpi, f'unknown KPI "{kpi}"{near(kpi, sorted(catalogue.kpis))}'))
        elif segment != "total" and dimension not in found.by:
            problems.append(FileProblem("targets", kpi, f'is not told by "{dimension}"{near(dimension, found.by)}'))
    for benchmark in targets.benchmarks if targets is not None else ():
        name, unit = benchmark.kpi, benchmark.unit
        entry = catalogue.kpis.get(name)
        if entry is None:
            problems.append(FileProblem("benchmarks", name, f'unknown KPI "{name}"{near(name, sorted(catalogue.kpis))}'))
        elif unit != entry.unit:
            problems.append(FileProblem("benchmarks", name, f"unit: found {unit} (accepted: {entry.unit}; nothing is converted)"))
    return problems


def load_rules(
    catalogue: Catalogue, folders: Sequence[Path] = (), plan: Alerting | None = None, targets: Targets | None = None
) -> list[Rule]:
    """Return the rules in force; raise :class:`RulesError` with every problem. The arguments are those of :func:`check`."""
    found = check(catalogue, folders, plan, targets)
    if found.problems:
        raise RulesError(found.problems)
    return found.rules


def run_tests(rules: Sequence[Rule]) -> list[Failure]:
    """Run the rules' own tests; return what failed."""
    return [failure for rule in rules for failure in run(rule)]


def _placed(problem: FileProblem, texts: Mapping[str, YamlText]) -> FileProblem:
    text = texts.get(problem.file)
    return problem if text is None else problem._replace(line=text.line(problem.key))


def _pages() -> list[str] | None:
    """Return the runbook pages, None where there are none to look at: the image holds no documentation."""
    root = Path(__file__).parent.parent
    pages = sorted((root / _RUNBOOKS).glob("*.md"))
    return [page.relative_to(root).as_posix() for page in pages] or None
