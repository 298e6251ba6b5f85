"""``vigie rules backtest``: what would the rules have said over a history, and how much noise would other thresholds make?

The folds, the readings and the evaluation are those that run live, driven in this process without a broker; now is the
events' own time, at a step of its own. ``vigie replay --alerts-out`` gives the same transitions through a real broker.
"""

import os
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from agents import evaluate_alerts, roll_kpis
from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.judge.finding import TOPIC as FINDINGS
from alert_rules.judge.finding import EntityFinding
from alert_rules.judge.rule import KpiFacts, KpiRule, Rule
from alert_rules.records.entity_facts import FACTS
from alert_rules.trial.backtest import GUARDS, Bench, Spoken, Variant, WatchedSeries, grid, report, variants
from alert_rules.words.durations import human
from alert_rules.words.quantities import number
from models.calendar import iso
from models.config.suggest import near
from models.fold import Record
from models.kpis.catalogue import Catalogue
from models.kpis.reading import Reading
from models.panes.boundaries import ACCEPTED, boundaries
from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings
from stream.engine.address import NoTopic, address
from stream.engine.in_memory import InMemoryEngine
from stream.sources.files import FORMATS, SourceFileError
from vigie.common import Config, console, refuse, settings_of, wrapped
from vigie.instance import Instance
from vigie.publish import lines, progress_bar
from vigie.publish import report as report_rejects
from vigie.stops import ReadingRequest, Stops, Watermark, event_time

#: Values kept of each rule's readings, for their quantiles: every second one is dropped when there are more.
_VALUES = 200_000
_TABLE = 132  # columns from which on the table is readable
_WIDE = 180  # columns of a table that goes to a file or a pipe
_SHOWN_EVERY = 2_000  # events between two updates of the progress


