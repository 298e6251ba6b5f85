"""The door on a real socket, against what no honest sender would send: nothing of it costs memory, time, or an event."""

import asyncio
import os
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from models.events.dead_letter import decode as read_letter
from stream.ingest import body as body_reader
from stream.ingest import webhooks
from stream.ingest.door import Door, sources_of
from stream.ingest.event_ids import InMemory
from stream.sources.crm import BODY_LIMIT
from stream.web import wire
from stream.web.server import Listening, serve
from tests.stream.sources.crm import senders as s
from tests.stream.sources.crm.senders import NOW, SECRET, compact
from tests.stream.web.raw import answered, exchange, signed
from tests.stream.web.test_webhooks import Written, settings_for
from tests.tools import eventually

BODY = compact([s.hubspot_change("dealstage", "closedwon")])


def rss() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Open:
    """A door, listening."""

    door: Door
    intake: Written
    listening: Listening

    async def send(self, data: bytes) -> tuple[int, bytes]:
        return await exchange(self.listening.port, data)

    async def still_well(self) -> None:
        """Nothing is held, and an honest request is taken."""
        before = len(self.intake.records)
        status, _ = await self.send(signed(compact([s.hubspot_change("amount", "1", occurredAt=NOW - 5_000 - before)]), at=NOW))
        assert (status, len(self.intake.records)) == (200, before + 1)
        await eventually(lambda: (self.door.under_way, self.door.held) == (0, 0))


@pytest.fixture
async def house() -> AsyncIterator[Open]:
    found = Open()
    found.intake = Written()
    settings = settings_for(hubspot={"client_secret": SECRET})
    found.door = Door(
        sources_of(settings), found.intake, InMemory(lambda: NOW), public_url=settings.web.public_url, clock=lambda: NOW
    )
    app = FastAPI()
    app.include_router(webhooks.router)
    app.state.door = found.door
    app.add_middleware(webhooks.Entrance, door=found.door)
    found.listening = await serve(app, "127.0.0.1", 0)
    yield found
    await found.still_well()
    await found.listening.stop()


async def test_what_is_honest_is_taken(house: Open) -> None:
    status, text = await house.send(signed(BODY, at=NOW))
    assert status == 200 and text.endswith(b'{"accepted":1,"unusable":0}')
    assert b"x-content-type-options: nosniff" in text and b"server:" not in text


# -- too much --------------------------------------------------------------------------------------------------------------


async def test_a_gigabyte_that_is_announced_is_refused_before_any_of_it_came(house: Open) -> None:
    head = signed("", at=NOW, length="Content-Length: 1000000000")
    status, text = await house.send(head)
    assert status == 413 and b"connection: close" in text


async def test_a_gigabyte_without_a_length_is_cut_off_early_and_costs_no_memory(house: Open) -> None:
    before, sent = rss(), 0
    reader, writer = await asyncio.open_connection("127.0.0.1", house.listening.port)
    writer.write(signed("", at=NOW, length="Transfer-Encoding: chunked"))
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    try:
        while sent < 1 << 30:
            writer.write(chunk)
            await writer.drain()
            sent += 65_536
    except ConnectionError:
        pass
    assert sent < 64 << 20, "most of it was never taken"
    status, _ = await answered(reader)
    assert status in (413, 0)  # where the answer is lost with the connection, the sender sees a reset
    writer.transport.abort()
    assert rss() - before < 32 << 20


async def test_a_body_in_chunks_of_one_byte_costs_no_more_than_its_bytes(house: Open) -> None:
    content = BODY.encode()
    head = signed(BODY, at=NOW, length="Transfer-Encoding: chunked").removesuffix(content)
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in content) + b"0\r\n\r\n"
    assert (await house.send(head + body))[0] == 200


@pytest.mark.parametrize("size", [64, 512])
async def test_a_bomb_is_not_unpacked(house: Open, size: int) -> None:
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(1 << 20)
    packed = b"".join([packer.compress(block) for _ in range(size)] + [packer.flush()])
    assert len(packed) < BODY_LIMIT
    before = rss()
    assert (await house.send(signed(packed, at=NOW, more=["Content-Encoding: gzip"])))[0] == 413
    assert rss() - before < 32 << 20


async def test_a_head_without_end_is_cut(house: Open) -> None:
    status, _ = await house.send(b"POST /webhooks/hubspot HTTP/1.1\r\n" + b"x-a: " + b"y" * 400_000)
    assert status == 431


# -- not what it says it is ------------------------------------------------------------------------------------------------

#: Authentic, so taken; of no use, so a dead letter with its reason.
UNUSABLE = {
    "nested 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, "bad_json"),
    "objects nested 50,000 deep": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "bad_json"),
    "a key that is there twice": (b'[{"subscriptionType":"deal.creation","objectId":1,"objectId":2}]', "bad_json"),
    "NaN": (b'[{"subscriptionType":"deal.creation","objectId":NaN}]', "bad_json"),
    "Infinity": (b'[{"subscriptionType":"deal.creation","occurredAt":-Infinity}]', "bad_json"),
    "invalid UTF-8": (b'[{"subscriptionType":"deal.creation\xff"}]', "bad_json"),
    "overlong UTF-8": (b'[{"subscriptionType":"\xc0\xaf"}]', "bad_json"),
    "a lone surrogate": (b'[{"subscriptionType":"deal.creation","objectId":"\\ud800","occurredAt":1790000000000}]', None),
    "UTF-16": (BODY.encode("utf-16"), "bad_json"),
    "UTF-32": (BODY.encode("utf-32-le"), "bad_json"),
    "a byte order mark": (b"\xef\xbb\xbf" + BODY.encode(), "bad_json"),
    "a number of a million digits": (b'[{"subscriptionType":"deal.creation","objectId":' + b"9" * 900_000 + b"}]", "bad_json"),
    "a time before time": (b'[{"subscriptionType":"deal.creation","objectId":1,"occurredAt":-99999999999999999}]', None),
    "a NUL": (b'[{"subscriptionType":"deal.creation","objectId":"a\\u0000b","occurredAt":1790000000000}]', None),
    "nothing": (b"", "no_value"),
}


