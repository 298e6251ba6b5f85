"""How does a program of tasks and threads run so that one number says what happens when?

An event loop without a selector: its clock goes on when nothing is left to do (and a little at each step), and of all that is
ready it runs what its dice say, one step at a time. What would block a thread runs as a :class:`Strand`, which gives the loop
back where it would wait. All of it is one thread of the machine, so the same seed gives the same run.

A simulated process is a context: what its tasks and strands begin belongs to it. It can be frozen (SIGSTOP: its steps wait) and
killed (−9: they never come, and nothing of it is told that it ends).
"""

import asyncio
import contextlib
import heapq
import random
import time
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar
from typing import Any
from unittest import mock

import greenlet

#: The simulated process that a step belongs to; None: the world around them.
PROCESS: ContextVar["Process | None"] = ContextVar("process", default=None)
_EPOCH_MS = 1_700_000_000_000


class Process:
    """Something that can be frozen and killed. ``context`` is what its steps run in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen = False
        self.held: list[asyncio.Handle] = []
        self.context = Context()
        self.context.run(PROCESS.set, self)


class _Future(asyncio.Future[Any]):
    """Hashed by its number: sets of them are walked in the same order in each run."""

    def __init__(self, serial: int, loop: "SimulatedLoop") -> None:
        self._serial = serial
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._serial


class _Task(asyncio.Task[Any]):
    """As :class:`_Future`."""

    def __init__(self, serial: int, loop: "SimulatedLoop", coro: Any, **more: Any) -> None:
        self._serial = serial
        super().__init__(coro, loop=loop, **more)

    def __hash__(self) -> int:
        return self._serial


class SimulatedLoop(asyncio.BaseEventLoop):
    """The loop. ``dice`` decide; ``trace`` is a digest of all that was decided so far."""

    _ready: Any
    _scheduled: Any

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.dice = dice
        self.now = 0.0
        self.steps = 0
        self.trace = 0
        self._runnable: list[asyncio.Handle] = []
        self._serial = 0
        self._tasks: list[_Task] = []
        self._strands: list[Strand] = []
        self.set_task_factory(self._new_task)
        self.set_exception_handler(lambda loop, context: None)  # what nobody fetched; whoever is to know is told otherwise

    # --- what asyncio asks of a loop ----------------------------------------------------------------------------------

    def time(self) -> float:
        """Simulated seconds since the beginning."""
        return self.now

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future with a number."""
        self._serial += 1
        return _Future(self._serial, self)

    def _new_task(self, loop: Any, coro: Any, **more: Any) -> _Task:
        self._serial += 1
        task = _Task(self._serial, self, coro, **more)
        self._tasks.append(task)  # what was killed must not end by being collected
        return task

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        """There is one thread."""
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run blocking code in a strand of its own."""
        return Thread("executor", self).submit(func, *args)

    def _process_events(self, event_list: Any) -> None:
        raise NotImplementedError

    def _write_to_self(self) -> None:
        pass

    def _run_once(self) -> None:
        runnable = self._runnable
        while True:
            while self._ready:
                runnable.append(self._ready.popleft())
            while self._scheduled and self._scheduled[0].when() <= self.now:
                timer = heapq.heappop(self._scheduled)
                timer._scheduled = False
                runnable.append(timer)
            if runnable:
                break
            if not self._scheduled:
                raise RuntimeError("nothing is left that could happen")
            self.now = max(self.now, self._scheduled[0].when())
        chosen = int(self.dice.random() * len(runnable))
        handle, last = runnable[chosen], runnable.pop()
        if last is not handle:
            runnable[chosen] = last
        if handle.cancelled():
            return
        process = handle._context.get(PROCESS)  # type: ignore[attr-defined]
        if process is not None:
            if not process.alive:
                return
            if process.frozen:
                process.held.append(handle)
                return
        self.steps += 1
        self.trace = hash((self.trace, chosen, len(runnable), self.now))
        self.now += self.dice.random() * 0.0004
        handle._run()

    # --- processes ----------------------------------------------------------------------------------------------------

    def kill(self, process: Process) -> None:
        """End it in the middle of whatever it does."""
        process.alive = False
        process.held.clear()

    def thaw(self, process: Process) -> None:
        """Let a frozen process go on."""
        process.frozen = False
        self._runnable.extend(process.held)
        process.held.clear()

    def end(self) -> None:
        """Let go of everything."""
        asyncio._set_running_loop(self)  # what ends now may begin something in its last words, which then ends as well
        try:
            for task in self._tasks:
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    _close(task.get_coro())
        finally:
            asyncio._set_running_loop(None)
        for strand in self._strands:
            strand.end()
        self._tasks.clear()
        self._runnable.clear()
        self._ready.clear()
        self._scheduled.clear()
        self.close()


def _close(coro: Any) -> None:
    """End a coroutine, also one that waits for something in its last words."""
    for _ in range(50):
        try:
            coro.close()
            return
        except RuntimeError:  # it waits again
            continue
        except BaseException:
            return


class Strand:
    """Blocking code of a process. Within it, :func:`pause` and :func:`wait` take simulated time."""

    def __init__(self, loop: SimulatedLoop, process: Process | None, body: Callable[[], None]) -> None:
        self._loop = loop
        self._context = Context() if process is None else process.context
        self._greenlet = greenlet.greenlet(body)
        self._greenlet.gr_context = self._context.copy()
        self._turn = 0
        loop._strands.append(self)

    def resume(self, turn: int = 0) -> None:
        """Let it go on until it waits or ends; does nothing if it has gone on since ``turn`` was given out."""
        if turn == self._turn and not self._greenlet.dead:
            self._turn += 1
            _RUNNING.append(self)
            try:
                self._greenlet.switch()
            finally:
                _RUNNING.pop()

    def wait(self, seconds: float | None, tell: Callable[[Callable[[], None]], None] | None = None) -> None:
        """Wait so long, for ever (None), or until what ``tell`` is given is called."""
        turn = self._turn
        if seconds is not None:
            self._loop.call_later(seconds, self.resume, turn, context=self._context)
        if tell is not None:

            def told() -> None:
                self._loop.call_soon(self.resume, turn, context=self._context)

            tell(told)
        self._greenlet.parent.switch()

    def end(self) -> None:
        """Let go of it."""
        if self._greenlet and not self._greenlet.dead:
            with contextlib.suppress(BaseException):
                self._greenlet.throw(greenlet.GreenletExit)


#: The strand that runs, if one does.
_RUNNING: list[Strand] = []


def pause(seconds: float) -> None:
    """``time.sleep`` of blocking code."""
    _RUNNING[-1].wait(seconds)


def wait(seconds: float | None, tell: Callable[[Callable[[], None]], None] | None = None) -> None:
    """Wait in blocking code: see :meth:`Strand.wait`."""
    _RUNNING[-1].wait(seconds, tell)


class Thread:
    """In the place of :class:`stream.engine.blocking_thread.BlockingThread`: one strand, one thing after the other."""

    def __init__(self, name: str, loop: Any) -> None:
        self._loop: SimulatedLoop = loop
        self._process = PROCESS.get()
        self._work: list[tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]] = []
        self._busy = False

    def submit(self, call: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Have it done; the future has its result."""
        future = self._loop.create_future()
        self._work.append((future, call, arguments))
        if not self._busy:
            self._busy = True
            self._loop.call_soon(Strand(self._loop, self._process, self._run).resume)
        return future

    def close(self) -> None:
        """No more work; what there is is done."""

    def _run(self) -> None:
        while self._work:
            future, call, arguments = self._work.pop(0)
            result, error = None, None
            try:
                result = call(*arguments)
            except Exception as raised:
                error = raised
            self._loop.call_soon(_settle, future, result, error)
            pause(0)  # a thread is not done at once with what it has just been given
        self._busy = False


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
        future.exception()


@contextlib.contextmanager
def simulated(seed: int) -> Iterator[SimulatedLoop]:
    """A loop for one run. Within it the clocks of :mod:`time` are its clock, which also goes on a little when looked at."""
    dice = random.Random(seed)
    loop = SimulatedLoop(dice)

    def clock() -> float:
        loop.now += dice.random() * 0.0004
        return loop.now

    clocks: dict[str, Any] = {
        "monotonic": clock,
        "perf_counter": clock,
        "sleep": pause,
        "time_ns": lambda: _EPOCH_MS * 1_000_000 + int(loop.now * 1e9),
    }
    with mock.patch.multiple(time, **clocks), mock.patch("stream.engine.lane.BlockingThread", Thread):
        try:
            yield loop
        finally:
            loop.end()
