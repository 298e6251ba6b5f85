"""Do settings, files of events and the tracker's bodies say what is wrong with them, whatever is in them, and nothing worse?"""

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.config.settings import Settings, SettingsError, load
from stream.config.tracker_settings import SiteSettings
from stream.sources import tracker
from stream.sources.files import FORMATS, FileEvent, FileReject, ReadOptions, SourceFileError, read_file

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "vigie.example.yaml").read_text("utf-8")
TREE: dict[str, Any] = yaml.safe_load(EXAMPLE)
SECRET = "s3cret-that-nobody-quotes"

odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["", "1h", "Europe/Paris", "../x", "\x00", "10.0.0.0/8", "sha256:", "a" * 5000, SECRET, "2026-02-30"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


def tried(file: Path) -> None:
    try:
        assert isinstance(load(file, environ={}), Settings)
    except SettingsError as error:
        assert error.problems and all(isinstance(problem, str) and problem for problem in error.problems)
        assert SECRET not in str(error), "no value is quoted"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_settings_with_any_value_in_any_place(folder: Path, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(sorted(TREE)))
    tree = dict(TREE)
    inner = tree[place]
    if isinstance(inner, dict) and inner and data.draw(st.booleans()):
        tree[place] = {**inner, data.draw(st.sampled_from(sorted(inner, key=str)) | st.text(max_size=8)): data.draw(odd)}
    else:
        tree[place] = data.draw(odd)
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(tree, allow_unicode=True), "utf-8")
    tried(file)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_settings_with_bytes_that_are_not_what_they_were(folder: Path, seed: int) -> None:
    file = folder / "bytes.yaml"
    file.write_bytes(mangled(EXAMPLE.encode(), random.Random(seed)))
    tried(file)


ODD = (b"\x00", b"\xff\xfe", b'"', b"'", b"{", b"]", b"\n\t- ", b"&a *a", b"!!python/object:os.x {}", b",")


def mangled(data: bytes, r: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(r.randrange(1, 6)):
        at = r.randrange(len(found) + 1)
        match r.randrange(4):
            case 0:
                del found[at : at + r.randrange(1, 40)]
            case 1:
                found[at:at] = r.choice(
                    [b"\x00", b"\xff\xfe", b'"', b"'", b"{", b"]", b"\n\t- ", b"&a *a", b"!!python/object:os.x {}", b","]
                )
            case 2:
                found[at:at] = bytes(r.randrange(256) for _ in range(r.randrange(1, 8)))
            case _:
                found[at:at] = found[: r.randrange(1, 200)]
    return bytes(found)


LINES = {
    "jsonl": b'{"specversion":"1.0","id":"a","source":"s","type":"deal.created","time":"2026-01-01T00:00:00Z",'
    b'"subject":"d","data":{"amount":"5"}}\n',
    "csv": b"id,date,amount\n1,2026-01-01,5\n2,2026-01-02,\n",
}


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.binary(max_size=60))
def test_files_are_events_rejects_or_one_clear_refusal(folder: Path, form: str, seed: int, more: bytes) -> None:
    r = random.Random(seed)
    file = folder / f"{form}.{form if form != 'bpic12' else 'xes'}"
    file.write_bytes(mangled(LINES.get(form, LINES["csv"]) * 3, r) + (more if r.random() < 0.5 else b""))
    try:
        for item in read_file(file, form, ReadOptions()):
            assert isinstance(item, FileEvent | FileReject)
    except SourceFileError as error:
        assert str(error)


SITE = SiteSettings(key="k" * 16, origins=("https://shop.example.com",))
BODY = (
    b'{"key":"kkkkkkkkkkkkkkkk","sent":1780000000000,"visitor":"v1","events":[{"id":"e1","at":1780000000000,"type":"page",'
    b'"url":"https://shop.example.com/?utm_source=x","session":"s"}]}'
)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_the_trackers_bodies(seed: int) -> None:
    r = random.Random(seed)
    told = tracker.read("shop", SITE, mangled(BODY, r), 1_780_000_000_000)
    assert isinstance(told.events, list) and all(isinstance(event, dict) for event in told.events)
