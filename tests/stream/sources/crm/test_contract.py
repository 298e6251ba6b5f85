"""What every adapter of webhooks owes: a new one needs a line in ``senders.SENDERS``, and this suite waits for it."""

import json
import random
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.events.catalogue import TOPIC_OF
from models.events.decode import decode
from stream.sources.crm import (
    ADAPTERS,
    BODY_LIMIT,
    Doubt,
    SourceProblem,
    Verdict,
    adapter_of,
    overridden,
    parse_settings,
    receive,
)
from stream.sources.crm.trial import of
from tests.stream.sources.crm.senders import NOW, SECRET, SENDERS, Vector, raw

NAMES = sorted(ADAPTERS)
TIMED = [name for name in NAMES if SENDERS[name].has_time]


def judge(name: str, vector: Vector, **over: Any) -> Verdict:
    line = of(vector, 0)
    source = parse_settings(name, overridden(line.settings, over))
    return receive(ADAPTERS[name], line.called(source), source)


def test_every_adapter_has_a_sender():
    assert sorted(SENDERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
class TestEvery:
    def test_takes_what_is_right(self, name):
        sender = SENDERS[name]
        verdict = judge(name, sender.sign(sender.body))
        assert (verdict.accepted, verdict.status, verdict.reason) == (True, 200, None), verdict
        assert tuple(event["type"] for event in verdict.events) == sender.types
        for event in verdict.events:
            decode(orjson.dumps(event), (), topic=TOPIC_OF[event["type"]], arrival=NOW)

    def test_gives_the_same_ids_when_it_is_sent_again(self, name):
        sender = SENDERS[name]
        first = judge(name, sender.sign(sender.body))
        again = sender.body.replace('"attemptNumber":0', '"attemptNumber":3').replace('"attempt":1', '"attempt":2')
        later = sender.sign(again, at=NOW + 60_000)
        second = judge(name, {**later, "received_at": NOW + 60_000})
        assert second.accepted and [e["id"] for e in second.events] == [e["id"] for e in first.events]
        assert len({e["id"] for e in first.events}) == len(first.events)

    def test_refuses_another_secret(self, name):
        sender = SENDERS[name]
        verdict = judge(name, sender.sign(sender.body, secret="somebody-else"))
        assert (verdict.accepted, verdict.status, verdict.events) == (False, 401, ())
        assert verdict.reason in (Doubt.BAD_SIGNATURE, Doubt.BAD_CREDENTIALS)

    def test_refuses_a_changed_body(self, name):
        sender = SENDERS[name]
        if not sender.covers_body:
            pytest.skip("the sender has no signature over the body")
        forged = sender.sign(sender.body) | {"body": sender.body + " "}
        assert judge(name, forged).reason == Doubt.BAD_SIGNATURE

    def test_refuses_without_any_proof(self, name):
        sender = SENDERS[name]
        verdict = judge(name, sender.sign(sender.body) | {"headers": {}})
        assert (verdict.accepted, verdict.status) == (False, 401)

    def test_refuses_where_nothing_is_set(self, name):
        sender = SENDERS[name]
        verdict = judge(name, sender.sign(sender.body) | {"settings": {}})
        assert (verdict.accepted, verdict.status, verdict.reason) == (False, 401, Doubt.NOT_CONFIGURED)

    def test_an_empty_secret_opens_nothing(self, name):
        sender = SENDERS[name]
        vector = sender.sign(sender.body, secret="")
        for empty in ({"secrets": [""]}, {"client_secret": ""}, {"username": "", "password": ""}, {"username": "vigie"}):
            assert judge(name, vector | {"settings": empty}).status == 401

    def test_takes_both_secrets_while_they_change(self, name):
        sender = SENDERS[name]
        vector = sender.sign(sender.body)
        mine = next((v for k, v in vector["settings"].items() if k in ("client_secret", "secrets", "signature_key")), None)
        if mine is None:
            pytest.skip("names and passwords are one at a time")
        both = ["an-old-one", *(mine if isinstance(mine, list) else [mine])]
        assert judge(name, vector, secrets=both).accepted
        assert judge(name, vector, secrets=both[::-1]).accepted
        assert judge(name, vector, secrets=both[:1]).status == 401


@pytest.mark.parametrize("name", TIMED)
class TestTimed:
    @pytest.mark.parametrize(("offset", "reason"), [(-300_000, None), (-301_000, Doubt.STALE), (301_000, Doubt.FUTURE)])
    def test_is_told_in_time(self, name, offset, reason):
        sender = SENDERS[name]
        verdict = judge(name, sender.sign(sender.body, at=NOW + offset))
        assert verdict.reason == reason and verdict.accepted == (reason is None)

    @pytest.mark.parametrize("stamp", ["", "abc", "-1", "1e12", "１７９００００００１", "1" * 30, "1790000001.5", "NaN", "0x10"])
    def test_a_time_is_plain_digits(self, name, stamp):
        sender = SENDERS[name]
        vector = sender.sign(sender.body)
        headers = {key: stamp if "timestamp" in key.lower() else value for key, value in vector["headers"].items()}
        assert judge(name, vector | {"headers": headers}).status == 401


@pytest.mark.parametrize("name", NAMES)
class TestAnything:
    def test_header_names_have_no_case(self, name):
        sender = SENDERS[name]
        vector = sender.sign(sender.body)
        assert judge(name, vector | {"headers": {key.upper(): value for key, value in vector["headers"].items()}}).accepted

    @pytest.mark.parametrize(
        "value", ["", " ", "é", "💥", "a, b", "v1,", "v1a,AAAA", "Basic %%%", "Basic Zm9v", "Bearer x", "\ud800"]
    )
    def test_odd_headers_are_refused(self, name, value):
        sender = SENDERS[name]
        vector = sender.sign(sender.body)
        hidden = set(ADAPTERS[name].credentials)
        headers = {key: value if key.lower() in hidden else old for key, old in vector["headers"].items()}
        assert judge(name, vector | {"headers": headers}).status == 401

    def test_what_is_authentic_but_unusable_is_accepted(self, name):
        sender = SENDERS[name]
        for body in ("[1]", '{"a":1,"a":2}', "NaN", "{", '"text"', "null", b"\xff\xfe{\x00}\x00", "[" * 5000 + "]" * 5000, ""):
            verdict = judge(name, sender.sign(body))
            assert (verdict.accepted, verdict.status, verdict.events) == (True, 200, ()), (body, verdict)
            assert verdict.reason not in (None, "ignored") and verdict.unusable, body

    def test_a_body_beyond_the_limit_is_not_looked_at(self, name):
        sender = SENDERS[name]
        verdict = judge(name, sender.sign(" " * (BODY_LIMIT + 1)))
        assert (verdict.accepted, verdict.status, verdict.reason) == (False, 413, "too_large")

    def test_says_no_secret(self, name):
        sender = SENDERS[name]
        for vector in (sender.sign(sender.body), sender.sign(sender.body, secret="wrong"), sender.sign("{")):
            line = of(vector, 0)
            source = parse_settings(name, line.settings)
            verdict = receive(ADAPTERS[name], line.called(source), source)
            said = repr((verdict, source))
            assert SECRET not in said
            for header in ADAPTERS[name].credentials:
                assert line.request.headers.get(header, "nothing of the kind") not in said

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(body=st.binary(max_size=400))
    @example(body=b"")
    @example(body=b"<a>")
    def test_no_bytes_break_it(self, name, body):
        verdict = judge(name, SENDERS[name].sign(body))
        assert verdict.status in (200, 401)

    @settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        seed=st.integers(0, 2**32),
        junk=st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
            max_leaves=6,
        ),
    )
    def test_no_surprise_in_a_message_breaks_it(self, name, seed, junk):
        sender = SENDERS[name]
        if not sender.json:
            body = junk if isinstance(junk, str) else json.dumps(junk)
            place = seed % len(sender.body)
            verdict = judge(name, sender.sign((sender.body[:place] + body + sender.body[place:]).encode("utf-8", "replace")))
        else:
            tree = spoilt(json.loads(sender.body), junk, random.Random(seed))
            verdict = judge(name, sender.sign(json.dumps(tree)))
            assert verdict.accepted
        assert verdict.status in (200, 401)
        for event in verdict.events:
            decode(orjson.dumps(event), (), topic=TOPIC_OF[event["type"]], arrival=NOW)


