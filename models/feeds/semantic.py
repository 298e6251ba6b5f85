"""What do other semantic layers have to know of the KPIs, and with which SQL over the exported tables do they get our numbers?"""

import ast
import json
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from models.feeds.tables import CATALOGUE, DEALS, LEADS, READINGS, TABLES, ColumnKind, FeedTable
from models.kpis.entry import Kpi
from models.kpis.terms import TIME
from models.measures import BY_NAME
from models.measures import Kind as Measured


def adds_up(kpi: Kpi) -> bool:
    """Whether numerator and denominator add up: over the days of a window, and over the segments of a dimension."""
    terms = [kpi.formula.numerator, *([] if kpi.formula.denominator is None else [kpi.formula.denominator])]
    return all(_sums(ast.parse(term.text, mode="eval").body) for term in terms)


def _sums(node: ast.expr) -> bool:
    """Whether a part of a formula is a sum of measures that add up, with constant factors."""
    match node:
        case ast.Name(id=name):
            found = BY_NAME.get(name)
            return found is not None and not found[1].stock and found[1].kind in (Measured.COUNT, Measured.MONEY, Measured.MILLIS)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            return _sums(left) and _sums(right)
        case (
            ast.BinOp(left=ast.Constant(), op=ast.Mult(), right=inner)
            | ast.BinOp(left=inner, op=ast.Mult() | ast.Div(), right=ast.Constant())
        ):
            return _sums(inner)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return _sums(inner)
    return False


def factor(kpi: Kpi) -> Fraction:
    """Return by what the exported numerator, over the denominator, is multiplied to give the value."""
    days = Fraction(1, 86_400) if kpi.unit == "days" else Fraction(1)
    over = kpi.formula.denominator
    same = over is not None and over.dimension == TIME == kpi.formula.numerator.dimension
    return kpi.formula.scale * (Fraction(1) if same else days)


def expression(kpi: Kpi, where: str = "") -> str:
    """Return the KPI as an aggregate in SQL over ``readings``; ``where`` chooses its rows (they may be chosen already).

    What adds up is made of daily rows; of the rest the greatest value is taken, as there is to be one row.
    """

    def column(name: str) -> str:
        return f"case when {where} then {name} end" if where else name

    if not adds_up(kpi):
        return f"max({column('value')})"
    top, by, below = f"sum({column('numerator')})", factor(kpi), ""
    if by.numerator != 1:
        top = f"{_shown(by.numerator)} * {top}"
    if by.denominator != 1:
        top = f"{top} / {_shown(by.denominator)}"
    if kpi.formula.denominator is not None:
        below = f" / nullif(sum({column('denominator')}), 0)"
    return f"{top}{below}"


def _shown(number: int) -> str:
    return f"{number}.0"


def sql(kpi: Kpi) -> str:
    """Return a query over the exported table ``readings``, by dimension and segment.

    What adds up: over the days that end after ``:first`` and at ``:last`` at the latest. The rest: at the instant ``:last``, over
    ``:window``.
    """
    head = f"-- {kpi.label['en']}: {kpi.definition}\n"
    chosen = f"kpi = '{kpi.id}'"
    if adds_up(kpi):
        value, few = expression(kpi), ""
        if kpi.minimum > 1:
            value, few = (
                f"case when sum(sample) >= {kpi.minimum} then {value} end",
                f"-- below {kpi.minimum} cases there is none\n",
            )
        time = '"window" = \'day\' and "at" > :first and "at" <= :last'
        return (
            f"{head}{few}select dimension, segment, {value} as value\nfrom readings\nwhere {chosen} and {time}\n"
            "group by dimension, segment;\n"
        )
    return f'{head}select dimension, segment, value\nfrom readings\nwhere {chosen} and "window" = :window and "at" = :last;\n'


def extension(kpi: Kpi) -> dict[str, Any]:
    """Return what other semantic layers have no words for."""
    return {
        "basis": list(kpi.basis),
        "unit": kpi.unit,
        "direction": kpi.direction,
        "adds_up": adds_up(kpi),
        "minimum": kpi.minimum,
        "interval": kpi.interval,
        "dimensions": list(kpi.by),
        "formula": kpi.formula.text,
    }


def _where(kpi: Kpi) -> str:
    window = "day" if adds_up(kpi) else "30d"
    return f"kpi = '{kpi.id}' and \"window\" = '{window}'"


# -- Apache Ossie (OSI) ------------------------------------------------------------------------------------------------------

_OSI_TYPES = {
    ColumnKind.TEXT: "String",
    ColumnKind.WHOLE: "Integer",
    ColumnKind.NUMBER: "Float",
    ColumnKind.MONEY: "Decimal",
    ColumnKind.DAY: "Date",
    ColumnKind.TIME: "DateTimeTz",
}


