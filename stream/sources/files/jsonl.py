"""How are CloudEvents read that are already CloudEvents, one a line?

The order is the file's: what it holds may be late or repeated on purpose, and that must reach the pipeline as it is.
"""

from collections.abc import Iterator
from pathlib import Path

import orjson

from stream.sources.files.base import FileEvent, FileReject, Item, ReadOptions
from stream.sources.files.text import BROKEN, SourceFileError, open_utf8

MAX_LINE = 64 << 20
"""Bytes of the longest line that is held in memory; a longer one is rejected, and the next line is read as usual."""


def read(path: Path, options: ReadOptions) -> Iterator[Item]:
    """The objects in ``path`` (JSONL, also gzipped, in UTF-8 or, with its mark, UTF-16), unchecked: the pipeline judges them.

    Raises:
        SourceFileError: if the file cannot be read.
    """
    line = 0
    with open_utf8(path) as file:
        try:
            while text := file.readline(MAX_LINE):
                line += 1
                if len(text) == MAX_LINE and not text.endswith(b"\n"):
                    while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                        pass
                    yield FileReject(line, f"line longer than {MAX_LINE} bytes")
                    continue
                text = text.rstrip(b"\r\n")
                if text.strip():
                    yield _item(line, text)
        except BROKEN as error:
            raise SourceFileError(f"{path}:{line + 1}: {error}; a JSONL file, plain or gzipped, is needed") from error


def _item(line: int, text: bytes) -> Item:
    try:
        event = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return FileReject(line, f"not JSON: {error.msg}", text)
    if not isinstance(event, dict):
        return FileReject(line, f"found {type(event).__name__}; a JSON object is needed", text)
    return FileEvent(line, event, text)
