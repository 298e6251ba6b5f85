"""What does DuckDB make of the same events?"""

from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

#: A knowledge that leaves nothing out: every event counts in every reading (``--restated``).
EVERYTHING = 1 << 60

_MATURITY, _SESSION_GAP = 30 * 86_400_000, 30 * 60_000  # the settings' defaults
_MONTHS = """
insert into asked
with edge as (select min(t) as first, max(t) as last from event),
month as (
    select instant(unnest(generate_series(
        date_trunc('month', local(first)), date_trunc('month', local(last)) + interval 1 month, interval 1 month))) as t
    from edge
)
select case when ? then t else ? end, t from month, edge where t > first
"""


class Question(NamedTuple):
    """What a reading is of; ``t`` is its instant in epoch ms, ``dim`` ``total`` where it is of no segment."""

    kpi: str
    window: str
    dim: str
    segment: str
    t: int


class Answer(NamedTuple):
    """A reading's numbers, in the units that readings have; ``begin`` is the window's first instant in epoch ms."""

    begin: int
    value: float | None
    numerator: float | None
    denominator: float | None


class Truth(NamedTuple):
    """Every number that is not nothing, and all instants and windows that were asked for with their first instants."""

    answers: dict[Question, Answer]
    begins: dict[tuple[str, int], int]
    events: int


def truth(lines: Path, windows: Sequence[str], zone: str, *, restated: bool) -> Truth:
    """Compute all KPIs at the end of each month the events reach into.

    ``lines`` are CloudEvents as JSON lines, in any order and as often as they like. A reading knows the events before its
    instant; ``restated``, it knows all of them.
    """
    folder = resources.files("bench.oracle")
    script, bookings, answers = (
        folder.joinpath(name).read_text(encoding="utf-8") for name in ("truth.sql", "aida_bookings.sql", "aida_answers.sql")
    )
    with duckdb.connect() as db:
        db.execute(
            "create table record as select row_number() over () as n, json as line from read_ndjson_objects(?)", [str(lines)]
        )
        db.execute("create table asked (k bigint, t bigint)")
        db.execute(
            "create table setting as select ? as zone, ?::bigint as maturity, ?::bigint as session_gap",
            [zone, _MATURITY, _SESSION_GAP],
        )
        db.execute("create table asked_window as select unnest(?::varchar[]) as win", [list(windows)])
        for statement in db.extract_statements(script):
            db.execute(statement)
            if "table event" in statement.query:
                db.execute(_MONTHS, [not restated, EVERYTHING])
            elif "table booking" in statement.query:
                db.execute(bookings)
        db.execute(answers)
        return Truth(
            dict(
                pair
                for view in ("answer", "aida_answer")
                for pair in _answers(db.execute(f"select kpi, win, dim, seg, t, begin, value, num, den from {view}").fetchall())
            ),
            {(win, t): begin for win, t, begin in db.execute("select win, t, begin from span").fetchall()},
            int(db.execute("select count(*) from event").fetchall()[0][0]),
        )


def _answers(rows: Iterable[tuple[Any, ...]]) -> Iterable[tuple[Question, Answer]]:
    for kpi, window, dim, segment, t, *numbers in rows:
        yield Question(kpi, window, dim, segment, t), Answer(*numbers)
