"""The tables as files: what is written is what OData tells, in forms that others read as they are meant."""

from __future__ import annotations

import asyncio
import builtins
import csv
import io
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from models.feeds.query import parse_query
from models.feeds.tables import DEALS, TABLES, Row
from stream.web.feeds import export
from stream.web.feeds.files import FileForm, NoParquet, to_parquet, written
from stream.web.server import serve
from tests.stream.demo import company
from tests.stream.web.feeds.house import Folds, application_with_feeds, client
from vigie.__main__ import app

APP = application_with_feeds()


def row(**values: Any) -> Row:
    return tuple(values.get(name) for name in DEALS.names)


QUERY = parse_query({"$select": "id,owner,amount,changed,expected_close"}, DEALS)
AWKWARD = [
    row(id='=cmd|"a"', owner="a;=b\r\nc,", amount=1234.5, changed=1_790_000_000_001, expected_close="2026-02-01"),
    row(id="é\u2028'", owner=None, amount=None, changed=0),
]


def test_csv_is_as_the_rfc_says_and_no_cell_is_a_formula() -> None:
    body = written(QUERY, AWKWARD, FileForm("csv"))
    assert body.count(b"\r\n") == 4 and not body.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(body.decode(), newline="")))
    assert rows == [
        ["id", "changed", "amount", "owner", "expected_close"],
        ['\'=cmd|"a"', "2026-09-21T14:13:20.001Z", "1234.5", "a;'=b\r\nc,", "2026-02-01"],
        ["é\u2028'", "1970-01-01T00:00:00Z", "", "", ""],
    ]


def test_a_country_s_csv() -> None:
    body = written(QUERY, AWKWARD, FileForm("csv", bom=True, locale="fr"))
    assert body.startswith(b"\xef\xbb\xbfid;changed;amount")
    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), delimiter=";"))
    assert rows[1][2] == "1234,5" and all(len(one) == 5 for one in rows)


async def told(query: str, **headers: str) -> Any:
    async with client(APP) as web:
        return await web.get(f"/api/export?{query}", headers=headers)


@pytest.mark.parametrize("feed", list(TABLES))
async def test_every_format_holds_the_same_rows(feed: str) -> None:
    part = "window eq '30d'" if feed == "readings" else ""  # less than a page of OData
    answer = await told(f"feed={feed}&format=jsonl&filter={part}")
    lines = [orjson.loads(line) for line in answer.content.splitlines()]
    async with client(APP) as web:
        assert lines == (await web.get(f"/odata/v4/{feed}", params={"$filter": part})).json()["value"]
    table = pq.read_table(io.BytesIO((await told(f"feed={feed}&format=parquet&filter={part}")).content))
    assert table.column_names == list(TABLES[feed].names) and table.num_rows == len(lines) > 0
    for one, wanted in zip(table.slice(0, 50).to_pylist(), lines, strict=False):
        for name, value in one.items():
            shown = value
            if isinstance(value, Decimal):
                shown = float(value)
            elif hasattr(value, "isoformat"):
                shown = value.isoformat().replace("+00:00", "Z").replace(".000000", "")
                shown = shown.replace("000Z", "Z") if "." in shown else shown
            assert shown == wanted[name], name
    rows = list(csv.DictReader(io.StringIO((await told(f"feed={feed}&format=csv&filter={part}")).text, newline="")))
    assert len(rows) == len(lines) and list(rows[0]) == list(TABLES[feed].names)


def test_types_of_parquet_are_those_that_every_reader_knows() -> None:
    for table in TABLES.values():
        query = parse_query({}, table)
        schema = pq.read_schema(io.BytesIO(to_parquet(table.columns, [])))
        assert query.columns == tuple(schema.names)
        for field in schema:
            kind = field.type
            assert not pa.types.is_unsigned_integer(kind) and not pa.types.is_duration(kind) and not pa.types.is_interval(kind)
            assert field.metadata[b"description"]


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any, **rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *more, **rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NoParquet, match=r"vigie\[parquet\]"):
        to_parquet(DEALS.columns, AWKWARD)


async def test_history_is_by_the_day() -> None:
    answer = await told(
        "feed=readings&format=jsonl&every=day&from=2026-11-10&to=2026-11-12&kpi=win_rate,revenue&by=total&window=7d"
    )
    rows = [orjson.loads(line) for line in answer.content.splitlines()]
    assert [row["at"] for row in rows] == [f"2026-11-{day}T23:00:00Z" for day in (10, 10, 11, 11, 12, 12)]
    customers = await told("feed=customers&format=jsonl&every=week&from=2026-10-26&to=2026-11-18")
    assert sorted({orjson.loads(line)["as_of_day"] for line in customers.content.splitlines()}) == [
        "2026-11-01",
        "2026-11-08",
        "2026-11-15",
    ]
    deals = [
        orjson.loads(line) for line in (await told("feed=deals&format=jsonl&from=2026-11-10&to=2026-11-12")).content.splitlines()
    ]
    assert deals and all("2026-11-09T23:00:00Z" <= deal["changed"] < "2026-11-12T23:00:00Z" for deal in deals)


