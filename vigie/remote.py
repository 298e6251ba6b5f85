"""How do commands speak with a running instance: where is it, who asks, and how do events get into it?"""

import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Self
from urllib.parse import urlsplit

import orjson
import typer

from stream.config.settings import Settings
from stream.engine.address import BODY, EVENTS, address
from vigie import local
from vigie.common import refuse, settings_of

if TYPE_CHECKING:
    from stream.engine.publisher import Publisher

_TIMEOUT = 10.0  # seconds
_PATIENCE = 120.0  # for a batch of events: the folds may be busy
_AGAIN = 5  # times a batch is sent again where the instance cannot take it at the moment

Url = Annotated[str | None, typer.Option(help="Where the instance listens (default: from the settings).")]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        help="A file that holds the operator's token (default: the variable VIGIE_TOKEN, or what the instance has left for "
        "this user on this machine)."
    ),
]


class RemoteRefused(Exception):
    """The instance said no, or nothing; ``status`` is 0 where nobody answered."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


def address_of(url: str | None, config: Path | None) -> str:
    """Return where the instance listens: as given, or by the settings."""
    return checked(url) if url is not None else of_settings(settings_of(config))


def of_settings(settings: Settings) -> str:
    """Return where the instance of these settings listens, as seen from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.web.host, settings.web.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.web.port}"


def checked(url: str) -> str:
    """Return an address, or leave."""
    if not url.startswith(("http://", "https://")):
        refuse(f"--url: found {url!r} (accepted: http://host:port)", 2)
    return url.rstrip("/")


def token_of(file: Path | None, url: str, *, needed: bool = True) -> str:
    """Return the token to ask with: of a file, of the variable, or what an instance of this user here has left."""
    try:
        token = file.read_text("utf-8").strip() if file is not None else os.environ.get("VIGIE_TOKEN", "")
    except OSError as error:
        refuse(f"--token-file: cannot be read: {error}", 2)
    if not token and (own := here(url)) is not None:
        token = own.token
    if not token and not needed:
        return ""
    if not token or not token.isascii() or not token.isprintable():
        refuse("no usable token (accepted: VIGIE_TOKEN, or --token-file FILE)", 2)
    return token


def here(url: str) -> local.Local | None:
    """Return what an instance of this user on this machine has left, if the address is of this machine."""
    try:
        parts = urlsplit(url)
        own = parts.hostname in ("127.0.0.1", "localhost", "::1")
        return local.found(parts.port or 80) if own else None
    except ValueError:
        return None


def fetch(method: str, url: str, *, token: str = "", sent: bytes | None = None, timeout: float = _TIMEOUT) -> tuple[int, bytes]:
    """Return the status and the body of an instance's answer; ``OSError`` or ``ValueError`` where there is none.

    Without a ``token`` it is asked with the one that :func:`token_of` finds: reading may need one too.
    """
    token = token or token_of(None, url, needed=False)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, data=sent, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(65_536)


def ask(method: str, url: str, *, token: str = "", sent: bytes | None = None, timeout: float = _TIMEOUT) -> Any:
    """Return what the instance answers, as JSON; raise :class:`RemoteRefused`."""
    try:
        status, body = fetch(method, url, token=token, sent=sent, timeout=timeout)
        if status < 300:
            return orjson.loads(body)
    except (OSError, ValueError) as error:
        raise RemoteRefused(0, f"no proper answer: {error}") from None
    raise RemoteRefused(status, reason_of(body))


def reason_of(body: bytes) -> str:
    """Return why an instance refuses, by the body of its answer."""
    try:
        return str(orjson.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")


def call(method: str, path: str, *, url: str, token: str = "", body: Any = None, timeout: float = _TIMEOUT) -> Any:
    """Return what the instance answers; leave with what is wrong otherwise."""
    try:
        return ask(method, url + path, token=token, sent=None if body is None else orjson.dumps(body), timeout=timeout)
    except RemoteRefused as error:
        refuse(f"{method} {path}: {error.status}: {error}" if error.status else f"{url}: {error}")


class Upload:
    """Gives events to an instance over its API, in batches; it has the face of :class:`~stream.engine.publisher.Publisher`.

    The instance answers a batch when its broker has it, and, where the broker is the one in its memory, when the folds have it
    too: nobody gets further ahead of them than that broker can hold.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._batch: list[bytes] = []
        self._size = 0
        self.sent = self.acknowledged = self.failed = 0
        self.errors: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """There is nothing to give back."""

    def publish(self, value: bytes) -> None:
        """Hand over one event in structured mode; raise :class:`~stream.engine.address.NoTopic`."""
        address(value)
        self.sent += 1
        if len(value) >= BODY:
            self._failed(1, f"an event of {len(value)} bytes is too large (accepted: below {BODY})")
            return
        if len(self._batch) >= EVENTS or self._size + len(value) >= BODY:
            self.flush()
        self._batch.append(value)
        self._size += len(value) + 1

    def poll(self) -> None:
        """There are no acknowledgements to take in."""

    def flush(self, patience: float = _PATIENCE) -> int:
        """Send what is left; return how many are neither acknowledged nor have failed: none."""
        batch, self._batch, self._size = self._batch, [], 0
        if not batch:
            return 0
        for attempt in range(_AGAIN):
            try:
                answer = ask("POST", f"{self._url}/api/events", token=self._token, sent=b"\n".join(batch), timeout=patience)
            except RemoteRefused as error:
                if error.status == 503 and attempt < _AGAIN - 1:
                    time.sleep(2)
                    continue
                if error.status in (0, 401, 403, 404):
                    self._give_up(error)
                self._failed(len(batch), str(error))
                break
            self.acknowledged += int(answer["acknowledged"])
            self._failed(len(batch) - int(answer["acknowledged"]), *(str(one["reason"]) for one in answer["refused"]))
            break
        return 0

    def _failed(self, count: int, *why: str) -> None:
        self.failed += count
        self.errors += why[: 20 - len(self.errors)]

    def _give_up(self, error: RemoteRefused) -> NoReturn:
        done = f" ({self.acknowledged:,} events are in)" if self.acknowledged else ""
        refuse(f"{self._url}/api/events: {error.status or 'nobody'}: {error}{done}")


def sender(
    settings: Settings, url: str | None, token_file: Path | None, kafka: "Callable[[], Publisher]"
) -> "Upload | Publisher":
    """Return who takes events: a running instance where its address is given or its broker is embedded, else ``kafka()``'s."""
    if url is None and not settings.kafka.embedded:
        return kafka()
    where = running(settings, url)
    return Upload(where, token_of(token_file, where))


def running(settings: Settings, url: str | None) -> str:
    """Return where an instance answers: at this address, or by the settings; leave where none does."""
    where = of_settings(settings) if url is None else checked(url)
    try:
        ask("GET", f"{where}/healthz")
    except RemoteRefused as error:
        refuse(
            f"{where}: {error} (accepted: an instance that runs there, such as `vigie up`; or a Kafka's address in kafka.brokers)"
        )
    return where
