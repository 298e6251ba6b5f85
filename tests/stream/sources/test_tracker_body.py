"""What the tracker's bodies tell, whatever is in them."""

import json
from typing import Any

import httpx
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from models.calendar import iso
from models.events.decode import decode
from models.events.scalars import parse_time
from stream.config.settings import load
from stream.ingest import collect
from stream.ingest.event_ids import InMemory
from stream.sources.tracker import OLDEST, TrackedBody, read
from tests.stream.web.test_webhooks import Written

NOW = 1_795_260_000_000
SETTINGS = load(environ={}, collect={"sites": {"shop": {"key": "shop-4f7a2c91", "origins": ["https://www.example.com"]}}})
SITE = SETTINGS.collect.sites["shop"]
TYPES = ("page_viewed", "cta_clicked", "form_submitted", "demo_requested", "identified")

texts = st.text(max_size=40) | st.sampled_from(
    ["ann@example.com", "https://a.example/x@y?z#w", "https://[", "a\n", "%40", " ", "x" * 3_000]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
anything: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
ids = st.text("abcdefghij0123456789_-", min_size=8, max_size=64)
names = st.sampled_from(["page", "referrer", "source", "campaign", "cta", "form", "lead", "seconds", "session", "extra"])
good = st.fixed_dictionaries(
    {
        "id": ids,
        "type": st.sampled_from(TYPES),
        "at": st.integers(NOW - 10**6, NOW + 10**6) | st.floats(NOW - 10**6, NOW),
        "visitor": ids,
    },
    optional={"seconds": st.floats(0, 1e12), "session": ids, **dict.fromkeys(("page", "source", "cta", "form", "lead"), texts)},
)
fields = names | st.sampled_from(["id", "type", "at", "visitor"])
# Sound events of which any field may be anything.
bent = st.builds(lambda event, more: event | more, good, st.dictionaries(fields, anything))
bodies = st.builds(
    lambda sent, events, more: more | {"sent": sent, "events": events},
    st.just(NOW) | anything,
    st.lists(good | bent | anything, max_size=6) | anything,
    st.dictionaries(texts, anything, max_size=2),
)


def told(tree: Any) -> TrackedBody:
    return read("shop", SITE, json.dumps(tree).encode(), NOW)


def check(found: TrackedBody) -> None:
    for event in found.events:
        decode(json.dumps(event).encode(), (), topic="engagement", arrival=NOW)
        assert NOW - OLDEST <= parse_time(event["time"]) <= NOW
        end = parse_time(event["time"]) + 1000 * event["data"].get("duration_seconds", 0)
        assert end <= NOW + 1, "nothing ends after it has arrived"
        data = event["data"]
        assert not any("@" in data.get(name, "") for name in ("page", "referrer", "source", "campaign", "cta", "form", "lead_id"))
        assert not any(part in data.get("page", "") for part in "?#")
        assert event["subject"] == data["visitor_id"]
    for refused in found.unusable:
        assert refused.reason and refused.detail and len(refused.detail) < 400


@settings(max_examples=150, deadline=None)
@given(bodies | anything)
def test_whatever_the_json_its_events_are_of_the_contract(tree):
    check(told(tree))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_whatever_the_bytes(body):
    check(read("shop", SITE, body, NOW))


@settings(max_examples=100, deadline=None)
@given(st.lists(good, min_size=1, max_size=5), st.integers(-(10**12), 10**12))
def test_the_clock_of_the_device_does_not_matter(events, off):
    whole = [event | {"at": int(event["at"])} for event in events]
    moved = [event | {"at": event["at"] + off} for event in whole]
    one, other = told({"sent": NOW, "events": whole}), told({"sent": NOW + off, "events": moved})
    assert (one.events, [str(e) for e in one.unusable]) == (other.events, [str(e) for e in other.unusable])
    assert len(one.events) + len(one.unusable) == len(events)
    check(one)


HEADERS = ("origin", "dnt", "sec-gpc", "user-agent", "content-type", "content-encoding", "x-forwarded-for", "sec-ch-ua")
VALUES = (SITE.origins[0], "1", "gzip", "deflate", "text/plain", "application/json", "Mozilla/5.0", "10.0.0.1, ::1")
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
headers = st.dictionaries(st.sampled_from(HEADERS), printable | st.sampled_from(VALUES))


@settings(max_examples=100, deadline=None)
@given(headers, st.binary(max_size=100) | bodies.map(lambda tree: json.dumps(tree).encode()), st.booleans(), st.data())
async def test_the_door_knows_an_answer_to_everything(told, content, named, data):
    app, intake = FastAPI(), Written()
    app.state.collector = collect.Collector(SETTINGS.collect, intake, InMemory(), clock=lambda: NOW)
    app.include_router(collect.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://vigie") as client:
        path = "/collect?site=" + (SITE.key if named else data.draw(st.text("abc%&=+ ", max_size=9)))
        sound = {"origin": SITE.origins[0], "user-agent": "Mozilla/5.0", "content-type": "text/plain"}
        answer = await client.post(path, content=content, headers=(sound if data.draw(st.booleans()) else {}) | told)
    assert answer.status_code in (202, 204, 400, 401, 403, 413, 415)
    assert (answer.status_code == 202) or not intake.records
    if answer.status_code == 202:
        counts = answer.json()
        assert counts["accepted"] >= len([r for r in intake.records if r.topic == "engagement"])
        assert bool(counts["unusable"]) == any(record.topic == "dead-letters" for record in intake.records)


def test_an_event_is_as_old_as_it_was_when_sent():
    (event,) = told(
        {"sent": 5_000, "events": [{"id": "event-01", "type": "cta_clicked", "at": 2_000, "visitor": "visitor-1"}]}
    ).events
    assert event["time"] == iso(NOW - 3_000)
