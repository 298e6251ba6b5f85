"""How do the processes of one worker live and end? Started, watched, started again; ended together.

The supervisor does no work of theirs. It holds the port, so that ``/readyz`` answers whatever becomes of them: the process that
serves takes the connections while it is there (:mod:`vigie.front` else).
"""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from stream.engine.options import wall_clock
from stream.engine.waiting import end
from stream.merged_metrics import Merger, Plain, plain
from vigie.channel import CallRefused, Channel
from vigie.colleagues import Report, ended
from vigie.roles import SERVE, Member

log = logging.getLogger(__name__)

#: Between an end and the next start: first, at most (s). It doubles while they end soon after their start.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: Whoever has lived so long (s) has not ended soon.
LIVED = 60.0
#: They are given so long to end (s): their own bound, and a little for the last words.
PATIENCE = 24.0
_TELL_EVERY = 0.5
_METRICS_PATIENCE = 2.0


class Process:
    """One process of the worker: its report, and the way to it while it runs."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.report = Report(member.roles)
        self.channel: Channel | None = None
        self.process: asyncio.subprocess.Process | None = None
        self.listening = False
        self.last_words = ""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.member.name

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


class Supervisor:
    """Keeps the processes of ``members`` running.

    ``command(member, channel)`` is the command line of one, which finds its channel at that file descriptor, and its port at
    that of ``listening``. ``changed()`` is called when it may be somebody else who answers on the web.
    """

    def __init__(
        self,
        members: Sequence[Member],
        command: Callable[[Member, int], Sequence[str]],
        listening: socket.socket,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.processes = [Process(member) for member in members]
        self.merger = Merger()
        self.changed = changed
        self._own = CollectorRegistry()
        ProcessCollector(registry=self._own)
        self._command = command
        self._listening = listening
        self.stopping = False

    @property
    def served(self) -> bool:
        """Whether one of the processes answers on the web."""
        return any(one.listening for one in self.processes)

    def reports(self) -> dict[str, Report]:
        """Return what is known of each."""
        return {one.name: one.report for one in self.processes}

    async def run(self) -> None:
        """Keep them running until cancelled; then end them."""
        tasks = [asyncio.create_task(self._keep(one), name=one.name) for one in self.processes]
        tasks.append(asyncio.create_task(self._tell_for_ever(), name="telling"))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            await self._stop(tasks)

    def kill(self) -> None:
        """End them all at once, whatever they are about: what is durable stays so."""
        for one in self.processes:
            one.signal(signal.SIGKILL)

    def pass_on(self, number: signal.Signals) -> None:
        """Send a signal to all that serve (SIGHUP: read rules and routes anew)."""
        for one in self.processes:
            if SERVE in one.member.roles:
                one.signal(number)

    async def _stop(self, tasks: Sequence["asyncio.Task[None]"]) -> None:
        self.stopping = True
        running = [one for one in self.processes if one.process is not None and one.process.returncode is None]
        for one in running:
            one.signal(signal.SIGTERM)
        ends = [asyncio.ensure_future(one.process.wait()) for one in running if one.process is not None]
        if ends:
            await asyncio.wait(ends, timeout=PATIENCE)
        for one in running:
            if one.process is not None and one.process.returncode is None:
                log.warning("%s: has not ended within %g s: killed", one.name, PATIENCE)
                one.signal(signal.SIGKILL)
        await end(*tasks)

    # --- one process --------------------------------------------------------------------------------------------------

    async def _keep(self, one: Process) -> None:
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            why = await self._live(one)
            if self.stopping:
                return
            if time.monotonic() - began > LIVED:
                pause = FIRST_PAUSE
            report, now = one.report, wall_clock()
            report.why, report.ended_at, report.again_at = why, now, now + int(pause * 1000)
            log.error("%s %s; starting it again in %g s", one.name, why, pause)
            self._tell()
            await asyncio.sleep(pause)
            report.restarts += 1
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _live(self, one: Process) -> str:
        """Run a process to its end; return how it ended."""
        ours, theirs = socket.socketpair()
        channel = Channel(ours, lambda what, about: self._answer(one, what, about))
        one.last_words = ""
        try:
            with theirs:
                passed = (theirs.fileno(), *((self._listening.fileno(),) if SERVE in one.member.roles else ()))
                one.process = await asyncio.create_subprocess_exec(
                    *self._command(one.member, theirs.fileno()),
                    pass_fds=passed,
                    # What a terminal sends to its group comes to us alone, who pass it on.
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            return f"cannot be started: {error}"
        report = one.report
        report.pid, report.status, report.warnings, report.heard_at = one.process.pid, None, [], wall_clock()
        one.channel = channel
        talking = asyncio.create_task(channel.run(), name=f"channel of {one.name}")
        try:
            code = await one.process.wait()
            # What it said last may still be in the pipe.
            await asyncio.wait([talking], timeout=1.0)
        finally:
            await end(talking)
            one.channel = None
            report.pid = report.status = None
            one.listening = False
            self.merger.end(one.name)
            self.changed()
        return f"{ended(code)}: {one.last_words}" if one.last_words else ended(code)

    # --- what they say and ask ----------------------------------------------------------------------------------------

    async def _answer(self, one: Process, what: str, about: Any) -> Any:
        if what == "status":
            one.report.status, one.report.warnings = about["status"], about["warnings"]
            one.report.heard_at = wall_clock()
            if about["listening"] != one.listening:
                one.listening = about["listening"]
                self.changed()
            return None
        if what == "ending":
            one.last_words = str(about)
            return None
        if what == "metrics":
            self.merger.take(one.name, about)
            return await self.metrics(but=one)
        return await self._relayed(what, about)

    async def _relayed(self, what: str, about: Any) -> Any:
        """Ask those who may know; the answer of the first that does."""
        why = "nobody here knows"
        for one in self.processes:
            if about["role"] in one.member.roles:
                if one.channel is None:
                    why = f"{one.name} is not running at this moment"
                    continue
                try:
                    return await one.channel.ask(what, about)
                except (CallRefused, ConnectionError, TimeoutError) as error:
                    why = str(error) or f"{one.name} does not answer"
        raise CallRefused(why)

    async def metrics(self, but: Process | None = None) -> list[Plain]:
        """Return the families of all processes as one; ``but`` has said its own just now."""
        asked = [one for one in self.processes if one is not but and one.channel is not None]
        await asyncio.gather(*(self._scrape(one) for one in asked))
        up = GaugeMetricFamily("vigie_role_up", "Whether the process of this name runs (1) or not (0)", labels=["process"])
        restarts = CounterMetricFamily("vigie_role_restarts", "How often a process was started again", labels=["process"])
        for one in self.processes:
            up.add_metric([one.name], float(one.report.pid is not None))
            restarts.add_metric([one.name], one.report.restarts)
        self.merger.take("supervisor", plain(self._own.collect()))
        return [*self.merger.merged(), *plain([up, restarts])]

    async def _scrape(self, one: Process) -> None:
        """Ask one for its metrics; if it does not answer, what it said last stays."""
        with contextlib.suppress(CallRefused, ConnectionError, TimeoutError):
            if one.channel is not None:
                self.merger.take(one.name, await one.channel.ask("metrics", patience=_METRICS_PATIENCE))

    async def _tell_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY)
            self._tell()

    def _tell(self) -> None:
        """Tell who serves of all the others."""
        for one in self.processes:
            if SERVE in one.member.roles and one.channel is not None:
                others = {other.name: other.report for other in self.processes if other is not one}
                mine = {one.name: msgspec.structs.replace(one.report, status=None, warnings=[])}
                one.channel.tell("colleagues", msgspec.to_builtins({**mine, **others}))
