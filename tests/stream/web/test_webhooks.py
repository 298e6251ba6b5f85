"""The door: what senders are told, when, and what comes to the topics."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from fastapi import FastAPI

from models.events.dead_letter import decode as read_letter
from stream.config.settings import Settings, SettingsError, load
from stream.engine.client_logs import RateLimit
from stream.engine.embedded import EmbeddedBroker
from stream.engine.options import EngineOptions
from stream.engine.topics import declared
from stream.ingest import body, webhooks
from stream.ingest import event_ids as seen_module
from stream.ingest.door import Door, DoorSource, sources_of
from stream.ingest.event_ids import InMemory, InRedis
from stream.ingest.intake import Intake, NotAcknowledged, Outgoing
from stream.metrics import Metrics
from stream.sources.crm import BODY_LIMIT
from tests.kafka_records import records
from tests.stream.sources.crm import senders as s
from tests.stream.sources.crm.senders import NOW, SECRET, compact

BODY = compact([s.hubspot_change("dealstage", "closedwon"), s.hubspot_change("amount", "10", eventId=101)])
URL = "https://vigie.example.com/webhooks/hubspot"


class Written:
    """An intake that keeps what it is given; it may be away, or slow."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.away = False
        self.gate: asyncio.Event | None = None

    async def put(self, records: Sequence[Outgoing]) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise NotAcknowledged("gone fishing")
        self.records += records


def settings_for(**sources: object) -> Settings:
    return load(
        environ={}, sources=sources or {"hubspot": {"client_secret": SECRET}}, web__public_url="https://vigie.example.com"
    )


class House:
    def __init__(self, **sources: object) -> None:
        settings = settings_for(**sources)
        self.intake = Written()
        self.now = NOW
        self.outcomes: list[tuple[str, str, int]] = []
        self.door = Door(
            sources_of(settings),
            self.intake,
            InMemory(lambda: self.now),
            public_url=settings.web.public_url,
            clock=lambda: self.now,
            counted=lambda *what: self.outcomes.append(what),
        )
        app = FastAPI()
        app.state.door = self.door
        app.include_router(webhooks.router)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://10.0.0.7:8080")

    async def post(self, vector: s.Vector, path: str = "/webhooks/hubspot", **more: object) -> httpx.Response:
        headers = vector["headers"] | {"host": "evil.example.com"} | dict(more.pop("headers", {}))  # type: ignore[call-overload]
        content = more.pop("content", vector.get("body", "").encode())
        return await self.client.post(path, content=content, headers=headers, **more)  # type: ignore[arg-type]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    found = House()
    yield found
    await found.client.aclose()
    assert (found.door.under_way, found.door.held) == (0, 0)


async def test_what_is_right_is_written_then_acknowledged(house):
    response = await house.post(s.hubspot(BODY, url=URL))
    assert (response.status_code, response.json()) == (200, {"accepted": 2, "unusable": 0})
    assert [(r.topic, r.key) for r in house.intake.records] == [("deals", b"123")] * 2
    assert [json.loads(r.value)["type"] for r in house.intake.records] == ["deal.won", "deal.updated"]
    assert house.outcomes == [("hubspot", "accepted", 2)]


async def test_what_is_sent_again_is_accepted_and_not_written_again(house):
    await house.post(s.hubspot(BODY, url=URL))
    again = BODY.replace('"attemptNumber":0', '"attemptNumber":1')
    assert (await house.post(s.hubspot(again, url=URL))).status_code == 200
    assert len(house.intake.records) == 2 and house.outcomes[-1] == ("hubspot", "duplicate", 0)


async def test_a_stranger_gets_401_and_nothing_is_kept(house):
    response = await house.post(s.hubspot(BODY, url=URL, secret="another"))
    assert response.status_code == 401 and house.intake.records == []
    assert house.outcomes == [("hubspot", "bad_signature", 0)]
    assert SECRET not in response.text and "signature" not in response.text


async def test_a_clock_that_is_wrong_is_said_and_does_not_fill_the_log(house, caplog, monkeypatch):
    monkeypatch.setattr(webhooks.log, "filters", [RateLimit()])
    for _ in range(3):
        assert (await house.post(s.hubspot(BODY, url=URL, at=NOW - 600_000))).status_code == 401
    said = [record.getMessage() for record in caplog.records if "clock" in record.getMessage()]
    assert len(said) == 1 and "600 s old" in said[0] and house.outcomes == [("hubspot", "stale", 0)] * 3


