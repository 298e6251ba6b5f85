"""What takes long to make and is looked at by many: made once in a run, by the process that needs it first.

``tests/conftest.py`` names a folder before it starts the processes that run tests, and removes it when they have ended.
"""

import copyreg
import fcntl
import functools
import gc
import os
import pickle  # noqa: TID251 - read by the processes of the run that wrote it, and gone with it
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from models.folds.partition import EntityPartition

Made = TypeVar("Made")

#: The environment variable that names the folder.
FOLDER = "TESTS_SHARED"


# Two things hold what cannot be written down, and is made anew of what they are: decoders and the partitions that have such.
def _decoder(of: msgspec.json.Decoder[Any]) -> tuple[Any, tuple[Any, ...]]:
    return _decoder_of, (of.type, of.strict, of.dec_hook)


def _decoder_of(kind: Any, strict: bool, hook: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, strict=strict, dec_hook=hook)


def _partition(of: EntityPartition) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    assert of._home is None, "a partition that sends others away knows where to by a function"
    state = {name: value for name, value in vars(of).items() if name != "_decoders"}
    return EntityPartition, (of.fold_name, of.partition, of.business), state


copyreg.pickle(msgspec.json.Decoder, _decoder)
copyreg.pickle(EntityPartition, _partition)


@functools.cache
def _of_this_process() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="vigie-shared-")


def once(name: str, make: Callable[[], Made]) -> Made:
    """Return a copy of what ``make`` makes; whichever process of this run asks first under that name makes it."""
    path = Path(os.environ.get(FOLDER) or _of_this_process().name) / f"{name}.pickle"
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second waits
        if not path.exists():
            part = path.with_suffix(".part")
            part.write_bytes(pickle.dumps(make(), pickle.HIGHEST_PROTOCOL))
            part.rename(path)
    collects = gc.isenabled()
    gc.disable()  # millions of objects come, and none goes: three times as fast
    try:
        made: Made = pickle.loads(path.read_bytes())
    finally:
        if collects:
            gc.enable()
    return made
