"""JSONL: events as they are, in the file's order."""

import gzip
from pathlib import Path

import pytest

from stream.sources.files import FileEvent, FileReject, SourceFileError, jsonl, read_file


def test_events_pass_as_they_are_with_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"b": 1}\r\n\n  \n{"a":2}')
    assert list(read_file(path)) == [FileEvent(1, {"b": 1}, b'{"b": 1}'), FileEvent(4, {"a": 2}, b'{"a":2}')]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a":', "not JSON"),
        (b"[1]", "found list; a JSON object is needed"),
        (b'"x"', "found str; a JSON object is needed"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
    ],
)
def test_what_is_no_object_is_rejected_with_its_bytes(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"{}\n" + line + b"\n{}\n")
    first, second, third = read_file(path)
    assert (first.line, third.line) == (1, 3)
    assert isinstance(second, FileReject)
    assert (second.line, second.raw) == (2, line)
    assert second.reason.startswith(reason)


@pytest.mark.parametrize("length", [50, 32, 31, 64, 65, 100])
def test_a_line_too_long_is_rejected_and_the_next_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE", 32)
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"x" * length + b"\n{}\n")
    first, second = read_file(path)
    assert isinstance(first, FileReject)
    assert ("longer than 32" in first.reason) == (length >= 32)
    assert second == FileEvent(2, {}, b"{}")


def test_a_truncated_gzip_file_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}\n" * 1000)[:-12])
    with pytest.raises(SourceFileError, match=r"x\.jsonl\.gz:\d+: "):
        list(read_file(path))
