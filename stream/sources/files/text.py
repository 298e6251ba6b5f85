"""In which encoding is a text file, and how is it read as UTF-8?

Windows tools write a byte order mark, Excel's *Unicode text* and PowerShell UTF-16, older exports the Western code page.
"""

import codecs
import gzip
import tempfile
import zlib
from pathlib import Path
from typing import IO, cast

BROKEN = (OSError, EOFError, zlib.error)
"""What reading a damaged or cut off file raises."""

#: First bytes of files that are no text, and what they are.
_WORKBOOKS = {b"PK\x03\x04": "an Excel workbook or a ZIP archive", b"\xd0\xcf\x11\xe0": "an Excel workbook of the old kind"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHUNK = 1 << 20


class SourceFileError(ValueError):
    """The whole file cannot be read in this format: what, where, what was found, what is accepted."""


def open_bytes(path: Path) -> IO[bytes]:
    """Open ``path`` for reading; gzip is recognised by its first bytes, not by the name.

    Raises:
        SourceFileError: if there is no such file, it may not be read, or is a workbook in place of a text.
    """
    try:
        with path.open("rb") as raw:
            head = raw.read(4)
        if head in _WORKBOOKS:
            raise SourceFileError(f"{path}: found {_WORKBOOKS[head]}; save it as CSV in UTF-8, or unpack it")
        return cast(IO[bytes], gzip.open(path)) if head.startswith(b"\x1f\x8b") else path.open("rb")
    except OSError as error:
        raise SourceFileError(f"{path}: {error.strerror or error}; a readable file is needed") from error


def encoding_of(path: Path) -> str:
    """Return the encoding of a text file: what its first bytes say, else UTF-8 where all of it is, else Excel's cp1252."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open_bytes(path) as file:
            chunk = file.read(_CHUNK)
            if chunk.startswith(_UTF16):
                return "utf-16"
            while chunk:
                decoder.decode(chunk)
                chunk = file.read(_CHUNK)
            decoder.decode(b"", True)
    except UnicodeDecodeError:
        return "cp1252"
    except BROKEN as error:
        raise SourceFileError(f"{path}: {error}; a readable text file is needed") from error
    return "utf-8-sig"


def marked(path: Path) -> str | None:
    """Return the encoding that a byte order mark names; None where there is no mark."""
    try:
        with open_bytes(path) as file:
            head = file.read(3)
    except BROKEN as error:
        raise SourceFileError(f"{path}: {error}; a readable text file is needed") from error
    return "utf-16" if head.startswith(_UTF16) else "utf-8-sig" if head == codecs.BOM_UTF8 else None


def open_utf8(path: Path) -> IO[bytes]:
    """Open a text file as UTF-8 without a byte order mark; a file in UTF-16 is read through a temporary one.

    Raises:
        SourceFileError: as :func:`open_bytes`, and for what begins as UTF-16 and is not.
    """
    encoding = marked(path)
    file = open_bytes(path)
    if encoding is None:
        return file
    if encoding == "utf-8-sig":
        file.read(len(codecs.BOM_UTF8))
        return file
    decoder = codecs.getincrementaldecoder("utf-16")()
    plain = cast(IO[bytes], tempfile.TemporaryFile(prefix="vigie-utf8-"))
    try:
        with file:
            while chunk := file.read(_CHUNK):
                plain.write(decoder.decode(chunk).encode("utf-8"))
            plain.write(decoder.decode(b"", True).encode("utf-8"))
    except (UnicodeError, *BROKEN) as error:
        plain.close()
        raise SourceFileError(f"{path}: {error}; a text file is needed, in UTF-8 or UTF-16") from error
    plain.seek(0)
    return plain
