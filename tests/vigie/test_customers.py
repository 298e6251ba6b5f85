"""``vigie customers`` on files: the same customers, whichever way they come."""

import csv
import gzip
import io
import os
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from models.business import Business
from models.customers.live import KnowCustomers
from stream.engine.backend import Message
from stream.ledger.store import Ledger
from tests.models.customers import cdnow
from tests.models.customers.test_live import record
from vigie.__main__ import app


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("VIGIE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def customers(*arguments: object, **environment: str) -> Result:
    named = {"COLUMNS": "200"} | {f"VIGIE_{name}": value for name, value in environment.items()}
    return CliRunner().invoke(app, ["customers", *map(str, arguments)], env=named)


def invoiced(number: object, customer: str, day: str, amount: str) -> dict[str, Any]:
    time = day if "T" in day else f"{day}T12:00:00Z"
    return {
        "specversion": "1.0", "id": f"i-{number}", "source": "test", "type": "customer.invoiced", "time": time,
        "subject": customer, "data": {"amount": amount, "currency": "EUR"},
    }  # fmt: skip


def file_of(events: list[dict[str, Any]], name: str = "events.jsonl") -> Path:
    file = Path(name)
    file.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
    return file


def table(result: Result) -> dict[str, dict[str, str]]:
    return {row["customer"]: row for row in csv.DictReader(io.StringIO(result.stdout))}


def test_cdnow_from_a_table() -> None:
    told = orjson.loads(customers("fit", "--transactions", cdnow.FILE, "--as-of", "1997-09-30", "--json").stdout)
    assert told["log_likelihood"] == pytest.approx(-9582.43, abs=0.05)
    assert (told["r"], told["alpha"], told["a"], told["b"]) == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=0.001)
    rows = table(customers("export", "--transactions", cdnow.FILE, "--as-of", "1997-09-30", "--csv"))
    assert len(rows) == 2357
    assert sum(float(row["expected_39w"]) for row in rows.values()) / cdnow.held_out() - 1 >= -0.125
    one = rows["0001"]
    assert (one["x"], one["first"], one["last"], one["monetary"], one["recency_days"]) == (
        "2",
        "1997-01-01",
        "1997-08-02",
        "74.02",
        "59",
    )
    assert float(one["t_x_weeks"]) == pytest.approx(30.43, abs=0.01) and float(one["T_weeks"]) == pytest.approx(38.86, abs=0.01)
    for score in ("R", "F", "M"):
        assert {row[score] for row in rows.values()} <= set("12345")
    worse = sum(int(other["frequency"]) < 3 for other in rows.values())
    assert int(one["F"]) == 1 + 5 * worse // 2357


def test_events_twice_late_and_returned_are_as_if_they_had_never_been_wrong() -> None:
    shift = date(2024, 1, 1).toordinal() - date(1997, 1, 1).toordinal()
    events = [
        invoiced(number, customer, date.fromordinal(day + shift).isoformat(), f"{amount / 10_000:.2f}")
        for number, (customer, day, amount) in enumerate(cdnow.bought()[:2000])
    ]
    until = "2024-11-01"
    plain = customers("export", "--events", file_of(events), "--as-of", until)
    refunded = [
        invoiced(f"extra-{number}-{way}", event["subject"], time, amount)
        for number, event in enumerate(events[::9])
        for way, time, amount in (("buys", "2024-09-07", "77.77"), ("returns", "2024-09-21", "-77.77"))
    ]
    mixed = sorted([*events, *events[::3], *refunded], key=lambda event: str(event["id"])[::-1])
    assert table(customers("export", "--events", file_of(mixed), "--as-of", until)) == table(plain)
    assert plain.exit_code == 0 and len(table(plain)) > 500