@pytest.mark.parametrize("body, reason", UNUSABLE.values(), ids=UNUSABLE)
async def test_what_is_authentic_and_of_no_use_is_a_dead_letter(house: Open, body: bytes, reason: str | None) -> None:
    status, _ = await house.send(signed(body, at=NOW))
    assert status == 200
    letters = [read_letter(r.value) for r in house.intake.records if r.topic == "dead-letters"]
    assert len(letters) == 1 and letters[0].topic == "webhooks.hubspot"
    assert reason is None or letters[0].reason == reason


SMUGGLED = {
    "two lengths": ["Content-Length: 5", "Content-Length: 6"],
    "a length and chunks": ["Content-Length: 5", "Transfer-Encoding: chunked"],
    "a length that is no number": ["Content-Length: 0x5"],
    "a length with a sign": ["Content-Length: +5"],
    "a header with a line feed in it": ["Content-Length: 5", "X-A: b\nX-HubSpot-Signature-v3: c"],
    "a header with a carriage return in it": ["Content-Length: 5", "X-A: b\rX-B: c"],
    "a header with a NUL in it": ["Content-Length: 5", "X-A: b\0c"],
    "a header name with a space": ["Content-Length: 5", "X-A : b"],
    "a header that goes on in the next line": ["Content-Length: 5", "X-A: b\r\n c: d"],
}


@pytest.mark.parametrize("lines", SMUGGLED.values(), ids=SMUGGLED)
async def test_what_two_readers_would_read_in_two_ways_is_refused(house: Open, lines: list[str]) -> None:
    status, text = await house.send(signed("[]   ", at=NOW, length=lines[0], more=lines[1:]))
    assert status in (400, 401), text  # not HTTP, or one more header, which no signature covers: never an event
    assert house.intake.records == []


async def test_a_signature_that_is_there_twice_is_none(house: Open) -> None:
    status, _ = await house.send(signed(BODY, at=NOW, more=["X-HubSpot-Signature-v3: abc"]))
    assert status == 401 and house.intake.records == []


async def test_the_answer_repeats_nothing_of_the_request(house: Open) -> None:
    data = signed(BODY, at=NOW).replace(b"/webhooks/hubspot HTTP", b"/webhooks/%0d%0aset-cookie:%20a=b HTTP")
    status, text = await house.send(data)
    assert status == 404 and b"set-cookie" not in text


# -- too slow --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "REQUEST_TIME", 0.5)
    monkeypatch.setattr(body_reader, "BODY_TIME", 0.25)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "part",
    [b"", b"POST /webhooks/hubspot HT", signed(BODY, at=NOW)[:-20], signed(BODY, at=NOW).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"],
    ids=["nothing", "half a line", "half a body", "no body"],
)
async def test_what_does_not_come_is_not_waited_for(house: Open, part: bytes) -> None:
    status, _ = await house.send(part)
    assert status == 408


async def test_five_hundred_slow_senders_are_cut_off_and_others_answered_meanwhile(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "REQUEST_TIME", 3.0)  # long enough for honest ones on a machine that is slow itself
    monkeypatch.setattr(body_reader, "BODY_TIME", 2.0)
    head = signed(BODY, at=NOW, length="Content-Length: 5000").removesuffix(BODY.encode())

    async def slow(index: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.listening.port)
        writer.write(head if index % 2 else head[:40])
        answer = asyncio.create_task(answered(reader, 90))
        while not answer.done():
            await asyncio.sleep(0.1)
            if not answer.done() and not writer.is_closing():
                writer.write(b"x")
        writer.transport.abort()
        return answer.result()[0]

    crowd = [asyncio.create_task(slow(n)) for n in range(500)]
    await eventually(lambda: house.door.under_way > 50, 60)
    async with asyncio.timeout(120):  # answered, at times with a word when to come back
        while (await house.send(signed(BODY, at=NOW)))[0] != 200:  # noqa: ASYNC110 - the answer takes its time
            await asyncio.sleep(0.1)
    found = await asyncio.gather(*crowd)
    # All are cut. Who writes on after that may lose the answer with the connection (0).
    assert len(found) == 500 and 408 in found and set(found) <= {408, 503, 0}
    assert house.listening.connections <= 1


async def test_a_crowd_displaces_itself(house: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "CONNECTIONS", 50)
    monkeypatch.setattr(wire, "_SLOW", 0.0)
    crowd = [await asyncio.open_connection("127.0.0.1", house.listening.port) for _ in range(200)]
    for _, writer in crowd:
        writer.write(b"POST /webhooks/hubspot HTTP/1.1\r\nx: ")
    await house.still_well()
    assert house.listening.connections <= 51
    for _, writer in crowd:
        writer.transport.abort()
