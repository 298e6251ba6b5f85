"""What strangers can use up before they have shown who they are: nothing that an honest sender needs."""

import asyncio
import base64
import contextlib
import gzip

import pytest
from fastapi import FastAPI

from stream.config.tracker_settings import CollectSettings
from stream.ingest import body as body_reader
from stream.ingest import webhooks
from stream.ingest.collect import Collector
from stream.ingest.collect import router as collect_router
from stream.ingest.door import Door, sources_of
from stream.ingest.event_ids import InMemory
from stream.sources.crm import ADAPTERS, parse_settings, receive, soap, standard
from stream.sources.crm import Request as Webhook
from stream.web.acting import Acting
from stream.web.server import Listening, serve
from tests.stream.sources.crm import senders as s
from tests.stream.sources.crm.senders import NOW, SECRET, compact
from tests.stream.web.raw import answered, exchange, signed
from tests.stream.web.test_acting import LINKS
from tests.stream.web.test_hostile import rss
from tests.stream.web.test_webhooks import Written, settings_for
from tests.tools import eventually

BODY = compact([s.hubspot_change("dealstage", "closedwon")])
HEAD = signed(BODY, at=NOW, length="Content-Length: 5000").removesuffix(BODY.encode())
KEY = "site_0123456789"


class House:
    """A port with every reader of bodies behind it: webhooks of two sources, the tracker, Slack's buttons."""

    listening: Listening

    def __init__(self, *, slack: bool = False, **hubspot: object) -> None:
        self.intake = Written()
        settings = settings_for(hubspot={"client_secret": SECRET, **hubspot}, other={"adapter": "hubspot", "secret": SECRET})
        seen = InMemory(lambda: NOW)
        sources = sources_of(settings)
        self.door = Door(sources, self.intake, seen, public_url=settings.web.public_url, clock=lambda: NOW)
        self.app = FastAPI()
        self.app.state.door = self.door
        self.app.add_middleware(webhooks.Entrance, door=self.door)
        sites = CollectSettings.model_validate(
            {"client_rate": 0, "sites": {"shop": {"key": KEY, "origins": ["https://shop.example"]}}}
        )
        self.collector = Collector(sites, self.intake, seen, clock=lambda: NOW)
        self.app.state.collector = self.collector
        self.app.include_router(collect_router)
        acting = Acting(LINKS, self.never, slack=[b"s" * 32] if slack else [], clock=lambda: NOW)
        self.app.include_router(acting.router())

    async def never(self, key: bytes, value: bytes) -> None:
        raise AssertionError("nobody acts here")

    async def __aenter__(self) -> "House":
        self.listening = await serve(self.app, "127.0.0.1", 0)
        self.crowd: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        return self

    async def __aexit__(self, *_: object) -> None:
        for _reader, writer in self.crowd:
            writer.transport.abort()
        await eventually(lambda: (self.door.under_way, self.door.held) == (0, 0))
        await self.listening.stop()

    async def come(self, count: int, data: bytes) -> None:
        for _ in range(count):
            self.crowd.append(await asyncio.open_connection("127.0.0.1", self.listening.port))
            self.crowd[-1][1].write(data)
        await asyncio.sleep(0.2)

    async def honest(self) -> int:
        return (await exchange(self.listening.port, signed(BODY, at=NOW)))[0]


async def test_connections_that_send_only_headers_hold_nothing() -> None:
    async with House() as house:
        await house.come(300, HEAD)
        assert [await house.honest() for _ in range(5)] == [200] * 5
        assert house.door.under_way == 0


async def test_bodies_that_do_not_go_on_keep_nobody_out_whose_body_comes_at_once() -> None:
    async with House() as house:
        await house.come(300, HEAD + b"[")
        await eventually(lambda: house.door.under_way == 256)
        assert [await house.honest() for _ in range(5)] == [200] * 5


async def test_slow_bodies_make_room_for_one_that_comes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_reader, "_SLOW", 0.1)
    async with House() as house:
        await house.come(300, HEAD + b"[")
        reader, writer = await asyncio.open_connection("127.0.0.1", house.listening.port)
        whole = signed(BODY, at=NOW)
        writer.write(whole[:-10])
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.write(whole[-10:])
        assert (await answered(reader))[0] == 200
        writer.transport.abort()


async def test_what_is_held_of_slow_bodies_makes_room_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_reader, "_SLOW", 0.1)
    async with House() as house:
        house.door.sources["hubspot"].bodies.bytes_at_once = 20_000
        await house.come(5, HEAD + b"x" * 4_500)
        assert await house.honest() == 200


async def test_the_places_of_a_source_are_its_own() -> None:
    async with House() as house:
        house.door.sources["hubspot"].bodies.at_once = 0
        assert await house.honest() == 503
        other = s.hubspot(BODY.encode(), at=NOW, url="https://vigie.example.com/webhooks/other")["headers"]
        lines = "\r\n".join(
            f"{name}: {value}" for name, value in {**other, "Host": "x", "Content-Length": str(len(BODY))}.items()
        )
        status, _ = await exchange(house.listening.port, f"POST /webhooks/other HTTP/1.1\r\n{lines}\r\n\r\n{BODY}".encode())
        assert status == 200


async def test_strangers_do_not_use_up_the_rate_of_a_source() -> None:
    async with House(rate=1) as house:
        forged = signed(BODY, at=NOW).replace(b"X-HubSpot-Signature-v3: ", b"X-HubSpot-Signature-v3: x")
        forged = forged.replace(b"x-hubspot-signature-v3: ", b"x-hubspot-signature-v3: x")
        for _ in range(5):
            assert (await exchange(house.listening.port, forged))[0] == 401
            assert (await exchange(house.listening.port, b"POST /webhooks/hubspot HTTP/1.1\r\nhost: x\r\n\r\n"))[0] == 401
        assert [await house.honest(), await house.honest()] == [200, 429]


