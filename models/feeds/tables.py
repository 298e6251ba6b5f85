"""Which tables do other tools read (OData, exports, a database), with which columns, and what does each column mean?

The name of a column is an identifier everywhere: no blank in it. Rows are tuples in the order of
the columns; texts are ``str``, times epoch milliseconds, days ``YYYY-MM-DD``, money units of the currency (four decimals). Names
of people are in no table: an erasure does not reach what others have fetched (``models/privacy/fields.py``).
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

Row = tuple[Any, ...]


class ColumnKind(StrEnum):
    """What the values of a column are."""

    TEXT = "text"
    WHOLE = "whole"
    NUMBER = "number"
    MONEY = "money"
    DAY = "day"
    TIME = "time"


class Column(NamedTuple):
    """A column, and what it means."""

    name: str
    kind: ColumnKind
    doc: str


class FeedTable(NamedTuple):
    """A table: ``key`` names the columns that tell its rows apart; ``time`` is the column by which it is read in parts."""

    name: str
    doc: str
    key: tuple[str, ...]
    time: str | None
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    def place(self, name: str) -> int:
        """Return where a column stands; raise ``ValueError`` where there is none."""
        return self.names.index(name)


def _columns(**said: tuple[ColumnKind, str]) -> tuple[Column, ...]:
    return tuple(Column(name, kind, doc) for name, (kind, doc) in said.items())


_TEXT, _WHOLE, _NUMBER, _MONEY, _DAY, _TIME = (
    ColumnKind.TEXT,
    ColumnKind.WHOLE,
    ColumnKind.NUMBER,
    ColumnKind.MONEY,
    ColumnKind.DAY,
    ColumnKind.TIME,
)
_CURRENCY = (_TEXT, "The currency of money (ISO 4217)")
_AS_OF = (_TIME, "When this row was true: the instant at which it was read")
_ATTRIBUTES = {
    "owner": (_TEXT, "The id of who sells"),
    "owner_name": (_TEXT, "What people call that owner, where the settings say so; else the id"),
    **{
        name: (_TEXT, f"Its {name}, as the sender says")
        for name in ("team", "source", "campaign", "product", "region", "segment", "pipeline", "variant")
    },
    "account_id": (_TEXT, "The id of the account it belongs to"),
}

READINGS = FeedTable(
    "readings",
    "KPIs: one row a KPI, window, segment and instant. Ratios must not be summed: sum numerators and denominators, and divide.",
    ("at", "window", "kpi", "dimension", "segment"),
    "at",
    _columns(
        at=(_TIME, "The instant that the reading is of; it counts what happened before"),
        window=(_TEXT, "The window: 24h, 7d, 30d, month, day, ..."),
        kpi=(_TEXT, "The KPI's id; the table catalogue says what it means"),
        dimension=(_TEXT, "What it is split by; total for everything"),
        segment=(_TEXT, "The value of that dimension; empty for everything"),
        segment_name=(_TEXT, "What people call it: of owners their name, else the segment"),
        began=(_TIME, "The first instant of the window"),
        value=(_NUMBER, "The value in the KPI's unit; null says why in the column why"),
        numerator=(_NUMBER, "What is divided: money in units of the currency, times in seconds"),
        denominator=(_NUMBER, "By what; null where nothing is divided"),
        low=(_NUMBER, "The lower end of the interval, where there is one"),
        high=(_NUMBER, "The upper end of the interval"),
        sample=(_WHOLE, "How many cases are behind it, where that can be said"),
        unit=(_TEXT, "count, ratio, score, money, seconds or days"),
        currency=_CURRENCY,
        basis=(_TEXT, "cohort (what began in the window), period (what happened in it) or level (what stands at the instant)"),
        why=(_TEXT, "Why there is no value"),
        since=(_TIME, "From when on what it is made of is whole, where that is inside the window"),
        as_of=_AS_OF,
    ),
)
DEALS = FeedTable(
    "deals",
    "Deals as they are now: open ones and those that have ended, for as long as they are kept.",
    ("id",),
    "changed",
    _columns(
        id=(_TEXT, "The deal's id, as the sender says"),
        status=(_TEXT, "open, won, lost, or unknown: only edited so far"),
        changed=(_TIME, "The time of its latest fact"),
        created=(_TIME, "When it was created"),
        closed=(_TIME, "When it was won or lost"),
        stage=(_TEXT, "Its stage"),
        stage_since=(_TIME, "Since when it has been there"),
        amount=(_MONEY, "What it is worth"),
        currency=_CURRENCY,
        **_ATTRIBUTES,
        lead_id=(_TEXT, "The id of the lead it came from"),
        reason=(_TEXT, "Why it was lost"),
        expected_close=(_DAY, "When it is expected to close"),
        last_activity=(_TIME, "When somebody last did something about it"),
        win=(_NUMBER, "How probable it is that it is won, 0 to 1; of open ones that are predicted"),
        as_of=_AS_OF,
    ),
)
LEADS = FeedTable(
    "leads",
    "Leads as they are now, for as long as they are kept.",
    ("id",),
    "changed",
    _columns(
        id=(_TEXT, "The lead's id, as the sender says"),
        status=(_TEXT, "open, converted, disqualified, or unknown: only edited so far"),
        changed=(_TIME, "The time of its latest fact"),
        created=(_TIME, "When it was created"),
        contacted=(_TIME, "When it was first answered"),
        converted=(_TIME, "When it was converted"),
        level=(_TEXT, "mql or sql, where it is qualified"),
        score=(_NUMBER, "The sender's score"),
        **_ATTRIBUTES,
        as_of=_AS_OF,
    ),
)
CUSTOMERS = FeedTable(
    "customers",
    "Customers on a day: scores, segment, and what is to be expected of each.",
    ("as_of_day", "customer"),
    None,
    _columns(
        as_of_day=(_DAY, "The day at whose end this is so"),
        customer=(_TEXT, "The customer's id"),
        R=(_WHOLE, "Score of how lately it has bought, 1 to 5"),
        F=(_WHOLE, "Score of how often, 1 to 5"),
        M=(_WHOLE, "Score of how much, 1 to 5"),
        x=(_WHOLE, "Purchase days after the first"),
        t_x_weeks=(_NUMBER, "Weeks from the first purchase day to the last"),
        T_weeks=(_NUMBER, "Weeks from the first purchase day to this day"),
        p_alive=(_NUMBER, "How probable it is that it will buy again, 0 to 1"),
        expected_39w=(_NUMBER, "Purchase days expected within 39 weeks"),
        expected_spend=(_NUMBER, "What one purchase day is expected to bring"),
        clv=(_NUMBER, "What it is worth"),
        segment=(_TEXT, "The name of its segment"),
        recency_days=(_WHOLE, "Days since the last purchase day"),
        frequency=(_WHOLE, "Purchase days"),
        monetary=(_MONEY, "The total, net of refunds"),
        first_day=(_DAY, "The first purchase day"),
        last_day=(_DAY, "The last purchase day"),
        why=(_TEXT, "Why there is no value of something"),
        currency=_CURRENCY,
    ),
)
ALERTS = FeedTable(
    "alerts",
    "The alerts that stand: those that are not inactive.",
    ("id",),
    "since",
    _columns(
        id=(_TEXT, "The incident's id"),
        rule=(_TEXT, "The rule that it is of"),
        severity=(_TEXT, "info, warn or critical"),
        state=(_TEXT, "firing, pending, recovering or resolved"),
        since=(_TIME, "Since when it has been in this state"),
        kpi=(_TEXT, "The KPI that it is about"),
        window=(_TEXT, "The KPI's window"),
        dimension=(_TEXT, "What it is about: total, a dimension, deal or lead"),
        segment=(_TEXT, "The value of that dimension"),
        value=(_NUMBER, "What was measured"),
        threshold=(_NUMBER, "What it is held against"),
        unit=(_TEXT, "The unit of the value"),
        currency=_CURRENCY,
        sample=(_WHOLE, "How many cases are behind the value"),
        acknowledged_by=(_TEXT, "Who takes care of it"),
        as_of=_AS_OF,
    ),
)
CATALOGUE = FeedTable(
    "catalogue",
    "The KPIs, and what one must know to read them.",
    ("id",),
    None,
    _columns(
        id=(_TEXT, "The KPI's id"),
        label=(_TEXT, "Its name in English"),
        label_fr=(_TEXT, "Its name in French"),
        stage=(_TEXT, "Where in the funnel it is"),
        unit=(_TEXT, "count, ratio, score, money, seconds or days"),
        direction=(_TEXT, "up (more is good), down (more is bad) or none"),
        basis=(_TEXT, "cohort, period or level"),
        basis_of=(_TEXT, "count or value: what is counted, cases or what they are worth"),
        adds_up=(
            _TEXT,
            "yes: what is divided, and by what, adds up over the days of a window and over segments; no: it does not",
        ),
        minimum=(_WHOLE, "Below so many cases there is no value"),
        dimensions=(_TEXT, "What it can be split by, with commas"),
        formula=(_TEXT, "Its formula over the measures that are kept"),
        definition=(_TEXT, "What it means, in English"),
        definition_fr=(_TEXT, "What it means, in French"),
    ),
)
FORECASTS = FeedTable(
    "forecasts",
    "What the running month, quarter and fiscal year will bring: revenue, in total and by segment. Neither quantiles nor segments add up.",
    ("period", "began", "dimension", "segment"),
    None,
    _columns(
        period=(_TEXT, "month, quarter or year (the fiscal one)"),
        dimension=(_TEXT, "What it is split by; total for everything"),
        segment=(_TEXT, "The value of that dimension; empty for everything"),
        segment_name=(_TEXT, "What people call it: of owners their name, else the segment"),
        began=(_TIME, "The first instant of the period"),
        ends=(_TIME, "The first instant after it"),
        mean=(_MONEY, "What is expected: won, open_mean and new_mean together"),
        p10=(_MONEY, "It will be more than this with a probability of 90 %"),
        p50=(_MONEY, "It will be as likely more as less"),
        p90=(_MONEY, "It will be more than this with a probability of 10 %"),
        won=(_MONEY, "What is won already"),
        won_deals=(_WHOLE, "How many deals that are"),
        open_mean=(_MONEY, "What open deals are expected to bring in time"),
        open_deals=(_WHOLE, "How many are open"),
        new_mean=(_MONEY, "What deals that are not there yet are expected to bring in time"),
        target=(_MONEY, "The target of the period, where one is set"),
        target_probability=(_NUMBER, "How probable it is that the target is reached, 0 to 1"),
        currency=_CURRENCY,
        as_of=_AS_OF,
    ),
)
TABLES: Mapping[str, FeedTable] = MappingProxyType(
    {table.name: table for table in (READINGS, DEALS, LEADS, CUSTOMERS, ALERTS, CATALOGUE, FORECASTS)}
)
