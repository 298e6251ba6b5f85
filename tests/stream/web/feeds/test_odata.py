"""The feeds over OData: strictly as the metadata says, whole over their pages, and with a client library as it comes."""

from __future__ import annotations

import asyncio
import base64
import functools
from typing import Any

import pytest
import requests
from odata import ODataService

from models.calendar import iso
from models.feeds.tables import TABLES
from models.folds.entity_snapshots import DealState
from models.money import UNIT
from models.panes.view import View
from stream.config.kpi_files import load_catalogue
from stream.readings.board import Board, ViewSource
from stream.web.feeds import odata
from stream.web.feeds.sources import FeedDesk
from stream.web.server import serve
from tests.stream.demo import NOW, company
from tests.stream.web.feeds.house import (
    ALL,
    ANN,
    BOB,
    Folds,
    application_with_feeds,
    client,
    clientele,
    feeds,
    guarded,
)
from tests.stream.web.feeds.strict import Model, refused
from tests.stream.web.web import application, board

ROOT = "http://vigie/odata/v4"

shared_application = functools.cache(application_with_feeds)


@functools.cache
def the_folds() -> Folds:
    return Folds(company())


def known() -> int:
    """Deals of which something is known."""
    return sum(the_folds().state("deal", key) is not None for key in the_folds().ids("deal"))


@pytest.mark.parametrize(
    ("feed", "query"),
    [
        ("readings", {}),
        ("readings", {"$filter": "at ge 2026-11-10T00:00:00Z and at lt 2026-11-13T00:00:00Z and dimension eq 'source'"}),
        ("readings", {"every": "week", "from": "2026-10-20", "kpi": "revenue,win_rate", "window": "week"}),
        ("deals", {}),
        ("deals", {"$select": "id,amount,closed", "$orderby": "amount desc", "$top": "7", "$count": "true"}),
        ("leads", {"$filter": "status eq 'converted'", "$count": "true"}),
        ("customers", {}),
        ("customers", {"as_of": "2026-11-01"}),
        ("alerts", {}),
        ("alerts", {"$filter": "severity eq 'nobody'"}),
        ("catalogue", {}),
        ("forecasts", {}),
        ("forecasts", {"$filter": "period eq 'month' and dimension eq 'owner'", "$orderby": "mean desc"}),
    ],
)
async def test_answers_are_what_the_metadata_says(feed: str, query: dict[str, str]) -> None:
    async with client(shared_application()) as web:
        model = Model(await web.get("/odata/v4/$metadata", headers={"accept": "application/json"}))
        answer = await web.get(f"/odata/v4/{feed}", params=query)
        rows = model.check(feed, answer, root=ROOT)
        exact = await web.get(f"/odata/v4/{feed}", params=query, headers={"accept": "application/json;IEEE754Compatible=true"})
        assert len(model.check(feed, exact, root=ROOT, exact=True)) == len(rows)
    assert bool(rows) is ("nobody" not in query.get("$filter", ""))
    assert "$top" not in query or (len(rows) == 7 and answer.json()["@odata.count"] == known())


async def test_forecasts_are_those_of_the_api_and_not_of_everybody() -> None:
    async with client(shared_application()) as web:
        rows = (await web.get("/odata/v4/forecasts")).json()["value"]
        fine = (await web.get("/odata/v4/forecasts?$filter=period eq 'month' and dimension eq 'total'")).json()["value"]
    assert {row["period"] for row in rows} == {"month", "quarter", "year"}
    assert {row["dimension"] for row in rows} >= {"total", "owner"}
    assert len(fine) == 1 and fine[0]["p10"] < fine[0]["p50"] < fine[0]["p90"] and 0 <= fine[0]["target_probability"] <= 1
    parts = fine[0]["won"] + fine[0]["open_mean"] + fine[0]["new_mean"]
    assert fine[0]["mean"] == pytest.approx(parts, abs=0.01) and fine[0]["target"] == 30_000.0
    owners = [row["mean"] for row in rows if row["period"] == "month" and row["dimension"] == "owner"]
    assert len(owners) > 1 and sum(owners) == pytest.approx(fine[0]["mean"], rel=0.05)  # each is estimated by itself
    web_ = guarded(figures={"figures": "limited"})
    async with client(web_) as web:
        limited = await web.get("/odata/v4/forecasts", headers={"authorization": f"Bearer {ALL}"})
        mine = await web.get("/odata/v4/forecasts", headers={"authorization": f"Bearer {BOB}"})
    assert limited.status_code == 200 and "owner" not in {row["dimension"] for row in limited.json()["value"]}
    assert mine.status_code == 403 and "everybody" in mine.json()["error"]["message"]
    bare = application(board(company()))
    bare.include_router(odata.router(FeedDesk(bare.state.vigie, Folds(company()), clientele())))
    async with client(bare) as web:
        off = await web.get("/odata/v4/forecasts")
    assert off.status_code == 503 and "models.live is false" in off.json()["error"]["message"]


