"""Are the words, names and ids of real exports understood, or refused by name?"""

import json
from collections import Counter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from typer.testing import CliRunner

from stream.sources.backfill import EXPORTS, BackfillTally, FoundEvent, Options, Reject, load, ordered
from stream.sources.backfill.names import ExportNames
from stream.sources.crm import parse_settings
from stream.sources.crm.base import Unusable
from stream.sources.crm.lookup import is_set
from stream.sources.crm.values import yes
from stream.sources.crm.words import flag, lead_status, lifecycle, outcome
from stream.sources.files import SourceFileError
from tests.stream.sources.backfill.test_exports import write
from vigie.__main__ import app

NOW = 1_800_000_000_000


def read(
    kind: str, *files: Path, settings: dict[str, Any] | None = None, **more: Any
) -> tuple[list[dict[str, Any]], list[Reject], BackfillTally]:
    adapter, reader = EXPORTS[kind]
    options = Options(settings=parse_settings(adapter, {"currency": "EUR"} | (settings or {})), now=NOW, **more)
    tally = BackfillTally()
    found = list(ordered(reader(list(files), options, tally), list(files), options, tally))
    events = [one.event for one in found if isinstance(one, FoundEvent)]
    return events, [one for one in found if isinstance(one, Reject)], tally


def closes(events: list[dict[str, Any]]) -> dict[str, str]:
    """Return how each deal ended."""
    return {event["subject"]: event["type"][5:] for event in events if event["type"] in ("deal.won", "deal.lost")}


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Closed Won", "won"), ("Closed won", "won"), ("CLOSED WON", "won"), (" closed  won ", "won"),
        ("Closed - Won", "won"), ("Won", "won"), ("Gagnée", "won"), ("Gagné", "won"), ("GAGNÉE", "won"),
        ("Fermé gagné", "won"), ("Affaire conclue - gagnée", "won"), ("Gewonnen", "won"),
        ("Abgeschlossen (gewonnen)", "won"), ("Geschlossen und gewonnen", "won"), ("Ganado", "won"),
        ("Cierre ganado", "won"), ("Ganho", "won"), ("Negócio ganho", "won"), ("Vinto", "won"), ("Chiusa vinta", "won"),
        ("Gesloten gewonnen", "won"), ("Closed lost", "lost"), ("Perdue", "lost"), ("Fermé perdu", "lost"),
        ("Verloren", "lost"), ("Perdido", "lost"), ("Perso", "lost"), ("Affare perso", "lost"), ("open", "open"),
        ("En cours", "open"), ("Offen", "open"), ("In Bearbeitung", "open"), ("Abierto", "open"), ("Em aberto", "open"),
        ("Em andamento", "open"), ("In corso", "open"), ("In behandeling", "open"), ("Supprimée", "deleted"),
        ("gelöscht", "deleted"), ("Won back", None), ("Almost won", None), ("not lost", None), ("Won or lost", None),
        ("Closed", None), ("", None), ("—", None),
    ],
)  # fmt: skip
def test_how_a_deal_ended_is_known_in_seven_languages_or_not_at_all(label: str, expected: str | None) -> None:
    assert outcome(label) == expected


@pytest.mark.parametrize(
    ("label", "status", "stage"),
    [
        ("In progress", "IN_PROGRESS", None), ("IN_PROGRESS", "IN_PROGRESS", None), ("En cours", "IN_PROGRESS", None),
        ("Connecté", "CONNECTED", None), ("Unqualified", "UNQUALIFIED", None), ("Nicht qualifiziert", "UNQUALIFIED", None),
        ("Attempted to contact", "ATTEMPTED_TO_CONTACT", None), ("Open deal", "OPEN_DEAL", None), ("New", "NEW", None),
        ("Marketing qualified lead", None, "marketingqualifiedlead"), ("marketingqualifiedlead", None, "marketingqualifiedlead"),
        ("Lead qualifié pour le marketing", None, "marketingqualifiedlead"), ("Sales Qualified Lead", None, "salesqualifiedlead"),
        ("Lead qualifié pour les ventes", None, "salesqualifiedlead"), ("Customer", None, "customer"),
        ("Kunde", None, "customer"), ("Abonné", None, "subscriber"), ("Opportunité", None, "opportunity"),
        ("Nurture", None, None),
    ],
)  # fmt: skip
def test_steps_of_leads_by_their_labels(label: str, status: str | None, stage: str | None) -> None:
    assert (lead_status(label), lifecycle(label)) == (status, stage)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True), ("VRAI", True), ("Ja", True), ("1", True), ("Sí", True), ("FAUX", False), ("0", False), ("", False),
        ("maybe", None), ("2", None),
    ],
)  # fmt: skip
def test_a_yes_or_no_is_one_of_both(text: str, expected: bool | None) -> None:
    assert flag(text) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (1, True),
        (1.0, True),
        ("VRAI", True),
        (None, False),
        (0, False),
        ("", False),
        (2, None),
        (0.5, None),
        ("??", None),
        ([], None),
    ],
)
def test_flags_of_webhooks_are_read_as_those_of_exports(value: object, expected: bool | None) -> None:
    assert flag(value) is expected and yes(value) is (expected is True)
    if expected is None:
        with pytest.raises(Unusable, match=r"f: found .*, accepted is true or false"):
            is_set(value, "f")
    else:
        assert is_set(value, "f") is expected


