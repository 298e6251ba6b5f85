"""Is one record applied whole or not at all, whatever is in it and wherever a fault of ours lies?"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.calendar import HOUR_MS, iso
from models.events.catalogue import STRUCTS
from models.events.facts import DealFacts, LeadFacts
from models.fold import Record
from models.folds.partition import EntityPartition
from models.panes.store import Panes
from tests.models.test_partition import BUSINESS, T0, deal_events, event, lead_events, record, tally_events, visit_events

POISON = "e0010"


HISTORIES: dict[str, Callable[[int, int], list[dict[str, Any]]]] = {
    "deals": deal_events,
    "leads": lead_events,
    "engagement": visit_events,
    "customers": tally_events,
}


class Kept:
    """The rows of a partition and what it has sent, as the broker would have them."""

    def __init__(self, fold: str) -> None:
        self.fold = fold
        self.rows: dict[bytes, bytes] = {}
        self.letters: list[dict[str, Any]] = []
        self.forwarded: list[bytes] = []
        self.partition = EntityPartition(fold, 0, BUSINESS)

    def checkpoint(self) -> "Kept":
        changes = self.partition.changes()
        for row in changes.rows:
            if row.value is None:
                self.rows.pop(row.key, None)
            else:
                self.rows[row.key] = row.value
        self.letters += [orjson.loads(o.value or b"") for o in changes.outputs if o.topic == "dead-letters"]
        self.forwarded += [o.value or b"" for o in changes.outputs if o.topic.endswith("-merges")]
        return self

    def restart(self) -> None:
        self.partition = EntityPartition(self.fold, 0, BUSINESS)
        self.partition.restore(self.rows.items())

    def sums(self) -> dict[bytes, Any]:
        """All entities and panes; which segments were admitted, and the watermark, are no sums."""
        return {key: orjson.loads(value) for key, value in self.rows.items() if key[:1] in (b"E", b"P")}


@contextlib.contextmanager
def failing(partition: EntityPartition, poison: str, call: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Have the ``call``-th booking that the event of that id makes fail; yields how often that happened."""
    take, add, present = partition._keeper.take, Panes.add, Panes.present
    left, hits = [0], [0]

    def taking(event: Any, at: int, arrival: int) -> str:
        left[0] = call if event.id == poison else 0
        try:
            return take(event, at, arrival)
        finally:
            left[0] = 0

    def counting(function: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: Any) -> None:
            if left[0]:
                left[0] -= 1
                if not left[0]:
                    hits[0] += 1
                    raise ZeroDivisionError("a fault of ours")
            function(*arguments)

        return counted

    with monkeypatch.context() as patch:
        patch.setattr(partition._keeper, "take", taking)
        patch.setattr(Panes, "add", counting(add))
        patch.setattr(Panes, "present", counting(present))
        yield hits