async def test_the_service_document_names_every_feed() -> None:
    async with client(shared_application()) as web:
        for path in ("/odata/v4", "/odata/v4/"):
            answer = await web.get(path)
            assert answer.status_code == 200 and answer.headers["odata-version"] == "4.0"
            tree = answer.json()
            assert tree["@odata.context"] == f"{ROOT}/$metadata"
            assert [one["name"] for one in tree["value"]] == [one["url"] for one in tree["value"]] == list(TABLES)
        assert list(Model(await web.get("/odata/v4/$metadata")).sets) == list(TABLES)
        file = (await web.get("/odata/v4/vigie.pbids")).json()
        assert file["connections"][0]["details"] == {"protocol": "odata", "address": {"url": ROOT}}


async def walk(web: Any, path: str, size: int) -> list[dict[str, Any]]:
    """Return the rows of all pages."""
    rows: list[dict[str, Any]] = []
    link: str | None = path
    while link is not None:
        answer = await web.get(link, headers={"prefer": f"odata.maxpagesize={size}"})
        assert answer.status_code == 200 and answer.headers["preference-applied"] == f"odata.maxpagesize={size}", answer.text
        tree = answer.json()
        assert len(tree["value"]) <= size
        rows += tree["value"]
        link = tree.get("@odata.nextLink")
    return rows


@pytest.mark.parametrize(
    ("feed", "query", "size"),
    [
        ("deals", "", 100),
        ("deals", "?$orderby=amount desc,owner&$filter=status eq 'won'", 33),
        ("deals", "?$top=250&$skip=10", 100),
        ("readings", "?$filter=window eq '30d' and dimension eq 'source'", 100),
        ("readings", "?$filter=at ge 2026-11-10T00:00:00Z and (kpi eq 'revenue' or kpi eq 'leads')&by=source", 17),
        ("customers", "", 7),
        ("catalogue", "", 20),
    ],
)
async def test_pages_hold_every_row_once_and_in_order(feed: str, query: str, size: int) -> None:
    async with client(shared_application()) as web:
        whole = (await web.get(f"/odata/v4/{feed}{query}")).json()["value"]
        paged = await walk(web, f"/odata/v4/{feed}{query}", size)
    assert len(whole) > size and paged == whole
    assert "$top" not in query or len(whole) == 250


async def test_a_page_beyond_the_end_is_empty() -> None:
    async with client(shared_application()) as web:
        for query in ("$skip=1000000", "$top=0", "$skip=6000&$count=true", "$filter=id eq 'nobody'"):
            tree = (await web.get(f"/odata/v4/deals?{query}")).json()
            assert tree["value"] == [] and "@odata.nextLink" not in tree
            assert tree.get("@odata.count", known()) == known()


async def test_amounts_are_to_the_cent_and_counts_agree() -> None:
    async with client(shared_application()) as web:
        rows = (await web.get("/odata/v4/deals?$filter=status eq 'won' and amount ne null")).json()["value"]
        count = (await web.get("/odata/v4/deals/$count?$filter=status eq 'won' and amount ne null")).text
    states = [state for key in the_folds().ids("deal") if (state := the_folds().state("deal", key)) is not None]
    deals = [state for state in states if isinstance(state, DealState) and state.status == "won"]
    won = [deal.amount for deal in deals if deal.amount is not None]
    assert round(sum(row["amount"] for row in rows) * UNIT) == sum(won) and len(won) == int(count) == len(rows) > 50


async def test_readings_of_days_are_those_of_the_api() -> None:
    query = "at ge 2026-11-10T00:00:00Z and at lt 2026-11-14T00:00:00Z and kpi eq 'win_rate' and dimension eq 'total'"
    async with client(shared_application()) as web:
        rows = (await web.get(f"/odata/v4/readings?$filter={query}&window=7d")).json()["value"]
        told = (await web.get("/api/kpis?from=2026-11-10&to=2026-11-13&every=1d&kpi=win_rate&window=7d&by=total")).json()
    named = [(row["at"], row["value"], row["numerator"], row["denominator"], row["began"]) for row in rows]
    assert named == [(one["at"], one["value"], one["numerator"], one["denominator"], one["from"]) for one in told]
    assert len(rows) == 4 and all(row["as_of"] == iso(NOW) for row in rows), "days end at 23:00 UTC in Paris"


