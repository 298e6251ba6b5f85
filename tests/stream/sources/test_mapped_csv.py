"""Any CSV file, through a mapping."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.sources.files import FileEvent, FileReject, ReadOptions, SourceFileError, read_file
from stream.sources.files.mapped import SKIPPED

FRENCH: dict[str, Any] = {
    "delimiter": ";",
    "decimal": ",",
    "zone": "Europe/Paris",
    "dates": ["%d/%m/%Y %H:%M", "%d/%m/%Y", "iso"],
    "currency": "EUR",
    "events": [
        {
            "type": {"value": "deal.created"},
            "time": "Ouverte",
            "subject": "Affaire",
            "data": {"amount": "Montant", "owner": "Vendeur", "region": {"value": "FR"}, "expected_close_date": "Visée"},
        },
        {
            "type": {"column": "Statut", "values": {"Gagnée": "deal.won", "Perdue": "deal.lost"}, "otherwise": "skip"},
            "when": {"Fermée": "*"},
            "time": "Fermée",
            "subject": "Affaire",
            "data": {"amount": "Montant", "reason": "Motif"},
        },
    ],
}
HEADER = "Affaire;Ouverte;Fermée;Statut;Montant;Vendeur;Motif;Visée"


def items(tmp_path: Path, *rows: str, header: str = HEADER, **changes: Any) -> list[FileEvent | FileReject]:
    path, mapping = tmp_path / "export.csv", tmp_path / "mapping.yaml"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    mapping.write_text(yaml.safe_dump(FRENCH | changes, allow_unicode=True), encoding="utf-8")
    return list(read_file(path, "csv", ReadOptions(mapping=mapping)))


def test_a_row_may_tell_of_two_events(tmp_path: Path) -> None:
    found = items(tmp_path, "A1;01/03/2026 09:30;02/04/2026;Gagnée;1 234,50;Zoé;sans objet;30/04/2026")
    assert [item.event for item in found if isinstance(item, FileEvent)] == [
        {
            "specversion": "1.0",
            "id": "A1:deal.created:2026-03-01T09:30:00+01:00",
            "source": "/files/csv",
            "type": "deal.created",
            "time": "2026-03-01T09:30:00+01:00",
            "subject": "A1",
            "data": {
                "amount": "1234.50",
                "owner": "Zoé",
                "region": "FR",
                "expected_close_date": "2026-04-30",
                "default_currency": "EUR",
            },
        },
        {
            "specversion": "1.0",
            "id": "A1:deal.won:2026-04-02T00:00:00+02:00",
            "source": "/files/csv",
            "type": "deal.won",
            "time": "2026-04-02T00:00:00+02:00",
            "subject": "A1",
            "data": {"amount": "1234.50", "default_currency": "EUR"},  # a won deal has no reason
        },
    ]


def test_empty_fields_are_left_out_and_skipped_types_give_nothing(tmp_path: Path) -> None:
    (only,) = items(tmp_path, "A1;2026-03-01;02/04/2026;En cours;;;;")
    assert isinstance(only, FileEvent)
    assert only.event["data"] == {"region": "FR"}


def test_a_row_without_events_is_counted(tmp_path: Path) -> None:
    assert items(tmp_path, "A1;;;;;;;", events=FRENCH["events"][1:]) == [FileReject(2, SKIPPED)]


@pytest.mark.parametrize(
    ("text", "amount"),
    [("12", "12"), ("-1.234.567,8", "-1234567.8"), ("1\u202f234,5", "1234.5"), ("1'000", "1000"), ("+7,25", "7.25")],
)
def test_amounts(tmp_path: Path, text: str, amount: str) -> None:
    (only,) = items(tmp_path, f"A1;01/03/2026;;;{text};;;")
    assert isinstance(only, FileEvent)
    assert only.event["data"]["amount"] == amount


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("A1;31/02/2026;;;;;;", "Ouverte: found '31/02/2026', accepted is %d/%m/%Y %H:%M or %d/%m/%Y or ISO 8601"),
        ("A1;01/02/2026;;;12.5;;;", "Montant: found '12.5', accepted is a number with the decimal sign ','"),
        ("A1;01/02/2026;;;NaN;;;", "Montant: found 'NaN'"),
        ("A1;01/02/2026;;;1e400;;;", "Montant: found '1e400'"),
        (";01/02/2026;;;;;;", "Affaire: empty; the subject is needed"),
        ("A1;01/02/2026;;;;;;bientôt", "Visée: found 'bientôt'"),
        ("A1;01/02/2026", "2 fields in the row; the header has 8"),
    ],
)
def test_rows_that_cannot_be_used_say_column_found_and_accepted(tmp_path: Path, row: str, reason: str) -> None:
    (reject,) = items(tmp_path, row)
    assert isinstance(reject, FileReject)
    assert reject.line == 2
    assert reject.reason.startswith(reason)


def test_a_type_that_the_table_lacks_is_refused(tmp_path: Path) -> None:
    event = {"type": {"column": "k", "values": {"W": "deal.won"}}, "time": "t", "subject": "s", "id": "i"}
    found = items(tmp_path, "W;2026-01-01;a;1", "X;2026-01-01;a;2", "W;2026-01-01;a;", header="k;t;s;i", events=[event])
    assert [item.reason for item in found if isinstance(item, FileReject)] == [
        'k: found "X"; W are accepted',
        "i: empty; the event's id is needed",
    ]
    assert [item.event["id"] for item in found if isinstance(item, FileEvent)] == ["1"]


def test_numbers_are_numbers(tmp_path: Path) -> None:
    event = {"type": {"value": "lead.created"}, "time": "t", "subject": "s", "data": {"score": "n"}}
    found = items(tmp_path, "a;2026-01-01;71", "b;2026-01-02;7,5", header="s;t;n", events=[event])
    assert [item.event["data"] for item in found if isinstance(item, FileEvent)] == [{"score": 71}, {"score": 7.5}]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"zone": "Europe/Parris"}, 'zone: found "Europe/Parris"; a time zone'),
        ({"encoding": "utf-9"}, 'encoding: found "utf-9"'),
        ({"currency": "euro"}, "currency: "),
        ({"decimal": ";"}, "decimal: "),
        ({"events": []}, "events: "),
        ({"evnets": []}, "evnets: "),
        ({"events": [{"type": {"value": "deal.wun"}, "time": "t", "subject": "s"}]}, 'found "deal.wun"; skip or an event'),
        ({"events": [{"type": {}, "time": "t", "subject": "s"}]}, "either a column or a value is needed"),
        (
            {"events": [{"type": {"value": "deal.won"}, "time": "t", "subject": "s", "data": {"amont": "a"}}]},
            'events.0: data: found "amont"; account_id, amount',
        ),
    ],
)
def test_a_mapping_is_checked_before_the_first_row(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(SourceFileError) as error:
        items(tmp_path, **changes)
    assert problem in str(error.value)
    assert "mapping.yaml:" in str(error.value)


def test_all_problems_of_a_mapping_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceFileError) as error:
        items(tmp_path, zone="x", currency="x", decimal="x")
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "problem"), [("- a\n", "found list"), ("a: [\n", "not YAML"), (None, "cannot be read: No such file")]
)
def test_what_is_no_mapping_file_is_named(tmp_path: Path, text: str | None, problem: str) -> None:
    mapping = tmp_path / "mapping.yaml"
    if text is not None:
        mapping.write_text(text)
    with pytest.raises(SourceFileError, match=problem):
        list(read_file(tmp_path / "x.csv", "csv", ReadOptions(mapping=mapping)))


def test_the_format_needs_a_mapping(tmp_path: Path) -> None:
    with pytest.raises(SourceFileError, match="--mapping"):
        list(read_file(tmp_path / "x.csv", "csv"))


def test_the_documented_mapping_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")
    (documented,) = [part.split("```")[0] for part in page.split("```yaml\n")[1:]]
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(documented, encoding="utf-8")
    path = tmp_path / "export.csv"
    path.write_text(
        "Deal no.;Opened;Closed;Status;Value;Rep;Phase;Why lost\n"
        "7;01/02/2026 10:00;28/02/2026;Lost;1.000,50;Ann;Z;price\n"
        "8;01/02/2026;;Open;;Ann;P;\n"
    )
    found = [item.event for item in read_file(path, "csv", ReadOptions(mapping=mapping)) if isinstance(item, FileEvent)]
    assert [(event["subject"], event["type"], event["data"].get("stage")) for event in found] == [
        ("8", "deal.created", "proposal"),
        ("7", "deal.created", "other"),
        ("7", "deal.lost", None),
    ]


def test_when_takes_a_value_a_list_or_nothing(tmp_path: Path) -> None:
    def event(kind: str, when: dict[str, Any]) -> dict[str, Any]:
        return {"type": {"value": kind}, "when": when, "time": "t", "subject": "s"}

    events = [event("deal.won", {"k": "W"}), event("deal.lost", {"k": ["L", "X"]}), event("deal.updated", {"k": ""})]
    found = items(tmp_path, "2026-01-01;a;W", "2026-01-02;b;X", "2026-01-03;c;", header="t;s;k", events=events)
    assert [item.event["type"] for item in found if isinstance(item, FileEvent)] == ["deal.won", "deal.lost", "deal.updated"]


def test_times_of_tickets_keep_their_offset(tmp_path: Path) -> None:
    event = {"type": {"value": "customer.supported"}, "time": "t", "subject": "s", "data": {"opened_at": "o"}}
    (only,) = items(tmp_path, "a;2026-01-02T10:00:00Z;02/01/2026 09:30", header="s;t;o", events=[event])
    assert isinstance(only, FileEvent)
    assert only.event["data"] == {"opened_at": "2026-01-02T09:30:00+01:00"}