async def test_what_signed_times_say_of_our_clock_is_told_and_strangers_cannot_say_it(house):
    for number in range(5):
        forged = s.hubspot(BODY, url=URL, at=NOW - 600_000 - number, secret="another")
        assert (await house.post(forged)).status_code == 401
    assert house.door.warnings() == []
    for number in range(5):
        assert (await house.post(s.hubspot(BODY, url=URL, at=NOW - 600_000 - number))).status_code == 401
    (said,) = house.door.warnings()
    assert "clock seems 10 min ahead of that of hubspot" in said and "accepted: up to 300 s" in said
    for number in range(5):
        assert (await house.post(s.hubspot(BODY, url=URL, at=NOW + number))).status_code == 200
    for _ in range(6):
        await house.post(s.hubspot(BODY, url=URL, at=NOW))
    assert house.door.warnings() == [], "the median of the last ones, once the clock is right again"
    house.door.sources["hubspot"].ages.clear()
    for _ in range(5):  # off, but still within what is accepted: said before anything is lost
        assert (await house.post(s.hubspot(BODY, url=URL, at=NOW + 120_000))).status_code == 200
    assert "2 min behind that of hubspot" in house.door.warnings()[0]


async def test_the_entrance_answers_as_the_route_does():
    by_route, by_entrance = House(), House()
    app = FastAPI()
    app.include_router(webhooks.router)
    app.state.door = by_entrance.door
    app.add_middleware(webhooks.Entrance, door=by_entrance.door)
    by_entrance.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://10.0.0.7:8080")
    right, wrong = s.hubspot(BODY, url=URL), s.hubspot(BODY, url=URL, secret="another")
    cases = [(right, URL), (wrong, URL), (right, "/webhooks/hubspot?x=1"), (right, "/webhooks/nobody"), (right, "/webhooks/")]
    for vector, path in cases:
        one, other = await by_route.post(vector, path), await by_entrance.post(vector, path)
        assert (one.status_code, one.content, one.headers) == (other.status_code, other.content, other.headers), path
    assert by_route.outcomes == by_entrance.outcomes and by_route.intake.records == by_entrance.intake.records


async def test_the_query_counts_as_it_was_sent_and_the_host_does_not(house):
    query = "?a=%3A&b=%2F%20"
    vector = s.hubspot(BODY, url=URL + "?a=:&b=/%20")
    assert (await house.post(vector, "/webhooks/hubspot" + query)).status_code == 200


async def test_while_the_broker_is_away_nothing_is_accepted_and_a_retry_is_not_taken_for_a_duplicate(house):
    house.intake.away = True
    response = await house.post(s.hubspot(BODY, url=URL))
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    house.intake.away = False
    assert (await house.post(s.hubspot(BODY, url=URL))).status_code == 200
    assert len(house.intake.records) == 2


async def test_what_is_unusable_is_accepted_with_a_dead_letter_without_credentials(house):
    vector = s.hubspot('[{"subscriptionType": 1}]', url=URL)
    response = await house.post(vector, headers={"authorization": "Basic c2VjcmV0", "cookie": "session=1"})
    assert (response.status_code, response.json()["unusable"]) == (200, 1)
    (record,) = house.intake.records
    letter = read_letter(record.value)
    assert (record.topic, letter.topic, letter.reason) == ("dead-letters", "webhooks.hubspot", "invalid_data")
    assert letter.value == vector["body"].encode() and not letter.cut
    assert {name for name, _ in letter.headers} <= {"method", "content-type", "user-agent"}
    await house.post(vector)
    assert read_letter(house.intake.records[1].value).id == letter.id


async def test_one_unusable_part_does_not_keep_the_others_out(house):
    body = compact([s.hubspot_change("dealstage", "closedwon"), s.hubspot_note("deal.creation", objectId=None)])
    assert (await house.post(s.hubspot(body, url=URL))).json() == {"accepted": 1, "unusable": 1}
    assert [r.topic for r in house.intake.records] == ["deals", "dead-letters"]


async def test_salesforce_is_told_what_it_wants_to_hear_and_its_session_is_not_kept():
    house = House(salesforce={"organization_id": s.ORGANIZATION})
    message = s.outbound(s.SALESFORCE_WON, {"Name": "no id"})
    response = await house.client.post("/webhooks/salesforce", content=message.encode())
    assert (response.status_code, response.text) == (200, s.ACK)
    assert response.headers["content-type"] == "text/xml; charset=utf-8"
    letter = read_letter(house.intake.records[1].value)
    assert b"<SessionId></SessionId>" in (letter.value or b"") and b"SECRET" not in house.intake.records[1].value


@pytest.mark.parametrize("path", ["/webhooks/nobody", "/webhooks/", "/webhooks/hubspot/more", "/webhooks/%2e%2e"])
async def test_there_are_no_other_sources(house, path):
    assert (await house.post(s.hubspot(BODY, url=URL), path)).status_code in (404, 405)
    assert (await house.client.get("/webhooks/hubspot")).status_code == 405