class Backtest:
    """One history through the folds of an instance that is never started."""

    def __init__(self, settings: Settings, rules: Sequence[str] = (), by: str | None = None, *, with_grid: bool = False) -> None:
        """``rules`` names those to try (none: all), ``by`` another dimension for them, or ``total``."""
        self.clock = Watermark()
        self.instance = Instance(
            settings,
            "127.0.0.1:1",  # never started, so never asked
            clock=self.clock,
            delivering=False,
            predicting=False,  # models that begin with nothing would be judged, not the rules
            paced=True,
            rules=lambda found: _chosen(found, rules, by, load_catalogue(settings.kpi_files, settings.business.pairs)),
        )
        self.rules = self.instance.rules
        self.transitions: list[bytes] = []
        self.bench = Bench()
        self.rejects: Counter[str] = Counter()
        self.examples: dict[str, int] = {}
        self.events = self.letters = 0
        self.first: int | None = None
        self.last = 0
        self.stops = 0
        self.seconds = 0.0
        self._engine = InMemoryEngine(self.instance.engine.specs, self.instance.options.partitions_of)
        kpis = self.instance.catalogue.kpis
        self._tried: dict[str, list[Variant]] = {}
        if with_grid:
            watching = [rule for rule in self.rules if isinstance(rule, KpiRule) and rule.kpi in kpis]
            self._tried = {rule.id: list(variants(rule, KpiFacts.of(kpis[rule.kpi]).bounded)) for rule in watching}
        every = [one.rule for tried in self._tried.values() for one in tried]
        self._variants = EvaluateAlerts(every) if every else None
        self._variants_bench = Bench()
        self._batch: list[Record] = []
        self._watching: defaultdict[tuple[str, str, str], list[KpiRule]] = defaultdict(list)
        for rule in self.rules:
            if isinstance(rule, KpiRule):
                self._watching[rule.kpi, rule.window, rule.by or "total"].append(rule)
        self._since: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._values: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self._engine.tap("alerts", self._alert)
        self._engine.tap("dead-letters", self._letter)
        for spec in self.instance.engine.specs:
            if spec.name == evaluate_alerts.NAME:
                for topic in spec.topics:
                    self._engine.tap(topic, self._judged)

    def _alert(self, record: Record) -> None:
        assert record.value is not None  # alerts are never taken back
        self.transitions.append(record.value)
        self.bench.take(record.value)

    def _letter(self, record: Record) -> None:
        self.letters += 1

    def _judged(self, record: Record) -> None:
        """Note what the rules have been given."""
        if self._variants is not None:
            self._batch.append(record)
        if record.value is None:
            return
        if record.topic == FINDINGS:
            finding = EntityFinding.decode(record.value)
            self._since[finding.rule].setdefault("|".join(f"{k}={v}" for k, v in finding.segment.items()), finding.at)
            return
        reading = Reading.decode(record.value)
        segment = reading.segment_name
        for rule in self._watching.get((reading.kpi, reading.window, segment.partition("=")[0]), ()):
            self._since[rule.id].setdefault(segment, reading.at)
            value = reading.value if rule.is_absence else rule.condition.measured(reading, rule.min_samples)
            if value is not None:
                values = self._values[rule.id]
                values.append(value)
                if len(values) > _VALUES:
                    self._values[rule.id] = values[::2]

    def run(self, source: Iterable[tuple[int, bytes, str]], step: str, progress: Progress, task: TaskID) -> None:
        """Play a history and judge it every ``step`` of its own time, and once after its end."""
        stops = Stops(ReadingRequest(tick=step), self.instance.business.calendar)
        began, arrival = time.monotonic(), int(time.time() * 1000)
        for line, value, why in source:
            at = None if why else event_time(value)
            if at is not None and at > self.last:
                if self.first is None:
                    self.first = at
                for stop, _ in stops.passed(at):
                    self.judge(stop, arrival)
                    progress.update(task, completed=self.events, rate=f"events, at {iso(stop)}")
                self.last = at
            if not why:
                try:
                    self.publish(value, arrival)
                except NoTopic as error:
                    why = str(error)
            if why:
                self.rejects[why] += 1
                self.examples.setdefault(why, line)
            if self.events % _SHOWN_EVERY == 0:
                progress.update(task, completed=self.events, rate=f"events, at {iso(self.last)}")
        for stop, _ in stops.closing(self.last):
            self.judge(stop, arrival)
        self.seconds = time.monotonic() - began

    def publish(self, value: bytes, arrival: int) -> None:
        """Hand an event to its fold; raise :class:`NoTopic` where there is none. ``arrival`` is the wall clock's time."""
        self._engine.publish(*address(value), value, arrival)
        self.events += 1

    def state(self, rule: str, segment: str) -> str:
        """Return how an alert stands, in the words of a rule's own tests."""
        name, sign, value = segment.partition("=")
        place = {name: value} if sign else {}
        for alert in self._engine.fold_of(evaluate_alerts.NAME, 0).current():
            if alert["rule"] == rule and alert["segment"] == place:
                severity = str(alert["severity"])
                return {"pending": "pending", "recovering": f"{severity} recovering"}.get(alert["state"], severity)
        return "inactive"

    def judge(self, at: int, arrival: int) -> None:
        """Let the rules judge what has been published so far, at an instant of the events' own time."""
        self.stops += 1
        self._engine.settle(arrival)
        self.clock.at = at
        self._engine.tick(at, arrival, roll_kpis.NAME)
        if self._variants is not None and self._batch:
            self._variants.fold(self._batch)
            self._batch.clear()
            for output in self._variants.changes().outputs:
                if output.topic == "alerts" and output.value is not None:
                    self._variants_bench.take(output.value)

    def report(self, step: str) -> dict[str, Any]:
        """Return everything that has been found, ready for JSON."""
        start, end = self.first or 0, self.clock.at
        found = []
        for rule in self.rules:
            watched = WatchedSeries(self._since[rule.id], self._values[rule.id])
            one = report(rule, self.bench.rules.get(rule.id) or Spoken(), watched, start, end)
            if isinstance(rule, KpiRule):
                one |= {"kpi": rule.kpi, "window": rule.window, "by": rule.by, "unit": rule.unit}
            else:
                one |= {"kpi": "", "window": "", "by": rule.by, "unit": rule.unit}
                one["share_firing"] = None  # of single deals and leads it would be a share of those it has found
            one["condition"] = rule.condition.KEY if isinstance(rule, KpiRule) else FACTS
            one["threshold_unit"] = "seconds" if rule.is_absence else rule.measure_unit
            if rule.id in self._tried:
                one["grid"] = grid(self._tried[rule.id], self._variants_bench, watched, start, end)
            found.append(one)
        return {
            "from": iso(start),
            "to": iso(end),
            "events": self.events,
            "dead_letters": self.letters,
            "rejected": self.rejects.total(),
            "step": step,
            "judged": self.stops,
            "seconds": round(self.seconds, 1),
            "rules": found,
        }


