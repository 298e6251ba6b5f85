"""Which name does this process take among the workers (or web processes) of one installation on one machine?

The name (`instance`) is in the transactional ids and in the consumer group of a web process: two live processes of one name
end each other, or share what each should read alone. A lock on a file, which the system lets go with the process however it
ends, says which names are taken here. Between machines host names differ; where they do not, the broker's fencing says so.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stream.config.settings import Settings

log = logging.getLogger(__name__)

#: Names tried after the host's own: host-2, host-3, …
_MOST = 100


class NameTaken(RuntimeError):
    """The name that the settings ask for is used by another live process on this machine."""


@contextlib.contextmanager
def claimed(settings: Settings, role: str) -> Iterator[Settings]:
    """Hold a name for a ``role`` ("worker", "web") until the end of the block; yield the settings with that name.

    A name that was set is taken as it is, or :class:`NameTaken` raised; the host's name gets a number where it is taken.
    """
    chosen = "instance" in settings.model_fields_set
    folder = _folder()
    if folder is None:
        yield settings
        return
    tried = settings.instance
    for number in range(2, _MOST + 2):
        held = _lock(folder, settings, role, tried)
        if held is not None:
            break
        if chosen:
            raise NameTaken(
                f"instance: found {tried!r}, which another {role} of this installation on this machine is using "
                "(accepted: another name, VIGIE_INSTANCE=…; or none, then a free one is taken)"
            )
        tried = f"{settings.instance}-{number}"
    else:
        raise NameTaken(f"instance: {settings.instance} to {tried} are all in use on this machine; set one (VIGIE_INSTANCE)")
    if tried != settings.instance:
        log.info("another %s on this machine is called %s; this one takes the name %s", role, settings.instance, tried)
        settings = settings.model_copy(update={"instance": tried})
    try:
        yield settings
    finally:
        os.close(held)


def _folder() -> Path | None:
    """Return where the locks are, for this user only; None where there can be none (a read-only file system)."""
    folder = Path(tempfile.gettempdir()) / f"vigie-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid == os.getuid():
            return folder
    except OSError as error:
        log.debug("no locks on names in %s: %s", folder, error)
    return None


def _lock(folder: Path, settings: Settings, role: str, name: str) -> int | None:
    """Return the open lock of a name, or None where another process holds it."""
    kafka = settings.kafka
    scope = hashlib.sha256("\n".join((kafka.brokers, kafka.topic_prefix, settings.application, role)).encode()).hexdigest()
    handle = os.open(folder / f"{scope[:16]}-{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
