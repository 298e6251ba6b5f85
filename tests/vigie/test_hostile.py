"""Does any fold fall over a record on any of its topics, now or when its state comes back?"""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fold import PartitionFold, Record
from stream.config.settings import load
from stream.engine.options import FoldSpec
from vigie.instance import Instance

NOW = 1_780_000_000_000
SPECS: dict[str, FoldSpec] = {spec.name: spec for spec in Instance(load({}), "nowhere:9").engine.specs}

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["open", "message", "transition", "act", "2026-01-01T00:00:00Z", "deal", "fired", "x" * 600]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
#: The names that readers of these topics ask for, so that more than the first of them is met.
NAMES = (
    *(
        "type",
        "id",
        "kind",
        "incident",
        "receivers",
        "at",
        "topic",
        "key",
        "stages",
        "deal",
        "lead",
        "win",
        "kpi",
        "window",
        "value",
    ),
    *(
        "segment",
        "rule",
        "state",
        "model",
        "entity",
        "features",
        "x",
        "number",
        "when",
        "said",
        "expires",
        "until",
        "silence",
        "by",
    ),
)
objects = st.dictionaries(st.sampled_from(NAMES), anything, max_size=6)


def written(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # beyond 64 bits
        return repr(value).replace("'", '"').replace("None", "null").encode()


values = st.none() | st.binary(max_size=20) | (objects | anything).map(written)
keys = (
    st.none()
    | st.binary(max_size=12)
    | st.sampled_from([b"", b"deals:0:m:1:total", b"sales|24h|total", b"d|1", b"E\xff", b"deal"])
)
headers = st.lists(
    st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.none() | st.binary(max_size=5)), max_size=2
)


def checkpoint(fold: PartitionFold, rows: dict[bytes, bytes]) -> None:
    for row in fold.changes().rows:
        if row.value is None:
            rows.pop(row.key, None)
        else:
            rows[row.key] = row.value


@pytest.mark.parametrize(
    ("name", "topic", "value"),
    [
        ("watch-entities", "limits", b'{"stages":null}'),
        ("watch-entities", "limits", b'{"stages":[1]}'),
        ("watch-entities", "limits", b'{"stages":{"a":[1e30,1e30,1e30,1e30]}}'),
        ("watch-entities", "limits", b'{"stages":{"a":[-1,0,1,2]}}'),
        ("fold-deals", "deal-merges", b'{"type":"deal.absorbed","data":{"facts":[[1,"a","merged",{}]]}}'),
        ("learn", "examples", b'{"kind":"replace","model":"\xff"}'),
    ],
)
def test_what_has_stopped_a_fold_once_is_refused(name: str, topic: str, value: bytes) -> None:
    spec = SPECS[name]
    fold, rows = spec.make(0), {}
    fold.restore([])
    fold.tick(NOW)
    fold.fold([Record(topic, 0, 0, NOW, b"k", value, (), NOW)])
    checkpoint(fold, rows)
    spec.make(0).restore(list(rows.items()))


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_record_stops_a_fold_or_keeps_its_state_from_coming_back(name: str, data: st.DataObject) -> None:
    spec = SPECS[name]
    fold, rows = spec.make(0), {}
    fold.restore([])
    for offset in range(3):
        topic = data.draw(st.sampled_from(spec.topics))
        fold.fold([Record(topic, 0, offset, NOW, data.draw(keys), data.draw(values), data.draw(headers), NOW)])
        fold.tick(NOW + offset)
        checkpoint(fold, rows)
    again = spec.make(0)
    again.restore(list(rows.items()))
    again.tick(NOW + 60_000)
    again.changes()