def test_days_are_those_of_the_business_whatever_the_clocks_do() -> None:
    """In Paris 2026-03-29 and 2026-10-25 have 23 and 25 hours."""
    events = [
        invoiced(1, "ann", "2026-03-28T23:30:00Z", "10"),  # the 29th
        invoiced(2, "ann", "2026-03-29T21:59:00Z", "10"),  # still the 29th
        invoiced(3, "ann", "2026-10-24T22:30:00Z", "10"),  # the 25th
        invoiced(4, "ann", "2026-10-25T22:59:00Z", "10"),  # still the 25th
    ]
    row = table(customers("export", "--events", file_of(events), BUSINESS__TIMEZONE="Europe/Paris"))["ann"]
    assert (row["x"], row["t_x_weeks"], row["T_weeks"], row["first"], row["last"]) == (
        "1",
        "30.0",
        "30.0",
        "2026-03-29",
        "2026-10-25",
    )


def test_what_has_no_value_says_why() -> None:
    events = [
        invoiced(1, "ann", "2026-03-01", "10"),
        invoiced(2, "all-back", "2026-03-01", "10"),
        invoiced(3, "all-back", "2026-03-05", "-10"),
        invoiced(4, "only-back", "2026-03-05", "-10"),
    ]
    result = customers("export", "--events", file_of(events), "--json")
    (row,) = [orjson.loads(line) for line in result.stdout.splitlines()]
    assert row["customer"] == "ann" and row["p_alive"] is None and row["why"].startswith("1 customer, 0 of them")
    assert (row["R"], row["F"], row["M"], row["monetary"]) == (1, 1, 1, 10.0)
    assert "2 customers had bought nothing" in result.stderr
    assert "1 customer had bought nothing" in customers("export", "--events", file_of(events[:3]), "--json").stderr


def test_what_cannot_be_read_is_counted_and_the_rest_is_told() -> None:
    Path("bought.csv").write_text("Customer;x\n")
    result = customers("fit", "--transactions", "bought.csv")
    assert result.exit_code == 1 and "no column customer, date, amount" in result.stderr
    Path("bought.csv").write_text(
        "Customer,Date,Amount\nann,2026-03-01,10\nann,yesterday,10\nbob,20260302,12.50\n,2026-03-01,1\n"
    )
    result = customers("export", "--transactions", "bought.csv")
    assert result.exit_code == 1 and set(table(result)) == {"ann", "bob"}
    assert "accepted is a day" in result.stderr and "line 3" in result.stderr
    assert customers("export", "--transactions", "bought.csv", "--as-of", "march").exit_code == 2


def test_a_column_of_ids_makes_repeats_known() -> None:
    Path("bought.csv").write_text("id,customer,date,amount\n1,ann,2026-03-01,10\n2,ann,2026-03-02,10\n2,ann,2026-03-02,10\n")
    assert table(customers("export", "--transactions", "bought.csv"))["ann"]["monetary"] == "20.0"


def test_no_cell_is_a_formula() -> None:
    Path("bought.csv").write_bytes(b"customer,date,amount\n=1+1,2026-03-01,10\n")
    assert set(table(customers("export", "--transactions", "bought.csv"))) == {"'=1+1"}


def test_the_segments_are_those_of_the_settings() -> None:
    named = '{"ours": {"r": [1, 5]}}'
    rows = table(customers("export", "--transactions", cdnow.FILE, CUSTOMERS__SEGMENTS=named))
    assert {row["segment"] for row in rows.values()} == {"ours"}
    refused = customers("export", "--transactions", cdnow.FILE, CUSTOMERS__SEGMENTS='{"ours": {"r": [2, 5]}}')
    assert refused.exit_code == 1 and "r 1, f 1, m 1 are in no segment" in refused.stderr


def test_an_instance_that_is_not_there_is_said(unused_tcp_port: int) -> None:
    result = customers("export", "--url", f"http://127.0.0.1:{unused_tcp_port}")
    assert result.exit_code == 1 and "--transactions FILE" in result.stderr


