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
_INTERVALS = {
    "wilson": "Wilson score interval, 95 %",
    "net_promoter": "normal approximation of the multinomial, 95 %",
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

Money stays exact (1/10,000 of a unit) until the end, times are milliseconds until the end; only like can be added to like, and
nothing is divided by the change of a stock. An unknown name, units that do not fit, and a key that a file has twice are refused,
with file and key. KPIs are no names in formulas, so that none can go round in a circle.

**What is told badly**

| found | what becomes of it |
|---|---|
| a negative `amount` | taken, as a credit note; a share of amounts that leaves 0 to 1 has no value |
| a negative `list_amount`, a `discount` below 0 or above 1 (20 for 20 %) | the event is refused (`bad_amount`, `invalid_data`) |
| sold for less than 0 beside a list amount, a list amount of 0 | the deal is in no discount |
| more paid than the list amount | a discount below 0 |
| a won deal without an amount | a sale, and in `revenue_per_sale`; in no mean amount |
| a stage that no pipeline of the settings has | a later one, if the deal has not been in it |
| a `sale` that is none of new, cross_sell, upsell, renewal | the event is refused (`invalid_data`) |
| a lead created after its deal was closed; a deal created after it was closed | counts, but in no time to close |
| a lead answered before it was created | answered in time; more than a day before, not answered by that |
| a lead converted before it was created | converted; its conversion counts for its cohort |
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
        ("interval", _INTERVALS[kpi.interval] if kpi.interval else "none"),
        *[("kept", text) for text in _kept(kpi)],
        ("French", f"{kpi.label['fr']}. {kpi.definitions['fr']}"),
    ]


def _kept(kpi: Kpi) -> Iterator[str]:
    """Yield how exactly the window's ends are kept, where that is not to the minute."""
    kinds = [BY_NAME[name][1] for name in kpi.formula.measures]
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
