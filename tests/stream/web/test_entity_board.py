"""What a process that does not fold knows of open deals and leads."""

import orjson
import pytest

from models.fold import Record
from models.folds.entity_snapshots import DealState, LeadState, encode
from stream.web.entity_board import EntityBoard
from stream.web.predictions import Elsewhere


def record(topic: str, key: str, value: bytes | None) -> Record:
    return Record(topic, 0, 0, 0, key.encode(), value, [])


def test_what_is_open_is_shown_and_goes_when_it_ends() -> None:
    running = [False]
    board = EntityBoard(lambda: running[0], lambda deal: {"D-1": 0.4}.get(deal))
    with pytest.raises(Elsewhere, match="still being read"):
        list(board.deals())
    part = board.spec().make(0)
    limits = orjson.dumps({"stages": {"demo": [1, 2, 86_400_000, 4], "rare": [None] * 4}})
    part.fold(
        [
            record("deal-states", "D-1", encode(DealState("D-1", "open", 5, stage="demo"))),
            record("deal-states", "D-2", encode(DealState("D-2", "open", 5))),
            record("deal-states", "D-2", encode(DealState("D-2", "won", 6))),
            record("deal-states", "D-3", b"damaged"),
            record("lead-states", "L-1", encode(LeadState("L-1", "open", 5))),
            record("lead-states", "L-2", encode(LeadState("L-2", "open", 5, contacted=6))),
            record("limits", "", limits),
        ]
    )
    running[0] = True
    assert list(board.deals()) == []  # not before it has been read to its end
    part.live()  # type: ignore[attr-defined]
    assert [(one.state.id, one.win) for one in board.deals()] == [("D-1", 0.4)]
    assert [one.id for one in board.leads()] == ["L-1"] and board.usual() == {"demo": 86_400_000}
    found = board.story("deal", "D-1")
    assert found is not None and isinstance(found.state, DealState) and found.state.stage == "demo"
    ended = board.story("deal", "D-2")
    assert ended is not None and ended.state.status == "won", "what has ended is told by its id, and in tables"
    assert sorted(board.ids("deal")) == ["D-1", "D-2"] and sorted(board.ids("lead")) == ["L-1", "L-2"]
    assert (state := board.state("lead", "L-2")) is not None and state == LeadState("L-2", "open", 5, contacted=6)
    part.fold([record("deal-states", "D-1", None), record("lead-states", "L-1", None), record("deal-states", "D-2", None)])
    assert list(board.deals()) == [] == list(board.leads()) and board.ids("deal") == []
    part.fold([record("deal-states", "D-2", encode(DealState("D-2", "open", 7)))])
    assert [one.state.id for one in board.deals()] == ["D-2"] and board.ids("deal") == ["D-2"], "reopened: once"