@pytest.mark.parametrize("fold", HISTORIES)
@pytest.mark.parametrize("every", [1, 7, 1000])
def test_a_fault_at_any_booking_of_an_event_leaves_nothing_of_it(fold: str, every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    history = HISTORIES[fold](3, 40)
    records = [record(fold, e, offset) for offset, e in enumerate(history)]
    met = 0
    for poison, call in itertools.product((10, 17, 25, 33), (1, 2, 3, 5)):
        without, kept = Kept(fold), Kept(fold)
        without.partition.fold([r for r in records if r.offset != poison])
        expected = without.checkpoint().sums()
        with failing(kept.partition, history[poison]["id"], call, monkeypatch) as hits:
            for start in range(0, len(records), every):
                kept.partition.fold(records[start : start + every])
                if start % 3 == 0:
                    kept.checkpoint()
            kept.checkpoint()
        if not hits[0]:
            continue
        met += 1
        assert kept.sums() == expected
        [letter] = kept.letters
        assert (letter["reason"], letter["offset"], letter["detail"]) == (
            "internal",
            poison,
            "ZeroDivisionError: a fault of ours",
        )
        assert kept.partition.faults.total == 1
        [fault] = kept.partition.faults.fresh
        assert (fault.where, "raise ZeroDivisionError" in fault.trace) == (f"{fold}-0-{poison}", True)
        assert sum(kept.partition.outcomes.values()) == len(history)
    assert met >= 3


def test_an_entity_that_cannot_be_written_is_that_events_fault_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [record("deals", e, offset) for offset, e in enumerate(deal_events(3, 40))]
    without = Kept("deals")
    without.partition.fold([r for r in records if r.offset != 10])
    kept = Kept("deals")
    encode = kept.partition.entities._encode

    def encoding(story: Any) -> bytes:
        if any(entry[1] == POISON for entry in story.log):
            raise OverflowError("Integer exceeds 64-bit range")
        return encode(story)

    kept.partition.entities._encode = encoding
    kept.partition.fold(records)
    assert kept.checkpoint().sums() == without.checkpoint().sums()
    assert [letter["offset"] for letter in kept.letters] == [10]


def test_many_faults_in_a_row_cost_no_more_than_going_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, calls = Kept("deals"), [0]
    take = kept.partition._keeper.take

    def taking(event: Any, at: int, arrival: int) -> str:
        calls[0] += 1
        if int(event.id[1:]) % 2:
            raise KeyError("every other")
        return take(event, at, arrival)

    monkeypatch.setattr(kept.partition._keeper, "take", taking)
    for start in range(0, 400, 100):
        kept.partition.fold([record("deals", e, n) for n, e in enumerate(deal_events(3, 400)[start : start + 100], start)])
    assert len(kept.checkpoint().letters) == 200
    assert calls[0] <= 2 * 400


# ── what may come on the topics of merges ──

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["merged", "won", "created", "EUR", "2026-01-01", "d1", "x" * 600]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    ["amount", "currency", "stage", "owner", "expected_close_date", "bant", "score", "into", "reason", "strange"]
)
facts = st.lists(
    st.tuples(
        st.sampled_from([T0, T0 + HOUR_MS, 0, -1, 2**63, 10**30]) | anything,
        st.sampled_from(["f1", "f2", "", "x" * 900]) | anything,
        st.sampled_from(["created", "updated", "won", "merged", "deleted", "converted", "mql", "none such"]) | anything,
        st.dictionaries(names, anything, max_size=3) | anything,
    ).map(list)
    | anything,
    max_size=3,
)


def absorbed(fold: str, facts: Any, subject: str = "d1", **more: Any) -> Record:
    kind = "deal" if fold == "deals" else "lead"
    data = {"origin": "gone", "version": 1, "path": ["gone"], "facts": facts, **more}
    body = {"specversion": "1.0", "id": "m", "source": "vigie", "type": f"{kind}.absorbed", "time": iso(T0), "subject": subject}
    try:
        value = orjson.dumps({**body, "data": data})
    except TypeError:  # more than 64 bits
        import json

        value = json.dumps({**body, "data": data}).encode()
    return Record(f"{kind}-merges", 0, 99, T0 + 400 * 24 * HOUR_MS, None, value, ())


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["deals", "leads"]), facts, st.sampled_from(["d1", "l1", "new"]))
def test_what_comes_on_the_topics_of_merges_is_taken_whole_or_is_a_dead_letter(fold: str, said: Any, subject: str) -> None:
    base = deal_events(5, 20) if fold == "deals" else lead_events(5, 20)
    kept = Kept(fold)
    kept.partition.fold([record(fold, e, offset) for offset, e in enumerate(base)])
    before = kept.checkpoint().sums()
    kept.partition.fold([absorbed(fold, said, subject)])
    kept.checkpoint()
    if kept.letters:
        assert kept.sums() == before
        assert kept.letters[0]["reason"] != "internal", kept.letters[0]["detail"]
    else:
        # Taken: then the state goes on, over a restart, as it does in memory.
        kept.restart()
        kept.partition.fold([record(fold, e, 50 + offset) for offset, e in enumerate(base)])
        kept.checkpoint()
        assert not kept.letters
    assert not kept.partition.faults.total


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["deals", "leads"]), st.binary(max_size=40) | anything.map(lambda value: repr(value).encode()), anything)
def test_any_bytes_on_the_topics_of_merges_are_a_dead_letter(fold: str, value: bytes, path: Any) -> None:
    kept = Kept(fold)
    kept.partition.fold([absorbed(fold, [], path=path)._replace(value=value), absorbed(fold, [], origin=path)])
    kept.checkpoint()
    assert {letter["reason"] for letter in kept.letters} <= {
        "bad_json",
        "not_an_object",
        "bad_envelope",
        "invalid_data",
        "no_value",
    }
    assert not kept.partition.faults.total


