"""What every file format keeps to, whatever it is; a new format adds its sample here and nothing else."""

import gzip
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from models.events.catalogue import Event
from stream.sources.files import FORMATS, FileEvent, FileReject, ReadOptions, SourceFileError, read_file
from stream.sources.files.base import Dated, by_time, read_csv
from stream.sources.files.text import open_bytes
from vigie.__main__ import app

Sample = tuple[Path, ReadOptions]


def jsonl_sample(tmp: Path) -> Sample:
    events = [
        {"specversion": "1.0", "id": f"e{n}", "source": "/t", "type": "deal.created", "time": f"2026-01-0{n}T00:00:00Z",
         "subject": "d", "data": {"amount": "1.00", "currency": "EUR"}}
        for n in (1, 2, 3)
    ]  # fmt: skip
    path = tmp / "events.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, events)) + b"\n{broken\n")
    return path, ReadOptions()


def bpic12_sample(tmp: Path) -> Sample:
    path = tmp / "log.csv"
    path.write_text(
        "case_id,reg_date,amount_req,activity,lifecycle,timestamp,resource\n"
        "7,x,5000,A_SUBMITTED,COMPLETE,2011-10-01T10:00:00.000+02:00,112\n"
        "7,x,5000,W_Valideren,COMPLETE,2011-10-03T10:00:00.000+02:00,\n"
        "7,x,5000,A_APPROVED,COMPLETE,2011-10-04T10:00:00.000+02:00,12\n"
        "8,x,900,A_SUBMITTED,COMPLETE,2011-10-02T10:00:00.000+02:00,112\n"
        "8,x,900,A_DECLINED,COMPLETE,not a time,112\n"
    )
    return path, ReadOptions()


def crm_sample(tmp: Path) -> Sample:
    folder = tmp / "crm"
    folder.mkdir()
    (folder / "sales_pipeline.csv").write_text(
        "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value\n"
        "A,Moses,GTXPro,Isdom,Won,2017-03-20,2017-05-01,1054.0\n"
        "B,Moses,MG Special,,Engaging,2017-01-20,,\n"
        "C,Moses,MG Special,,Prospecting,,,\n"
    )
    (folder / "sales_teams.csv").write_text("sales_agent,manager,regional_office\nMoses,Dustin,Central\n")
    (folder / "accounts.csv").write_text("account,sector,year_established\nIsdom,medical,1999\n")
    (folder / "products.csv").write_text("product,series,sales_price\nGTX Pro,GTX,4821\nMG Special,MG,55\n")
    return folder, ReadOptions()


def csv_sample(tmp: Path) -> Sample:
    path, mapping = tmp / "export.csv", tmp / "mapping.yaml"
    path.write_text("deal,at,what,worth\nd2,2026-02-02,won,12.50\nd1,2026-02-01,won,\nd3,yesterday,won,1\n")
    mapping.write_text(
        "currency: EUR\n"
        "events:\n"
        "  - {type: {column: what, values: {won: deal.won}}, time: at, subject: deal, data: {amount: worth}}\n"
    )
    return path, ReadOptions(mapping=mapping)


SAMPLES: dict[str, Callable[[Path], Sample]] = {
    "jsonl": jsonl_sample,
    "bpic12": bpic12_sample,
    "crm": crm_sample,
    "csv": csv_sample,
}


def test_every_format_has_a_sample() -> None:
    assert set(SAMPLES) == set(FORMATS)


@pytest.fixture(params=sorted(FORMATS))
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, ReadOptions]:
    return (request.param, *SAMPLES[request.param](tmp_path))


def test_events_keep_the_contract(sample: tuple[str, Path, ReadOptions]) -> None:
    name, path, options = sample
    events = [item.event for item in read_file(path, name, options) if isinstance(item, FileEvent)]
    assert len(events) >= 2
    decoder = msgspec.json.Decoder(Event)
    for event in events:
        decoder.decode(orjson.dumps(event))
        assert datetime.fromisoformat(event["time"]).tzinfo is not None
        assert not [key for key, value in event["data"].items() if value in (None, "")]
        assert isinstance(event["data"].get("amount", ""), str)
    assert len({event["id"] for event in events}) == len(events)


def test_events_come_in_time_order_and_twice_the_same(sample: tuple[str, Path, ReadOptions]) -> None:
    name, path, options = sample
    items = list(read_file(path, name, options))
    times = [datetime.fromisoformat(item.event["time"]) for item in items if isinstance(item, FileEvent)]
    assert times == sorted(times)
    assert items == list(read_file(path, name, options))


def test_what_cannot_be_used_is_a_reject_with_its_line(sample: tuple[str, Path, ReadOptions]) -> None:
    name, path, options = sample
    rejects = [item for item in read_file(path, name, options) if isinstance(item, FileReject)]
    assert len(rejects) == 1
    assert rejects[0].line > 1
    assert rejects[0].reason


