"""Is somebody gone from a ledger to the last byte, and is every figure what it was: then, after a restart, after a rebuild?"""

import asyncio
import base64
import hashlib
import hmac
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import orjson
import pytest
from xxhash import xxh3_64_hexdigest, xxh3_64_intdigest

from models.calendar import DAY_MS, HOUR_MS, iso
from models.privacy.certificate import Certificate
from models.privacy.subject import Subject
from stream.config.settings import load
from stream.engine.erasing import AskedBy
from stream.engine.options import wall_clock
from stream.engine.publisher import Publisher
from stream.ingest.door import Door, DoorSource
from stream.ingest.event_ids import InMemory
from stream.ingest.intake import Intake
from stream.ledger import erasing
from stream.ledger.copies import problems
from stream.ledger.flow import LedgerFlow
from stream.ledger.schema import reader
from stream.ledger.store import Ledger
from stream.readings.board import WINDOWS, ViewSource
from stream.sources.crm import ADAPTERS, Erase, Request, parse_settings
from tests.tools import eventually
from vigie.instance import Instance
from vigie.privacy_api import carried_out
from vigie.running import kept_in

NOW = 1_790_000_000_000 // HOUR_MS * HOUR_MS
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#: A person under three ids and two merges, a visitor on two browsers, with a deal, under two names.
JANE = ("hs-contact-90210", "hs-contact-90211", "pd-person-77345", "visitor-ee81c0", "visitor-ee81c1")
NAMES = ("Jane Quillfeather", "Quillfeather", "jane-quillfeather-pricing")


def event(kind: str, subject: str, at: int, number: int, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": f"{subject}:{number}", "source": "crm/test", "type": kind, "time": iso(at),
        "subject": subject, "data": data,
    }  # fmt: skip


def of_jane(start: int) -> Iterator[dict[str, Any]]:
    one, two, three, left, right = JANE
    named = {"name": "Jane Quillfeather", "first_name": "Jane", "last_name": "Quillfeather", "email_hash": HASH}
    yield event("lead.created", one, start, 1, source="web", owner="Anna Moss", **named)
    yield event("lead.created", two, start + 60_000, 1, source="ads", owner="Anna Moss", email_hash=HASH)
    yield event("lead.created", three, start + 120_000, 1, source="web", owner="Ben Stone", account_id="account-5512")
    yield event("lead.contacted", one, start + HOUR_MS, 2, channel="phone")
    yield event("lead.merged", two, start + 2 * HOUR_MS, 2, into=one)
    yield event("lead.merged", one, start + 3 * HOUR_MS, 3, into=three)
    yield event("lead.qualified", three, start + 4 * HOUR_MS, 2, level="sql")
    for number in range(5):
        pages = {"visitor_id": left, "session_id": f"{left}-a", "page": "/pricing?for=jane-quillfeather-pricing", "source": "ads"}
        yield event("web.page_viewed", left, start + number * 60_000, number, **pages)
    yield event("web.identified", left, start + 10 * 60_000, 9, visitor_id=left, lead_id=two)
    yield event("web.identified", right, start + 11 * 60_000, 9, visitor_id=right, lead_id=three)
    yield event("web.page_viewed", right, start + 12 * 60_000, 10, visitor_id=right, page="/x", referrer="https://mail/?u=jane")
    deal = {"name": "Renewal Jane Quillfeather", "lead_id": three, "amount": "1250.50", "currency": "EUR", "owner": "Anna Moss"}
    yield event("deal.created", "deal-4400-q", start + 5 * HOUR_MS, 1, stage="qualified", **deal)
    yield event("email.opened", three, start + 6 * HOUR_MS, 7, message_id="m-1", lead_id=three, campaign="spring")