async def test_parts_are_of_one_and_the_same_file() -> None:
    whole = await told("feed=deals&format=parquet")
    size = int(whole.headers["content-length"])
    assert size == len(whole.content) and whole.headers["accept-ranges"] == "bytes"
    async with client(APP) as web:
        head = await web.head("/api/export?feed=deals&format=parquet")
    assert head.content == b"" and int(head.headers["content-length"]) == size
    tail = await told("feed=deals&format=parquet", range="bytes=-8")
    assert tail.status_code == 206 and tail.content == whole.content[-8:]
    assert tail.headers["content-range"] == f"bytes {size - 8}-{size - 1}/{size}"
    part = await told("feed=deals&format=parquet", range="bytes=4-99")
    assert part.status_code == 206 and part.content == whole.content[4:100]
    assert (await told("feed=deals&format=parquet", range=f"bytes={size - 2}-")).content == whole.content[-2:]
    assert (await told("feed=deals&format=parquet", range=f"bytes={size}-")).status_code == 416
    assert (await told("feed=deals&format=parquet", range="bytes=0-1", **{"if-range": '"another"'})).status_code == 200
    assert (await told("feed=deals&format=parquet", range="bytes=0-0,5-6")).status_code == 200, "several parts: all of it"
    again = await told("feed=deals&format=parquet", **{"if-none-match": whole.headers["etag"]})
    assert again.status_code == 304 and again.content == b""


async def test_duckdb_reads_it_over_http_as_it_comes(tmp_path: Any) -> None:
    listening = await serve(APP, "127.0.0.1", 0)

    def read() -> tuple[int, Decimal]:
        path = tmp_path / "deals.parquet"
        with urllib.request.urlopen(f"{listening.url}/api/export?feed=deals&format=parquet") as answer:
            path.write_bytes(answer.read())
        query = f"select count(*), sum(amount) from '{path}' where status = 'won'"
        found: tuple[int, Decimal] = duckdb.connect().execute(query).fetchall()[0]
        return found

    try:
        count, amount = await asyncio.to_thread(read)
    finally:
        await listening.stop()
    lines = [orjson.loads(line) for line in (await told("feed=deals&format=jsonl&filter=status eq 'won'")).content.splitlines()]
    assert count == len(lines) and amount == sum(Decimal(str(one["amount"] or 0)) for one in lines)


async def test_pages_are_linked() -> None:
    seen: list[str] = []
    link: str | None = "/api/export?feed=deals&format=jsonl&limit=200&select=id"
    async with client(APP) as web:
        while link is not None:
            answer = await web.get(link)
            seen += [orjson.loads(line)["id"] for line in answer.content.splitlines()]
            found = answer.headers.get("link")
            link = None if found is None else found.partition("<")[2].partition(">")[0]
    assert len(seen) == len(set(seen)) == len(Folds(company()).ids("deal")) > 400


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("format=csv", 400, "readings"),
        ("feed=deal", 400, "deals"),
        ("feed=deals&format=xlsx", 400, "parquet"),
        ("feed=deals&locale=xx", 400, "fr"),
        ("feed=deals&bom=yes", 400, "bom"),
        ("feed=deals&fitler=x", 400, "filter"),
        ("feed=deals&filter=contains(id,'a')", 501, "not supported"),
        ("feed=deals&every=1d&from=2026-01-01", 400, "kept as it is now"),
        ("feed=catalogue&from=2026-01-01", 400, "kept as it is now"),
        ("feed=deals&from=yesterday", 400, "from"),
        ("feed=readings&every=fortnight&from=2026-01-01", 400, "every"),
        ("feed=deals&limit=-1", 400, "whole number"),
        ("feed=deals&cursor=x", 400, "skiptoken"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_what_can(query: str, status: int, words: str) -> None:
    answer = await told(query)
    assert answer.status_code == status and words in answer.json()["error"], answer.text


async def test_a_file_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MOST", 10)
    assert "more than 10 rows" in (await told("feed=deals")).json()["error"]
    assert (await told("feed=deals&limit=10")).status_code == 200


async def test_the_command_writes_the_same(tmp_path: Path) -> None:
    listening = await serve(APP, "127.0.0.1", 0)
    out = tmp_path / "days.csv"

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["export", *arguments, "--url", listening.url])

    try:
        days = ["readings", "--every", "day", "--from", "2026-11-10", "--to", "2026-11-12", "--kpi", "revenue", "--by", "total"]
        done = await asyncio.to_thread(run, *days, "--out", str(out))
        assert done.exit_code == 0, done.output
        lines = await asyncio.to_thread(run, "deals", "--format", "jsonl", "--filter", "status eq 'won'", "--select", "id,status")
        wrong = await asyncio.to_thread(run, "deals", "--filter", "ownr eq 'a'")
    finally:
        await listening.stop()
    assert [row["at"] for row in csv.DictReader(io.StringIO(out.read_text("utf-8")))] == [
        f"2026-11-{day}T23:00:00Z" for day in (10, 11, 12)
    ]
    assert {orjson.loads(line)["status"] for line in lines.stdout_bytes.splitlines()} == {"won"}
    assert wrong.exit_code == 1 and "did you mean" in wrong.output
