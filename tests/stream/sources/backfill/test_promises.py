"""A deal that an export has closed promised nothing: what it says of the close date may come in the very moment of the close."""

from pathlib import Path

import orjson
import pytest

from models.business import Business
from models.calendar import Grain
from models.fold import Record
from models.folds.partition import EntityPartition
from tests.stream.sources.backfill.test_exports import write
from tests.stream.sources.backfill.test_words import NOW, read

#: Closed by its last change: the close and the rest of the record are told of the same moment.
CLOSED = {
    "hubspot": "Record ID,Deal Stage,Is Closed Won,Amount,Close Date,Create Date,Last Modified Date\n"
    "{id},done,true,5,2026-03-20 10:00,2026-03-01,2026-03-20 10:00\n",
    "pipedrive": "ID,Status,Value,Expected close date,Add time,Update time\n"
    "{id},won,5,2026-03-31,2026-03-01 10:00:00,2026-03-20 10:00:00\n",
    "salesforce-csv": "Id,StageName,IsClosed,IsWon,Amount,CloseDate,CreatedDate,LastModifiedDate\n"
    "{id},Closed Won,true,true,5,2026-03-20,2026-03-01T10:00:00Z,2026-03-20T10:00:00Z\n",
}


@pytest.mark.parametrize("kind", CLOSED)
def test_a_closed_deal_without_history_promised_nothing(kind: str, tmp_path: Path) -> None:
    """Twenty deals: by the order of their events' ids some of them had promised, and slipped or not."""
    promised = won = 0
    for number in range(20):
        id = f"0060000000{number:05}AAA" if kind.startswith("salesforce") else str(number + 1)
        events, rejects, _ = read(kind, write(tmp_path / f"{number}.csv", CLOSED[kind].format(id=id)))
        assert not rejects
        fold = EntityPartition("deals", 0, Business())
        fold.fold([Record("deals", 0, place, NOW, b"", orjson.dumps(event), ()) for place, event in enumerate(events)])
        fold.changes()
        days = [(name, number) for _, _, _, name, number in fold.panes.cells((Grain.DAY,))]
        promised += sum(number for name, number in days if name == "deals_promised")
        won += ("deals_won", 1) in days
    assert (promised, won) == (0, 20)