async def test_one_row_by_its_key() -> None:
    key = sorted(the_folds().ids("deal"))[3]
    async with client(shared_application()) as web:
        one = (await web.get(f"/odata/v4/deals('{key}')?$select=id,owner")).json()
        assert one == {"@odata.context": f"{ROOT}/$metadata#deals(id,owner)/$entity", "id": key, "owner": one["owner"]}
        assert "nothing in deals has this key" in refused(await web.get("/odata/v4/deals('it''s/none')"), 404)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/deals?$filter=contains(id,'1')", 501, "contains is not supported"),
        ("/deals?$expand=lead", 501, "$expand"),
        ("/deals?$format=xml", 406, "accepted: json"),
        ("/deals?$filter=ownr eq 'a'", 400, "did you mean"),
        ("/deals?$top=-1", 400, "$top"),
        ("/deals?$nope=1", 400, "$nope"),
        ("/deals?nope=1", 400, "nope"),
        ("/deals?$top=1&$top=2", 400, "twice"),
        ("/deals?$skiptoken=x", 400, "nextLink"),
        ("/deal", 404, "did you mean"),
        ("/deals/nope", 404, "did you mean"),
        ("/readings?kpi=win_rat", 400, "win_rate"),
        ("/readings?$filter=window eq '31x'", 400, "window"),
        ("/readings?every=fortnight&from=2026-01-01", 400, "every"),
        ("/readings?by=colour", 400, "by"),
        ("/customers?as_of=yesterday", 400, "as_of"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_what_can(path: str, status: int, words: str) -> None:
    async with client(shared_application()) as web:
        assert words in refused(await web.get(f"/odata/v4{path}"), status)


async def test_a_kpi_that_is_none_has_no_readings() -> None:
    async with client(shared_application()) as web:
        assert (await web.get("/odata/v4/readings?$filter=kpi eq 'nope'")).json()["value"] == []
        assert (await web.get("/odata/v4/readings?$filter=at ge 2030-01-01T00:00:00Z")).json()["value"] == []


async def test_another_version_is_refused() -> None:
    async with client(shared_application()) as web:
        assert "4.0" in refused(await web.get("/odata/v4/deals", headers={"odata-maxversion": "3.0"}), 400)
        assert (await web.get("/odata/v4/deals?$top=1", headers={"odata-maxversion": "4.01"})).status_code == 200


async def test_while_there_are_no_numbers_it_says_so() -> None:
    app = application(
        Board(ViewSource(lambda: View(company().business), load_catalogue()), company().business.calendar, lambda: NOW)
    )
    app.include_router(odata.router(feeds(app)))
    async with client(app) as web:
        answer = await web.get("/odata/v4/readings")
        assert "no readings yet" in refused(answer, 503) and answer.headers["retry-after"]


# -- who may ------------------------------------------------------------------------------------------------------------------


def basic(token: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"anybody:{token}".encode()).decode()}


async def test_a_token_is_the_password_of_any_name() -> None:
    async with client(guarded(), "http://203.0.113.1") as web:
        answer = await web.get("/odata/v4/deals?$top=1")
        assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Basic ")
        assert (await web.get("/odata/v4/deals?$top=1", headers=basic("wrong-0123456789abc"))).status_code == 401
        assert (await web.get("/odata/v4/deals?$top=1", headers={"authorization": "Basic ="})).status_code == 401
        for given in (basic(ANN), {"authorization": f"Bearer {ANN}"}):
            assert (await web.get("/odata/v4/deals?$top=1", headers=given)).status_code == 200
        assert (await web.get("/api/kpis", headers=basic(ANN))).status_code == 401, "there only, where tools know nothing else"