def test_a_table_may_be_packed() -> None:
    with gzip.open("bought.csv.gz", "wt") as out:
        out.write("customer,date,amount\nann,2026-03-01,10\n")
    assert set(table(customers("export", "--transactions", "bought.csv.gz"))) == {"ann"}


MOVED = {
    "since": "2026-11-01", "as_of": "2026-11-27", "total": 1, "counts": [{"from": "champions", "to": None, "customers": 1}],
    "moves": [{"customer": "ann", "from": "champions", "to": None, "monetary": 1234.5, "last": "2026-10-02"}],
}  # fmt: skip
LISTED = {
    "as_of": "2026-11-28", "currency": "EUR", "total": 1, "segments": {"champions": 1, "new": 0},
    "customers": [
        {
            "customer": "ann", "R": 5, "F": 4, "M": 5, "segment": "champions", "monetary": 1234.5, "frequency": 3,
            "last": "2026-11-20", "p_alive": None, "clv": 99.0, "why": "2 customers: 10 are needed",
        }
    ],
}  # fmt: skip


def test_a_running_instance_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def call(method: str, path: str, **_: Any) -> Any:
        asked.append(path)
        if path.startswith("/api/customer-moves?"):
            return MOVED
        return LISTED if path.startswith("/api/customers?") else {"customer": "EU/7", "why": None}

    monkeypatch.setattr("vigie.remote.call", call)
    listed = customers("list", "--segment", "champions", "--sort", "clv", "--limit", "1")
    assert listed.stdout.splitlines() == [
        "1 customer in champions; of all: champions 1, new 0",
        "no value (–): 2 customers: 10 are needed",
        "ann  5-4-5 champions, 1,234.50 EUR on 3 days, last 2026-11-20, P(alive) –, worth 99.00 EUR",
    ]
    assert orjson.loads(customers("list", "--json").stdout) == LISTED
    assert orjson.loads(customers("show", "EU/7").stdout)["customer"] == "EU/7"
    moved = customers("moves", "--left", "champions", "--since", "2026-11-01")
    assert moved.stdout.splitlines() == [
        "1 move from 2026-11-01 to 2026-11-27",
        "  1  champions → no customer",
        "ann  champions → no customer, 1,234.50 EUR, last 2026-10-02",
    ]
    assert customers("moves", "--since", "monday").exit_code == 2
    assert asked.pop() == "/api/customer-moves?since=2026-11-01&left=champions&limit=20"
    assert asked == [
        "/api/customers?sort=clv&limit=1&offset=0&segment=champions",
        "/api/customers?sort=monetary&limit=20&offset=0",
        "/api/customers/EU%2F7",
    ]


def test_what_a_machine_keeps_is_told_while_nothing_runs_on_it(unused_tcp_port: int) -> None:
    fold = KnowCustomers(0, Business())
    fold.fold([record(1, "ann", 739_686, 50_000), record(2, "ann", 739_690, 20_000), record(3, "bob", 739_686, 60_000)])
    ledger = Ledger(Path("vigie.db"))
    ledger.declare([("customer-states", 1, True), ("panes", 1, True)])
    told = [Message(out.topic, out.value, out.key, 0) for out in fold.changes().outputs]
    ledger.write([], [*told, Message("panes", b"{}", b"x", 0)]).result()
    ledger.close()
    here = {"DATA_DIR": ".", "WEB__PORT": str(unused_tcp_port)}
    result = customers("export", "--as-of", date.fromordinal(739_688).isoformat(), **here)
    assert {name: row["monetary"] for name, row in table(result).items()} == {"ann": "5.0", "bob": "6.0"}
    assert "no instance runs here" in result.stderr
    assert {name: row["monetary"] for name, row in table(customers("export", **here)).items()} == {"ann": "7.0", "bob": "6.0"}
    assert orjson.loads(customers("fit", "--json", **here).stdout)["customers"] == 2
    Path("vigie.db").write_bytes(b"not a ledger")
    assert customers("export", **here).exit_code == 1
