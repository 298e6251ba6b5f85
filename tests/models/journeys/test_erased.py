"""Which lead a visitor is stands in the visitor's row: it is found when somebody is to be erased, and taken out."""

import orjson

from models.entities.recent_ids import RecentIds
from models.folds import engagement
from models.folds.trail import Trail
from models.privacy.rewrite import Rewriter
from models.privacy.subject import Cell, Subject, same_person, tree_of
from models.privacy.traces import Traces, traces_of


def row(lead: str) -> bytes:
    trail = Trail({}, {}, 0)
    trail.name(lead, 5)
    trail.note("web.cta_clicked", 5)
    return engagement.encode(engagement.Visitor([], {}, 0, RecentIds({}), {}, {}, trail))


def test_a_visitor_is_found_by_its_row_and_loses_its_lead() -> None:
    cell = Cell("fold-engagement", 0, None, b"Ev1", row("L1"))
    known = {Subject("lead", "L1")}
    assert set(same_person(cell, tree_of(cell.value), known)) == {Subject("visitor", "v1")}
    assert not set(same_person(Cell("fold-engagement", 0, None, b"Ev1", row("L2")), tree_of(row("L2")), known))
    traces: Traces = traces_of({*known, Subject("visitor", "v1")}, lambda wanted: iter([cell]), lambda *told: "x")
    found = Rewriter(traces)(cell)
    assert found is not None and found.value is not None
    assert b"L1" not in found.value and found.key != cell.key
    assert orjson.loads(found.value)[6][0] == {"web.cta_clicked": [5]}


def test_rows_of_before_are_read() -> None:
    before = b"[[],{},0,{},{},{}]"
    assert engagement.decode(before).trail is None
    assert engagement.decode(b"[[],{},0,{}]").trail is None