async def test_who_sees_some_owners_is_given_those() -> None:
    owner = sorted(company().view.segments("owner", frozenset(("deals",))))[0]
    async with client(guarded(), "http://203.0.113.1", headers=basic(BOB)) as web:
        deals = (await web.get("/odata/v4/deals")).json()["value"]
        assert deals and {row["owner"] for row in deals} == {owner}
        assert int((await web.get("/odata/v4/deals/$count")).text) == len(deals)
        readings = (await web.get("/odata/v4/readings")).json()["value"]
        assert readings and {(row["dimension"], row["segment"]) for row in readings} == {("owner", owner)}
        assert (await web.get("/odata/v4/readings?by=total")).json()["value"] == []
        assert "about everybody" in refused(await web.get("/odata/v4/readings?$filter=at ge 2026-11-01T00:00:00Z"), 403)
        assert "nobody's" in refused(await web.get("/odata/v4/customers"), 403)
        assert (await web.get("/odata/v4/alerts")).json()["value"] == []
        assert len((await web.get("/odata/v4/catalogue")).json()["value"]) > 50


async def test_figures_of_single_people_are_for_those_who_may_read_them() -> None:
    app = guarded(figures={"figures": "limited", "readers": ["ann"]})
    async with client(app, "http://203.0.113.1", headers=basic(ALL)) as web:
        assert {row["dimension"] for row in (await web.get("/odata/v4/readings")).json()["value"]} >= {"total", "source"}
        assert not [row for row in (await web.get("/odata/v4/readings")).json()["value"] if "owner" in row["dimension"]]
        assert "single people" in refused(await web.get("/odata/v4/readings?by=owner"), 403)
        assert "single people" in refused(await web.get("/odata/v4/readings?$filter=dimension eq 'owner'"), 403)
        for path in ("/odata/v4/deals", "/odata/v4/leads"):
            assert {(row["owner"], row["owner_name"]) for row in (await web.get(path)).json()["value"]} == {(None, None)}
        assert (await web.get("/api/export?feed=readings&by=owner")).status_code == 403
    async with client(app, "http://203.0.113.1", headers=basic(ANN)) as web:
        assert (await web.get("/odata/v4/readings?by=owner")).json()["value"]
        assert len({row["owner"] for row in (await web.get("/odata/v4/deals")).json()["value"]}) > 3


@pytest.mark.parametrize(
    ("web", "host", "root"),
    [
        ({"public_url": "https://vigie.example.com/sales/"}, "evil.example.net", "https://vigie.example.com/sales"),
        ({}, "evil.example.net", "http://203.0.113.1"),
        ({}, "evil.example.net/x", "http://203.0.113.1"),
        ({"hosts": ["bi.example.com"]}, "BI.example.com:8080", "http://bi.example.com:8080"),
        ({}, "10.0.0.5:8080", "http://10.0.0.5:8080"),
        ({}, "localhost:80@evil.example.net", "http://203.0.113.1"),
    ],
)
async def test_a_forged_host_is_in_no_link(web: dict[str, Any], host: str, root: str) -> None:
    async with client(guarded(**web), "http://203.0.113.1", headers=basic(ANN)) as asking:
        answer = await asking.get("/odata/v4/deals?$select=id", headers={"host": host, "prefer": "odata.maxpagesize=2"})
    tree = answer.json()
    assert tree["@odata.nextLink"].startswith(f"{root}/odata/v4/deals?") and "evil" not in answer.text
    assert tree["@odata.context"] == f"{root}/odata/v4/$metadata#deals(id)"


# -- a client as it comes -----------------------------------------------------------------------------------------------------


async def test_a_client_library_reads_the_feeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.web.feeds.odata.PAGE", 100)
    listening = await serve(guarded(), "127.0.0.1", 0)

    def read() -> None:
        session = requests.Session()
        session.auth = ("power-bi", ANN)
        service = ODataService(f"{listening.url}/odata/v4/", session=session, reflect_entities=True, quiet_progress=True)
        deal = service.entities["deals"]
        everything = list(service.query(deal))
        assert len(everything) == len({one.id for one in everything}) == known()
        won = (
            service.query(deal).filter((deal.status == "won") & (deal.amount > 1000)).order_by(deal.amount.desc()).limit(5).all()
        )
        amounts = [one.amount for one in won]
        assert len(amounts) == 5 and amounts == sorted(amounts, reverse=True) and {one.status for one in won} == {"won"}
        readings = service.entities["readings"]
        found = service.query(readings).filter(readings.kpi == "win_rate").filter(readings.dimension == "total").all()
        assert {one.window for one in found} == {"24h", "7d", "30d"} and all(one.unit == "ratio" for one in found)
        forecasts = service.entities["forecasts"]
        total = service.query(forecasts).filter(forecasts.dimension == "total").all()
        assert {one.period for one in total} == {"month", "quarter", "year"} and all(one.p10 < one.p90 for one in total)

    try:
        await asyncio.to_thread(read)
    finally:
        await listening.stop()
