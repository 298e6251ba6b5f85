"""A log of which no line can be changed, removed or slipped in without that showing."""

import msgspec
import pytest

from models.privacy.audit import Chain, about, encode, hash_of, read, verify


def log(count: int, *, after: str = "") -> list[bytes]:
    chain = Chain.begin("2026-01-01T00:00:00.000Z", "w1", after)
    written = [encode(chain.last)]
    for n in range(count):
        chain.last = chain.next(
            "2026-01-01T00:00:01.000Z", "ann", "GET /api/leads/{id}", of=chain.of("lead", f"L{n}"), status=200
        )
        written.append(encode(chain.last))
    return written


def wrong(records: list[bytes], *, whole: bool = True) -> list[str]:
    return [why for stand in verify(records, whole=whole).values() for why in stand.wrong]


def test_what_was_written_is_whole_and_a_second_start_goes_on_from_the_first() -> None:
    first = log(3)
    last = read(first[-1])
    assert last is not None
    records = first + log(2, after=last.hash)
    assert wrong(records) == []
    assert [(stand.by, stand.entries, stand.number) for stand in verify(records).values()] == [("w1", 4, 3), ("w1", 3, 2)]


def test_an_entry_that_was_written_twice_counts_once() -> None:
    records = log(2)
    assert wrong([*records, records[-1]]) == []
    assert next(iter(verify([*records, records[-1]]).values())).entries == 3


def test_each_entry_changed_or_removed_shows() -> None:
    first = log(4)
    last = read(first[-1])
    assert last is not None
    records = first + log(3, after=last.hash)
    for place in range(len(records) - 1):
        assert wrong(records[:place] + records[place + 1 :]), place
    for place, value in enumerate(records):
        entry = read(value)
        assert entry is not None
        forged = msgspec.structs.replace(entry, by="bob")
        assert wrong([*records[:place], encode(forged), *records[place + 1 :]]), place
        # With a hash that fits, the next one does not.
        forged = msgspec.structs.replace(forged, hash=hash_of(forged))
        if place != len(records) - 1:
            assert wrong([*records[:place], encode(forged), *records[place + 1 :]]), place
    assert wrong([records[0], records[2], records[1], *records[3:]])
    assert wrong([*records, b"{}"]) == ["record 9 is no entry"]


def test_all_of_an_earlier_start_taken_out_shows() -> None:
    older, first = log(1), log(2)
    last = read(first[-1])
    assert last is not None
    assert wrong([*older, *log(1, after=last.hash)]) == ["what was last before it is missing"]


def test_what_has_gone_by_age_is_no_fault() -> None:
    records = log(4)
    assert wrong(records[2:], whole=False) == []
    assert wrong(records[2:]) == ["begins with entry 2"]


def test_one_can_ask_who_looked_at_somebody_and_no_id_is_in_it() -> None:
    records = log(3)
    assert [one["by"] for one in about(records, "lead", "L1")] == ["ann"]
    assert list(about(records, "deal", "L1")) == []
    assert len(list(about(records))) == 4
    assert not any(b"L1" in value for value in records)


@pytest.mark.parametrize("value", [b"", b"null", b"[]", b"\xff", b'{"type":"audit"}', None])
def test_what_is_no_entry_is_none(value: bytes | None) -> None:
    assert read(value) is None
