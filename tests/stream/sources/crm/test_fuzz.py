"""Whatever a sender says, in its own form or in one that is nearly its own: a verdict, never an exception.

The seeds are the bodies of all conformance vectors. More by hand:
``FUZZ_EXAMPLES=20000 pytest tests/stream/sources/crm/test_fuzz.py``.
"""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.events.catalogue import TOPIC_OF
from models.events.decode import decode
from models.events.refused import Reason
from stream.ingest.door import DoorSource, letter
from stream.sources.crm import ADAPTERS, Doubt, Verdict, adapter_of, overridden, parse_settings, receive
from stream.sources.crm.trial import of
from tests.stream.sources.crm.senders import NOW, SENDERS, Vector

VECTORS = Path(__file__).parents[4] / "docs" / "webhook-conformance"
NAMES = sorted(ADAPTERS)
NAMED = {reason.value for reason in (*Doubt, *Reason)} | {"ignored", None}
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "80"))
BOUNDED = settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES < 1000, suppress_health_check=list(HealthCheck))

#: What has broken a reader of JSON before, somewhere.
SURPRISES: list[Any] = [
    None, True, False, 0, -1, 1, 0.1, -0.0, 1e308, -1e308, 5e-324, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63), 10**40, 1e400, "",
    " ", "0", "-1", "1e999", "NaN", "Infinity", "٣", "1_000", "0x10", "1,5", "true", "null", "\0", "\ud800", "\u202e", "é" * 300,
    "a" * 70_000, "closedwon", "won", "2026-02-30", "2026-13-01T00:00:00Z", "0000-00-00", "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00+14:00", "2026-09-21T14:13:20.395000+99:99", "1790000000", 1790000000.5, "=cmd()", "<a>", "%00", "../..",
    "EUR", "eur", "€", [], {}, [[]], [{}], {"": ""}, {"id": None}, {"value": {"value": 1}}, [None] * 50, {"$ref": "#"},
]  # fmt: skip


def bodies(name: str) -> list[bytes]:
    """Return the bodies of the adapter's vectors, and its ordinary message."""
    found = {SENDERS[name].body.encode()}
    for line in (VECTORS / f"{name}.jsonl").read_bytes().splitlines():
        body = of(orjson.loads(line), NOW).request.body
        if len(body) < 20_000:
            found.add(body)
    return sorted(found)


BODIES = {name: bodies(name) for name in NAMES}


def judged(name: str, vector: Vector) -> Verdict:
    """Judge a request as the door does, to the bytes that would be written; hold what must hold of every verdict."""
    line = of(vector, 0)
    set_ = parse_settings(name, overridden(line.settings, {}))
    request = line.called(set_)
    verdict = receive(ADAPTERS[name], request, set_)
    assert verdict.status in (200, 401, 413) and verdict.reason in NAMED, verdict
    assert verdict.accepted or not verdict.events
    for event in verdict.events:
        decode(orjson.dumps(event), (), topic=TOPIC_OF[event["type"]], arrival=NOW)
        event["subject"].encode()
    if verdict.unusable:
        letter(DoorSource(name, adapter_of(name, {}), set_), request, verdict, NOW)
    return verdict


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every node."""
    yield path
    for key, child in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield from places(child, (*path, key))


def mutated(tree: Any, dice: random.Random) -> Any:
    """Return the tree with some of its nodes replaced, removed, doubled, renamed or exchanged."""
    tree = json.loads(json.dumps(tree))
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        *path, last = dice.choice([place for place in places(tree) if place] or [("",)])
        if last == "":
            return dice.choice(SURPRISES)
        node = tree
        for key in path:
            node = node[key]
        what = dice.randrange(6)
        if what == 0:
            del node[last]
        elif what == 1 and isinstance(node, list):
            node.insert(last, node[last])
        elif what == 1:
            node[str(last).swapcase()] = node.pop(last)
        elif what == 2:
            node[last] = [node[last]]
        elif what == 3 and isinstance(node, dict):
            node[last] = node[dice.choice(list(node))]
        else:
            node[last] = dice.choice(SURPRISES)
    return tree


def smudged(body: bytes, dice: random.Random) -> bytes:
    """Return the bytes with some changed, cut out, doubled or put in."""
    found = bytearray(body)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        at = dice.randrange(len(found) + 1)
        what = dice.randrange(4)
        if what == 0:
            found[at : at + dice.randrange(20)] = b""
        elif what == 1:
            found[at:at] = found[max(0, at - dice.randrange(60)) : at]
        elif what == 2:
            found[at:at] = dice.choice(
                (b"\0", b"\xff", b"\xed\xa0\x80", b"<!DOCTYPE a>", b"&x;", b"]]>", b"<![CDATA[", b"{", b'"', b"9" * 400)
            )
        elif at < len(found):
            found[at] = dice.randrange(256)
    return bytes(found)


@pytest.mark.parametrize("name", NAMES)
@BOUNDED
@given(seed=st.integers(0, 2**48))
def test_messages_with_surprises_in_them(name: str, seed: int) -> None:
    dice = random.Random(seed)
    body = dice.choice(BODIES[name])
    try:
        body = json.dumps(mutated(json.loads(body), dice)).encode()
    except (ValueError, RecursionError):  # not every vector is JSON
        body = smudged(body, dice)
    verdict = judged(name, SENDERS[name].sign(body))
    assert verdict.accepted or not SENDERS[name].json, "what is signed is taken, be it as a dead letter"


@pytest.mark.parametrize("name", NAMES)
@BOUNDED
@given(seed=st.integers(0, 2**48))
def test_messages_with_other_bytes_in_them(name: str, seed: int) -> None:
    dice = random.Random(seed)
    judged(name, SENDERS[name].sign(smudged(dice.choice(BODIES[name]), dice)))


HEADER = st.text(st.characters(max_codepoint=255), max_size=40)


@pytest.mark.parametrize("name", NAMES)
@BOUNDED
@given(seed=st.integers(0, 2**48), value=HEADER, url=HEADER)
def test_headers_and_addresses_with_anything_in_them(name: str, seed: int, value: str, url: str) -> None:
    dice, vector = random.Random(seed), SENDERS[name].sign(SENDERS[name].body)
    headers = dict(vector["headers"])
    chosen = dice.choice([*headers, "content-type", "content-encoding", "x-forwarded-for"])
    headers[chosen] = value if dice.random() < 0.5 else smudged(headers.get(chosen, "").encode("latin-1"), dice).decode("latin-1")
    judged(name, vector | {"headers": headers, "url": "https://vigie.example.com/webhooks/it?" + url})