# -- HubSpot ----------------------------------------------------------------------------------------------------------

DEALS = "Record ID,Deal Stage,Pipeline,Amount,Deal owner,Create Date,Close Date,Last Modified Date\n"


def deal(id: int, stage: str, pipeline: str = "Sales Pipeline", owner: str = "Ann Lee") -> str:
    return f"{id},{stage},{pipeline},5,{owner},2026-01-06 09:00,2026-02-02 10:00,2026-02-02 10:00\n"


@pytest.mark.parametrize(
    "label", ["Closed won", "Closed Won (Sales Pipeline)", "CLOSED WON", "closedwon", "Fermé gagné", "Gewonnen"]
)
def test_a_label_of_a_closed_stage_is_a_close_however_it_is_written(label: str, tmp_path: Path) -> None:
    events, rejects, tally = read("hubspot", write(tmp_path / "d.csv", DEALS + deal(1, label) + deal(2, "Proposal")))
    assert not rejects
    assert closes(events) == {"1": "won"}
    assert tally.unmapped == {("stage", "Proposal"): 1}


def test_the_settings_names_hold_in_any_case_and_with_the_pipeline_behind(tmp_path: Path) -> None:
    settings = {"stages": {"77": {"name": "Signed off", "kind": "won"}, "78": {"name": "Gone", "kind": "lost"}}}
    text = DEALS + deal(1, "signed off (Renewals)", "Renewals") + deal(2, "GONE", "Renewals") + deal(3, "Signed  Off")
    events, _, tally = read("hubspot", write(tmp_path / "d.csv", text), settings=settings)
    assert closes(events) == {"1": "won", "2": "lost", "3": "won"}
    assert {event["data"]["stage"] for event in events if event["type"] == "deal.won"} == {"Signed off"}
    assert not tally.unmapped


PIPELINES = {
    "results": [
        {"id": "default", "label": "Sales Pipeline", "stages": [
            {"id": "closedwon", "label": "Closed Won", "metadata": {"isClosed": "true", "probability": "1.0"}},
            {"id": "s1", "label": "Signature", "metadata": {"isClosed": "false", "probability": "0.9"}}]},
        {"id": "55", "label": "Renewals", "stages": [
            {"id": "901", "label": "Signature", "metadata": {"isClosed": "true", "probability": "1.0"}},
            {"id": "902", "label": "Churned", "metadata": {"isClosed": "true", "probability": "0.0"}}]},
    ]
}  # fmt: skip
OWNERS = {"results": [{"id": "184", "email": "ann@x.example", "firstName": "Ann", "lastName": "Lee", "userId": 9}]}


def test_the_crms_own_lists_say_which_stage_pipeline_and_owner_a_name_is(tmp_path: Path) -> None:
    lists = load([write(tmp_path / "p.json", json.dumps(PIPELINES)), write(tmp_path / "o.json", json.dumps(OWNERS))])
    rows = [deal(1, "Signature"), deal(2, "Signature", "Renewals"), deal(3, "churned (Renewals)", "renewals", "ann@x.example")]
    events, _, tally = read("hubspot", write(tmp_path / "d.csv", DEALS + "".join(rows)), lists=lists)
    assert closes(events) == {"2": "won", "3": "lost"}
    assert not tally.unmapped
    stages = {event["subject"]: event["data"]["stage"] for event in events if "stage" in event["data"]}
    assert stages == {"1": "s1", "2": "901", "3": "902"}
    known = {(event["data"].get("owner"), event["data"].get("pipeline")) for event in events if event["type"] == "deal.updated"}
    assert known == {("184", "default"), ("184", "55")}
    # What the settings call them stands, as for webhooks.
    settings = {"owners": {"184": "ann"}, "pipelines": {"55": "renewals"}, "stages": {"901": {"name": "Signed"}}}
    events, _, _ = read("hubspot", tmp_path / "d.csv", lists=lists, settings=settings)
    data: dict[str, Any] = {}
    for event in events:
        if event["subject"] == "2":
            data |= event["data"]
    assert (data["owner"], data["pipeline"], data["stage"]) == ("ann", "renewals", "Signed")


def test_a_name_that_two_have_is_neither(tmp_path: Path) -> None:
    people = {
        "data": [{"id": 1, "name": "Ann Lee", "email": "a@x.example"}, {"id": 2, "name": "Ann Lee", "email": "b@x.example"}]
    }
    names = ExportNames(parse_settings("pipedrive", {}), load([write(tmp_path / "u.json", json.dumps(people))]))
    assert [names.owner(name) for name in ("Ann Lee", "B@x.example")] == ["Ann Lee", "2"]


@pytest.mark.parametrize("text", ['{"results": [{"x": 1}]}', "a,b\n1,2\n", '[{"id": "1", "stages": [1]}]', "[1]"])
def test_what_is_none_of_the_crms_lists_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(SourceFileError, match=r"n\.json:\d: found no pipeline, stage, owner or user"):
        load([write(tmp_path / "n.json", text)])