def _chosen(rules: Sequence[Rule], named: Sequence[str], by: str | None, catalogue: Catalogue) -> list[Rule]:
    known = [rule.id for rule in rules]
    for name in named:
        if name not in known:
            raise LookupError(f"--rule: unknown rule {name!r}{near(name, known)}")
    chosen = [rule for rule in rules if not named or rule.id in named]
    if by is None:
        return chosen
    if by == "total":
        return [_told_by(rule, None) if isinstance(rule, KpiRule) else rule for rule in chosen]
    of_kpis = [rule for rule in chosen if isinstance(rule, KpiRule) and rule.kpi in catalogue.kpis]
    able = [rule for rule in of_kpis if by in catalogue.get(rule.kpi).by]
    if not able:
        raise LookupError(f"--by: found {by!r}, by which none of these rules' KPIs is told (accepted: see vigie kpis list)")
    return [_told_by(rule, by) for rule in able]


def _told_by(rule: KpiRule, by: str | None) -> KpiRule:
    """Return the rule by another dimension; what its summary calls by the old one's name is the segment."""
    return replace(rule, by=by, summary=rule.summary.replace(f"{{{rule.by}}}", "{segment}"))


def command(
    events: Annotated[list[Path], typer.Option("--events", help="A history (the directory of the format crm).", exists=True)],
    format: Annotated[str, typer.Option(help=f"One of {', '.join(FORMATS)}.")] = "jsonl",
    mapping: Annotated[Path | None, typer.Option(help="The mapping file of the format csv.", exists=True)] = None,
    rule: Annotated[list[str] | None, typer.Option(help="Only these rules (default: all).")] = None,
    by: Annotated[str | None, typer.Option(help="Try the rules by this dimension, or total, instead of their own.")] = None,
    with_grid: Annotated[bool, typer.Option("--grid", help="Also try other thresholds.")] = False,
    step: Annotated[str, typer.Option(help="How often the rules are judged, in the history's time.")] = "1h",
    folder: Annotated[list[Path] | None, typer.Option(help="A folder of rules, as under rule_folders.", exists=True)] = None,
    alerts_out: Annotated[Path | None, typer.Option(help="Write the alerts' transitions here (JSON lines).")] = None,
    json: Annotated[bool, typer.Option("--json", help="The whole report as JSON.")] = False,
    config: Config = None,
) -> None:
    """Say what the rules would have said over a history: how often, how long, about what; with --grid also at other thresholds.

    Exit code 0: done, 1: refused, 2: wrong usage.
    """
    settings = settings_of(config)
    if folder:
        settings = settings.model_copy(update={"rule_folders": [*settings.rule_folders, *folder]})
    if format not in FORMATS:
        refuse(f"--format: found {format!r}; accepted: {', '.join(FORMATS)}", 2)
    try:
        next(boundaries(step, 0, settings.business.business().calendar))
    except ValueError:
        refuse(f"--step: found {step!r}; accepted: {ACCEPTED}", 2)
    try:
        bench = Backtest(settings, rule or (), by, with_grid=with_grid)
    except LookupError as error:
        refuse(error, 2)
    except ValueError as error:
        refuse(error)
    with progress_bar() as progress:
        try:
            source = lines(events, format, mapping, settings.business.timezone)
            bench.run(source, step, progress, progress.add_task("judging", total=None, rate=""))
        except SourceFileError as error:
            refuse(error)
    found = bench.report(step)
    if alerts_out is not None:
        alerts_out.write_bytes(b"".join(value + b"\n" for value in bench.transitions))
    if json:
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(found)
    console.print(
        f"{found['events']:,} events from {found['from']} to {found['to']}, judged {found['judged']:,} times "
        f"(every {step}) in {found['seconds']:.1f} s; {found['dead_letters']:,} dead letters, "
        f"{found['rejected']:,} lines rejected",
        highlight=False,
    )
    report_rejects(bench.rejects, bench.examples)