async def test_without_a_signature_the_body_is_not_waited_for() -> None:
    async with House() as house:
        status, _ = await exchange(
            house.listening.port, b"POST /webhooks/hubspot HTTP/1.1\r\nhost: x\r\ncontent-length: 9000\r\n\r\n", 2
        )
        assert status == 401


async def test_the_tracker_s_door_holds_nothing_for_headers_alone() -> None:
    async with House() as house:
        head = f"POST /collect?site={KEY} HTTP/1.1\r\nhost: x\r\norigin: https://shop.example\r\nuser-agent: Mozilla\r\n"
        await house.come(300, f"{head}content-length: 2\r\n\r\n".encode())
        status, _ = await exchange(house.listening.port, f"{head}content-length: 2\r\n\r\n{{}}".encode())
        assert (status, house.collector.bodies.under_way) == (202, 0)


# -- trailers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/webhooks/hubspot", "/collect", "/vigie.js", "/nowhere"])
@pytest.mark.parametrize("line", [b"x%07d: y\r\n", b"x-long%.0d: " + b"y" * 65_000])
async def test_trailers_are_cut_off(path: str, line: bytes) -> None:
    async with House() as house:
        before, sent = rss(), 0
        reader, writer = await asyncio.open_connection("127.0.0.1", house.listening.port)
        writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n".encode())
        long = not line.endswith(b"\n")
        try:
            for number in range(1_000_000):
                data = (line % number).partition(b": ")[2] if long and number else line % number
                writer.write(data)
                sent += len(data)
                if number % (1 if long else 1000) == 0:
                    await writer.drain()
                    await asyncio.sleep(0)
                if sent > 12 << 20:
                    break
        except ConnectionError:
            pass
        assert sent < 12 << 20, "most of it was never taken"
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await answered(reader)
        writer.transport.abort()
        assert rss() - before < 16 << 20


async def test_a_trailer_is_no_header() -> None:
    async with House() as house:
        whole = signed(BODY, at=NOW, length="Transfer-Encoding: chunked").removesuffix(BODY.encode())
        lines = whole.split(b"\r\n")
        signature = next(line for line in lines if line.lower().startswith(b"x-hubspot-signature-v3"))
        data = whole.replace(signature + b"\r\n", b"") + b"%x\r\n%b\r\n0\r\n%b\r\n\r\n" % (len(BODY), BODY.encode(), signature)
        assert (await exchange(house.listening.port, data))[0] == 401


async def test_a_body_in_many_small_chunks_is_no_trailer() -> None:
    async with House() as house:
        whole = signed(BODY, at=NOW, length="Transfer-Encoding: chunked").removesuffix(BODY.encode())
        chunks = b"".join(b"1;%b\r\n%c\r\n" % (b"e" * 3_000, byte) for byte in BODY.encode())
        assert (await exchange(house.listening.port, whole + chunks + b"0\r\n\r\n"))[0] == 200


# -- Slack -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("slack", "more"), [
    (False, ""), (False, f"x-slack-request-timestamp: {NOW // 1000}\r\nx-slack-signature: v0={'0' * 64}\r\n"),
    (True, ""), (True, f"x-slack-request-timestamp: {NOW // 1000 - 301}\r\nx-slack-signature: v0={'0' * 64}\r\n"),
    (True, f"x-slack-request-timestamp: {NOW // 1000}\r\nx-slack-signature: v0=zz\r\n"),
])  # fmt: skip
async def test_slack_s_requests_are_refused_before_their_body_comes(slack: bool, more: str) -> None:
    async with House(slack=slack) as house:
        head = f"POST /slack/interactivity HTTP/1.1\r\nhost: x\r\n{more}content-length: 1000000\r\n\r\n"
        assert (await exchange(house.listening.port, head.encode(), 2))[0] == 401


# -- what a forged request costs -------------------------------------------------------------------------------------------


def test_a_forged_request_is_hashed_once_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []
    right = vars(standard)["hmac_base64"]

    def counted(key: bytes, message: bytes) -> object:
        hashed.append(len(message))
        return right(key, message)

    monkeypatch.setattr(standard, "hmac_base64", counted)
    settings = parse_settings("x", {"secrets": ["whsec_" + base64.b64encode(b"%024d" % n).decode() for n in range(8)]})
    headers = {"webhook-id": "m", "webhook-timestamp": str(NOW // 1000), "webhook-signature": " ".join(["v1," + "A" * 44] * 32)}
    verdict = receive(ADAPTERS["standard"], Webhook("POST", "https://x/", headers, b"x" * 1_000_000, NOW), settings)
    assert verdict.reason == "bad_signature" and len(hashed) == 8


@pytest.mark.parametrize("settings", [{"organization_id": s.ORGANIZATION}, {"token": "t" * 20}, {}], ids=str)
def test_xml_of_a_stranger_is_not_read_on(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    elements = [0]
    right = soap._Reader.start

    def counted(self: soap._Reader, name: str, attributes: dict[str, str]) -> None:
        elements[0] += 1
        right(self, name, attributes)

    monkeypatch.setattr(soap._Reader, "start", counted)
    message = s.outbound(s.SALESFORCE_WON, organization="00D000000000000AAA").encode()
    for body in (
        message.replace(b"<Notification>", b"<Notification>" + b"<a/>" * 49_000, 1),
        b"<a>" + b"<b/>" * 49_000 + b"</a>",
    ):
        assert len(gzip.compress(body)) < 1_000
        verdict = receive(
            ADAPTERS["salesforce"], Webhook("POST", "https://x/", {}, body, NOW), parse_settings("salesforce", settings)
        )
        assert not verdict.accepted and elements[0] < 100