def test_every_attribute_that_an_event_may_have_can_be_handed_over() -> None:
    looked_at = 0
    for name, struct in STRUCTS.items():
        family = {"deal": DealFacts, "lead": LeadFacts}.get(name.partition(".")[0])
        if family is None or name.endswith((".merged", ".absorbed", ".activity", ".qualified")):
            continue
        fields = struct.__annotations__["data"].__struct_fields__
        assert set(fields) <= set(family.__struct_fields__), name
        looked_at += len(fields)
    assert looked_at > 100


# ── what would be too large for a topic ──


def test_a_merge_of_large_facts_goes_in_records_that_a_topic_takes() -> None:
    texts = ("owner", "team", "source", "campaign", "product", "region", "segment", "pipeline", "stage", "variant")
    updates = [
        event("deal.updated", "gone", T0 + i * HOUR_MS, f"u{i:03}", **{name: f"{i}漢".ljust(512, "漢") for name in texts})
        for i in range(64)
    ]
    kept = Kept("deals")
    kept.partition.fold([record("deals", e, offset) for offset, e in enumerate(updates)])
    kept.partition.fold([record("deals", event("deal.merged", "gone", T0 + 99 * HOUR_MS, "m", into="stays"), 70)])
    kept.checkpoint()
    assert len(kept.forwarded) > 1
    assert max(map(len, kept.forwarded)) < 1_000_000, "Kafka's default limit"
    survivor = Kept("deals")
    merges = [Record("deal-merges", 0, n, T0 + 400 * 24 * HOUR_MS, None, value, ()) for n, value in enumerate(kept.forwarded)]
    survivor.partition.fold(merges)
    rows = survivor.checkpoint().rows
    assert not survivor.letters
    assert [entry[1] for entry in orjson.loads(rows[b"Estays"])[0]] == [e["id"] for e in updates]


@pytest.mark.parametrize("fold", ["deals", "engagement"])
def test_a_row_that_would_be_too_large_is_the_last_records_dead_letter(fold: str, monkeypatch: pytest.MonkeyPatch) -> None:
    history = (deal_events if fold == "deals" else visit_events)(3, 400)
    monkeypatch.setattr("models.folds.partition.LARGEST_ROW", 2_000)
    kept = Kept(fold)
    for start in range(0, len(history), 50):
        kept.partition.fold([record(fold, e, n) for n, e in enumerate(history[start : start + 50], start)])
        kept.checkpoint()
        kept.restart()
    assert {letter["reason"] for letter in kept.letters} == {"too_large"}
    assert 0 < len(kept.letters) < len(history)
    assert max(len(value) for key, value in kept.rows.items() if key.startswith(b"E")) <= 2_000
    assert not kept.partition.faults.total
    # What was taken counts as it would without the rest.
    without = Kept(fold)
    refused = {letter["offset"] for letter in kept.letters}
    without.partition.fold([record(fold, e, n) for n, e in enumerate(history) if n not in refused])
    assert without.checkpoint().sums() == kept.sums()