def others(start: int, many: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(7)
    for number in range(many):
        at, owner = start + draw.randrange(20) * HOUR_MS, draw.choice(("Anna Moss", "Ben Stone", "Cleo Park"))
        deal, lead = f"deal-{number}-x", f"lead-{number}-y"
        money = {"amount": f"{draw.randrange(1, 10**6) / 100}", "currency": "EUR", "owner": owner, "team": "north"}
        yield event("lead.created", lead, at, 1, owner=owner, source=draw.choice(("web", "ads")), name=f"Person {number}")
        yield event("deal.created", deal, at, 1, stage="qualified", lead_id=lead, **money)
        if number % 3:
            yield event("deal.won" if number % 2 else "deal.lost", deal, at + HOUR_MS, 2)
        yield event("web.page_viewed", f"v-{number}-z", at, 1, visitor_id=f"v-{number}-z", page="/")
        invoice = {"amount": "10", "currency": "EUR", "name": f"Company Number {number}"}
        yield event("customer.invoiced", f"acc-{number}-c", at, 1, deal_id=deal, **invoice)


def wrong() -> Iterator[bytes]:
    """What cannot be used, and says who it was about."""
    yield orjson.dumps(event("deal.created", "deal-4400-q", NOW, 50, amount="no money", name="Jane Quillfeather"))
    yield orjson.dumps(event("lead.created", JANE[0], NOW, 51, score="much"))


@asynccontextmanager
async def instance(path: Path, **more: Any) -> AsyncIterator[Instance]:
    settings = load(
        environ={"VIGIE_MODELS__LIVE": "false"}, kafka__brokers="embedded", kafka__partitions=4, data_dir=str(path.parent), **more
    )
    async with kept_in(settings, Ledger(path, durable=False), clock=lambda: NOW, delivering=False) as found:
        await found.start()
        await found.engine.ready()
        yield found


async def take(found: Instance, events: Iterator[dict[str, Any]] | Iterator[bytes]) -> None:
    with Publisher(found.options) as publisher:
        for one in events:
            if isinstance(one, bytes):
                tree = orjson.loads(one)
                publisher.publish(one) if tree["type"] else None
            else:
                publisher.publish(orjson.dumps(one))
        assert not await publisher.flushed(30)
        ends = publisher.ends
    await found.engine.driver.settled(ends, cascade=True)


def readings(found: Instance, anonymous: str = "") -> list[bytes]:
    """Every KPI in every window, total and by segment."""
    source = ViewSource(lambda: found.roller.view, found.catalogue)
    told = []
    for window in WINDOWS:
        for by in (None, *source.dimensions):
            told += [orjson.dumps(reading) for reading in source.read(NOW, window, by)]
    if anonymous:
        told = [re.sub(rb"erased-[0-9a-f]{16}", anonymous.encode(), one) for one in told]
    return sorted(told)


def everywhere(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())


_HASHES = (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.sha512, hashlib.blake2b)


def forms(text: str) -> set[bytes]:
    """How somebody who looks for it might find it: plain, hashed, encoded."""
    raw = text.encode()
    found = {
        raw,
        raw.upper(),
        raw.lower(),
        raw.hex().encode(),
        quote(text).encode(),
        quote_plus(text).encode(),
        text.encode("utf-16-le"),
    }
    for spelling in (raw, raw.lower()):
        digests = [make(spelling).digest() for make in _HASHES] + [hashlib.blake2b(spelling, digest_size=16).digest()]
        found.update(form for digest in digests for form in (digest, digest.hex().encode(), base64.b64encode(digest)))
        found |= {xxh3_64_hexdigest(spelling).encode(), str(xxh3_64_intdigest(spelling)).encode()}
    # In base64 by each of the three places where it may begin.
    return found | {base64.b64encode(b"\0" * skip + raw)[skip + 2 : -4].strip(b"=") for skip in range(3)}


def nowhere(folder: Path, *texts: str) -> None:
    there = everywhere(folder)
    for text in texts:
        for form in forms(text):
            assert form not in there, (text, form, there[max(0, there.find(form) - 80) : there.find(form) + 80])


async def erase(found: Instance, subject: Subject, why: str = "") -> Certificate:
    [certificate] = await erase_all(found, [subject], why)
    return certificate


async def erase_all(found: Instance, subjects: Sequence[Subject], why: str = "") -> list[Certificate]:
    privacy = found.privacy
    assert privacy is not None
    flow = found.engine.flow
    assert isinstance(flow, LedgerFlow)
    erased = await flow.rewritten(lambda: privacy.erase(subjects, AskedBy("ann", why)))
    await found.engine.ready()
    return erased.certificates


async def test_one_who_is_erased_is_gone_to_the_last_byte_and_no_figure_moves(tmp_path: Path) -> None:
    path = tmp_path / "vigie.db"
    start = NOW - DAY_MS
    async with instance(path) as found:
        await take(found, others(start, 60))
        await take(found, of_jane(start))
        await take(found, wrong())
        before = readings(found)
        assert len(before) > 300 and any(b'"Anna Moss"' in one for one in before)
        told = everywhere(tmp_path)
        assert all(id.encode() in told for id in JANE) and base64.b64encode(b"hs-contact-90210")[4:12] in told
        certificate = await erase(found, Subject("lead", "hs-contact-90210"), why="asked by letter")
        assert certificate.known_as == {"lead": 3, "visitor": 2} and certificate.outcome == "erased"
        assert {"leads", "engagement", "fold-leads", "fold-engagement", "lead-states", "dead-letters", "deals"} <= set(
            certificate.found
        )
        assert certificate.gone is not None
        nowhere(tmp_path, *JANE, *NAMES, HASH)
        assert readings(found) == before
        # The deal is another's to erase: it has lost the name, and the link, and stays.
        await erase(found, Subject("deal", "deal-4400-q"))
        nowhere(tmp_path, "deal-4400-q", "Renewal Jane")
        assert readings(found) == before
        customer = await erase(found, Subject("customer", "acc-7-c"))
        assert {"customers", "fold-customers"} <= set(customer.found)
        nowhere(tmp_path, "acc-7-c", "Company Number 7")
        assert readings(found) == before
    assert list(problems(path)) == []
    async with instance(path) as found:
        assert readings(found) == before
        # What is folded goes on: the others' deals, of whom nothing is lost.
        await take(found, iter([event("deal.won", "deal-0-x", NOW - 1, 9)]))
        assert readings(found) != before
        nowhere(tmp_path, *JANE, *NAMES, HASH, "deal-4400-q")


async def test_figures_are_the_same_when_all_is_folded_anew_from_the_log(tmp_path: Path) -> None:
    path = tmp_path / "vigie.db"
    async with instance(path) as found:
        await take(found, others(NOW - DAY_MS, 30))
        await take(found, of_jane(NOW - DAY_MS))
        before = readings(found)
        for subject in (Subject("lead", JANE[2]), Subject("deal", "deal-4400-q")):
            await erase(found, subject)
    assert await folded_anew(path) == before


async def folded_anew(path: Path) -> list[bytes]:
    """The readings once all that is known besides the log is gone, and made again."""
    ledger = Ledger(path)
    ledger.do(lambda connection: connection.execute("DELETE FROM rows").rowcount)
    ledger.do(lambda connection: connection.execute("DELETE FROM latest WHERE key != 'salt'").rowcount)
    # What the folds have told each other they tell again.
    merged = "SELECT id FROM logs WHERE topic IN ('deal-merges', 'lead-merges')"
    ledger.do(lambda connection: connection.execute(f"DELETE FROM records WHERE place >> 40 IN ({merged})").rowcount)
    ledger.close()
    async with instance(path) as found:
        await found.engine.driver.settled({key: end for key, end in _ends(found)}, cascade=True)
        return readings(found)


def _ends(found: Instance) -> Iterator[tuple[tuple[str, int], int]]:
    for topic in ("deals", "leads", "engagement", "customers", "spend"):
        for partition in range(4):
            backend: Any = found.options.backend
            yield (topic, partition), backend.ledger.bounds(topic, partition)[1]


async def test_late_events_do_not_bring_anybody_back(tmp_path: Path) -> None:
    path = tmp_path / "vigie.db"
    async with instance(path) as found:
        await take(found, of_jane(NOW - DAY_MS))
        await take(found, others(NOW - DAY_MS, 3))
        before = readings(found)
        await erase(found, Subject("visitor", JANE[3]))
        await erase(found, Subject("lead", JANE[0]))
        assert readings(found) == before
        await take(found, of_jane(NOW - DAY_MS))  # a backfill
        folds = [fold.outcomes for fold in found.partitions()]
        # All but the deal, which is nobody's: that is taken as known.
        assert sum(count for one in folds for (_, _, outcome), count in one.items() if outcome == "erased") == 16
        await take(found, iter([event("deal.created", "deal-new-1", NOW - 1, 1, lead_id=JANE[1], amount="1", currency="EUR")]))
        nowhere(tmp_path, *JANE)
        with closing(reader(path)) as file:
            query = 'SELECT value FROM records WHERE instr(value, CAST(\'"reason":"erased"\' AS BLOB))'
            letters = [orjson.loads(value) for (value,) in file.execute(query)]
        assert {letter["reason"] for letter in letters} == {"erased"} and not any(letter.get("value") for letter in letters)
    async with instance(path) as found:
        await take(found, of_jane(NOW - DAY_MS))
        nowhere(tmp_path, *JANE)


async def test_while_a_backfill_brings_somebody_again_and_twice_at_once_it_is_one_erasure(tmp_path: Path) -> None:
    async with instance(tmp_path / "vigie.db") as found:
        await take(found, of_jane(NOW - DAY_MS))
        before = readings(found)
        privacy, flow = found.privacy, found.engine.flow
        assert privacy is not None and isinstance(flow, LedgerFlow)
        one_at_a_time = asyncio.Lock()  # as the API has it

        async def asked(lead: str) -> Certificate:
            async with one_at_a_time:
                return await erase(found, Subject("lead", lead))

        with Publisher(found.options) as publisher:
            certificates = asyncio.gather(asked(JANE[0]), asked(JANE[2]))
            for _ in range(20):
                for one in of_jane(NOW - DAY_MS):
                    publisher.publish(orjson.dumps(one))
                assert not await publisher.flushed(30)
            first, second = await certificates
        assert first == second and first.outcome == "erased" and privacy.certificates() == [first]
        await found.engine.driver.settled(publisher.ends, cascade=True)
        nowhere(tmp_path, *JANE, *NAMES[1:], HASH)
        assert readings(found) == before


async def test_whom_a_crm_wants_erased_waits_for_it_and_then_is_nowhere_any_more(tmp_path: Path) -> None:
    async with instance(tmp_path / "vigie.db") as found:
        await take(found, of_jane(NOW - DAY_MS))
        before = readings(found)
        privacy = found.privacy
        assert privacy is not None
        for asked in range(2):  # they send it twice, and once more when it is done
            source = DoorSource("hubspot", ADAPTERS["hubspot"], parse_settings("hubspot", {"client_secret": "s" * 20}))
            intake = Intake(found.options)
            door = Door({"hubspot": source}, intake, InMemory())
            for _ in range(2):
                verdict, _ = await door.take(source, forgotten(JANE[0]))
                assert (verdict.status, verdict.events, verdict.erasures) == (200, (), (Erase("lead", JANE[0]),))
            await intake.close()
            assert [(one.kind, one.id, one.by) for one in privacy.requests()] == [("lead", JANE[0], "hubspot")]
            flow = found.engine.flow
            assert isinstance(flow, LedgerFlow)
            erased = await flow.rewritten(lambda: carried_out(privacy, None, AskedBy("vigie")))
            await found.engine.ready()
            [certificate] = erased.certificates
            assert (certificate.outcome, certificate.why) == ("erased", "asked for by: hubspot"), asked
            assert privacy.requests() == [] and len(privacy.certificates()) == 1
            nowhere(tmp_path, *JANE, *NAMES, HASH)
            assert readings(found) == before
        assert carried_out(privacy, None, AskedBy("vigie")).certificates == []


def forgotten(lead: str) -> Request:
    note = {"eventId": 1, "portalId": 1, "occurredAt": NOW, "subscriptionType": "contact.privacyDeletion", "objectId": lead}
    body = orjson.dumps([note])
    url, now = "https://vigie.example.com/webhooks/hubspot", str(wall_clock())
    signature = base64.b64encode(hmac.digest(b"s" * 20, f"POST{url}{body.decode()}{now}".encode(), "sha256")).decode()
    headers = {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": now}
    return Request("POST", url, headers, body, int(now))


async def test_many_are_erased_in_one_pass_and_people_who_know_each_other_stay_apart(tmp_path: Path) -> None:
    async with instance(tmp_path / "vigie.db") as found:
        await take(found, others(NOW - DAY_MS, 40))
        await take(found, of_jane(NOW - DAY_MS))
        before = readings(found)
        some = [Subject("lead", f"lead-{number}-y") for number in range(20)]
        some += [Subject("deal", "deal-3-x"), Subject("lead", JANE[1]), Subject("lead", JANE[0]), Subject("lead", "nobody-1")]
        found_ = await erase_all(found, some)
        assert [one.outcome for one in found_] == ["erased"] * 23 + ["nothing held"]
        # Two ids of one person are one erasure.
        assert found_[21] == found_[22] and found_[21].known_as == {"lead": 3, "visitor": 2}
        gone = [f"lead-{number}-y" for number in range(20)] + [f"Person {number}" for number in range(20) if number > 3]
        nowhere(tmp_path, *gone, "deal-3-x", *JANE, *NAMES, HASH)
        assert b"lead-20-y" in everywhere(tmp_path) and b"Person 20" in everywhere(tmp_path)
        assert readings(found) == before
    async with instance(tmp_path / "vigie.db") as found:
        assert readings(found) == before


async def test_an_owner_keeps_figures_under_a_drawn_name(tmp_path: Path) -> None:
    async with instance(tmp_path / "vigie.db") as found:
        await take(found, others(NOW - DAY_MS, 40))
        await take(found, iter([event("rep.hired", "Anna Moss", NOW - DAY_MS, 3, owner="Anna Moss", steps=4)]))
        before = readings(found)
        await erase(found, Subject("owner", "Anna Moss"))
        nowhere(tmp_path, "Anna Moss")
        assert readings(found, "Anna Moss") == before
        await take(found, iter([event("deal.updated", "deal-1-x", NOW, 5, owner="Anna Moss")]))
        nowhere(tmp_path, "Anna Moss")


async def test_who_was_never_seen_is_remembered_and_asking_twice_is_no_other_erasure(tmp_path: Path) -> None:
    async with instance(tmp_path / "vigie.db") as found:
        for kind in ("lead", "deal", "customer", "visitor", "email"):
            first = await erase(found, Subject(kind, "nobody-knows-1"))
            assert (first.outcome, first.found) == ("nothing held", {})
            assert await erase(found, Subject(kind, "nobody-knows-1")) == first
        nowhere(tmp_path, "nobody-knows-1")


async def test_an_erasure_that_was_cut_off_is_finished_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vigie.db"
    async with instance(path) as found:
        await take(found, of_jane(NOW - DAY_MS))
        privacy = found.privacy
        assert privacy is not None
        monkeypatch.setattr(type(privacy), "finish", lambda self: None)
        certificate = await erase(found, Subject("lead", JANE[0]))
        assert certificate.gone is None
    monkeypatch.undo()
    async with instance(path) as found:
        assert found.privacy is not None
        assert [one.gone is not None for one in found.privacy.certificates()] == [True]
        nowhere(tmp_path, *JANE, HASH)


async def test_a_ledger_that_fails_in_the_middle_has_erased_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with instance(tmp_path / "vigie.db") as found:
        await take(found, of_jane(NOW - DAY_MS))
        before = readings(found)
        privacy = found.privacy
        assert privacy is not None
        with monkeypatch.context() as patch:
            patch.setattr(erasing, "record", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await erase(found, Subject("lead", JANE[0]))
        assert len(privacy.refusals) == 0 and privacy.certificates() == [] and readings(found) == before
        assert JANE[0].encode() in everywhere(tmp_path)
        assert (await erase(found, Subject("lead", JANE[0]))).outcome == "erased"
        nowhere(tmp_path, *JANE)


async def passing(now: list[int], holds: Callable[[], object]) -> None:
    """Return once it holds, while time goes by for the instance: a minute a look, some three hours at most."""
    for _ in range(200):
        if holds():
            return
        now[0] += 60_000
        await asyncio.sleep(0.05)
    await eventually(holds)  # a busy machine has not got there yet


async def test_alerts_messages_and_models_know_nobody_any_more_and_what_stood_ends(tmp_path: Path) -> None:
    path, now, start = tmp_path / "vigie.db", [wall_clock()], wall_clock()
    settings = load(
        environ={}, kafka__brokers="embedded", kafka__partitions=4, data_dir=str(tmp_path), business__currency="EUR",
        receivers=[{"name": "log", "type": "console"}],
    )  # fmt: skip
    more: dict[str, Any] = {"clock": lambda: now[0], "paced": True}
    name = {"name": "Merger with Ottoline Harkaway", "owner": "Ottoline Harkaway"}
    async with kept_in(settings, Ledger(path, durable=False, clock=more["clock"]), **more) as found:
        await found.start()
        await found.engine.ready()
        await take(found, others(start - DAY_MS, 10))
        large = event("deal.created", "deal-77-large", start - 1, 1, amount="900000", currency="EUR", stage="qualified", **name)
        await take(found, iter([large]))
        await passing(now, found.evaluator.current)
        (alert,) = [one for one in found.evaluator.current() if one["segment"] == {"deal": "deal-77-large"}]
        assert "Ottoline Harkaway" in str(alert)
        await passing(now, lambda: {"alerts", "outbox"} <= written(path, b"deal-77-large"))
        with closing(reader(path)) as file:
            query = "SELECT value FROM records JOIN logs ON logs.id = place >> 40 WHERE topic = 'examples' AND instr(value, ?)"
            lessons = [f"deal:{orjson.loads(value)['id']}" for (value,) in file.execute(query, (b"deal-77-large",))]
        learnt = {str(xxh3_64_intdigest(lesson.encode())).encode() for lesson in lessons}
        async with asyncio.timeout(120):
            while not all(digest in everywhere(tmp_path) for digest in learnt):  # noqa: ASYNC110 - who learns tells nobody
                await asyncio.sleep(0.1)
        assert learnt
        certificate = await erase(found, Subject("deal", "deal-77-large"))
        assert {"alerts", "outbox", "watch-entities", "evaluate-alerts", "predict-deals"} <= set(certificate.found)
        nowhere(tmp_path, "deal-77-large", "Merger with Ottoline", alert["id"], *lessons)
        # What a lead's people did was told by their keepers to the lead's, and of the lead to that of a deal.
        await take(found, of_jane(start - DAY_MS))
        await passing(now, lambda: all("acquaintances" in written(path, id.encode()) for id in JANE[2:]))
        jane = await erase(found, Subject("lead", JANE[2]))
        assert {"acquaintances", "predict-leads"} <= set(jane.found)
        nowhere(tmp_path, *JANE, *NAMES, HASH)
        customer = await erase(found, Subject("customer", "acc-7-c"))
        assert {"customers", "fold-customers", "know-customers", "customer-states"} <= set(customer.found)
        nowhere(tmp_path, "acc-7-c", "Company Number 7")
        assert b"Ottoline Harkaway" in everywhere(tmp_path)  # who sells is another to erase
        await erase(found, Subject("owner", "Ottoline Harkaway"))
        nowhere(tmp_path, "deal-77-large", "Ottoline Harkaway")
        await passing(now, lambda: not any("erased-" in str(one["segment"]) for one in found.evaluator.current()))
        nowhere(tmp_path, "deal-77-large", "Ottoline Harkaway")
    assert list(problems(path)) == []


def written(path: Path, text: bytes) -> set[str]:
    with closing(reader(path)) as file:
        query = "SELECT DISTINCT topic FROM records JOIN logs ON logs.id = place >> 40 WHERE instr(value, ?)"
        return {topic for (topic,) in file.execute(query, (text,))}
