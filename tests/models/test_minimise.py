"""What of a person is written at all: less where settings say so, and never anything that a figure is made of."""

from typing import Any

import pytest

from models.privacy.fields import FIELDS, Erased, Personal
from models.privacy.minimise import MINIMISED, How, Minimise

KEY = b"0123456789abcdef"
EVENT: dict[str, Any] = {
    "specversion": "1.0", "id": "e1", "source": "crm", "type": "lead.created", "subject": "L1", "time": "2026-01-01T00:00:00Z",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "data": {"name": "Ann Lee", "email_hash": "ab" * 32, "source": "web", "score": 7, "referrer": None},
}  # fmt: skip


def test_a_field_is_left_out_hashed_or_cut_and_the_event_that_was_given_stays() -> None:
    data = dict(EVENT["data"])
    found = Minimise({"name": 1, "email_hash": "hash", "traceparent": "drop"}, KEY)(EVENT)
    assert EVENT["data"] == data
    assert "traceparent" not in found
    hashed = found["data"].pop("email_hash")
    assert found["data"] == {"name": "A", "source": "web", "score": 7, "referrer": None}
    assert hashed not in ("", "ab" * 32)


def test_a_hash_is_the_same_again_and_another_under_another_key_or_field() -> None:
    first, again, other = (Minimise({"name": "hash", "email_hash": "hash"}, key) for key in (KEY, KEY, KEY[::-1]))
    assert first.text("name", "x") == again.text("name", "x")
    assert len({first.text("name", "x"), first.text("email_hash", "x"), other.text("name", "x")}) == 3


def test_null_still_clears_a_field_and_what_is_no_text_is_left_to_whoever_reads_it() -> None:
    event = {"type": "lead.updated", "data": {"name": None, "email_hash": 7}}
    assert Minimise({"name": 1, "email_hash": "hash"}, KEY)(event) == event


def test_nothing_is_left_of_a_text_that_is_cut_to_blanks() -> None:
    assert Minimise({"name": 2})({"type": "lead.updated", "data": {"name": "  Ann"}})["data"] == {}


def test_what_nothing_is_said_of_is_not_even_copied() -> None:
    event = {"type": "deal.won", "data": {"amount": 1}}
    assert Minimise({"name": "drop"})(event) is event
    odd = {"type": "x", "data": 7}
    assert Minimise({"name": "drop"})(odd) is odd


@pytest.mark.parametrize(
    ("fields", "key", "why"),
    [
        ({"amount": "drop"}, KEY, "amount: no such field, or figures are made of it"),
        ({"lead_id": "hash"}, KEY, "lead_id: no such field"),
        ({"traceparent": "hash"}, KEY, "accepted: drop"),
        ({"name": "hash"}, b"short", "salt: not set"),
    ],
)
def test_what_figures_are_made_of_stays_and_a_hash_wants_a_key(fields: dict[str, How], key: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Minimise(fields, key)


def test_only_fields_that_an_erasure_takes_out_anyway_are_accepted() -> None:
    for name in MINIMISED:
        assert FIELDS[name].erased is Erased.REMOVED
        assert FIELDS[name].personal in (Personal.YES, Personal.PERHAPS)