def test_ids_of_stages_that_nobody_knows_are_said_for_json_too(tmp_path: Path) -> None:
    record: dict[str, Any] = {"id": "1", "createdAt": "2026-03-01T10:00:00Z", "updatedAt": "2026-03-02T10:00:00Z"}
    record |= {"properties": {"dealstage": "139921"}}
    lines = [record, record | {"id": "2", "properties": {"dealstage": "139921", "hs_is_closed_won": "true"}}]
    events, _, tally = read("hubspot", write(tmp_path / "d.jsonl", "\n".join(map(json.dumps, lines))))
    assert closes(events) == {"2": "won"}
    assert tally.unmapped == {("stage", "139921"): 1}


def test_lead_statuses_and_life_cycle_stages_by_their_labels(tmp_path: Path) -> None:
    text = "Record ID,Email,Lifecycle Stage,Lead Status,Create Date,Last Modified Date\n"
    rows = [("Lead", "In progress"), ("Marketing qualified lead", "New"), ("Customer", ""), ("", "unqualified"), ("Fan", "Cold")]
    for number, (stage, status) in enumerate(rows, 1):
        text += f"{number},a@x.example,{stage},{status},2026-01-06 09:00,2026-02-02 10:00\n"
    events, rejects, tally = read("hubspot", write(tmp_path / "c.csv", text))
    assert not rejects
    steps = [(event["subject"], event["type"][5:]) for event in events if event["type"] not in ("lead.created", "lead.updated")]
    assert steps == [("1", "contacted"), ("2", "qualified"), ("3", "converted"), ("4", "disqualified")]
    assert tally.unmapped == {("life-cycle stage", "Fan"): 1, ("lead status", "Cold"): 1}


@pytest.mark.parametrize("label", ["Datensatz-ID;Deal-Phase;Erstellungsdatum;Datum der letzten Änderung;Betrag"])
def test_columns_in_other_languages(label: str, tmp_path: Path) -> None:
    text = f"{label}\n7;Abgeschlossen (gewonnen);2026-03-01 10:00;2026-03-02 10:00;1.234,50 €\n"
    events, rejects, _ = read("hubspot", write(tmp_path / "d.csv", text), settings={"currency": "USD"})
    assert not rejects and closes(events) == {"7": "won"}
    (amount,) = [event["data"] for event in events if "amount" in event["data"]]
    assert amount == {"amount": "1234.50", "currency": "EUR"}, "what the cell says, before the default"


@pytest.mark.parametrize(
    ("flag_", "expected"), [("VRAI", "won"), ("true", "won"), ("false", None), ("perhaps", "Is Closed Won: found 'perhaps'")]
)
def test_a_flag_is_a_yes_or_a_no(flag_: str, expected: str | None, tmp_path: Path) -> None:
    head = DEALS.replace("Amount", "Is Closed Won")
    events, rejects, _ = read("hubspot", write(tmp_path / "d.csv", head + deal(1, "x").replace(",5,", f",{flag_},")))
    if expected in ("won", None):
        assert closes(events).get("1") == expected
    else:
        assert expected is not None and rejects[0].reason.startswith(expected)
        assert not events


# -- Pipedrive --------------------------------------------------------------------------------------------------------

FRENCH = (
    "Affaire - ID,Affaire - Titre,Affaire - Valeur,Affaire - Devise de Valeur,Affaire - Statut,Affaire - Étape,"
    "Affaire - Propriétaire,Affaire - Affaire créée,Affaire - Heure de la conclusion,Affaire - Heure de l'échec\n"
)


@pytest.mark.parametrize(
    ("won", "lost", "open_"),
    [
        ("Gagnée", "Perdue", "En cours"),
        ("gewonnen", "verloren", "offen"),
        ("Ganho", "Perdido", "Aberto"),
        ("WON", "Lost", "Open"),
    ],
)
def test_a_french_export_of_pipedrive_is_read_as_it_comes(won: str, lost: str, open_: str, tmp_path: Path) -> None:
    text = FRENCH
    text += f'1,Alpha,"1 000,50",EUR,{won},N,Ann,2026-01-05 09:00:00,2026-02-01 10:00:00,\n'
    text += f"2,Beta,500,EUR,{lost},N,Ann,2026-01-06 09:00:00,,2026-02-03 11:00:00\n"
    text += f"3,Gamma,700,EUR,{open_},C,Ann,2026-01-07 09:00:00,,\n"
    events, rejects, _ = read("pipedrive", write(tmp_path / "a.csv", text))
    assert not rejects
    assert [
        (event["subject"], event["type"], event["time"]) for event in events if event["type"] in ("deal.won", "deal.lost")
    ] == [
        ("1", "deal.won", "2026-02-01T10:00:00Z"),
        ("2", "deal.lost", "2026-02-03T11:00:00Z"),
    ]
    amounts = {event["subject"]: event["data"]["amount"] for event in events if "amount" in event["data"]}
    assert amounts == {"1": "1000.50", "2": "500", "3": "700"}


