"""Two processes of one installation on one machine never have one name."""

import subprocess
import sys
from pathlib import Path

import pytest

from stream.config.settings import Settings, load
from vigie.names import NameTaken, claimed


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The locks of a running Vigie are not looked at."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def settings(**more: str) -> Settings:
    return load(environ={}, kafka__brokers="127.0.0.1:9", **more)


def test_the_second_takes_a_free_name() -> None:
    host = settings().instance
    with claimed(settings(), "worker") as first, claimed(settings(), "worker") as second, claimed(settings(), "worker") as third:
        assert [one.instance for one in (first, second, third)] == [host, f"{host}-2", f"{host}-3"]
    with claimed(settings(), "worker") as again:
        assert again.instance == host


def test_a_name_that_was_set_is_refused_before_anything_is_joined() -> None:
    with claimed(settings(instance="w1"), "worker"):
        with (
            pytest.raises(NameTaken, match="instance: found 'w1', which another worker"),
            claimed(settings(instance="w1"), "worker"),
        ):
            pass
        with claimed(settings(instance="w2"), "worker"):
            pass


def test_roles_and_installations_do_not_meet() -> None:
    with (
        claimed(settings(instance="w1"), "worker"),
        claimed(settings(instance="w1"), "web"),
        claimed(settings(instance="w1", kafka__topic_prefix="other."), "worker"),
    ):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    program = (
        "import os, signal, tempfile\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "from stream.config.settings import load\n"
        "from vigie.names import claimed\n"
        "with claimed(load(environ={}, kafka__brokers='127.0.0.1:9', instance='w1'), 'worker'):\n"
        "    print('held', flush=True)\n"
        "    signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline().strip() == "held"
        with pytest.raises(NameTaken), claimed(settings(instance="w1"), "worker"):
            pass
        process.kill()
        process.wait()
        with claimed(settings(instance="w1"), "worker") as found:
            assert found.instance == "w1"


def test_where_there_can_be_no_lock_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/proc/none")
    with claimed(settings(instance="w1"), "worker") as found:
        assert found.instance == "w1"
