"""Processes of ``vigie``, as ``subprocess`` has them, which need not load everything once more.

To import all that a worker needs takes most of the CPU that such a process uses in a test. The first of each command is started
as ever (so that all is seen once as people have it, and processes differ in their hash seeds); the next ones are forked off a
process that has it all loaded (``tests/fork_server.py``). They are children of this process, with their own number, streams,
folder, environment and signals.
"""

import atexit
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.shared import FOLDER

ROOT = Path(__file__).parents[1]
_PR_SET_CHILD_SUBREAPER = 36
#: These load nearly everything. What loads little is started sooner than it is forked.
LONG = ("up", "worker", "web")
_VIGIE = [sys.executable, "-m", "vigie"]


class _Server:
    """The process that forks; begun by who first needs it."""

    def __init__(self) -> None:
        self._asked, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())]
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=null, stdout=null)
        theirs.close()
        self._lock, self._libc = threading.Lock(), ctypes.CDLL(None, use_errno=True)
        atexit.register(self._end)

    def fork(self, words: Sequence[str], folder: str, environment: dict[str, str], streams: Sequence[int]) -> int:
        """Return the number of a new child of this process."""
        question = json.dumps({"words": words, "folder": folder, "environment": environment}).encode()
        with self._lock:
            self._reaper(1)
            try:
                socket.send_fds(self._asked, [question], streams)
                if not (number := self._asked.recv(32)):
                    raise ChildProcessError("tests/fork_server.py has ended; its standard error says why")
                return int(number)
            finally:
                self._reaper(0)

    def _reaper(self, on: int) -> None:
        if self._libc.prctl(_PR_SET_CHILD_SUBREAPER, on, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")

    def _end(self) -> None:
        self._asked.close()
        self._process.wait()


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the loader, Python and its libraries read when a program begins, and never again."""
    return {name: value for name, value in environment.items() if name.startswith(("PYTHON", "LD_", "MALLOC_", "OPENBLAS_"))}


_server: _Server | None = None
_seen: set[str] = set()


class Vigie(subprocess.Popen[Any]):
    """``Popen([sys.executable, "-m", "vigie", …])``; which takes folder, environment and streams."""

    def _execute_child(self, args: list[str], *more: Any) -> None:
        global _server
        command = args[3] if len(args) > 3 else ""
        folder, environment = more[4], dict(os.environ if more[5] is None else more[5])
        assert args[:3] == _VIGIE and not any((more[1], more[3], more[8])), "no preexec_fn, pass_fds, shell"
        alone = FOLDER not in os.environ  # a bench, say, which may measure what a start takes
        anew = alone or command not in LONG or command not in _seen or sys.platform != "linux"
        if anew or _read_at_start(environment) != _read_at_start(os.environ):
            _seen.add(command)
            super()._execute_child(args, *more)  # type: ignore[misc]
            return
        _server = _server or _Server()
        ends = more[9:15]
        streams = [mine if mine != -1 else number for number, mine in enumerate((ends[0], ends[3], ends[5]))]
        self.pid = _server.fork(args[3:], os.fspath(folder or os.getcwd()), environment, streams)
        self._child_created = True
        self._close_pipe_fds(*ends)  # type: ignore[attr-defined]
