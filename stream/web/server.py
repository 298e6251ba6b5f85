"""How does the web part run inside our own event loop, and stop without cutting anybody off?"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from stream.engine.waiting import settle
from stream.web import wire
from stream.web.standby import Standby

#: How long a stop waits for the server, which itself gives requests under way 3 s. Seconds.
_PATIENCE = 6.0


class CannotListen(OSError):
    """The address cannot be had; the message says which, why, and what to change."""


class _Server(uvicorn.Server):
    """A uvicorn server that leaves the process's signals to the caller."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal: the command that runs us decides when to stop."""
        yield


class Listening:
    """A running web server: ``host`` and ``port`` are what it listens on (port 0 was replaced by a free one)."""

    def __init__(
        self, server: _Server, task: "asyncio.Task[None]", sock: socket.socket, before_stop: Callable[[], None] | None
    ) -> None:
        self._server = server
        self._task = task
        self._before_stop = before_stop
        self.host, self.port = sock.getsockname()[:2]

    @property
    def url(self) -> str:
        """The address as a browser on this machine would use it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, f"[{self.host}]" if ":" in self.host else self.host)
        return f"http://{host}:{self.port}"

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._server.server_state.connections)

    async def wait(self) -> None:
        """Return when the server has ended; raise what ended it."""
        await asyncio.shield(self._task)

    async def stop(self) -> None:
        """End the open streams, answer what was begun (at most 3 s), close the port. Calling it twice does no harm."""
        if self._before_stop is not None:
            self._before_stop()
        self._server.should_exit = True
        await settle(self._task, patience=_PATIENCE)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; raise :class:`CannotListen` where the port is taken or the address not ours."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise CannotListen(
            f"web.host: cannot resolve {host!r} ({error.strerror}); accepted: an address of this machine, "
            "such as 127.0.0.1 or 0.0.0.0"
        ) from error
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        # Listening here, not in uvicorn, makes a taken port fail now and with our words.
        sock.listen(1024)
    except OSError as error:
        sock.close()
        match error.errno:
            case errno.EADDRINUSE:
                why = "is taken by another process; stop that one, or set web.port (VIGIE_WEB__PORT) to a free port, 0 for any"
            case errno.EACCES:
                why = "needs more rights; set web.port (VIGIE_WEB__PORT) to 1024 or above"
            case errno.EADDRNOTAVAIL:
                why = "is not an address of this machine; set web.host (VIGIE_WEB__HOST) to one, such as 127.0.0.1 or 0.0.0.0"
            case _:
                why = f"cannot be listened on: {error.strerror}"
        raise CannotListen(error.errno, f"web: {host}:{port} {why}") from error
    return sock


async def serve(
    app: ASGIApp, host: str, port: int, *, sock: socket.socket | None = None, before_stop: Callable[[], None] | None = None
) -> Listening:
    """Serve the application in the running loop and return once it answers.

    ``sock`` listens already (it is closed at the end); else one is bound to the address. ``before_stop`` is called first of all
    when stopping: endless streams end there, else they would hold the stop up. Raise :class:`CannotListen` as :func:`bind`.
    """
    sock = bind(host, port) if sock is None else sock
    config = uvicorn.Config(
        app,
        http=wire.Bounded,
        ws="none",
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=3,
        timeout_keep_alive=15,
        server_header=False,
        date_header=True,
        proxy_headers=False,
    )
    server = _Server(config)
    sweeping = asyncio.create_task(wire.sweep(server.server_state.connections), name="web-sweep")
    task = asyncio.create_task(server.serve(sockets=[sock]), name="web")
    while not server.started:
        if task.done():
            sweeping.cancel()
            sock.close()
            await task
            raise CannotListen(f"web: the application did not start on {host}:{port}; its log says why")
        await asyncio.sleep(0.005)
    taken: set[asyncio.Task[Any]] = set()

    def take(connection: socket.socket) -> None:
        if server.should_exit:
            connection.close()
            return
        made = asyncio.ensure_future(
            asyncio.get_running_loop().connect_accepted_socket(
                lambda: wire.Bounded(config=config, server_state=server.server_state, app_state=server.lifespan.state), connection
            )
        )
        taken.add(made)
        made.add_done_callback(taken.discard)

    standby = Standby(sock, take)

    def ended(_: "asyncio.Task[None]") -> None:
        sweeping.cancel()
        standby.stop()

    task.add_done_callback(ended)
    return Listening(server, task, sock, before_stop)