def test_a_status_that_no_language_has_is_a_reject_with_the_word_and_those_accepted(tmp_path: Path) -> None:
    text = FRENCH + "1,Alpha,5,EUR,Signée,N,Ann,2026-01-05 09:00:00,,\n2,Beta,5,EUR,Gagnée,N,Ann,2026-01-05 09:00:00,,\n"
    events, rejects, _ = read("pipedrive", write(tmp_path / "a.csv", text))
    assert {event["subject"] for event in events} == {"2"}
    (reject,) = rejects
    assert reject.reason.startswith("Affaire - Statut: found 'Signée', accepted are open, won, lost, deleted")
    record = {"id": 1, "stage_id": 1, "status": "signed", "add_time": "2026-01-05 09:00:00"}
    _, rejects, _ = read("pipedrive", write(tmp_path / "d.json", json.dumps({"data": [record]})))
    assert rejects[0].reason.startswith("status: found 'signed', accepted are open")


def test_a_deal_without_changes_is_told_from_an_export_without_flows(tmp_path: Path) -> None:
    deals = [{"id": n, "stage_id": 1, "status": "open", "add_time": "2026-01-05 09:00:00"} for n in (1, 2)]
    change = {"item_id": 1, "field_key": "stage_id", "log_time": "2026-01-06 09:00:00", "old_value": "2", "new_value": "1"}
    files = [write(tmp_path / "d.json", json.dumps({"data": deals}))]
    _, _, tally = read("pipedrive", *files)
    assert [note.partition(":")[0] for note in tally.notes] == ["deals without their /flow"]
    files.append(write(tmp_path / "f.json", json.dumps({"data": [{"object": "dealChange", "data": change}]})))
    _, _, tally = read("pipedrive", *files)
    assert [note.partition(":")[0] for note in tally.notes] == ["1 deals that no /flow has a change of"]


# -- Salesforce -------------------------------------------------------------------------------------------------------

REPORT = (
    '"Opportunity Owner","Opportunity ID","Opportunity Name","Stage","Amount Currency","Amount","Close Date","Created Date"\n'
    '"Ann Lee","0065e00000Gx7Q0","Chairs","Closed Won","EUR","EUR 1.250,50","2026-02-02","2026-01-05"\n'
    '"Ann Lee","0065e00000Gx7q0","Desks","Fermé perdu","EUR","12","2026-02-03","2026-01-06"\n'
    '"Bob Ray","0065e00000Gx8Q0","Lamps","Negotiation","USD","7","2026-12-03","2026-01-07"\n'
    '\n\n"Open Opportunities"\n"Copyright (c) 2000-2026 salesforce.com, inc. All rights reserved."\n'
    '"Confidential Information - Do Not Distribute"\n"Generated By:  Ann Lee  2026-06-01 09:00"\n"Acme"\n'
)


@pytest.mark.parametrize("above", ["", '"Open Opportunities"\n"As of 2026-06-01 09:00"\n\n"Filtered By"\n'])
def test_a_report_of_salesforce_is_read_with_what_stands_above_and_below(above: str, tmp_path: Path) -> None:
    events, rejects, tally = read("salesforce-csv", write(tmp_path / "report.csv", above + REPORT))
    assert not rejects
    assert closes(events) == {"0065e00000Gx7Q0AAJ": "won", "0065e00000Gx7q0AAB": "lost"}, "as webhooks have them, by case"
    assert {event["subject"][:15]: event["time"] for event in events if event["type"] in ("deal.won", "deal.lost")} == {
        "0065e00000Gx7Q0": "2026-02-02T23:59:59.999Z",
        "0065e00000Gx7q0": "2026-02-03T23:59:59.999Z",
    }
    amounts = {e["subject"][:15]: (e["data"]["amount"], e["data"]["currency"]) for e in events if "amount" in e["data"]}
    assert amounts == {"0065e00000Gx7Q0": ("1250.50", "EUR"), "0065e00000Gx7q0": ("12", "EUR"), "0065e00000Gx8Q0": ("7", "USD")}
    assert any("5 lines below the records" in note for note in tally.notes)
    assert tally.unmapped == {("stage", "Negotiation"): 1}


def test_a_broken_last_line_is_no_footer(tmp_path: Path) -> None:
    text = REPORT.partition("\n\n")[0] + '\n"Ann'
    _, rejects, _ = read("salesforce-csv", write(tmp_path / "report.csv", text))
    assert len(rejects) == 1


def test_reports_in_german_with_the_crms_lists(tmp_path: Path) -> None:
    text = "Opportunity-Inhaber;Opportunity-ID;Phase;Betrag;Schlusstermin;Erstelldatum\n"
    text += "Ann Lee;0065e00000Gx7Q0;Unterschrieben;1.250,50 €;02.02.2026;05.01.2026\n"
    stages = "Id,MasterLabel,ApiName,IsClosed,IsWon\n01J,Unterschrieben,Signed,1,1\n"
    users = "Id,FirstName,LastName,Email\n0055e000000AbCdAAJ,Ann,Lee,ann@x.example\n"
    lists = load([write(tmp_path / "OpportunityStage.csv", stages), write(tmp_path / "User.csv", users)])
    files = write(tmp_path / "report.csv", text)
    events, rejects, _ = read("salesforce-csv", files, lists=lists, dates=("%d.%m.%Y",))
    assert not rejects
    (won,) = [event for event in events if event["type"] == "deal.won"]
    assert won["data"]["stage"] == "Signed"
    assert "0055e000000AbCdAAJ" in {event["data"].get("owner") for event in events}


