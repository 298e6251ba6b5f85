"""Do the fast way and the published contract accept and refuse the same bytes, with the same value?"""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.events import authority, contract
from models.events.catalogue import STRUCTS, TOPIC_OF, TOPICS
from models.events.decode import Decode, decoder
from models.events.refused import Refused
from tests.models.events.samples import ARRIVAL, DATA, event, pairs, wire, written

KNOWN = frozenset({"EUR", "USD"})
BOTH = {topic: (decoder(topic, currencies=KNOWN), decoder(topic, currencies=KNOWN, direct=False)) for topic in TOPICS}

ODD: list[bytes] = [
    *(b"0 -0 -0.0 1 1.0 1e0 1e3 10e-1 2.5 -1 01 1. .5 +1 0x1 1e 1e400 -1e400 1e-400 5e-324 1e12 1e12.5".split()),
    *(b"9007199254740993 9223372036854775807 9223372036854775808 18446744073709551616 123456789012345678901234567890".split()),
    *(b"1000000000000 1000000000001 1000000000000.00001 0.00005 0.00015 99.99995 NaN Infinity -Infinity nan null true".split()),
    *(b'false {} [] [1] {"a":1} "" "1" "1.5" "-1.5" "+2" "1e3" "1E-3" ".5" "5." "1,5" "1_0" " 1" "1 " "NaN" "1e400"'.split()),
    *(b'"1e999999999" "-0" "mql" "sql" "nps" "csat" "EUR" "USD" "XXX" "eur" "EURO" "2026-02-29" "2026-02-28"'.split()),
    *(b'"2026-07-24T10:20:30Z" "2026-07-24T10:20:30" "2026-07-24t10:20:30.999999999z" "2026-07-24T10:20:60Z"'.split()),
    *(b'"2026-07-24T10:20:30+02:00" "2026-07-24T24:00:00Z" "0000-01-01T00:00:00Z" "9999-12-31T23:59:59-23:59"'.split()),
    *(b'"1970-01-01T00:00:00Z" "2100-01-01T00:00:00Z" "20260724T102030Z" "2026-07-24T10:20Z" "1.0" "application/json"'.split()),
    b'"2026-07-24 10:20:30Z"',
    b'"application/json; charset=utf-8"',
    b'"text/xml"',
    '"٣"'.encode(),
    '"²"'.encode(),
    b'"\\ud800"',
    b'"\\ud83d\\ude00"',
    b'"\\ude00\\ud83d"',
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b'"\xc2\x9b"',
    b'"\xc2\xa0"',
    b'"\x7f"',
    b'"\x01"',
    b'"\\u0000"',
    b'"\\n"',
    b'"\\u0065"',
    b'"' + b"x" * 200 + b'"',
    b'"' + b"x" * 201 + b'"',
    b'"' + b"x" * 256 + b'"',
    b'"' + b"x" * 257 + b'"',
    b'"' + b"x" * 512 + b'"',
    b'"' + b"x" * 513 + b'"',
    b'"' + "😀".encode() * 256 + b'"',
    b'"' + "é".encode() * 513 + b'"',
    b'"' + b"1" * 64 + b'"',
    b'"' + b"1" * 65 + b'"',
    b"[" * 2000 + b"]" * 2000,
    b'{"a":' * 600 + b"1" + b"}" * 600,
]
NAMES = sorted({name for data in DATA.values() for name in data} | set(event()) | {"bant", "budget", "extra", "traceparent"})
NAMES += ["tracestate", "datacontenttype", "dataschema", "data_base64", "Type", "", "\x00", "é"]
SHARDS = [
    b"",
    b" ",
    b"\n",
    b"\xef\xbb\xbf",
    b"\x00",
    b"\xff",
    b",",
    b"}",
    b"{",
    b'"',
    b"\\",
    b"[",
    b"]",
    b":",
    b"/*x*/",
    b"e",
    b"0",
]