def test_a_missing_file_is_named(sample: tuple[str, Path, ReadOptions]) -> None:
    name, _, options = sample
    with pytest.raises(SourceFileError, match="nowhere"):
        list(read_file(Path("nowhere"), name, options))


def test_gzip_is_recognised_by_content(sample: tuple[str, Path, ReadOptions]) -> None:
    name, path, options = sample
    if path.is_dir():
        pytest.skip("a directory is not compressed")
    plain = list(read_file(path, name, options))
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert list(read_file(path, name, options)) == plain


def test_a_truncated_gzip_file_is_an_error_with_its_place(tmp_path: Path) -> None:
    path, options = bpic12_sample(tmp_path)
    path.write_bytes(gzip.compress(path.read_bytes() * 50)[:-20])
    with pytest.raises(SourceFileError, match=r"log\.csv:\d+: "):
        list(read_file(path, "bpic12", options))


def test_an_unknown_format_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SourceFileError, match='found "xlsx"; jsonl, bpic12, crm, csv are known'):
        read_file(tmp_path, "xlsx")


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SourceFileError, match=r'x\.csv:1: missing column "c", "d"; found "a", "b"'):
        list(read_csv(path, ["a", "c", "d"]))


def test_rows_with_other_fields_are_rejected_and_lines_are_counted_over_breaks(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('a,b\n"1\n1", 2 \n\n3\n4,5,6\n7,8\n')
    found = list(read_csv(path, ["a"]))
    assert [item.line for item in found] == [2, 5, 6, 7]
    assert [type(item).__name__ for item in found] == ["CsvRow", "FileReject", "FileReject", "CsvRow"]
    assert not isinstance(found[0], FileReject)
    assert found[0].fields == {"a": "1\n1", "b": "2"}


def test_a_bad_quote_or_a_giant_field_costs_its_row_only(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('a,b\n1,2\n"1"x,2\n3,4\n' + "y" * 200_000 + ',1\n5,6\n"7,8\n')
    found = list(read_csv(path, ["a"]))
    assert [(item.line, type(item).__name__) for item in found] == [
        (2, "CsvRow"),
        (3, "FileReject"),
        (4, "CsvRow"),
        (5, "FileReject"),
        (6, "CsvRow"),
        (7, "FileReject"),
    ]


@pytest.mark.parametrize("name", ["bpic12", "jsonl"])
def test_a_damaged_gzip_file_is_an_error_with_its_name(tmp_path: Path, name: str) -> None:
    path, options = SAMPLES[name](tmp_path)
    packed = bytearray(gzip.compress(path.read_bytes() * 200))
    packed[20:60] = b"\xff" * 40
    path.write_bytes(packed)
    with pytest.raises(SourceFileError, match=path.name):
        list(read_file(path, name, options))


def test_another_encoding_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("a,b\n1,Zoé\n".encode("cp1252"))
    with pytest.raises(SourceFileError, match=r"x\.csv:1: .*utf-8"):
        list(read_csv(path, ["a"]))
    assert [row.line for row in read_csv(path, ["a"], encoding="cp1252")] == [2]


def test_open_bytes_refuses_a_directory(tmp_path: Path) -> None:
    with pytest.raises(SourceFileError, match="readable file"):
        open_bytes(tmp_path)


@given(st.lists(st.integers(0, 50)), st.integers(1, 7))
def test_sorting_on_disk_equals_sorting_in_memory(times: list[int], chunk: int) -> None:
    items = [Dated(at, line, {"text": f"{line} \n ü"}) for line, at in enumerate(times)]
    assert list(by_time(items, chunk=chunk)) == sorted(items, key=lambda item: item.at)


def test_rejects_pass_the_sort_at_once() -> None:
    reject = FileReject(3, "why")
    assert list(by_time([Dated(2, 1, "b"), reject, Dated(1, 2, "a")])) == [reject, Dated(1, 2, "a"), Dated(2, 1, "b")]


def test_a_format_is_one_function_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A throw-away one, entered where formats are: commands know it, and its events are published."""

    def lines(path: Path, options: ReadOptions) -> Iterator[FileEvent | FileReject]:
        for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
            event = {"specversion": "1.0", "id": text, "source": "files/mine", "type": "lead.created", "subject": text}
            yield FileEvent(number, event | {"time": "2026-01-01T00:00:00Z", "data": {}})

    monkeypatch.setitem(FORMATS, "mine", lines)
    file = tmp_path / "leads.txt"
    file.write_text("L1\nL2\n")
    assert [item.event["subject"] for item in read_file(file, "mine") if isinstance(item, FileEvent)] == ["L1", "L2"]
    for command in ("publish", "replay"):
        result = CliRunner().invoke(app, [command, str(file), "--format", "nothing"])
        assert result.exit_code == 2 and "mine" in result.stderr, command