def opportunities(*rows: str) -> str:
    return "Id,StageName,IsClosed,IsWon,Amount,CloseDate,CreatedDate,LastModifiedDate\n" + "".join(f"{row}\n" for row in rows)


def test_the_note_on_a_missing_history_is_about_what_is_missing(tmp_path: Path) -> None:
    row = "{id},Open,false,false,5,2026-03-01,2026-01-05T09:00:00.000Z,2026-01-05T09:00:00.000Z"
    two = opportunities(row.format(id="006000000000001AAA"), row.format(id="006000000000002"))
    deals = write(tmp_path / "Opportunity.csv", two)
    _, _, tally = read("salesforce-csv", deals)
    assert [note.partition(":")[0] for note in tally.notes] == ["without OpportunityHistory"]
    history = "Id,OpportunityId,StageName,Amount,CreatedDate\n008,006000000000002AAA,Open,5,2026-01-05T09:00:00.000Z\n"
    _, _, tally = read("salesforce-csv", deals, write(tmp_path / "OpportunityHistory.csv", history))
    assert [note.partition(":")[0] for note in tally.notes] == ["1 opportunities that OpportunityHistory lacks"]
    history += "009,006000000000001,Open,5,2026-01-05T09:00:00.000Z\n"
    _, _, tally = read("salesforce-csv", deals, write(tmp_path / "OpportunityHistory.csv", history))
    assert not tally.notes


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (("0065e00000gx7q0", "0065e00000gx7q0"), "two records have this id"),
        (("0065e00000Gx7Q0AAA",), "letters or case were changed"),
        (("1.23457E+17",), "rounded"),
        (("006",), "accepted is an id of 15 or 18 letters and digits"),
        (("",), "empty"),
    ],
)
def test_ids_that_are_none_are_refused(ids: tuple[str, ...], said: str, tmp_path: Path) -> None:
    rows = [
        f"{id},Open,false,false,5,2026-03-01,2026-01-0{n}T09:00:00.000Z,2026-02-01T09:00:00.000Z" for n, id in enumerate(ids, 1)
    ]
    events, rejects, _ = read("salesforce-csv", write(tmp_path / "Opportunity.csv", opportunities(*rows)))
    assert not events
    assert said in rejects[0].reason


def test_a_flag_of_salesforce_in_another_language_counts_and_another_word_is_refused(tmp_path: Path) -> None:
    row = "00600000000000{n},Paraphé,{closed},{won},5,2026-03-01,2026-01-05T09:00:00.000Z,2026-02-01T09:00:00.000Z"
    rows = [row.format(n=1, closed="VRAI", won="VRAI"), row.format(n=2, closed="maybe", won="0")]
    events, rejects, _ = read("salesforce-csv", write(tmp_path / "Opportunity.csv", opportunities(*rows)))
    assert closes(events) == {"006000000000001AAA": "won"}
    assert [reject.reason.partition(",")[0] for reject in rejects] == ["IsClosed: found 'maybe'"]


# -- what all of them keep to -----------------------------------------------------------------------------------------

MINIMAL: dict[str, tuple[str, str]] = {
    "hubspot": ("Record ID,Deal Stage,Amount,Create Date,Last Modified Date\n", "{id},closedwon,{amount},{at},2026-03-02\n"),
    "pipedrive": ("ID,Status,Value,Add time,Won time\n", "{id},won,{amount},{at},2026-03-02 10:00:00\n"),
    "salesforce-csv": (
        "Id,StageName,Amount,CreatedDate,LastModifiedDate\n",
        "{id},Closed Won,{amount},{at},2026-03-02T10:00:00Z\n",
    ),
}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"id": "1.23457E+10"}, "rounded"),
        ({"id": "1,23457E+10"}, "rounded"),
        ({"id": "12345678901.0"}, "decimals"),
        ({"id": "null"}, "no value"),
        ({"amount": "1,250"}, "which is 1.250 or 1250; the decimal sign has to be said (--decimal)"),
        ({"amount": "$5"}, "whose sign may be USD"),
        ({"amount": "a lot"}, "accepted is a number"),
        ({"at": "46082"}, "spreadsheet's day number"),
        ({"at": "03/04/2026"}, "accepted is ISO 8601 (--dates)"),
        ({"at": ""}, "empty"),
    ],
    ids=lambda found: "=".join(*found.items()) if isinstance(found, dict) else "",
)
@pytest.mark.parametrize("kind", MINIMAL)
def test_every_export_refuses_the_same_faults_with_their_reason(
    kind: str, fault: dict[str, str], said: str, tmp_path: Path
) -> None:
    head, row = MINIMAL[kind]
    good = {"id": "006000000000001AAA" if kind.startswith("salesforce") else "7", "amount": "5", "at": "2026-03-01"}
    other = {"id": "006000000000002AAA" if kind.startswith("salesforce") else "8"}
    text = (
        head
        + row.replace("{amount}", '"{amount}"').replace("{id}", '"{id}"').format(**(good | fault))
        + row.format(**(good | other))
    )
    events, rejects, _ = read(kind, write(tmp_path / "x.csv", text))
    assert said in rejects[0].reason and rejects[0].line == 2
    assert Counter(event["subject"] for event in events if event["type"] == "deal.won") == {other["id"]: 1}