def outcome(decode: Decode, value: bytes) -> Any:
    """Return what decoding says, so that 1, 1.0 and True differ."""
    try:
        found, at, unknown = decode(value, (), ARRIVAL)
    except Refused as refused:
        return refused.reason, refused.detail
    return type(found), repr(found), at, unknown


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    kind = draw(st.sampled_from(sorted(DATA)))
    tree: Any = pairs(event(kind))
    for _ in range(draw(st.integers(0, 4))):
        objects = [tree, *(value for _, value in tree if isinstance(value, list))]
        objects += [inner for value in objects[1:] for _, inner in value if isinstance(inner, list)]
        target = draw(st.sampled_from(objects))
        odd = st.sampled_from(ODD) | st.text(max_size=20).map(lambda text: written(pairs(text)))
        odd |= st.floats(allow_nan=False, allow_infinity=False).map(pairs) | st.integers(-(2**63), 2**64 - 1).map(pairs)
        action = draw(st.sampled_from(["replace", "replace", "add", "drop", "repeat", "move"]))
        place = draw(st.integers(0, max(0, len(target) - 1)))
        if action == "add" or not target:
            target.insert(place, (draw(st.sampled_from(NAMES)), draw(odd)))
        elif action == "replace":
            target[place] = (target[place][0], draw(odd))
        elif action == "drop":
            del target[place]
        elif action == "repeat":
            name, value = target[place]
            other = draw(st.just(value) | odd | st.sampled_from(sorted(DATA)).map(pairs))
            target.insert(draw(st.integers(0, len(target))), (name, copy.deepcopy(other)))
        else:
            target.insert(draw(st.integers(0, len(target) - 1)), target.pop(place))
    value = written(tree)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        begin = draw(st.integers(0, len(value)))
        end = min(len(value), begin + draw(st.integers(0, 3)))
        value = value[:begin] + draw(st.sampled_from(SHARDS) | st.binary(max_size=2)) + value[end:]
    topic = TOPIC_OF[kind] if draw(st.integers(0, 19)) else draw(st.sampled_from(sorted(TOPICS)))
    return topic, value


@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(mutated())
def test_both_ways_answer_the_same(case: tuple[str, bytes]) -> None:
    topic, value = case
    fast, slow = BOTH[topic]
    assert outcome(fast, value) == outcome(slow, value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["deal.stage_changed", "lead.created", "web.identified", "ad.impressed", "customer.surveyed"])
def test_every_odd_value_in_every_field(kind: str, name: str) -> None:
    fast, slow = BOTH[TOPIC_OF[kind]]
    for odd in ODD:
        for inner in (False, True):
            tree = pairs(event(kind))
            target = dict(tree)["data"] if inner else tree
            target[:] = [pair for pair in target if pair[0] != name]
            target.append((name, odd))
            assert outcome(fast, written(tree)) == outcome(slow, written(tree)), (odd[:80], inner)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_at_all(value: bytes) -> None:
    fast, slow = BOTH["deals"]
    assert outcome(fast, value) == outcome(slow, value)


@pytest.mark.parametrize("kind", sorted(DATA))
def test_a_good_event_of_each_type_needs_no_second_look(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = wire(kind)
    expected = outcome(BOTH[TOPIC_OF[kind]][1], value)
    assert expected[0] is STRUCTS[kind]
    if not TOPIC_OF[kind].endswith("-merges"):
        monkeypatch.delattr(authority, "read")
    assert outcome(BOTH[TOPIC_OF[kind]][0], value) == expected


@pytest.mark.parametrize("kind", sorted(STRUCTS))
def test_struct_and_contract_have_the_same_fields(kind: str) -> None:
    struct, model = STRUCTS[kind], authority.MODELS[kind]
    assert set(struct.__struct_fields__) | {"type"} == set(model.model_fields)
    data = model.model_fields["data"].annotation
    assert isinstance(data, type) and issubclass(data, contract.Part)
    data_struct = next(part for part, owner in authority.DATA_MODELS.items() if owner is data)
    assert set(data_struct.__struct_fields__) == set(data.model_fields)
    required = {name for name, field in data.model_fields.items() if field.is_required()}
    assert required == {field.name for field in msgspec.structs.fields(data_struct) if field.required}
