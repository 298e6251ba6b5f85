"""What has msgspec to look at before threads read records?

At a struct's first use msgspec notes its fields one after the other. Another thread that reads the same struct meanwhile meets
fields that are not noted yet, and the process ends with a segmentation fault (msgspec 0.22): a worker did while it restored.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec


def look_at_all() -> None:
    """Have msgspec note the fields of every struct that is defined so far; to be called while no other thread reads records."""
    for struct in set(_below(msgspec.Struct)):
        # One that holds what msgspec cannot read is never read.
        with contextlib.suppress(TypeError, NameError):
            msgspec.json.Decoder(struct)


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)