@pytest.mark.parametrize("kind", MINIMAL)
def test_a_field_of_ones_own_is_read_in_every_form_too(kind: str, tmp_path: Path) -> None:
    head, row = MINIMAL[kind]
    id = "006000000000001AAA" if kind.startswith("salesforce") else "7"
    text = f"my_cost,my_day,{head}" + '"1 234,50 €",2026-03-31 23:30,' + row.format(id=id, amount="5", at="2026-03-01")
    settings = {"fields": {"my_cost": "cost", "my_day": "expected_close_date"}, "timezone": "Europe/Paris"}
    zone = ZoneInfo("Europe/Paris")
    events, rejects, _ = read(kind, write(tmp_path / "x.csv", text), settings=settings, zone=zone)
    assert not rejects
    data: dict[str, Any] = {}
    for event in events:
        data |= event["data"]
    assert (data["cost"], data["expected_close_date"]) == ("1234.50", "2026-03-31")


def test_a_history_of_close_dates_is_read_in_the_same_forms(tmp_path: Path) -> None:
    row = "006000000000001AAA,Open,false,false,5,05.03.2026,05.01.2026 09:00,06.01.2026 09:00"
    files = [write(tmp_path / "Opportunity.csv", opportunities(row))]
    history = "Id,OpportunityId,Field,OldValue,NewValue,CreatedDate\n"
    history += "017,006000000000001,CloseDate,01.03.2026,05.03.2026,06.01.2026 09:00\n"
    files.append(write(tmp_path / "OpportunityFieldHistory.csv", history))
    events, rejects, _ = read("salesforce-csv", *files, dates=("%d.%m.%Y %H:%M", "%d.%m.%Y"))
    assert not rejects
    days = [event["data"]["expected_close_date"] for event in events if "expected_close_date" in event["data"]]
    assert days == ["2026-03-01", "2026-03-05"]


def test_links_without_an_id_are_no_ids(tmp_path: Path) -> None:
    record: dict[str, Any] = contact(1, dealstage="x") | {
        "associations": {"contacts": {"results": [{"type": "x"}, {"id": None}]}}
    }
    del record["properties"]["email"]
    events, rejects, _ = read("hubspot", write(tmp_path / "d.json", json.dumps(record)))
    assert not rejects
    assert not any("lead_id" in event["data"] for event in events)


def test_an_empty_status_is_not_open(tmp_path: Path) -> None:
    head, row = MINIMAL["pipedrive"]
    text = head + row.format(id="7", amount="5", at="2026-03-01").replace("won", "")
    events, rejects, _ = read("pipedrive", write(tmp_path / "x.csv", text))
    assert not events
    assert rejects[0].reason.startswith("Status: empty")


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("kind", MINIMAL)
def test_every_export_reads_what_excel_writes(kind: str, mark: str, tmp_path: Path) -> None:
    head, row = MINIMAL[kind]
    id = "006000000000001AAA" if kind.startswith("salesforce") else "7"
    plain = head + row.format(id=id, amount="5.50", at="2026-03-01")
    expected, _, _ = read(kind, write(tmp_path / "x.csv", plain))
    excel = "sep=;\r\n" + plain.replace(",", ";").replace("5.50", "5,50 €").replace("\n", "\r\n")
    found, rejects, _ = read(kind, write(tmp_path / "y.csv", excel.encode(mark)))
    assert not rejects
    for event in (*expected, *found):
        event["data"].pop("currency", None), event["data"].pop("default_currency", None)
    assert found == expected


@pytest.mark.parametrize("kind", MINIMAL)
def test_a_header_over_two_lines_is_one(kind: str, tmp_path: Path) -> None:
    head, row = MINIMAL[kind]
    id = "006000000000001AAA" if kind.startswith("salesforce") else "7"
    text = '"Some\nthing",' + head + "x," + row.format(id=id, amount="5", at="2026-03-01")
    events, rejects, _ = read(kind, write(tmp_path / "x.csv", text))
    assert not rejects and closes(events) == {id: "won"}


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_json_exports_may_be_in_utf_16(mark: str, tmp_path: Path) -> None:
    record = {"id": 1, "stage_id": 1, "status": "won", "add_time": "2026-01-05 09:00:00", "won_time": "2026-01-06 09:00:00"}
    events, rejects, _ = read("pipedrive", write(tmp_path / "d.json", json.dumps({"data": [record]}).encode(mark)))
    assert not rejects and closes(events) == {"1": "won"}


# -- the command ------------------------------------------------------------------------------------------------------


