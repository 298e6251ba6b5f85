"""Do the numbers stay exact on three brokers, whatever dies, stops or is cut off? As ``chaos_run.py``, with more that happens.

A worker is killed, stopped, paused; cut off so that it hears nothing (``c0h``), so that nothing it says arrives (``c0s``), or
both (``c0``); given 400 kbit/s (``d0``); others join and leave at once (``r``). The broker that leads most is killed with −9
(``B2``), or paused for longer than its session (``P2``), so that it wakes as a leader that is none any more.
"""

import signal
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from bench.chaos_cluster import Cluster, Node
from bench.chaos_net import Linked
from bench.chaos_run import SESSION, Run, Worker

#: How often each is drawn.
WHAT = {"kill": 3, "term": 2, "stop": 2, "leader": 3, "freeze": 2, "hear": 2, "say": 2, "cut": 1, "slow": 1, "storm": 1}


@dataclass
class ClusterRun(Run):
    """One seed. ``broker`` is the cluster; ``cuts`` whether workers have links that can be cut."""

    cuts: bool = True
    broker_dies: ClassVar[bool] = False  # they die one by one
    stops_within: ClassVar[float] = 25  # as is promised; who is cut off waits for its checkpoint, and for the group
    later: list[tuple[float, Any]] = field(default_factory=list)
    guests: int = 0

    @property
    def cluster(self) -> Cluster:
        """The brokers."""
        return cast(Cluster, self.broker)

    def workers(self, count: int) -> list[Worker]:
        """Return the workers, not started yet."""
        return [self._worker(str(index), index) for index in range(count)]

    def _worker(self, instance: str, number: int) -> Worker:
        return Linked(self.command(instance), self.log, number=number) if self.cuts else Worker(self.command(instance), self.log)

    def _done(self, short: str, text: str) -> None:
        self.operations.append(short)
        self.note(text)

    def _after(self, seconds: float, do: Any) -> None:
        self.later.append((time.monotonic() + seconds, do))

    def _supervise(self, workers: list[Worker], now: float) -> None:
        due, self.later = [one for one in self.later if one[0] <= now], [one for one in self.later if one[0] > now]
        for _, do in due:
            do()
        super()._supervise(workers, now)

    def _load(self, events: list[tuple[str, bytes, bytes]], workers: list[Worker]) -> None:
        super()._load(events, workers)
        end = time.monotonic() + 120
        while self.later or not self.cluster.whole or not self.cluster.in_sync():
            self._supervise(workers, time.monotonic())
            if time.monotonic() > end:
                self.faults.append("the brokers were not in sync again after 120 s")
                break
            time.sleep(0.5)

    def _disturb(self, workers: list[Worker], now: float) -> None:
        index = self.random.randrange(len(workers))
        worker = workers[index]
        what = self.random.choices(list(WHAT), list(WHAT.values()))[0]
        if what in ("leader", "freeze"):
            if self.cluster.whole and not any(getattr(do, "broker", False) for _, do in self.later):
                self._disturb_broker(what)
        elif what in ("hear", "say", "cut", "slow"):
            if isinstance(worker, Linked) and worker.paused_until is None:
                self._disturb_link(worker, what)
        elif what == "storm":
            self._done("r", "a storm of rebalances")
            for at in range(4):
                self._after(at * 1.5, self._guest)
        else:
            self._disturb_worker(workers, index, what, now)

    def _disturb_link(self, worker: Linked, what: str) -> None:
        short = {"cut": "c{}", "hear": "c{}h", "say": "c{}s", "slow": "d{}"}[what]
        self._done(short.format(worker.number), f"worker {worker.number}: {what}")
        if what == "slow":
            worker.slow()
        else:
            worker.cut(hears=what == "say", arrives=what == "hear")
        self._after(self.random.uniform(2, 2 * SESSION), worker.heal)

    def _disturb_broker(self, what: str) -> None:
        try:
            node = self.cluster.leader()
        except Exception as error:
            self.note(f"nobody says who leads: {error}")
            return
        number = self.cluster.nodes.index(node) + 1
        if what == "leader":
            self._done(f"B{number}", f"broker {number}: kill -9")
            node.kill()
            self._after(self.random.uniform(1, 6), _Back(self.cluster, node))
        else:
            self._done(f"P{number}", f"broker {number}: SIGSTOP")
            node.signal(signal.SIGSTOP)
            self._after(self.random.uniform(5, 12), _Back(self.cluster, node, stopped=True))

    def _guest(self) -> None:
        self.guests += 1
        guest = self._worker(f"guest{self.guests}", 10 + self.guests % 200)
        guest.start()
        self._after(self.random.uniform(3, 8), guest.end)


class _Back:
    """Brings a broker back."""

    broker = True

    def __init__(self, cluster: Cluster, node: Node, *, stopped: bool = False) -> None:
        self._cluster = cluster
        self._node = node
        self._stopped = stopped

    def __call__(self) -> None:
        if self._stopped:
            self._node.signal(signal.SIGCONT)
        else:
            self._cluster.bring_back(self._node)
