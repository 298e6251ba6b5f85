"""Who answers "are you alive?" while the event loop is at work for long? A thread, on the same port.

It looks on while the loop takes connections itself. Where the loop has not come round for :data:`BUSY` seconds, the thread
takes what knocks: a question for ``/healthz`` it answers, everything else it hands to the loop unread.
"""

import asyncio
import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable

#: From when on the loop counts as busy, and from when on as stuck: a supervisor should end the process then (s).
BUSY, STUCK = 0.5, 60.0
_LOOK = 0.1
_ASKED = b"GET /healthz "
_HEAD = (
    b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncache-control: no-store\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b"
)


class Standby:
    """Stands by from the start to :meth:`stop`. ``take`` is called in the loop with each connection that is handed over."""

    def __init__(self, listening: socket.socket, take: Callable[[socket.socket], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = listening.dup()
        self._take = take
        self._beat = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web-standby", daemon=True)
        self._come_round()
        self._thread.start()

    def stop(self) -> None:
        """End the thread and let the socket go."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()
        self._thread.join()
        self._socket.close()

    def _come_round(self) -> None:
        self._beat = time.monotonic()
        self._timer = self._loop.call_later(_LOOK, self._come_round)

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK):
            while not self._stopped.is_set() and time.monotonic() - self._beat > BUSY:
                with contextlib.suppress(OSError):
                    if select.select([self._socket], [], [], _LOOK)[0]:
                        connection, _ = self._socket.accept()
                        self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.settimeout(0.2)
            if connection.recv(len(_ASKED), socket.MSG_PEEK) == _ASKED:
                with connection:
                    connection.recv(8_192)  # what is left unread would reset the connection
                    since = time.monotonic() - self._beat
                    stuck = b'{"status":"stuck","seconds":%d}' % since
                    status, body = (b"503 Service Unavailable", stuck) if since > STUCK else (b"200 OK", b'{"status":"ok"}')
                    connection.sendall(_HEAD % (status, len(body), body))
                return
        connection.setblocking(False)
        try:
            self._loop.call_soon_threadsafe(self._take, connection)
        except RuntimeError:  # the loop has ended
            connection.close()
