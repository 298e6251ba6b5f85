"""What do exports that people really have look like, and what is said of those that cannot be used?"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import orjson
import pytest
from typer.testing import CliRunner

from stream.engine.publisher import Publisher
from stream.sources.backfill import EXPORTS, BackfillTally, FoundEvent, Options, Reject, ordered
from stream.sources.backfill.base import ExportPlace, Pieces
from stream.sources.backfill.cells import CsvCells, Moment
from stream.sources.crm import parse_settings
from stream.sources.files import SourceFileError
from tests.stream.sources.backfill.worlds import utc
from vigie.__main__ import app
from vigie.backfill_report import BackfillReport

NOW = 1_800_000_000_000


def read(
    kind: str, *files: Path, settings: dict[str, Any] | None = None, **more: Any
) -> tuple[list[dict[str, Any]], list[Reject]]:
    adapter, reader = EXPORTS[kind]
    options = Options(settings=parse_settings(adapter, {"currency": "EUR"} | (settings or {})), now=NOW, **more)
    tally = BackfillTally()
    found = list(ordered(reader(list(files), options, tally), list(files), options, tally))
    return [one.event for one in found if isinstance(one, FoundEvent)], [one for one in found if isinstance(one, Reject)]


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def told(events: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(event["type"], event["time"], event["data"]) for event in events]


HEAD = "Record ID,Deal Stage,Amount,Close Date,Create Date,Last Modified Date\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_every_usual_form_of_csv_is_read(encoding: str, delimiter: str, tmp_path: Path) -> None:
    text = "Record ID,Deal Name,Deal owner,Deal Stage,Amount,Create Date,Last Modified Date\r\n"
    text += '7,"a ""b""\r\nc, d; e",Zoé,x,"1",2026-03-01,2026-03-02\r\n'
    rows = text.replace(",", delimiter).replace(f"c{delimiter} d", "c, d")
    events, rejects = read("hubspot", write(tmp_path / "f.csv", rows.encode(encoding)))
    assert not rejects
    assert told(events)[-1] == (
        "deal.updated",
        "2026-03-02T23:59:59.999Z",
        {"amount": "1", "default_currency": "EUR", "owner": "Zoé", "name": 'a "b" c, d; e'},
    )


@pytest.mark.parametrize(
    ("text", "decimal", "expected"),
    [
        ("1250.5", ".", "1250.5"),
        ("1,250.50", ".", "1250.50"),
        ("1 250,50", ",", "1250.50"),
        ("1\u202f250,50 €", ",", "1250.50"),
        ("1.250,50", ",", "1250.50"),
        ("€1,250", ".", "1250"),
        ("EUR 12", ".", "12"),
        ("1,5", ".", None),
        ("12.5", ",", None),
        ("a lot", ".", None),
        ("1250.5 €/month", ".", None),
    ],
)
def test_numbers_are_read_or_refused_never_guessed(text: str, decimal: str, expected: str | None, tmp_path: Path) -> None:
    row = f'1,open,"{text}",,2026-03-01 10:00,2026-03-01 10:00\n'
    events, rejects = read("hubspot", write(tmp_path / "f.csv", HEAD + row), decimal=decimal)
    if expected is None:
        assert [reject.reason for reject in rejects] == [
            f"Amount: found {text!r}, accepted is a number with the decimal sign {decimal!r} (--decimal)"
        ]
        assert (rejects[0].file.name, rejects[0].line) == ("f.csv", 2)
        assert not events
    else:
        assert events[-1]["data"]["amount"] == expected


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-03-29", "2026-03-28T23:00:00.000", "2026-03-29T21:59:59.999"),  # a day of 23 hours
        ("2026-03-01 10:00", "2026-03-01T09:00:00.000", "2026-03-01T09:00:59.999"),
        ("2026-03-01 10:00:07", "2026-03-01T09:00:07.000", "2026-03-01T09:00:07.999"),
        ("2026-03-01T10:00:07Z", "2026-03-01T10:00:07.000", "2026-03-01T10:00:07.999"),
        ("2026-03-01T10:00:07.000Z", "2026-03-01T10:00:07.000", "2026-03-01T10:00:07.999"),
        ("2026-03-01T10:00:07.250Z", "2026-03-01T10:00:07.250", "2026-03-01T10:00:07.250"),
        ("01/03/2026 10:00", "2026-03-01T09:00:00.000", "2026-03-01T09:00:59.999"),
    ],
)
def test_a_moment_is_as_exact_as_it_is_said(text: str, first: str, last: str) -> None:
    options = Options(
        settings=parse_settings("hubspot", {}), now=NOW, zone=ZoneInfo("Europe/Paris"), dates=("iso", "%d/%m/%Y %H:%M")
    )
    found = CsvCells(options).moment(text, "c")
    assert found is not None
    assert [_utc(at) for at in found] == [first, last]
    assert isinstance(found, Moment)


def _utc(at: int) -> str:
    return utc(at, "%Y-%m-%dT%H:%M:%S.%f")[:-3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ':1: no column for id: accepted are "Record ID"'),
        ("Name,Amount\nx,1\n", 'or --map id=COLUMN; found "Name", "Amount"'),
        ("Record ID,Create Date,Last Modified Date\n1,2026-03-01,2026-03-01\n", "nothing shows what the records are"),
        (
            HEAD.replace("Amount", "Amount,Amount") + "1,x,1,2,,2026-03-01,2026-03-01\n",
            "'Amount' (amount) is there more than once",
        ),
        ("{\n 'a': 1\n}", "f.csv: not JSON"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_what_is_needed(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceFileError) as error:
        read("hubspot", write(tmp_path / "f.csv", text))
    assert said in str(error.value)


def test_a_bad_part_costs_itself_only_and_is_named(tmp_path: Path) -> None:
    rows = [
        "1,open,5,,2026-03-01 10:00,2026-03-01 10:00",
        "2,open,5,,yesterday,2026-03-01 10:00",
        "3,open,5,,,2026-03-01 10:00",
        "4,open,5",
        ",open,5,,2026-03-01 10:00,2026-03-01 10:00",
        "6,open,5,,1926-03-01 10:00,2026-03-01 10:00",
    ]
    events, rejects = read("hubspot", write(tmp_path / "f.csv", HEAD + "\n".join(rows) + "\n"))
    assert {event["subject"] for event in events} == {"1"}
    assert [(reject.line, reject.reason.partition(":")[0]) for reject in rejects if reject.line != 7] == [
        (3, "Create Date"),
        (4, "Create Date"),
        (5, "3 fields in the row; the header has 6"),
        (6, "Record ID"),
    ]
    assert "1926" in str([reject.reason for reject in rejects if reject.line == 7])


def test_json_says_what_is_wrong_with_which_record(tmp_path: Path) -> None:
    lines = [
        {"id": "1", "createdAt": "2026-03-01T10:00:00Z", "updatedAt": "2026-03-02T10:00:00Z", "properties": {"dealstage": "x"}},
        {"id": None, "properties": {"dealstage": "x"}},
        {"id": "3", "properties": []},
        {"id": "4", "createdAt": "2026-03-01T10:00:00Z", "propertiesWithHistory": {"amount": [{"value": "1"}], "dealstage": []}},
        {"id": "5", "properties": {"unknown": 1}},
    ]
    text = "\n".join([json.dumps(line) for line in lines] + ["{", "[1]", ""])
    events, rejects = read("hubspot", write(tmp_path / "f.jsonl", text))
    assert [event["type"] for event in events if event["subject"] == "1"] == ["deal.created", "deal.stage_changed"]
    assert [reject.line for reject in rejects] == [2, 3, 4, 5, 6, 7]
    assert "timestamp" in rejects[2].reason and "--object deals" in rejects[3].reason and "found int" in rejects[5].reason


def test_hubspot_contacts_deletions_and_merges(tmp_path: Path) -> None:
    contact = {
        "id": "9",
        "createdAt": "2026-03-01T10:00:00.100Z",
        "archived": True,
        "archivedAt": "2026-05-01T00:00:00Z",
        "properties": {},
        "propertiesWithHistory": {
            "lifecyclestage": [
                {"value": "customer", "timestamp": "2026-04-01T10:00:00Z"},
                {"value": "marketingqualifiedlead", "timestamp": "2026-03-02T10:00:00Z"},
                {"value": "subscriber", "timestamp": "2026-03-01T10:00:00Z"},
            ],
            "email": [{"value": "Ann@example.com", "timestamp": "2026-03-01T10:00:00Z"}],
            "hs_merged_object_ids": [{"value": "4;5", "timestamp": "2026-03-03T10:00:00Z"}],
            "something_else": [{"value": "x", "timestamp": "2026-03-03T10:00:00Z"}],
        },
    }
    events, rejects = read("hubspot", write(tmp_path / "c.json", json.dumps({"results": [contact]})))
    assert not rejects
    assert [(event["type"], event["subject"], event["time"]) for event in events] == [
        ("lead.updated", "9", "2026-03-01T10:00:00Z"),
        ("lead.created", "9", "2026-03-02T10:00:00Z"),
        ("lead.qualified", "9", "2026-03-02T10:00:00Z"),
        ("lead.merged", "4", "2026-03-03T10:00:00Z"),
        ("lead.merged", "5", "2026-03-03T10:00:00Z"),
        ("lead.converted", "9", "2026-04-01T10:00:00Z"),
        ("lead.deleted", "9", "2026-05-01T00:00:00Z"),
    ]
    assert "ann@example.com" not in json.dumps(events).lower(), "addresses do not go on, not in ids either"


def test_salesforce_leads_with_and_without_their_history(tmp_path: Path) -> None:
    names = "Id,IsDeleted,Status,IsConverted,ConvertedDate,ConvertedOpportunityId,OwnerId,CreatedDate,LastModifiedDate"
    rows = [
        "00Q000000000001EAA,false,Closed - Converted,true,2026-03-10,006A,005A,2026-03-01 10:00:00,2026-03-10 12:00:00",
        "00Q000000000002EAA,false,Working - Contacted,false,,,005A,2026-03-01T10:00:00.000Z,2026-03-04T09:00:00.000Z",
        "00Q000000000003EAA,true,Open,false,,,005A,2026-03-01T10:00:00.000Z,2026-03-04T09:00:00.000Z",
    ]
    lead = "\n".join('"' + line.replace(",", '","') + '"' for line in (names, *rows)) + "\n"
    history = (
        "Id,LeadId,Field,OldValue,NewValue,CreatedDate\n"
        "017A,00Q000000000001EAA,Status,Open,Working - Contacted,2026-03-02T10:00:00.000Z\n"
        "017B,00Q000000000001EAA,leadConverted,,,2026-03-10T11:30:00.000Z\n"
    )
    files = write(tmp_path / "Lead.csv", lead), write(tmp_path / "LeadHistory.csv", history)
    events, rejects = read("salesforce-csv", *files)
    assert not rejects
    kinds = [(event["subject"][14], event["type"].partition(".")[2], event["time"]) for event in events]
    assert [one for one in kinds if one[0] == "1" and one[1] != "updated"] == [
        ("1", "created", "2026-03-01T10:00:00Z"),
        ("1", "contacted", "2026-03-02T10:00:00Z"),
        ("1", "converted", "2026-03-10T11:30:00Z"),
    ]
    assert ("2", "contacted", "2026-03-04T09:00:00.999Z") in kinds
    assert ("3", "deleted", "2026-03-04T09:00:00.999Z") in kinds
    events, rejects = read("salesforce-csv", files[0], zone=ZoneInfo("UTC"))
    converted = [event for event in events if event["type"] == "lead.converted"]
    assert [event["time"] for event in converted] == ["2026-03-10T12:00:00.999Z"], "not after it was seen"
    assert converted[0]["data"] == {"deal_id": "006A"}


def test_what_belongs_to_nothing_is_said(tmp_path: Path) -> None:
    history = "Id,OpportunityId,StageName,CreatedDate\n008A,006000000000001AAA,Open,2026-03-01T10:00:00.000Z\n"
    _, rejects = read("salesforce-csv", write(tmp_path / "OpportunityHistory.csv", history))
    assert rejects[0].reason == "006000000000001AAA: its history is there, it is not (accepted: with Opportunity.csv, Lead.csv)"
    change = {"object": "dealChange", "data": {"item_id": 5, "field_key": "value", "log_time": "2026-03-01 10:00:00"}}
    _, rejects = read("pipedrive", write(tmp_path / "flow.json", json.dumps({"data": [change, {"id": 1, "x": 1}]})))
    assert [reject.reason for reject in rejects] == [
        "'1': accepted are deals, persons, leads, activities and items of /flow",
        "deal 5: its change log is there, it is not (accepted: with /v1/deals of it)",
    ]


def test_pieces_come_together_in_the_order_of_the_files() -> None:
    with Pieces() as pieces:
        for number, (id, kind) in enumerate([("b", "x"), ("a", "x"), ("b", "y"), ("b", "x")]):
            pieces.add(id, kind, ExportPlace(0, number), {"n": number})
        assert [
            (id, {kind: [part["n"] for _, part in found] for kind, found in parts.items()}) for id, parts in pieces.together()
        ] == [
            ("a", {"x": [1]}),
            ("b", {"x": [0, 3], "y": [2]}),
        ]


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "vigie.yaml", "business: {currency: EUR}\n")
    rows = "7,Gewonnen,12,2026-03-05 10:00,2026-03-01 10:00,2026-03-06 10:00\n"
    write(tmp_path / "f.csv", "Nr,Phase,Deal value,Zu,Neu,Stand\n" + rows)


MAPPED = ["--map", "id=Nr", "--map", "dealstage=Phase", "--map", "amount=Deal value", "--map", "closedate=Zu"]
MAPPED += ["--map", "created=Neu", "--map", "modified=Stand"]


@pytest.mark.usefixtures("_alone")
def test_columns_of_any_language_are_mapped_and_the_report_counts(tmp_path: Path) -> None:
    write(
        tmp_path / "vigie.yaml", 'sources: {crm: {adapter: hubspot, currency: EUR, stages: {"9": {name: Gewonnen, kind: won}}}}\n'
    )
    given = [
        "backfill",
        "hubspot",
        "f.csv",
        *MAPPED,
        "--source",
        "crm",
        "--timezone",
        "Europe/Berlin",
        "--out",
        "out.jsonl",
        "--json",
    ]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    report = orjson.loads(result.stdout)
    assert report["types"] == {"deal.created": 1, "deal.updated": 1, "deal.won": 1}
    events = [orjson.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert [event["time"] for event in events] == ["2026-03-01T09:00:00Z", "2026-03-05T09:00:59.999Z", "2026-03-06T09:00:59.999Z"]
    assert events[1]["data"] == {"stage": "Gewonnen"} and events[2]["data"]["amount"] == "12"
    result = CliRunner().invoke(app, [*given, "--before", "2026-03-05T00:00:00Z", "--skip", "1"])
    report = orjson.loads(result.stdout)
    assert (report["events"], report["left_out"], report["skipped"]) == (0, 2, 1)


@pytest.mark.usefixtures("_alone")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["sugar", "f.csv"], 2, "found 'sugar' (accepted: hubspot, pipedrive, salesforce-csv)"),
        (["hubspot", "f.csv", "--map", "amount"], 2, "--map: found 'amount'"),
        (["hubspot", "f.csv", "--map", "price=Deal value", "--dry-run"], 1, "--map price: accepted are id, created"),
        (["hubspot", "f.csv", "--map", "amount=Value", "--dry-run"], 1, "no column 'Value'; found \"Nr\""),
        (["hubspot", "f.csv", "--timezone", "Mars/Base", "--dry-run"], 2, "--timezone: found 'Mars/Base'"),
        (["hubspot", "f.csv", "--decimal", ";", "--dry-run"], 2, "--decimal"),
        (["hubspot", "f.csv", "--delimiter", ";;", "--dry-run"], 2, "--delimiter"),
        (["hubspot", "f.csv", "--before", "soon", "--dry-run"], 2, "--before"),
        (["hubspot", "f.csv", "--currency", "euros", "--dry-run"], 2, "currency"),
        (["hubspot", "f.csv", *MAPPED, "--object", "cows", "--dry-run"], 1, "--object: found 'cows'"),
        (["hubspot", "f.csv", "--url", "nowhere"], 2, "--url: found 'nowhere'"),
        (["hubspot", "nothing.csv"], 2, "does not exist"),
        (["hubspot", "f.csv", *MAPPED, "--encoding", "klingon", "--dry-run"], 1, "klingon"),
    ],
)
def test_wrong_usage_is_named(arguments: list[str], code: int, said: str) -> None:
    result = CliRunner().invoke(app, ["backfill", *arguments])
    assert result.exit_code == code, result.output
    assert said in result.output.replace("\n", " ").replace("│", "")


class Acknowledging:
    """A publisher whose broker has everything at once."""

    def __init__(self) -> None:
        self.acknowledged = self.failed = 0
        self.errors: list[str] = []
        self.subjects: list[str] = []

    def publish(self, value: bytes) -> None:
        self.subjects.append(orjson.loads(value)["subject"])
        self.acknowledged += 1

    def poll(self) -> None:
        """Nothing is under way."""

    def flush(self) -> int:
        return 0


def test_an_interrupted_run_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def found(until: int) -> Iterator[FoundEvent | Reject]:
        for number in range(until):
            event = {"type": "deal.won", "subject": str(number), "time": "2026-03-01T10:00:00Z"}
            yield FoundEvent(Path("f.json"), number + 1, event)
            if number == 4 and until == 5:
                raise KeyboardInterrupt

    first, rest = Acknowledging(), Acknowledging()
    report = BackfillReport(BackfillTally(), 0)
    report.run(found(5), cast(Publisher, first), None)
    report.show(True, [])
    assert report.code == 130
    assert "to go on: the same command with --skip 5" in capsys.readouterr().err
    report = BackfillReport(BackfillTally(), 5)
    report.run(found(9), cast(Publisher, rest), None)
    assert report.code == 0
    assert first.subjects + rest.subjects == [str(number) for number in range(9)]
