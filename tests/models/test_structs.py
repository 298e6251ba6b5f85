"""Threads that read the same kind of record for the first time do not end the process."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from models import structs
from stream.engine import app
from stream.engine.options import EngineOptions


class Two(msgspec.Struct):
    b: int


RACE = """
import sys, threading
import msgspec
from models.structs import look_at_all

sys.setswitchinterval(1e-6)
for _ in range(300):
    class Leaf(msgspec.Struct, array_like=True):
        a: int
        b: str
    class Branch(msgspec.Struct, array_like=True):
        leaf: Leaf
        d: int
    class Root(msgspec.Struct, array_like=True):
        branch: Branch
        leaf: Leaf
    look_at_all()
    together = threading.Barrier(3)
    def read():
        together.wait()
        assert msgspec.json.decode(b'[[[1,"a"],2],[1,"b"]]', type=Root).leaf.b == "b"
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("read")
"""


def test_threads_read_a_kind_for_the_first_time_together() -> None:
    here = Path(__file__).resolve().parents[2]
    found = subprocess.run([sys.executable, "-c", RACE], cwd=here, capture_output=True, text=True, timeout=300, check=False)
    assert (found.returncode, found.stdout) == (0, "read\n"), found.stderr


def test_what_cannot_be_read_is_passed_over() -> None:
    class One(msgspec.Struct):
        a: int

    class Either(msgspec.Struct):
        found: One | Two

    with pytest.raises(TypeError, match="must be tagged"):
        msgspec.json.Decoder(Either)
    structs.look_at_all()


async def test_an_engine_looks_before_it_has_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []

    def look() -> None:
        looked.append(1)
        raise RuntimeError("looked")

    monkeypatch.setattr(app, "look_at_all", look)
    with pytest.raises(RuntimeError, match="looked"):
        await app.Engine(EngineOptions(brokers="nowhere:1"), []).start()
    assert looked