def test_an_import_without_a_close_says_so_and_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "d.csv", DEALS + deal(1, "Signature") + deal(2, "Signature") + deal(3, "Contract Sent"))
    asked = ["backfill", "hubspot", "d.csv", "--dry-run"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 1, result.output
    assert "no deal of 3 is won or lost" in result.stderr and "sources.hubspot.stages" in result.stderr
    assert "unmapped: 2 × stage 'Signature'" in result.stderr
    assert "deals: 3 created, 0 won, 0 lost, 3 open, 2 unmapped" in result.stdout
    write(tmp_path / "p.json", json.dumps(PIPELINES))
    write(tmp_path / "d.csv", DEALS + deal(1, "Signature") + deal(2, "Signature", "Renewals") + deal(3, "Churned", "Renewals"))
    result = CliRunner().invoke(app, [*asked, "--names", "p.json", "--json"])
    assert result.exit_code == 0, result.output
    report = orjson.loads(result.stdout)
    assert report["deals"] == {"created": 3, "won": 1, "lost": 1, "open": 1, "unmapped": 0}
    assert report["unmapped"] == []
    assert any('sources.hubspot.stages: {"901": won, "902": lost}' in note for note in report["notes"])
    result = CliRunner().invoke(app, [*asked, "--names", "d.csv"])
    assert result.exit_code == 1 and "--names: d.csv:2: found no pipeline" in result.output.replace("\n", " ")


def test_leads_are_counted_by_how_far_they_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "Record ID,Email,Lifecycle Stage,Lead Status,Create Date,Last Modified Date\n"
    for number, (stage, status) in enumerate(
        [("Lead", "In progress"), ("Lead", "Unqualified"), ("LEAD", "New"), ("lead", "Cold"), ("Subscriber", "New")], 1
    ):
        text += f"{number},a@x.example,{stage},{status},2026-01-06 09:00,2026-02-02 10:00\n"
    write(tmp_path / "c.csv", text)
    result = CliRunner().invoke(app, ["backfill", "hubspot", "c.csv", "--dry-run"])
    assert result.exit_code == 0, "there are no deals of which none is closed"
    counts = "leads: 4 created, 2 waiting, 1 contacted, 0 qualified, 0 converted, 1 disqualified, 1 unmapped"
    assert counts in result.stdout
    assert "of no use: 5 × contact.creation: a contact is a lead when its properties say so" in result.stderr
    write(tmp_path / "vigie.yaml", "sources: {hubspot: {lead_when: always}}\n")
    result = CliRunner().invoke(app, ["backfill", "hubspot", "c.csv", "--dry-run"])
    assert "leads: 5 created, 3 waiting" in result.stdout


@pytest.mark.parametrize(
    ("kind", "names", "expected"),
    [
        ("hubspot", ("Deal Name", "dealname", "Nom de la transaction"), "name"),
        ("pipedrive", ("Deal - Title", "Affaire - Titre", "title"), "name"),
        ("salesforce-csv", ("Name", "Opportunity Name", "Nom de l'opportunité"), "name"),
    ],
)
def test_what_a_deal_is_called_goes_on_as_one_line(kind: str, names: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    head, row = MINIMAL[kind]
    id = "006000000000001AAA" if kind.startswith("salesforce") else "7"
    for name in names:
        text = f"{name},{head}" + '"Chairs,\n six  hundred",' + row.format(id=id, amount="5", at="2026-03-01")
        path = write(tmp_path / "x.csv", text)
        events, rejects, _ = read(kind, path)
        assert not rejects
        assert {event["data"].get(expected) for event in events} - {None} == {"Chairs, six hundred"}
        events, _, _ = read(kind, path, settings={"names": "none"})
        assert not any("name" in event["data"] for event in events)


@pytest.mark.parametrize(
    ("head", "said"),
    [("Amount,AMOUNT", None), ("AMOUNT,amount", "amount may be"), ("Betrag,BETRAG!", None), ("Betrag?,BETRAG!", "amount may be")],
)
def test_of_columns_that_are_called_alike_the_exact_one_is_meant_or_one_has_to_say(
    head: str, said: str | None, tmp_path: Path
) -> None:
    text = f"Record ID,Deal Stage,Create Date,Last Modified Date,{head}\n7,closedwon,2026-03-01,2026-03-02,5,6\n"
    path = write(tmp_path / "x.csv", text)
    if said is None:
        events, _, _ = read("hubspot", path)
        assert [event["data"]["amount"] for event in events if "amount" in event["data"]] == ["5"]
    else:
        with pytest.raises(SourceFileError, match=said):
            read("hubspot", path)
        column = head.partition(",")[0]
        events, _, _ = read("hubspot", path, columns={"amount": column})
        assert [event["data"]["amount"] for event in events if "amount" in event["data"]] == ["5"]


# -- which contacts are leads, and who was contacted --------------------------------------------------------------------


def contact(id: int, **properties: Any) -> dict[str, Any]:
    times = {"createdAt": "2026-03-01T10:00:00Z", "updatedAt": "2026-03-09T10:00:00Z"}
    return {"id": str(id), **times, "properties": {"email": "a@x.example", **properties}}


@pytest.mark.parametrize(
    ("properties", "when", "expected"),
    [
        ({"lifecyclestage": "subscriber"}, None, False),
        ({"lifecyclestage": "lead"}, None, True),
        ({"lifecyclestage": "customer"}, None, False),
        ({"lifecyclestage": "subscriber"}, "always", True),
        ({"form": "Contact us"}, {"form": ["Contact us"]}, True),
        ({"form": "Newsletter"}, {"form": ["Contact us"]}, False),
    ],
)
def test_a_contact_of_an_export_is_a_lead_as_the_webhooks_have_it(
    properties: dict[str, str], when: Any, expected: bool, tmp_path: Path
) -> None:
    settings = {} if when is None else {"lead_when": when}
    path = write(tmp_path / "c.jsonl", json.dumps(contact(1, **properties)))
    events, rejects, _ = read("hubspot", path, settings=settings)
    assert not rejects
    assert [event["time"] for event in events if event["type"] == "lead.created"] == ["2026-03-01T10:00:00Z"] * expected
    names = ",".join(properties)
    text = f"Record ID,Email,{names},Create Date,Last Modified Date\n7,a@x.example,{','.join(properties.values())},"
    text += "2026-03-01 10:00,2026-03-09 10:00\n"
    events, _, _ = read("hubspot", write(tmp_path / "c.csv", text), settings=settings)
    assert [event["type"] for event in events].count("lead.created") == expected


def deed(id: int, properties: dict[str, Any], **to: str) -> dict[str, Any]:
    links = {name: {"results": [{"id": other, "type": "x"}, {"id": other, "type": "y"}]} for name, other in to.items()}
    return {"id": str(id), "createdAt": "2026-03-02T10:00:00Z", "properties": properties, "associations": links}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            deed(5, {"hs_call_title": "x", "hs_timestamp": "2026-03-02T11:00:00Z"}, contacts="7", deals="9"),
            [("deal.activity", "9", {"kind": "call"}), ("lead.contacted", "7", {"channel": "call"})],
        ),
        (deed(5, {"hs_meeting_outcome": "COMPLETED"}, leads="7"), [("lead.contacted", "lead-7", {"channel": "meeting"})]),
        (deed(5, {"hs_meeting_outcome": "NO_SHOW"}, contacts="7"), []),
        (deed(5, {"hs_call_title": "x", "hs_timestamp": "2099-03-02T11:00:00Z"}, contacts="7"), []),
        (deed(5, {"hs_email_direction": "EMAIL"}, contacts="7"), [("lead.contacted", "7", {"channel": "email"})]),
        (deed(5, {"hs_email_direction": "INCOMING_EMAIL"}, contacts="7", deals="9"), [("deal.activity", "9", {"kind": "email"})]),
        (deed(5, {"hs_communication_channel_type": "SMS"}), []),
    ],
)
def test_calls_mails_and_meetings_are_first_contact(record: dict[str, Any], expected: list[Any], tmp_path: Path) -> None:
    events, rejects, _ = read("hubspot", write(tmp_path / "calls.json", json.dumps({"results": [record]})))
    assert not rejects
    assert [(event["type"], event["subject"], event["data"]) for event in events] == expected


