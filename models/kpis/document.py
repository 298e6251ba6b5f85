"""How is the catalogue told to people?"""

from collections.abc import Iterator

from models.calendar import Grain
from models.kpis.catalogue import Catalogue
from models.kpis.entry import STAGES, Kpi
from models.kpis.formula import FUNCTIONS
from models.measures import BY_NAME, Kind
from models.panes.windows import ACCEPTED

_UNITS = {
    "count": "a count",
    "ratio": "a ratio, where 1 is all",
    "score": "a score",
    "money": "money in the business currency",
    "seconds": "seconds",
    "days": "days",
}
_DIRECTIONS = {"up": "more is good", "down": "more is bad", "none": "neither"}
_OF = {
    "cohort": "cohort: what became of those that entered in the window",
    "period": "period: what happened in the window",
    "level": "level: how it stands at the reading's instant",
}
_WEIGHED = {"count": "each case counts one", "value": "each case counts what it is worth, or how long it took"}
#: What each interval is.
INTERVALS = {
    "wilson": "Wilson score interval, 95 %",
    "net_promoter": "normal approximation of the multinomial, 95 %",
    "shrunk": "Wilson score interval, 95 %, with the cases that the others lend",
    "shares": "from Wilson's 95 % bounds of the shares it divides by, all low and all high: wider than 95 %",
}

_HEAD = """\
# The KPIs

Generated from the files `models/kpis/*.yaml`; do not edit. A file named under `kpi_files` in `vigie.yaml` adds entries in the
same form, or overrides these by id: a further KPI over the measures below is an entry and nothing else.

A **reading** is a KPI's value at an instant, over a window and a segment. It carries the exact `from`, the numerator and
denominator of every quotient, and an interval where the numerator is a part of the denominator. Where the denominator is 0, or
there are fewer cases than the minimum sample, `value` is null and `why` says so: no value is not 0.

**Windows**: {windows}.
A rolling window begins with the pane (minute, hour, business day) that holds the instant one length ago; a calendar window at T
is the period that holds the instant just before T.

**Formulas**: names of measures, numbers, `+ - * /`, parentheses, `at` (the reading's instant), `start` (its window's first),
`day` (the length of one), and

{functions}

Money stays exact (1/10,000 of a unit) until the end, times are milliseconds until the end; only like can be added to like.
A formula names measures only, so none can refer to itself. Refused, with file, key, what was found and what is accepted: an
unknown measure, function, dimension or key, a key given twice, unlike units, a division by a level outside of `level()`.

**Targets** (`targets` in `vigie.yaml`) are of a KPI, a calendar period and the total or a segment: an owner, a team, a product,
a region, or a pair declared under `business.pairs`. `business.fiscal_year_start` is the month in which years begin, and quarters
with them. **Benchmarks** (`benchmarks`) are shown beside the readings; `benchmark(kpi, "name")` computes with them, for a KPI
that rules watch. **Pairs**: `business.pairs: [[owner, source]]` counts deals and leads by both together: `--by owner.source`
gives `ann × web`. A pair has as many values as a dimension may have (`business.segment_limit`). **Metrics of one's own**:
`metric.recorded {{name, value, unit, dimensions}}` feeds `recorded`, `recordings`, `last` and `quantile`; such a KPI is an entry
in a file of `kpi_files`, and no code.

**What is odd in the input** is never guessed at:

| input | what it does |
|---|---|
| an amount below 0 | counts as what it is (a credit note); a share of amounts outside of 0 and 1 has no value |
| a deal won without an amount, or without a cost | is a sale; it is in no revenue, no mean size, or in no margin |
| a cost above the amount | a margin below 0 |
| an expected close date before 2000 or from 2200 on (9999-12-31) | stands for none |
| a term that ends before it is billed | is no term |
| a stage that no pipeline names | is an open one; without closed deals that have been in it, it has the odds of all |
| a target of 0, or below | is refused: nothing can be divided by it |
| a benchmark in another unit than its KPI's | is refused: nothing is converted |
| a metric recorded in two units | is two metrics |
| a metric's dimension that there is none of, a negative number of steps, a value that is no number | a dead letter |
| a churn of 0 | no lifetime value, and the reason |
| a negative `list_amount`, a `discount` below 0 or above 1 (20 for 20 %) | the event is refused (`bad_amount`, `invalid_data`) |
| sold for less than 0 beside a list amount, a list amount of 0 | the deal is in no discount |
| more paid than the list amount | a discount below 0 |
| a stage that no pipeline of the settings has, on the way | a later one, if the deal has not been in it |
| a `sale` that is none of new, cross_sell, upsell, renewal | the event is refused (`invalid_data`) |
| a lead created after its deal was closed; a deal created after it was closed | counts, but in no time to close |
| a lead answered before it was created | answered in time; more than a day before, not answered by that |
| a lead converted before it was created | converted; its conversion counts for its cohort |
| a `probability` (0.8, 80, "80 %") | is not read: the odds of stages are learnt; counted among unknown fields |
| entities merged in a circle (A into B, B into A) | all of them are gone, in whatever order it is said |
| an entity merged into itself | the event is refused (`invalid_data`) |
| a step, or an event, twice in a funnel | is refused, with the setting (`business.journeys`) |
| a form sent that nobody began, an e-mail opened that nobody sent | not in the rate |
"""


