"""Is any row or output of any fold too large for its topic, whatever the largest inputs are? And if it were?"""

import functools
import random
from collections import defaultdict
from typing import Any

import orjson
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from models.calendar import HOUR_MS
from models.events.catalogue import STRUCTS, TOPIC_OF
from models.events.decode import decoder
from models.events.refused import Refused
from models.fold import LARGEST_ROW, Changes, Output, PartitionFold, Record, Row
from models.sizes import LARGEST_RECORD, Sizes
from stream.engine.in_memory import InMemoryEngine
from stream.engine.topic_list import MAX_ROW_BYTES
from tests.golden import BEGIN, Clock, history, in_order, instance_of, one, settled

#: What fills a text: signs of three and four bytes, and what JSON escapes.
FILLINGS = ("漢", "\U0001f4b8", '"', "\\", "a")
LONG = (512, 255, 200, 128, 64, 32, 16, 3, 2)
NUMBERS: tuple[Any, ...] = ("999999999999.9999", 10**12, 10**9, 999_999_999, 365, 100, 10, 5, 1)


@functools.cache
def accepted(name: str, field: str) -> list[Any]:
    """Return the large values that the contract takes for a field of an event."""
    texts = [sign * count for sign in FILLINGS for count in LONG]
    words = ["EUR", "2026-05-20", "won", "call", "meeting", "nps", "email", "mql", "sql", True, {"x": "y" * 512}]
    decode = decoder(TOPIC_OF[name])
    found = []
    for value in [*texts, *NUMBERS, *words]:
        try:
            body = event(name, "x", 0, {**needed(name), field: value})
            decode(body, (), BEGIN + 10 * HOUR_MS)
        except (Refused, TypeError):
            continue
        found.append(value)
    return found


def event(name: str, subject: str, minute: int, data: dict[str, Any]) -> bytes:
    body: dict[str, Any] = orjson.loads(one(name, subject, minute, data))
    return orjson.dumps(
        body | {"id": f"{subject[:20]}{name}{minute}".ljust(200, "i")[:200], "source": "https://x.test/" + "s" * 480}
    )


@functools.cache
def fields(name: str) -> tuple[str, ...]:
    return tuple(STRUCTS[name].__annotations__["data"].__struct_fields__)


@functools.cache
def needed(name: str) -> dict[str, Any]:
    """Return the least data with which an event is taken."""
    known = {
        "kind": "call", "level": "mql", "into": "y", "amount": "1", "currency": "EUR", "visitor_id": "v", "session_id": "s",
        "channel": "c", "score": 5, "path": [], "facts": [], "date": "2026-05-20", "stage": "a", "origin": "o",
        "response_seconds": 1, "version": 1,
    }  # fmt: skip
    found = {field: known[field] for field in fields(name) if field in known}
    if "kind" in found and name.startswith("customer"):
        found["kind"] = "nps"
    return found


NAMES = sorted(name for name in STRUCTS if not name.endswith(".absorbed"))


class Watched:
    """All folds in one process, each of their rows and outputs weighed."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.specs = instance_of(self.clock).engine.specs
        self.engine = InMemoryEngine(self.specs, lambda topic: 1)
        self.largest: defaultdict[str, int] = defaultdict(int)
        self.seen: defaultdict[str, list[Record]] = defaultdict(list)
        for spec in self.specs:
            self._weigh(spec.name, self.engine.fold_of(spec.name, 0))

    def _weigh(self, name: str, fold: Any) -> None:
        changes = fold.changes

        def weighed() -> Changes:
            found = changes()
            for row in found.rows:
                place = f"row of {name}"
                self.largest[place] = max(self.largest[place], len(row.key) + len(row.value or b""))
            for output in found.outputs:
                self.largest[output.topic] = max(self.largest[output.topic], len(output.key) + len(output.value or b""))
                if len(self.seen[output.topic]) < 400 and output.value is not None:
                    self.seen[output.topic].append(Record(output.topic, 0, 0, self.clock.at, output.key, output.value, ()))
            return found

        fold.changes = weighed

    def play(self, events: list[bytes]) -> None:
        stop = BEGIN
        for at, body in in_order(events):
            while at >= stop:
                settled(self.engine, self.clock, stop)
                stop += 6 * HOUR_MS
            name = orjson.loads(body)["type"]
            self.engine.publish(TOPIC_OF[name], orjson.loads(body)["subject"].encode(), body, at)
        for minutes in range(0, 60, 20):
            settled(self.engine, self.clock, stop + minutes * 60_000)


@settings(max_examples=3, deadline=None, phases=[Phase.generate])
@given(st.integers(0, 2**32))
def test_the_largest_events_make_no_row_and_no_output_that_is_too_large(seed: int) -> None:
    r = random.Random(seed)
    events = history()[:300]
    subjects = [sign * 200 for sign in ("漢", "d")] + [f"d{n}" for n in range(6)]
    for n in range(500):
        name = r.choice(NAMES)
        data = needed(name) | {
            field: r.choice(found) for field in fields(name) if (found := accepted(name, field)) and r.random() < 0.8
        }
        if "into" in data:
            data["into"] = r.choice(subjects)
        events.append(event(name, r.choice(subjects), n * 10, data))
    watched = Watched()
    watched.play(events)
    assert {"alerts", "deal-states", "dead-letters", "highlights", "panes", "readings"} <= watched.largest.keys()
    assert {place: size for place, size in watched.largest.items() if size > LARGEST_ROW} == {}
    told = ("alerts", "outbox", "readings", "findings", "deal-states", "lead-states", "predictions", "lead-predictions", "beats")
    assert {topic: size for topic in told if (size := watched.largest[topic]) > LARGEST_RECORD // 4} == {}
    assert len(watched.seen) >= 12, sorted(watched.seen)


# ── what somebody else has written to an inner topic ──


@functools.cache
def written() -> dict[str, list[Record]]:
    """Return what the folds write to their topics in a small history."""
    watched = Watched()
    watched.play(history())
    return dict(watched.seen)


def places(tree: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the ways to all that is in a document."""
    found = [way] if way else []
    for step, inner in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        found += places(inner, (*way, step))
    return found