def test_the_last_contact_of_an_export_is_a_contact(tmp_path: Path) -> None:
    text = "Record ID,Email,Lifecycle Stage,Last Contacted,Create Date,Last Modified Date\n"
    text += "7,a@x.example,Lead,2026-03-02 10:00,2026-03-01 10:00,2026-03-09 10:00\n"
    events, rejects, _ = read("hubspot", write(tmp_path / "c.csv", text))
    assert not rejects
    assert [event["time"] for event in events if event["type"] == "lead.contacted"] == ["2026-03-02T10:00:59.999Z"]


def test_a_task_that_is_still_to_be_done_is_no_contact(tmp_path: Path) -> None:
    text = "Id,WhoId,WhatId,TaskSubtype,Status,IsClosed,OwnerId,CreatedDate\n"
    text += "00T000000000001EAA,00Q000000000001EAA,,Call,Not Started,false,,2026-03-01T10:00:00.000Z\n"
    text += "00T000000000002EAA,00Q000000000001EAA,,Call,Completed,true,,2026-03-02T10:00:00.000Z\n"
    events, rejects, _ = read("salesforce-csv", write(tmp_path / "Task.csv", text))
    assert not rejects
    assert [(event["type"], event["subject"], event["time"]) for event in events] == [
        ("lead.contacted", "00Q000000000001EAA", "2026-03-02T10:00:00Z")
    ]


def test_a_person_with_a_deal_waits_no_longer(tmp_path: Path) -> None:
    record = {"id": 1, "stage_id": 1, "status": "open", "person_id": 5, "add_time": "2026-01-05 09:00:00"}
    path = write(tmp_path / "d.json", json.dumps({"data": [record]}))
    events, _, _ = read("pipedrive", path, settings={"leads": "person"})
    assert [(event["subject"], event["data"]) for event in events if event["type"] == "lead.converted"] == [
        ("5", {"deal_id": "1"})
    ]
    events, _, _ = read("pipedrive", path)
    assert {event["type"].partition(".")[0] for event in events} == {"deal"}
