"""CRM Sales Opportunities: rows as one or two events."""

import os
from collections import Counter
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from stream.sources.files import FileEvent, FileReject, ReadOptions, SourceFileError, crm, read_file

ROOT = Path(__file__).parents[3]


def folder(tmp_path: Path, *rows: str) -> Path:
    (tmp_path / "sales_pipeline.csv").write_text(",".join(crm.PIPELINE) + "\n" + "".join(f"{row}\n" for row in rows))
    (tmp_path / "sales_teams.csv").write_text("sales_agent,manager,regional_office\nMoses,Dustin,Central\n")
    (tmp_path / "accounts.csv").write_text("account,sector\nIsdom,medical\n")
    (tmp_path / "products.csv").write_text("product,sales_price\nGTX Pro,4821\n")
    return tmp_path


def test_a_deal_that_is_won(tmp_path: Path) -> None:
    path = folder(tmp_path, "A,Moses,GTXPro,Isdom,Won,2017-03-20,2017-05-01,1054.0")
    created, won = (item.event for item in read_file(path, "crm") if isinstance(item, FileEvent))
    assert created == {
        "specversion": "1.0",
        "id": "crm:A:1:created",
        "source": "/files/crm",
        "type": "deal.created",
        "time": "2017-03-20T00:00:00+00:00",
        "subject": "A",
        "data": {
            "owner": "Moses",
            "team": "Dustin",
            "region": "Central",
            "product": "GTX Pro",
            "account_id": "Isdom",
            "segment": "medical",
            "stage": "Engaging",
        },
    }
    assert (won["type"], won["data"]) == ("deal.won", {"amount": "1054.0"})


def test_days_begin_in_the_business_zone(tmp_path: Path) -> None:
    path = folder(tmp_path, "A,Moses,GTX Pro,,Lost,2017-03-25,2017-03-26,0")
    options = ReadOptions(zone=ZoneInfo("Europe/Paris"))
    events = [item.event for item in read_file(path, "crm", options) if isinstance(item, FileEvent)]
    assert [event["time"] for event in events] == ["2017-03-25T00:00:00+01:00", "2017-03-26T00:00:00+01:00"]
    assert events[1]["data"] == {}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("A,Moses,X,,Prospecting,,,", crm.NO_DATE),
        ("A,Moses,X,,Won,,2017-01-01,5", "engage_date: empty in a deal that is Won"),
        ("A,Moses,X,,Won,2017-01-01,,5", 'close_date: found ""'),
        ("A,Moses,X,,Won,01/02/2017,2017-03-01,5", 'engage_date: found "01/02/2017"'),
        ("A,Moses,X,,Won,2017-01-02,2017-01-01,5", "close_date: 2017-01-01 is before engage_date 2017-01-02"),
        ("A,Moses,X,,Dormant,2017-01-02,,", 'deal_stage: found "Dormant"; Prospecting, Engaging, Won, Lost are known'),
        (",Moses,X,,Won,2017-01-02,2017-01-03,5", "opportunity_id: empty"),
        ("A,Moses,X", "3 fields in the row; the header has 8"),
    ],
)
def test_rows_that_cannot_be_used_say_why(tmp_path: Path, row: str, reason: str) -> None:
    (reject,) = read_file(folder(tmp_path, row), "crm")
    assert isinstance(reject, FileReject)
    assert reject.line == 2
    assert reason in reject.reason


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "products.csv").unlink()
    with pytest.raises(SourceFileError, match=r"products\.csv"):
        list(read_file(path, "crm"))


def test_a_broken_table_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "products.csv").write_text("product,sales_price\nA,1\nB\n")
    with pytest.raises(SourceFileError, match=r"products\.csv:3: 1 fields"):
        list(read_file(path, "crm"))


def test_a_file_instead_of_the_directory_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path)
    with pytest.raises(SourceFileError, match="not a directory"):
        list(read_file(path / "products.csv", "crm"))


@pytest.mark.data
def test_the_real_data_has_the_published_counts() -> None:
    path = Path(os.environ.get("VIGIE_DATA", ROOT / "../shared/data")) / "crm"
    if not path.exists():
        pytest.skip(f"no data: {path} is absent; set VIGIE_DATA")
    types: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    revenue = Decimal()
    for item in read_file(path, "crm"):
        if isinstance(item, FileReject):
            reasons[item.reason] += 1
            continue
        types[item.event["type"]] += 1
        revenue += Decimal(item.event["data"].get("amount", 0))
        assert item.event["data"].get("product") != "GTXPro"
    assert types == {"deal.created": 8_300, "deal.won": 4_238, "deal.lost": 2_473}
    assert reasons == {crm.NO_DATE: 500}
    assert revenue == 10_005_534