def _print(found: dict[str, Any]) -> None:
    out = Console(highlight=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out = Console(highlight=False, width=_WIDE)
    narrow = out.width < _TABLE
    table = Table("rule", "watches", "groups", "measured p5 / p50 / p95", *_HEADS)
    for one in found["rules"]:
        by = f" by {one['by']}" if one["by"] else ""
        values = one["values"]
        told = (
            " / ".join(
                number(values[p], one["unit"] if one["condition"] == "absent" else one["threshold_unit"])
                for p in ("p5", "p50", "p95")
            )
            if values
            else ""
            if not one["kpi"]
            else "never had a value"
        )
        watches = f"{one['kpi']} {one['window']}{by}" if one["kpi"] else f"each {one['by']}"
        if narrow:
            _print_one(one, watches, told)
        else:
            table.add_row(one["rule"], watches, str(one["groups"]), told, *_cells(one))
    if not narrow:
        out.print(table)
    for one in found["rules"]:
        if one.get("grid") and narrow:
            _print_grid(one)
        elif one.get("grid"):
            out.print(_grid_table(one))


def _print_one(one: dict[str, Any], watches: str, told: str) -> None:
    """Print what the table says of a rule as lines: eleven columns do not fit a narrow terminal."""
    cells = {name: text for name, text in zip(_HEADS, _cells(one), strict=True) if text}
    print(wrapped(f"{one['rule']}: {watches}, {one['groups']} groups"))
    print(wrapped("    " + ", ".join(f"{name} {text}" for name, text in cells.items())))
    if told:
        print(wrapped(f"    measured (p5 / p50 / p95): {told}"))


_HEADS = ("incidents", "critical", "a week", "firing", "median", "longest", "never spoke")


def _cells(one: dict[str, Any]) -> Iterator[str]:
    yield from (str(one["incidents"]), str(one["critical"]), f"{one['per_week']:g}", _percent(one["share_firing"]))
    for name in ("median_seconds", "longest_seconds"):
        yield "" if one[name] is None else human(one[name] * 1000)
    yield str(one["never_spoke"])


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.1f} %"


def _grid_table(one: dict[str, Any]) -> Table:
    columns, rows = _grid(one)
    table = Table("threshold", *columns, title=f"{one['rule']}: {_GRID}")
    for threshold, cells in rows:
        table.add_row(threshold, *cells)
    return table


_GRID = "incidents a week, groups, share of the time firing"


def _grid(one: dict[str, Any]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the guards, and of each threshold what it would have said under each of them."""
    columns = [guard for guard in GUARDS if any(guard in row for row in one["grid"])]
    rows = []
    for row in one["grid"]:
        cells = [row.get(guard) for guard in columns]
        told = [f"{c['per_week']:g} · {c['groups']} · {_percent(c['share_firing'])}" if c else "" for c in cells]
        rows.append((number(row["threshold"], one["threshold_unit"]), told))
    return columns, rows


def _print_grid(one: dict[str, Any]) -> None:
    """Print the grid as a line for each threshold."""
    columns, rows = _grid(one)
    print(wrapped(f"{one['rule']}: {_GRID}"))
    for threshold, cells in rows:
        told = "; ".join(f"{guard} {cell}" for guard, cell in zip(columns, cells, strict=True) if cell)
        print(wrapped(f"    {threshold}: {told}", 8))