def blown_up(tree: Any, way: tuple[Any, ...], by: str) -> bytes:
    inner = tree
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = by
    return orjson.dumps(tree)


def safe(fold: PartitionFold, sizes: Sizes, rows: dict[bytes, bytes]) -> list[Output]:
    """Make a checkpoint as the engine does: all of it is what Kafka takes."""
    changes, _ = sizes.fit(fold.changes(), BEGIN)
    for row in changes.rows:
        assert len(row.key) + len(row.value or b"") <= LARGEST_ROW
        if row.value is None:
            rows.pop(row.key, None)
        else:
            rows[row.key] = row.value
    for output in changes.outputs:
        assert len(output.key) + len(output.value or b"") <= LARGEST_ROW
    return changes.outputs


SPECS = {spec.name: spec for spec in instance_of(Clock()).engine.specs}


BIG = (
    "漢" * (LARGEST_ROW // 3 + 90_000),
    "x" * (MAX_ROW_BYTES - 2_000),
    '"' * (MAX_ROW_BYTES // 2 - 4_000),
    "x" * LARGEST_RECORD,
)


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=8, deadline=None, phases=[Phase.generate])
@given(st.integers(0, 2**32))
def test_a_record_as_large_as_its_topic_takes_stops_no_fold_now_or_later(name: str, seed: int) -> None:
    spec, seen, r = SPECS[name], written(), random.Random(seed)
    topic = r.choice(spec.topics)
    fold, sizes, rows = spec.make(0), Sizes(name, 0), dict[bytes, bytes]()
    fold.restore([])
    fold.tick(BEGIN)
    records = seen.get(topic) or [Record(topic, 0, 0, BEGIN, b"k", event(r.choice(NAMES), "d1", 0, {}), ())]
    for offset in range(2):
        found = r.choice(records)
        tree = orjson.loads(found.value or b"{}")
        if ways := places(tree):
            found = found._replace(value=blown_up(tree, r.choice(ways), r.choice(BIG)), offset=offset, read=BEGIN)
        if r.random() < 0.3:
            found = found._replace(key=r.choice(BIG).encode()[: MAX_ROW_BYTES - 1000], value=r.choice([None, found.value]))
        fold.fold(sizes.take([found]))
        fold.tick(BEGIN + offset)
        safe(fold, sizes, rows)
    again = spec.make(0)
    again.restore(list(rows.items()))
    again.tick(BEGIN + HOUR_MS)
    again.fold(Sizes(name, 0).take(records[:5]))
    again.tick(BEGIN + 2 * HOUR_MS)
    safe(again, Sizes(name, 0), rows)


def test_what_does_not_fit_is_left_out_told_once_and_told_again_when_it_has_fitted() -> None:
    sizes = Sizes("fold-deals", 3)
    large = b"x" * (LARGEST_ROW + 1)
    small = Changes([Row(b"E1", b"1")], [Output("panes", b"k", b"v")])
    assert sizes.fit(small, BEGIN) == (small, [])
    changes, said = sizes.fit(Changes([Row(b"E1", large), Row(b"E2", b"2")], [Output("panes", b"k", large)]), BEGIN)
    assert changes.rows == [Row(b"E2", b"2")]
    letters = [orjson.loads(output.value or b"") for output in changes.outputs]
    assert [(letter["topic"], letter["reason"], letter["partition"], letter["size"]) for letter in letters] == [
        ("fold-deals", "too_large", 3, len(large)),
        ("panes", "too_large", 3, len(large)),
    ]
    assert letters[0]["detail"].startswith(f"row of fold-deals, partition 3: {len(large) + 2} bytes, accepted are {LARGEST_ROW}")
    assert len(said) == 2
    assert sizes.fit(Changes([Row(b"E1", large)], []), BEGIN) == (Changes([], []), [])
    assert sizes.fit(Changes([Row(b"E1", b"1")], []), BEGIN) == (Changes([Row(b"E1", b"1")], []), [])
    assert len(sizes.fit(Changes([Row(b"E1", large)], []), BEGIN)[1]) == 1


def test_a_dead_letter_of_the_largest_record_fits() -> None:
    """Its key does, too."""
    from alert_rules.records.dead_letter import dead_output
    from models.events.refused import Reason

    record = Record("outbox", 0, 1, BEGIN, b"k" * MAX_ROW_BYTES, b"v" * MAX_ROW_BYTES, [("h" * 100_000, b"x" * 100_000)] * 20)
    output = dead_output(record, Reason.INVALID_DATA, "d" * 100_000, BEGIN)
    assert len(output.key) + len(output.value or b"") < 200_000