def osi(kpis: Iterable[Kpi]) -> dict[str, Any]:
    """Return the catalogue as a semantic model of Apache Ossie (Open Semantic Interchange 1.0)."""
    tables = [TABLES[name] for name in ("readings", "deals", "leads", "customers", "catalogue")]
    return {
        "version": "1.0",
        "semantic_model": [
            {
                "name": "vigie",
                "description": "Figures of sales, as Vigie exports them. What is a ratio is divided after it is summed.",
                "datasets": [_dataset(table) for table in tables],
                "relationships": [
                    _relation("reading_of_kpi", READINGS, "kpi", CATALOGUE),
                    _relation("deal_of_lead", DEALS, "lead_id", LEADS),
                ],
                "metrics": [_osi_metric(kpi) for kpi in kpis],
            }
        ],
    }  # fmt: skip


def _relation(name: str, many: FeedTable, column: str, one: FeedTable) -> dict[str, Any]:
    return {"name": name, "from": many.name, "to": one.name, "from_columns": [column], "to_columns": list(one.key)}


def _ansi(text: str) -> dict[str, Any]:
    return {"dialects": [{"dialect": "ANSI_SQL", "expression": text}]}


def _dataset(table: FeedTable) -> dict[str, Any]:
    return {
        "name": table.name,
        "source": f"vigie.{table.name}",
        "primary_key": list(table.key),
        "description": table.doc,
        "fields": [
            {
                "name": column.name,
                "expression": _ansi(f'"{column.name}"'),
                "description": column.doc,
                "datatype": _OSI_TYPES[column.kind],
                **(
                    {"dimension": {"is_time": column.kind in (ColumnKind.TIME, ColumnKind.DAY)}}
                    if _is_dimension(column.kind)
                    else {}
                ),
            }
            for column in table.columns
        ],
    }


def _is_dimension(kind: ColumnKind) -> bool:
    return kind in (ColumnKind.TEXT, ColumnKind.TIME, ColumnKind.DAY)


def _osi_metric(kpi: Kpi) -> dict[str, Any]:
    how = "" if adds_up(kpi) else " It does not add up: choose one instant (at) and one segment."
    return {
        "name": kpi.id,
        "description": kpi.definition,
        "expression": _ansi(expression(kpi, _where(kpi))),
        "ai_context": {
            "synonyms": [kpi.label["en"], kpi.label["fr"]],
            "instructions": f"Choose one dimension (total for everything): rows of several count the same cases again.{how}",
        },
        "custom_extensions": [{"vendor_name": "VIGIE", "data": json.dumps(extension(kpi), ensure_ascii=False)}],
    }


# -- MetricFlow --------------------------------------------------------------------------------------------------------------


def metricflow(kpis: Iterable[Kpi]) -> dict[str, Any]:
    """Return the catalogue as a semantic model and metrics of MetricFlow, over a dbt model ``readings``."""
    measures, metrics = list[dict[str, Any]](), list[dict[str, Any]]()
    for kpi in kpis:
        parts = _measures(kpi)
        measures += parts
        metrics.append(_metric(kpi, [part["name"] for part in parts]))
    dimensions: list[dict[str, Any]] = [
        {
            "name": "at",
            "type": "time",
            "expr": '"at"',
            "type_params": {"time_granularity": "day"},
            "description": READINGS.columns[0].doc,
        }
    ]
    dimensions += [
        {"name": name, "type": "categorical", "expr": f'"{name}"', "description": READINGS.columns[READINGS.place(name)].doc}
        for name in ("window", "kpi", "dimension", "segment", "currency", "basis")
    ]
    model = {
        "name": "readings",
        "description": READINGS.doc,
        "model": "ref('readings')",
        "defaults": {"agg_time_dimension": "at"},
        "primary_entity": "reading",
        "dimensions": dimensions,
        "measures": measures,
    }
    return {"semantic_models": [model], "metrics": metrics}


def _measures(kpi: Kpi) -> list[dict[str, Any]]:
    where = _where(kpi)
    if not adds_up(kpi):
        last = {"name": "at", "window_choice": "max"}
        expr = f"case when {where} then value end"
        return [{"name": f"{kpi.id}_value", "agg": "max", "expr": expr, "non_additive_dimension": last}]
    names = ("numerator", "denominator") if kpi.formula.denominator is not None else ("numerator",)
    return [
        {"name": f"{kpi.id}_{name}", "agg": "sum", "expr": f"case when {where} then {name} end", "create_metric": True}
        for name in names
    ]


def _metric(kpi: Kpi, measures: list[str]) -> dict[str, Any]:
    by = factor(kpi)
    kind, params = "simple", dict[str, Any](measure=measures[0])
    if len(measures) == 2:
        kind, params = "ratio", {"numerator": measures[0], "denominator": measures[1]}
    if adds_up(kpi) and by != 1:
        below = f" / nullif({measures[1]}, 0)" if len(measures) == 2 else ""
        text = f"{_shown(by.numerator)} * {measures[0]} / {_shown(by.denominator)}{below}"
        kind, params = "derived", {"expr": text, "metrics": [{"name": name} for name in measures]}
    return {
        "name": kpi.id, "label": kpi.label["en"], "description": kpi.definition, "type": kind, "type_params": params,
        "config": {"meta": {"vigie": extension(kpi)}},
    }  # fmt: skip
