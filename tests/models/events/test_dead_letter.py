"""Is enough kept of a refused record to understand it and to send it again?"""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events.dead_letter import KEY_KEPT, MOST_REDRIVES, VALUE_KEPT, NotRedrivable, dead_letter, decode
from models.events.refused import Reason, Refused
from models.fold import Record

REFUSED = Refused(Reason.BAD_JSON, "value: not JSON")


def record(
    value: bytes | None = b"{", key: bytes | None = b"d-1", headers: list[tuple[str, bytes | None]] | None = None
) -> Record:
    return Record("vigie.deals", 3, 42, 1_785_000_000_000, key, value, headers or [])


@given(
    st.none() | st.binary(max_size=200),
    st.none() | st.binary(max_size=50),
    st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), st.binary(max_size=20)), max_size=3),
)
def test_what_was_refused_comes_back_byte_for_byte(
    value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    letter = dead_letter(record(value, key, headers), REFUSED, 7)
    again = decode(letter.encode())
    assert again == letter
    sent = again.redrive()
    assert (sent.topic, sent.key, sent.value) == ("vigie.deals", key, value)
    assert sent.headers == [*headers, ("vigie_redrives", b"1"), ("vigie_letter", letter.id.encode())]


def test_it_says_where_and_why() -> None:
    letter = dead_letter(record(), REFUSED, 7, topic="deals")
    assert (letter.id, letter.reason, letter.detail) == ("deals-3-42", Reason.BAD_JSON, "value: not JSON")
    assert (letter.timestamp, letter.first_seen, letter.size) == (1_785_000_000_000, 7, 1)
    assert letter.sha256 == hashlib.sha256(b"{").hexdigest()


def test_redrives_are_counted_and_keep_the_letters_id_up_to_a_limit() -> None:
    letter, first = dead_letter(record(), REFUSED, 7), "vigie.deals-3-42"
    for count in range(1, MOST_REDRIVES + 1):
        sent = letter.redrive()
        assert sent.headers == [("vigie_redrives", str(count).encode()), ("vigie_letter", first.encode())]
        letter = dead_letter(record(headers=sent.headers)._replace(offset=42 + count), REFUSED, 7)
        assert (letter.redrives, letter.id, decode(letter.encode()).id) == (count, first, first)
    with pytest.raises(NotRedrivable, match="sent again 5 times, and refused each time"):
        letter.redrive()
    assert letter.redrive(force=True).headers[0] == ("vigie_redrives", b"6")
    assert dead_letter(record(headers=[("vigie_redrives", b"many")]), REFUSED, 7).redrives == 0


@pytest.mark.parametrize("name", [b"deals-1-2", b"x", b"", b"\xff-1-2", None, b"a" * 400 + b"-1-2", b"a-1-2\n"])
def test_a_record_that_was_never_sent_again_or_names_no_letter_has_its_own_id(name: bytes | None) -> None:
    assert dead_letter(record(headers=[("vigie_letter", name)]), REFUSED, 7).id == "vigie.deals-3-42"
    if name != b"deals-1-2":
        headers = [("vigie_letter", name), ("vigie_redrives", b"1")]
        assert dead_letter(record(headers=headers), REFUSED, 7).id == "vigie.deals-3-42"


def test_the_largest_value_is_kept_whole() -> None:
    value = b"x" * VALUE_KEPT
    assert decode(dead_letter(record(value), REFUSED, 7).encode()).redrive().value == value


@pytest.mark.parametrize(
    ("found", "part"),
    [
        (record(b"x" * 20_000_000), "value"),
        (record(key=b"k" * (KEY_KEPT + 1)), "key"),
        (record(headers=[("a", b"x" * 10_000), ("b", b"x" * 10_000)]), "headers"),
    ],
)
def test_what_is_too_large_is_cut_and_says_so(found: Record, part: str) -> None:
    letter = decode(dead_letter(found, REFUSED, 7).encode())
    assert letter.cut == [part]
    assert len(letter.encode()) < 120_000
    assert found.value is not None
    assert (letter.size, letter.sha256) == (len(found.value), hashlib.sha256(found.value).hexdigest())
    with pytest.raises(NotRedrivable, match=f"vigie.deals-3-42: {part} too large .* partition 3, offset 42"):
        letter.redrive()


def test_details_are_bounded_and_always_text() -> None:
    letter = dead_letter(record(), Refused(Reason.INTERNAL, "\ud800" + "x" * 10_000), 7)
    assert len(decode(letter.encode()).detail) == 2_000


def test_null_headers_are_kept_as_they_are() -> None:
    letter = dead_letter(record(headers=[("a", None)]), REFUSED, 7)
    assert decode(letter.encode()).redrive().headers[0] == ("a", None)


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'{"reason":"\xff"}', b'{"reason":"none such"}'])
def test_what_is_no_dead_letter_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="dead letter: "):
        decode(value)


def test_a_refusal_reads_well() -> None:
    assert str(REFUSED) == "bad_json: value: not JSON"
