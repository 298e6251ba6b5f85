"""How is a worker cut off, in one direction or both? By a network namespace of its own, on a pair of virtual links.

All of it is in a namespace (``unshare --net``; root) without a way out, so that nothing else on the machine is slowed or cut, and
the links go with the processes.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass

from bench.chaos_run import Worker

BROKERS = "10.99.0.1"
_INSIDE = "VIGIE_CHAOS_INSIDE"
_NOBODY = "02:00:00:00:00:99"
#: What a worker's namespace waits for, before it becomes the worker.
_SCRIPT = """
until ip link show $0 >/dev/null 2>&1; do sleep 0.05; done
ip link set lo up; ip addr add $1/30 dev $0; ip link set $0 up; ip route add default via $2; shift 2; exec "$@"
"""


def enter() -> None:
    """Go on in a namespace of our own (this starts the program anew), in which the brokers' address is."""
    if os.environ.get(_INSIDE) is None:
        if os.geteuid() != 0:
            sys.exit("bench.chaos --cluster: cuts a network, which takes root (accepted: as root, or --cluster --no-cuts)")
        arguments = [sys.executable, "-m", "bench.chaos", *sys.argv[1:]]
        os.execvpe("unshare", ["unshare", "--net", "--", *arguments], os.environ | {_INSIDE: "1"})
    _ip("link", "set", "lo", "up")
    _ip("addr", "add", f"{BROKERS}/32", "dev", "lo")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _quietly(*command: str) -> None:
    subprocess.run(command, check=False, capture_output=True)  # the worker may have gone meanwhile, and its link with it


@dataclass
class Linked(Worker):
    """A worker behind a link of its own. ``number`` is unique among the workers of a run."""

    number: int = 0

    @property
    def _ends(self) -> tuple[str, str]:
        return f"v{self.number}", f"w{self.number}"

    def start(self) -> None:
        """Start it (again), on a new link."""
        near, far = self._ends
        subnet = f"10.99.{self.number + 1}"
        inside = ["unshare", "--net", "--", "sh", "-c", _SCRIPT, far, f"{subnet}.2", f"{subnet}.1", *self.command]
        _quietly("ip", "link", "del", near)
        self.process = process = subprocess.Popen(inside, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.paused_until = None
        ours, theirs = "/proc/self/ns/net", f"/proc/{process.pid}/ns/net"
        while process.poll() is None and os.readlink(ours) == os.readlink(theirs):
            time.sleep(0.01)
        _ip("link", "add", near, "type", "veth", "peer", "name", far)
        _ip("addr", "add", f"{subnet}.1/30", "dev", near)
        _ip("link", "set", near, "up")
        _ip("link", "set", far, "netns", str(process.pid))

    def cut(self, *, hears: bool, arrives: bool) -> None:
        """Lose what it would hear, or what it says, without a word to either side: neighbours get a wrong address."""
        near, far = self._ends
        subnet = f"10.99.{self.number + 1}"
        if not hears:
            _quietly("ip", "neigh", "replace", f"{subnet}.2", "lladdr", _NOBODY, "dev", near, "nud", "permanent")
        if not arrives:
            self._inside("ip", "neigh", "replace", f"{subnet}.1", "lladdr", _NOBODY, "dev", far, "nud", "permanent")

    def slow(self) -> None:
        """Let it hear 400 kbit/s."""
        _quietly("tc", "qdisc", "replace", "dev", self._ends[0], "root", "tbf", *"rate 400kbit burst 32kb latency 2s".split())

    def heal(self) -> None:
        """Let everything through."""
        near, far = self._ends
        subnet = f"10.99.{self.number + 1}"
        _quietly("tc", "qdisc", "del", "dev", near, "root")
        _quietly("ip", "neigh", "del", f"{subnet}.2", "dev", near)
        self._inside("ip", "neigh", "del", f"{subnet}.1", "dev", far)

    def _inside(self, *command: str) -> None:
        if self.process is not None:
            _quietly("nsenter", f"--net=/proc/{self.process.pid}/ns/net", *command)
