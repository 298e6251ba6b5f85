"""How a command ends when it is told to, also where something in it does not want to."""

import signal
import subprocess
import sys
import time

import pytest

_PROGRAM = """
import asyncio, sys, time
import typer
from vigie import common

async def main():
    print("running", flush=True)
    kind = sys.argv[1]
    try:
        await asyncio.Event().wait()
    finally:
        print("told", flush=True)
        if kind == "stubborn":
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
        if kind == "thread":
            asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)

common._STOP_SECONDS = float(sys.argv[2])
common._SAME_SIGNAL = 5.0  # longer than a busy machine is away from us
common.log_to_stderr("info")
try:
    common.run(main())
except typer.Exit as ended:
    sys.exit(ended.exit_code)
"""


class Program:
    def __init__(self, kind: str, seconds: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, kind, str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.wait_for("running")

    def wait_for(self, line: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == line

    def ended(self) -> tuple[int, str]:
        try:
            _, err = self.process.communicate(timeout=120)
        finally:
            self.process.kill()
        return self.process.returncode, err


def test_one_signal_stops_in_order() -> None:
    program = Program("willing", 25)
    program.process.send_signal(signal.SIGTERM)
    code, err = program.ended()
    assert code == 0 and err.rstrip().endswith("stopped")


def test_a_second_signal_ends_it_at_once() -> None:
    program = Program("stubborn", 3600)
    program.process.send_signal(signal.SIGTERM)
    program.wait_for("told")
    program.process.send_signal(signal.SIGTERM)  # the same one, passed on by whoever started us
    time.sleep(5.2)
    assert program.process.poll() is None
    program.process.send_signal(signal.SIGTERM)
    code, err = program.ended()
    assert code == 1 and "a second signal: ended without the rest" in err


@pytest.mark.parametrize("kind", ["stubborn", "thread"])
def test_a_stop_that_hangs_is_cut_off(kind: str) -> None:
    program = Program(kind, 1)
    program.process.send_signal(signal.SIGTERM)
    code, err = program.ended()
    assert code == 1 and "not stopped within 1 s" in err
