"""How are the records of a JSON export read?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from stream.sources.files.text import BROKEN, SourceFileError, open_utf8

#: A JSON document is read whole: pages of an API are small; what is larger should have a record a line.
DOCUMENT_LIMIT = 256 << 20


def is_json(path: Path) -> bool:
    """Whether a file begins as JSON does."""
    try:
        with open_utf8(path) as file:
            head = file.read(4096).lstrip()
    except BROKEN as error:
        raise SourceFileError(f"{path}: {error}; a readable file is needed") from error
    return head[:1] in (b"{", b"[")


def records(path: Path, envelopes: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the records of a JSON file with their line, or why there is none.

    A file is one document, or has one a line. A document is a record, an array of records, or an API's page, which has
    them under one of the names ``envelopes``. In one document over many lines, the line is the number of the record.
    """
    with open_utf8(path) as file:
        try:
            begin = file.tell()  # behind a byte order mark
            whole = file.read(DOCUMENT_LIMIT + 1)
            if len(whole) <= DOCUMENT_LIMIT:
                try:
                    yield from enumerate(_opened(orjson.loads(whole), envelopes), 1)
                    return
                except orjson.JSONDecodeError as error:
                    if not _is_document(whole.lstrip().partition(b"\n")[0]):
                        raise SourceFileError(f"{path}: not JSON: {error}; accepted are a document, or one a line") from None
            file.seek(begin)
            for line, text in enumerate(file, 1):
                if text.strip():
                    try:
                        for one in _opened(orjson.loads(text), envelopes):
                            yield line, one
                    except orjson.JSONDecodeError as error:
                        yield line, f"not JSON: {error}"
        except BROKEN as error:
            raise SourceFileError(f"{path}: {error}; a readable file is needed") from error


def _is_document(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _opened(document: Any, envelopes: tuple[str, ...]) -> Iterator[dict[str, Any] | str]:
    if isinstance(document, dict):
        for name in envelopes:
            if isinstance(document.get(name), list):
                document = document[name]
                break
    for one in document if isinstance(document, list) else [document]:
        if isinstance(one, dict) and any(isinstance(one.get(name), list) for name in envelopes):
            yield from _opened(one, envelopes)  # pages in an array
        else:
            yield one if isinstance(one, dict) else f"found {type(one).__name__}, accepted is an object"
