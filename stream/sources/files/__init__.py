"""Which file formats are there, and how is a file read as events?"""

from collections.abc import Callable, Iterator
from pathlib import Path

from stream.sources.files import bpic12, crm, jsonl, mapped
from stream.sources.files.base import FileEvent, FileReject, Item, ReadOptions
from stream.sources.files.text import SourceFileError

Reader = Callable[[Path, ReadOptions], Iterator[Item]]

FORMATS: dict[str, Reader] = {
    "jsonl": jsonl.read,
    "bpic12": bpic12.read,
    "crm": crm.read,
    "csv": mapped.read,
}
"""Every format by the name that ``--format`` takes."""


ON_PURPOSE = frozenset({mapped.SKIPPED, crm.NO_DATE})
"""Reasons of rejects that a format or its mapping means: nothing is wrong with such lines."""


def read_file(path: Path, format: str = "jsonl", options: ReadOptions | None = None) -> Iterator[Item]:
    """Read ``path`` as ``format``: events in time order (``jsonl``: in the file's order), rejects where they are met.

    Raises:
        SourceFileError: for an unknown format (at once), or a file that cannot be read in it (while it is read).
    """
    try:
        reader = FORMATS[format]
    except KeyError:
        raise SourceFileError(f'format: found "{format}"; {", ".join(FORMATS)} are known') from None
    return reader(path, options or ReadOptions())


__all__ = [
    "FORMATS", "ON_PURPOSE", "FileEvent", "FileReject", "Item", "ReadOptions", "Reader", "SourceFileError", "read_file",
]  # fmt: skip