def facts(kpi: Kpi) -> list[tuple[str, str]]:
    """Return what there is to know of a KPI, as (name, text)."""
    formula = kpi.formula
    return [
        ("formula", formula.text),
        ("unit", _UNITS[kpi.unit]),
        ("direction", f"{kpi.direction}: {_DIRECTIONS[kpi.direction]}"),
        ("basis", f"{_OF[kpi.basis[0]]}; {_WEIGHED[kpi.basis[1]]}"),
        ("sample", kpi.sample.text if kpi.sample else "none"),
        ("minimum sample", str(kpi.minimum)),
        ("by", ", ".join(kpi.by) or "the total only"),
        ("share", "true: no value outside of 0 and 1" if kpi.share else "no"),
        ("interval", INTERVALS[kpi.interval] if kpi.interval else "none"),
        *[("kept", text) for text in kept(kpi)],
        ("French", f"{kpi.label['fr']}. {kpi.definitions['fr']}"),
    ]


def kept(kpi: Kpi) -> Iterator[str]:
    """Yield how exactly the window's ends are kept, where that is not to the minute."""
    kinds = [BY_NAME[name][1] for name in kpi.formula.measures]
    if any(measure.finest is Grain.DAY for measure in kinds):
        yield "by the day: a day belongs to the window that holds its end"
    if any(measure.finest is Grain.HOUR for measure in kinds):
        yield "by the hour: a window ends with the last whole hour, and begins with the one that holds its beginning"
    if any(measure.kind is Kind.DISTINCT for measure in kinds):
        yield "distinct ones by the minute up to 1h, by the hour below 30d, by the day from there; the last one counts whole"


def measures(kpi: Kpi) -> list[tuple[str, str, str]]:
    """Return the measures a KPI is made of, as (name, fold, meaning)."""
    return [(name, BY_NAME[name][0], BY_NAME[name][1].help) for name in sorted(kpi.formula.measures)]


def markdown(catalogue: Catalogue) -> str:
    """Return ``docs/kpis.md``."""
    lines = [
        _HEAD.format(
            windows=ACCEPTED,
            functions="\n".join(f"- `{text.split(':')[0]}`:{text.split(':', 1)[1]}" for text in FUNCTIONS.values()),
        )
    ]
    for stage in STAGES:
        kpis = [kpi for kpi in catalogue.kpis.values() if kpi.stage == stage]
        if not kpis:
            continue
        lines.append(f"## {stage.capitalize()}\n")
        for kpi in kpis:
            lines.append(f"### {kpi.label['en']} (`{kpi.id}`)\n\n{kpi.definition}\n")
            lines.append(f"`{kpi.formula.text}`\n")
            lines += [f"- {name}: {text}" for name, text in facts(kpi)[1:]]
            lines.append("")
    lines.append("## Measures\n\n| measure | kept by the fold of | what it counts, and when |\n|---|---|---|")
    lines += [f"| `{name}` | {fold} | {measure.help} |" for name, (fold, measure) in BY_NAME.items()]
    return "\n".join(lines) + "\n"
