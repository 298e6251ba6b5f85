"""BPI 2012: cases as deals."""

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stream.sources.files import FileEvent, FileReject, read_file

HEADER = "case_id,reg_date,amount_req,activity,lifecycle,timestamp,resource\n"
ROOT = Path(__file__).parents[3]


def log(tmp_path: Path, *rows: str) -> Path:
    """Rows as ``case activity lifecycle day resource``."""
    path = tmp_path / "log.csv"
    lines = []
    for row in rows:
        case, activity, lifecycle, day, resource = row.split()
        time = f"2011-10-{day}T10:00:00.000+02:00"
        lines.append(f"{case},x,5000,{activity},{lifecycle},{time},{resource if resource != '-' else ''}\n")
    path.write_text(HEADER + "".join(lines))
    return path


def told(path: Path) -> list[tuple[str, str, dict[str, str]]]:
    events = [item.event for item in read_file(path, "bpic12") if isinstance(item, FileEvent)]
    return [(event["subject"], event["type"], event["data"]) for event in events]


def test_a_case_that_is_won(tmp_path: Path) -> None:
    path = log(
        tmp_path,
        "7 A_SUBMITTED COMPLETE 01 112",
        "7 A_PREACCEPTED COMPLETE 02 -",
        "7 W_Valideren SCHEDULE 02 1",
        "7 W_Valideren START 03 1",
        "7 W_Valideren COMPLETE 03 1",
        "7 A_REGISTERED COMPLETE 04 9",
        "7 A_APPROVED COMPLETE 04 9",
        "7 O_ACCEPTED COMPLETE 04 9",
        "7 W_Nabellen COMPLETE 05 -",
    )
    assert told(path) == [
        ("7", "deal.created", {"amount": "5000", "stage": "A_SUBMITTED", "owner": "112"}),
        ("7", "deal.stage_changed", {"stage": "A_PREACCEPTED"}),
        ("7", "deal.activity", {"kind": "W_Valideren", "owner": "1"}),
        ("7", "deal.won", {"owner": "9"}),
        ("7", "deal.activity", {"kind": "a_approved", "owner": "9"}),
        ("7", "deal.activity", {"kind": "o_accepted", "owner": "9"}),
        ("7", "deal.activity", {"kind": "W_Nabellen"}),
    ]


@pytest.mark.parametrize(("activity", "reason"), [("A_DECLINED", "declined"), ("A_CANCELLED", "cancelled")])
def test_a_case_that_is_lost_stays_closed(tmp_path: Path, activity: str, reason: str) -> None:
    path = log(
        tmp_path,
        "7 A_SUBMITTED COMPLETE 01 112",
        f"7 {activity} COMPLETE 02 5",
        "7 O_CANCELLED COMPLETE 03 5",
        "7 A_APPROVED COMPLETE 04 5",
    )
    assert told(path)[1:] == [
        ("7", "deal.lost", {"reason": reason, "owner": "5"}),
        ("7", "deal.activity", {"kind": "o_cancelled", "owner": "5"}),
        ("7", "deal.activity", {"kind": "a_approved", "owner": "5"}),
    ]


def test_rows_in_any_order_give_the_same_story(tmp_path: Path) -> None:
    rows = ["8 A_SUBMITTED COMPLETE 02 1", "7 A_SUBMITTED COMPLETE 01 1", "8 A_DECLINED COMPLETE 04 1", "7 O_SENT COMPLETE 03 1"]
    straight = told(log(tmp_path, *rows))
    assert [case for case, _, _ in straight] == ["7", "8", "7", "8"]
    assert told(log(tmp_path, *reversed(rows))) == straight


def test_ids_sort_as_the_rows_where_times_are_equal(tmp_path: Path) -> None:
    path = log(tmp_path, "7 A_SUBMITTED COMPLETE 01 1", *["7 O_SENT COMPLETE 01 1"] * 12)
    ids = [item.event["id"] for item in read_file(path, "bpic12") if isinstance(item, FileEvent)]
    assert ids[0] == "bpic12:7:0001:A_SUBMITTED"
    assert ids == sorted(ids)
    assert len(set(ids)) == 13


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("7,x,1,A_SENT,COMPLETE,2011-10-01T10:00:00,1", "without an offset"),
        ("7,x,1,A_SENT,COMPLETE,,1", 'timestamp: found ""'),
        (",x,1,A_SENT,COMPLETE,2011-10-01T10:00:00Z,1", "case_id: empty"),
        ("7,x,1,X_SENT,COMPLETE,2011-10-01T10:00:00Z,1", 'activity: found "X_SENT"'),
        ("7,x,1", "3 fields in the row; the header has 7"),
    ],
)
def test_rows_that_cannot_be_used_say_why(tmp_path: Path, row: str, reason: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(HEADER + row + "\n")
    (reject,) = read_file(path, "bpic12")
    assert isinstance(reject, FileReject)
    assert reject.line == 2
    assert reason in reject.reason


@pytest.mark.data
def test_the_real_log_has_the_published_counts() -> None:
    path = Path(os.environ.get("VIGIE_DATA", ROOT / "../shared/data")) / "bpic12" / "bpic2012.csv.gz"
    if not path.exists():
        pytest.skip(f"no data: {path} is absent; set VIGIE_DATA")
    types: Counter[str] = Counter()
    closed: set[str] = set()
    last = datetime.min.replace(tzinfo=UTC)
    for item in read_file(path, "bpic12"):
        assert isinstance(item, FileEvent), item
        event = item.event
        at = datetime.fromisoformat(event["time"])
        assert at >= last
        last = at
        types[event["type"]] += 1
        if event["type"] in ("deal.won", "deal.lost"):
            assert event["subject"] not in closed
            closed.add(event["subject"])
        elif event["subject"] in closed:
            assert event["type"] == "deal.activity"
    assert types["deal.created"] == 13_087
    assert types["deal.won"] == 2_246
    assert types["deal.created"] - len(closed) == 399
    assert types["deal.activity"] + types["deal.stage_changed"] == 79_156 + 59_575