async def test_large_bodies_are_refused_before_they_are_read(house):
    vector = s.hubspot(BODY, url=URL)
    announced = await house.post(vector, headers={"content-length": str(10**9)})
    assert announced.status_code == 413

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 65_536

    assert (await house.post(vector, content=endless())).status_code == 413
    assert (await house.post(vector, headers={"content-length": "-1"})).status_code == 413


async def test_packed_bodies(house):
    packed = {"content-encoding": "gzip"}
    vector = s.hubspot(BODY, url=URL)
    assert (await house.post(vector, content=gzip.compress(BODY.encode()), headers=packed)).status_code == 200
    bomb = gzip.compress(b" " * (64 << 20))
    assert len(bomb) < BODY_LIMIT and (await house.post(vector, content=bomb, headers=packed)).status_code == 413
    assert (await house.post(vector, content=b"no gzip", headers=packed)).status_code == 400
    assert (await house.post(vector, content=gzip.compress(b"{}")[:-9], headers=packed)).status_code == 400
    deflated = zlib.compress(BODY.encode())
    assert (await house.post(vector, content=deflated, headers={"content-encoding": "deflate"})).status_code == 200
    assert (await house.post(vector, headers={"content-encoding": "br"})).status_code == 415


async def test_a_slow_body_is_given_up(house, monkeypatch):
    monkeypatch.setattr(body, "BODY_TIME", 0.01)

    async def slow() -> AsyncIterator[bytes]:
        yield b"["
        await asyncio.Event().wait()

    assert (await house.post(s.hubspot(BODY, url=URL), content=slow())).status_code == 408


async def test_more_at_a_time_than_allowed_are_asked_to_come_back(house):
    house.door.sources["hubspot"].bodies.at_once = 2
    house.intake.gate = asyncio.Event()
    first = [asyncio.create_task(house.post(s.hubspot(BODY, url=URL))) for _ in range(2)]
    while house.door.under_way < 2:  # noqa: ASYNC110 - the loop's next round, not a wait
        await asyncio.sleep(0)
    response = await house.post(s.hubspot(BODY, url=URL))
    assert response.status_code == 503 and response.headers["retry-after"]
    house.intake.gate.set()
    assert [r.status_code for r in await asyncio.gather(*first)] == [200, 200]


async def test_bytes_under_way_are_bounded(house):
    house.door.sources["hubspot"].bodies.bytes_at_once = 10
    assert (await house.post(s.hubspot(BODY, url=URL))).status_code == 503


async def test_the_rate_of_a_source_is_limited():
    house = House(hubspot={"client_secret": SECRET, "rate": 2})
    vector = s.hubspot(BODY, url=URL)
    assert [(await house.post(vector)).status_code for _ in range(4)] == [200, 200, 429, 429]
    house.now += 500
    assert [(await house.post(vector)).status_code for _ in range(2)] == [200, 429]


async def test_only_the_networks_that_are_set():
    house = House(hubspot={"client_secret": SECRET, "networks": ["203.0.113.0/24"]})
    assert (await house.post(s.hubspot(BODY, url=URL))).status_code == 401
    house = House(hubspot={"client_secret": SECRET, "networks": ["127.0.0.0/8"]})
    assert (await house.post(s.hubspot(BODY, url=URL))).status_code == 200


async def test_another_name_for_a_source():
    house = House(**{"hubspot-eu": {"adapter": "hubspot", "client_secret": SECRET, "source": "crm/eu"}})
    url = URL + "-eu"
    assert (await house.post(s.hubspot(BODY, url=url), "/webhooks/hubspot-eu")).status_code == 200
    assert json.loads(house.intake.records[0].value)["source"] == "crm/eu"


def test_settings_that_cannot_be_used_stop_the_start():
    with pytest.raises(SettingsError) as error:
        sources_of(settings_for(zoho={}, hubspot={"client_secret": SECRET, "rat": 1}))
    assert "accepted: hubspot" in str(error.value) and "sources.hubspot.rat" in str(error.value)


def test_a_rate_needs_no_memory_of_the_past():
    source = DoorSource("x", None, sources_of(settings_for(hubspot={"rate": 1}))["hubspot"].settings)  # type: ignore[arg-type]
    assert [source.admit(now) for now in (1, 1, 500, 1001, 1002, 60_000, 60_000)] == [
        True,
        False,
        False,
        True,
        False,
        True,
        False,
    ]


async def test_metrics_count_requests():
    metrics = Metrics()
    metrics.show_sources(["hubspot"])
    metrics.webhook("hubspot", "accepted", 3)
    page = (await metrics.scrape(""))[0].decode()
    assert 'vigie_webhooks_total{outcome="accepted",source="hubspot"} 1.0' in page
    assert 'vigie_webhook_events_total{source="hubspot"} 3.0' in page


