"""Why a figure is what it is: asked of one machine, and of `vigie web` beside a worker on a real Kafka."""

import csv
import io
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from models.calendar import DAY_MS, iso
from models.events.catalogue import TOPIC_OF
from stream.engine.options import wall_clock
from tests.integration.installation import Installation, Worker, event, until
from tests.kafka_broker import KafkaBroker

ALL, ANN = "all-s-token-of-20-chars", "ann-s-token-of-20-chars"
DEALS = 30


def settings() -> dict[str, Any]:
    operators = [{"name": "all", "token": ALL}, {"name": "ann", "token": ANN, "role": "read", "owners": ["ann"]}]
    urls = {"made-here": {"deal": "https://crm.example/deal/{id}"}}
    return {"WEB__OPERATORS": orjson.dumps(operators).decode(), "CRM_URLS": orjson.dumps(urls).decode()}


def history(directory: Path) -> Path:
    """Won deals of two owners, a lost one, one of before that was won now; and a record that cannot be used."""
    now, lines = wall_clock(), list[bytes]()

    def say(kind: str, id: str, ago: float, **data: Any) -> None:
        told = event(kind, f"{kind}-{id}", id, iso(round(now - ago * DAY_MS)), **data)
        lines.append(orjson.dumps({**told, "source": "made-here"}))

    for number in range(DEALS):
        owner = "ann" if number % 3 else "bob"
        say("deal.created", f"D{number}", 5, amount=100 + number, owner=owner, source="web", name=f"Deal {number}")
        say("deal.won", f"D{number}", 2 + number / 100)
    say("deal.created", "OLD", 60, amount=1000, owner="ann", source="fair", name="=1+1")
    say("deal.won", "OLD", 1)
    say("deal.created", "LOST", 4, amount=50, owner="ann")
    say("deal.lost", "LOST", 1, reason="price")
    for number in range(3):
        say("web.page_viewed", f"v{number}", 6, page="https://x.example/")
        if number:
            say("web.cta_clicked", f"v{number}", 5.5, cta="call", **({"lead_id": "L"} if number == 2 else {}))
    say("lead.created", "L", 5.4)
    say("lead.qualified", "L", 5.3, level="sql")
    for number in range(6):
        for product in ("desk", "chair", "lamp")[: 3 if number == 5 else 2]:
            told = event("customer.invoiced", f"{product}-{number}", f"A{number}", iso(now - DAY_MS), product=product)
            lines.append(orjson.dumps({**told, "data": {**told["data"], "amount": 10, "currency": "EUR"}}))
    bad = {**event("deal.won", "bad", "D1", iso(now - DAY_MS), amount="much"), "source": "made-here"}
    lines.append(orjson.dumps(bad))
    (directory / "history.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return directory / "history.jsonl"


def get(url: str, path: str, token: str = ALL, status: int = 200) -> Any:
    answer = httpx.get(url + path, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    assert answer.status_code == status, answer.text
    return answer.json() if "json" in answer.headers["content-type"] else answer.text


def looked_at(site: Installation, url: str) -> None:
    """What the API and the command tell of the history above."""
    until(lambda: get(url, "/api/kpis?kpi=sales&window=30d")[0]["value"] == DEALS + 1, 60)
    until(lambda: get(url, "/api/kpis/sales/deals?window=30d")["count"] == DEALS + 1, 60)
    why = get(url, "/api/kpis/win_rate/explain?window=30d&by=source")
    reading = why["reading"]
    assert (reading["numerator"], reading["denominator"]) == (DEALS + 1, DEALS + 2)
    assert [(one["measure"], one["value"], one["listed"]) for one in why["measures"]] == [
        ("deals_won", DEALS + 1, DEALS + 1),
        ("deals_lost", 1, 1),
    ]
    assert why["whole"] and why["counted"]["deals"] == DEALS + 2
    assert {one["segment"]["source"]: one["value"] for one in why["readings"]} == {"fair": 1, "web": 1}
    # OLD was won in the window, and not created in it: 30 of 31 that were.
    cohort = next(one for one in why["differences"] if one["definition"] == "created_date_cohort")
    assert (cohort["value"], cohort["count_otherwise"], cohort["examples"]) == (DEALS / (DEALS + 1), 1, ["OLD"])
    assert "deal.won" in why["events"]["counting"] and "deal.merged" in why["events"]["correcting"]
    assert why["events"]["refused"] == {"deal.won": {"bad_amount": 1}}

    revenue = get(url, "/api/kpis/revenue/deals?window=30d&limit=20")
    assert revenue["count"] == DEALS + 1 and len(revenue["deals"]) == 20
    assert revenue["measures"] == {"won_amount": sum(range(100, 100 + DEALS)) + 1000}
    first = revenue["deals"][0]
    assert (first["id"], first["name"], first["link"], first["counts"]) == (
        "OLD",
        "=1+1",
        "https://crm.example/deal/OLD",
        {"won_amount": 1000},
    )
    rest = get(url, revenue["next"])
    assert len(rest["deals"]) == DEALS + 1 - 20 and rest["next"] is None and rest["at"] == revenue["at"]
    rows = list(csv.DictReader(io.StringIO(get(url, "/api/kpis/revenue/deals?window=30d&format=csv&segment=source%3Dfair"))))
    assert [(row["id"], row["name"], row["won_amount"]) for row in rows] == [("OLD", "'=1+1", "1000")]

    # Who may see one owner's figures is told of these.
    get(url, "/api/kpis/revenue/deals?window=30d", ANN, 403)
    get(url, "/api/kpis/revenue/explain?window=30d&segment=owner%3Dbob", ANN, 403)
    mine = get(url, "/api/kpis/revenue/deals?window=30d&segment=owner%3Dann", ANN)
    assert mine["count"] == 21 and {one["owner"] for one in mine["deals"]} == {"ann"}
    told = orjson.dumps(get(url, "/api/kpis/revenue/explain?window=30d&segment=owner%3Dann&by=owner", ANN))
    assert b"bob" not in told and b'"refused"' not in told and b'"total"' not in told

    for path in ("/api/kpis/nothing/explain", "/api/kpis/revenue/explain?window=31x", "/api/kpis/revenue/explain?by=page"):
        get(url, path, status=400)
    for query in ("segment=planet%3Dmars", "limit=-1", "limit=2000", "format=xml", "at=2999-01-01", "page=2"):
        assert "accepted" in get(url, f"/api/kpis/revenue/deals?{query}", status=400)
    assert get(url, "/api/kpis/revenue/deals?offset=1000000")["deals"] == []

    # OLD was won in the window, and not created in it.
    counted = {one["kpi"]: one["counts"] for one in get(url, "/api/counted/deal/OLD?window=30d")["figures"]}
    assert counted["revenue"] == {"won_amount": 1000} and counted["win_rate"] == {"deals_won": 1}
    assert "sales" in counted and "created_deals" not in counted and "leads" not in counted
    get(url, "/api/counted/deal/NOBODY", status=404)
    assert "accepted" in get(url, "/api/counted/person/OLD", status=400)
    assert get(url, "/api/counted/deal/LOST?window=30d", ANN)["figures"]
    get(url, "/api/counted/deal/D0?window=30d", ANN, 404)  # bob's

    journeys = get(url, "/api/journeys?window=30d&by=source")["journeys"]
    assert [[step["people"] for step in one["steps"]] for one in journeys] == [[3, 2, 1, 0]]
    assert journeys[0]["steps"][1]["median_seconds"] == 43_200
    baskets = get(url, "/api/baskets?window=30d")
    assert (baskets["baskets"], baskets["products"], baskets["count"]) == (6, 3, 2)
    assert {one["product"]: (one["confidence"], one["lift"]) for one in baskets["pairs"]} == {"desk": (1, 1), "chair": (1, 1)}
    for path in ("journeys?journey=none", "journeys?by=owner", "journeys?window=x", "baskets?least=-1", "baskets?page=1"):
        assert "accepted" in get(url, f"/api/{path}", status=400)
    get(url, "/api/journeys", ANN, 403)
    site.set(TOKEN=ALL)
    assert "Interest           2    66.7 %" in site.done("journeys", "--url", url)
    assert "desk → chair: 100% (6 of 6" in site.done("baskets", "--window", "30d", "--url", url)
    reconciled(site, url)
    file = site.directory / "deals.csv"
    shown = site.done("kpis", "explain", "win_rate", "--window", "30d", "--by", "source", "--csv", file, "--url", url)
    assert "deals_won in the window: 31, listed one by one: 31" in shown
    assert (
        "refused: deal.won: 1 bad_amount" in shown and "of those created in the window: 96.8 %, 1 count otherwise (OLD)" in shown
    )
    assert len(file.read_text().splitlines()) == DEALS + 3


def reconciled(site: Installation, url: str) -> None:
    """The CRM's export knows most of it otherwise: what differs is named, deal by deal."""
    lines = [orjson.loads(line) for line in (site.directory / "history.jsonl").read_bytes().splitlines()]
    export = list[dict[str, Any]]()
    for one in lines:
        id, kind = one["subject"], one["type"]
        if id == "D1" or one["id"] == "bad":
            continue
        if (id, kind) == ("D0", "deal.created"):
            one["data"]["amount"] = 90
        if (id, kind) == ("D2", "deal.won"):
            one = {**one, "type": "deal.lost"}
        if (id, kind) == ("D3", "deal.won"):
            one["time"] = iso(wall_clock() - 50 * DAY_MS)
        export.append(one)
    export.append({**lines[0], "id": "x1", "subject": "EXTRA", "data": {"amount": 7, "name": "Extra"}})
    export.append({**lines[1], "id": "x2", "subject": "EXTRA"})
    file = site.directory / "export.jsonl"
    file.write_bytes(b"\n".join(map(orjson.dumps, export)))
    asked = ("kpis", "reconcile", "--export", file, "--kpi", "revenue", "--window", "30d", "--url", url)
    found = orjson.loads(site.done(*asked, "--json", code=1))
    why = {one["id"]: (one["here"], one["export"], " ".join(one["why"])) for one in found["differences"]}
    assert why.keys() == {"D0", "D1", "D2", "D3", "EXTRA"}
    assert why["D0"] == ({"won_amount": 100}, {"won_amount": 90}, "amount: 100.00 here, 90.00 in the export")
    assert why["D1"] == ({"won_amount": 101}, {}, "the export does not have it")
    assert why["D2"][:2] == ({"won_amount": 102}, {}) and "status: won here, lost in the export" in why["D2"][2]
    assert why["D3"][:2] == ({"won_amount": 103}, {}) and "closed: " in why["D3"][2]
    assert why["EXTRA"][:2] == ({}, {"won_amount": 7}) and "nothing is known of it here" in why["EXTRA"][2]
    assert (found["agree"], found["differ"]) == (DEALS + 1 - 4, 5)
    assert found["here"]["value"] - found["export"]["value"] == 10 + 101 + 102 + 103 - 7
    shown = site.done(*asked, "--csv", site.directory / "differences.csv", code=1)
    assert "27 agree, 5 differ" in shown and "Deal 0 (D0): won_amount: 100 here, 90 in the export" in shown
    assert len((site.directory / "differences.csv").read_text().splitlines()) == 6
    same = site.done("kpis", "reconcile", "--export", site.directory / "history.jsonl", "--window", "30d", "--url", url)
    assert "31 agree, 0 differ" in same
    site.done("kpis", "reconcile", "--export", file, "--kpi", "sessions", "--url", url, code=2)


def test_one_machine(tmp_path: Path) -> None:
    site = Installation("embedded", "", tmp_path, **settings())
    with Worker(site, {}, "up") as up:
        up.ready(180)
        answer = httpx.post(
            f"{up.url}/api/events",
            content=history(tmp_path).read_bytes(),
            headers={"Authorization": f"Bearer {ALL}", "content-type": "application/x-ndjson"},
        )
        assert answer.status_code == 200, answer.text
        looked_at(site, up.url)


@pytest.mark.kafka
def test_the_page_beside_a_worker(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    site = Installation(kafka.bootstrap, prefix, tmp_path, **settings())
    site.done("topics", "create")
    lines = history(tmp_path).read_bytes().splitlines()
    told = [(orjson.loads(line), line) for line in lines]
    site.produce((TOPIC_OF[one["type"]], one["subject"].encode(), line, None) for one, line in told)
    with Worker(site, {}) as worker:
        worker.ready(180)
        with Worker(site, {"INSTANCE": "page"}, "web") as page:
            page.ready(180)
            looked_at(site, page.url)
