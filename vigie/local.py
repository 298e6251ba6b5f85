"""How do commands reach the instance that the same user runs on this machine, without being told how?

An instance leaves a small file under the user's own runtime folder while it runs: a token of its own, which allows what an
operator's does. Nobody else can read it, and the token ends with the process.
"""

import contextlib
import logging
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import orjson

log = logging.getLogger(__name__)


class Local(NamedTuple):
    """What the file holds."""

    token: str


def folder() -> Path:
    """Return where the files are: of this user alone."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"vigie-{os.getuid()}"


def _ours(where: Path) -> bool:
    """Whether a folder is one, is ours, and lets nobody else in: another user may have made it first."""
    found = where.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def new_token() -> str:
    """Return a token for one run of an instance."""
    return secrets.token_urlsafe(24)


@contextlib.contextmanager
def announced(port: int, local: Local) -> Iterator[None]:
    """Leave the file for the instance at a port until the end; without a folder to leave it in, do without."""
    file = folder() / f"{port}.json"
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        if not _ours(file.parent):
            raise PermissionError(f"{file.parent} is not this user's alone")
        file.unlink(missing_ok=True)
        with open(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as written:
            written.write(orjson.dumps(local._asdict()))
    except OSError as error:
        log.info("commands on this machine need an operator's token: %s", error)
        yield
        return
    try:
        yield
    finally:
        if found(port) == local:  # another instance may have the port by now
            file.unlink(missing_ok=True)


def found(port: int) -> Local | None:
    """Return what the instance at a port of this machine has left, if the same user runs one."""
    file = folder() / f"{port}.json"
    try:
        if not _ours(file.parent):
            return None
        tree = orjson.loads(file.read_bytes())
        return Local(str(tree["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