async def test_an_absent_redis_only_means_that_nothing_is_known():
    seen = InRedis("redis://127.0.0.1:1/0", "vigie", lambda: NOW)
    await seen.remember(["a"])
    assert await seen.known(["a"]) == set()
    await seen.close()


async def test_who_asks_redis_at_the_same_time_shares_the_question():
    class Counting:
        def __init__(self) -> None:
            self.asked: list[int] = []
            self.gate = asyncio.Event()
            self.kept: set[bytes] = set()
            self.key = b""

        async def set(self, name, value, *, nx):
            assert nx
            self.key = self.key or value.encode()

        async def get(self, name):
            return self.key

        async def mget(self, keys):
            self.asked.append(len(keys))
            await self.gate.wait()
            return [b"1" if key in self.kept else None for key in keys]

        async def eval(self, script, count, *rest):
            assert len(rest) == count + 1 and rest[-1] == 72 * 3_600_000
            self.kept.update(rest[:-1])

        async def aclose(self) -> None: ...

    seen = InRedis("redis://127.0.0.1:1/0", "vigie", lambda: NOW)
    await seen._client.aclose()
    seen._client = client = Counting()
    await seen.remember(["id-3", "id-4"])
    asking = [asyncio.create_task(seen.known([f"id-{n}", f"id-{n + 1}"])) for n in range(60)]
    while not client.asked:  # noqa: ASYNC110 - the loop's next round, not a wait
        await asyncio.sleep(0)
    asking += [asyncio.create_task(seen.known([f"more-{n}"])) for n in range(40)]
    await asyncio.sleep(0)
    client.gate.set()
    answers = await asyncio.gather(*asking)
    assert client.asked == [61, 40], "one question for those who came together, one for those who came meanwhile"
    assert [n for n in range(60) if {f"id-{n}", f"id-{n + 1}"} & answers[n]] == [2, 3, 4]
    await seen.close()


async def test_a_redis_that_goes_and_comes_back_is_said_and_holds_nobody_up(caplog, monkeypatch):
    monkeypatch.setattr(seen_module.log, "filters", [RateLimit()])

    class Fragile:
        away = False

        async def set(self, *_, **__):
            if self.away:
                raise ConnectionResetError

        async def get(self, _):
            return b"drawn"

        async def mget(self, keys):
            if self.away:
                raise ConnectionResetError
            return [None for _ in keys]

        async def aclose(self) -> None: ...

    now = [NOW]
    seen = InRedis("redis://127.0.0.1:1/0", "vigie", lambda: now[0])
    await seen._client.aclose()
    seen._client = client = Fragile()
    caplog.set_level("WARNING")
    for at, away in ((0, True), (1, True), (6_000, True), (12_000, False), (13_000, False)):
        now[0], client.away = NOW + at, away
        assert await seen.known(["a"]) == set()
    said = [record.getMessage() for record in caplog.records if record.name == "stream.ingest.event_ids"]
    assert said == ["redis is away (ConnectionResetError): duplicates are told by the folds meanwhile", "redis is back"]
    await seen.close()


async def test_ids_are_forgotten_in_time():
    now = [NOW]
    seen = InMemory(lambda: now[0])
    await seen.remember(["a"])
    assert await seen.known(["a", "b"]) == {"a"}
    now[0] += 72 * 3_600_000
    assert await seen.known(["a"]) == set()


async def test_the_embedded_broker_has_it_before_the_sender_is_told():
    broker = EmbeddedBroker().start()
    try:
        options = EngineOptions(brokers=broker.bootstrap, partitions=2, embedded=True)
        broker.create(declared(options))
        intake = Intake(options)
        sent = [Outgoing("deals", b"D-%d" % n, b'{"n":%d}' % n) for n in range(200)]
        await asyncio.gather(*(intake.put(sent[n : n + 2]) for n in range(0, 200, 2)))
        assert intake.held == 0
        found = {message.value() for message in await asyncio.to_thread(list, records(broker.bootstrap, "deals", partitions=2))}
        assert found == {record.value for record in sent}
        await intake.close()
    finally:
        await asyncio.to_thread(broker.stop)


async def test_a_broker_that_is_not_there_is_said_in_time():
    intake = Intake(EngineOptions(brokers="127.0.0.1:1"), patience=200)
    with pytest.raises(NotAcknowledged):
        await intake.put([Outgoing("deals", b"D-1", b"{}")])
    with pytest.raises(NotAcknowledged, match="wait for the broker"):
        await intake.put([Outgoing("deals", b"D-1", b"{}")] * 20_001)
    assert intake.held == 0
    await intake.close()