def spoilt(tree: Any, junk: Any, dice: random.Random) -> Any:
    """Return the tree with one node, chosen at random, replaced or removed."""
    if isinstance(tree, dict) and tree and dice.random() < 0.9:
        key = dice.choice(sorted(tree))
        if dice.random() < 0.1:
            return {name: value for name, value in tree.items() if name != key}
        return tree | {key: spoilt(tree[key], junk, dice)}
    if isinstance(tree, list) and tree and dice.random() < 0.9:
        place = dice.randrange(len(tree))
        return [*tree[:place], spoilt(tree[place], junk, dice), *tree[place + 1 :]]
    return junk


def test_an_unknown_adapter_is_named_with_the_known_ones():
    with pytest.raises(SourceProblem, match="accepted: hubspot, pipedrive"):
        adapter_of("zoho", {})
    assert adapter_of("zoho", {"adapter": "standard"}) is ADAPTERS["standard"]


def test_settings_say_all_that_is_wrong_and_no_secret():
    with pytest.raises(SourceProblem) as error:
        parse_settings(
            "hubspot", {"client_secret": {"a": SECRET}, "timezone": "Mars", "rate": -1, "colour": "red", "fields": {"x": "y"}}
        )
    said = str(error.value)
    assert len(error.value.problems) == 5 and SECRET not in said
    for place in ("sources.hubspot.timezone", "sources.hubspot.rate", "sources.hubspot.colour", "sources.hubspot.fields"):
        assert place in said


@pytest.mark.parametrize(
    ("public", "url", "called"),
    [
        ("https://v.example.com", "http://10.0.0.1:8080/webhooks/hubspot?a=%3A", "https://v.example.com/webhooks/hubspot?a=%3A"),
        ("https://v.example.com/vigie", "/webhooks/hubspot", "https://v.example.com/vigie/webhooks/hubspot"),
        ("https://v.example.com/vigie/", "/vigie/webhooks/hubspot", "https://v.example.com/vigie/webhooks/hubspot"),
        ("", "http://10.0.0.1/x", "http://10.0.0.1/x"),
    ],
)
def test_the_address_is_the_public_one(public, url, called):
    assert parse_settings("hubspot", {"public_url": public or None}).address(url) == called


def test_networks():
    source = parse_settings("salesforce", {"networks": ["203.0.113.0/24", "2001:db8::/32"]})
    assert source.admits("203.0.113.9") and source.admits("::ffff:203.0.113.9") and source.admits("2001:db8::1")
    assert not source.admits("198.51.100.1") and not source.admits("unix") and parse_settings("salesforce", {}).admits("unix")
    with pytest.raises(SourceProblem):
        parse_settings("salesforce", {"networks": ["here"]})


def test_raw_is_what_is_signed():
    assert raw("é") == "é".encode()
