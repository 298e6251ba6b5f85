"""What is left of a folder's files when the power is cut? A process runs with :func:`watched`, is killed, and then :func:`cut`.

Nothing that was written since a file's last fsync is sure to be on the disk: ``power.c`` has kept what each write replaced, and
the cut takes writes back, as disks do: all of them, all after one that is torn, or any, page by page or sector by sector. A
file whose folder was not synced since it was made may be gone. What SQLite maps (``-shm``) is left as noise.
"""

import os
import random
import struct
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "power"
_RECORD = struct.Struct("<c47sqqqq")
#: How writes may come back: bytes that are taken back together, 0 for writes in their order.
_MODES: dict[str, int | None] = {"all": None, "in order": 0, "pages": 4096, "sectors": 512}


class Entry(NamedTuple):
    """One write (or cut) of a file: what it replaced, how long the file was, and how many bytes were written."""

    offset: int
    replaced: bytes
    size: int
    wanted: int


class Lost(NamedTuple):
    """What a cut took: how, writes that were not sure, and sectors of the files that are not as they were."""

    mode: str
    pending: int
    changed: int


def build() -> Path:
    """Compile the watcher, and return where it is."""
    BUILD.mkdir(parents=True, exist_ok=True)
    library = BUILD / f"power-{os.getpid()}.so"
    source = ROOT / "tests" / "power.c"
    subprocess.run(["cc", "-Wall", "-Wextra", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    return library.rename(BUILD / "power.so")


def watched(folder: Path, log: Path, slow: int = 0) -> dict[str, str]:
    """Return the environment of a process whose writes in ``folder`` are noted in ``log``; fsync takes ``slow`` µs more."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    earlier = os.environ.get("LD_PRELOAD", "")
    return {
        **os.environ,
        "LD_PRELOAD": f"{build()} {earlier}".strip(),
        "POWER_FOLDER": str(folder.resolve()),
        "POWER_LOG": str(log),
        "POWER_SLOW": str(slow),
    }


def cut(folder: Path, log: Path, dice: random.Random) -> Lost:
    """Leave of the files what a power cut might have left, at the moment when their process was killed; forget the log."""
    mode = dice.choice(list(_MODES))
    pending, changed = 0, 0
    unsure, made = _unsure(log) if log.exists() else ({}, set())
    for name, entries in unsure.items():
        file = folder / name
        if not file.exists():
            continue
        if name in made and dice.random() < 0.3:
            pending, changed = pending + len(entries), changed + file.stat().st_size // 512
            file.unlink()
            continue
        now = file.read_bytes()
        left = _left(now, entries, _MODES[mode], dice)
        pending += len(entries)
        changed += sum(now[at : at + 512] != left[at : at + 512] for at in range(0, max(len(now), len(left)), 512))
        file.write_bytes(left)
    for mapped in folder.glob("*-shm"):
        mapped.write_bytes(dice.randbytes(mapped.stat().st_size))
    log.unlink(missing_ok=True)
    return Lost(mode, pending, changed)


def _unsure(log: Path) -> tuple[dict[str, list[Entry]], set[str]]:
    """Return the writes of each file since its last sync, and which files the folder may not know."""
    entries: dict[str, list[Entry]] = defaultdict(list)
    sure: dict[str, int] = defaultdict(int)
    made: set[str] = set()
    known: set[str] = set()
    for kind, name, entry in _records(log):
        if kind == b"c":
            made.add(name)
            entries[name]
        elif kind == b"d":
            known |= made
        elif kind == b"s":
            sure[name] = max(sure[name], entry.offset)
        else:
            entries[name].append(entry)
    return {name: found[sure[name] :] for name, found in entries.items()}, made - known


def _records(log: Path) -> Iterator[tuple[bytes, str, Entry]]:
    body = log.read_bytes()
    at = 0
    while at + _RECORD.size <= len(body):
        kind, name, offset, length, size, wanted = _RECORD.unpack_from(body, at)
        at += _RECORD.size
        if at + length > len(body):
            return  # killed while it was noted: it was not written either
        yield kind, name.rstrip(b"\0").decode(), Entry(offset, body[at : at + length], size, wanted)
        at += length


def _left(now: bytes, entries: list[Entry], unit: int | None, dice: random.Random) -> bytes:
    """Return what is left of a file that holds ``now``, of whose last writes none was sure."""
    body = bytearray(now)
    if unit == 0:
        for entry in reversed(entries[dice.randint(0, len(entries)) :]):
            torn = bytes(body[entry.offset : entry.offset + entry.wanted])
            _take_back(body, entry)
        if entries and body != now:  # of the first that was taken back a part is there
            part = torn[: dice.randrange(0, entry.wanted + 1, 512)]
            body.extend(bytes(max(0, entry.offset - len(body))))
            body[entry.offset : entry.offset + len(part)] = part
        return bytes(body)
    sizes, versions = {len(body)}, defaultdict[int, list[bytes]](list)
    for entry in reversed(entries):
        if unit is not None:
            for place in _units(entry, unit):
                versions[place].append(bytes(body[place : place + unit]))
        _take_back(body, entry)
        sizes.add(len(body))
    if unit is None:
        return bytes(body)
    for place, found in versions.items():
        found.append(bytes(body[place : place + unit]))
    size = dice.choice(sorted(sizes))
    body.extend(bytes(max(0, size - len(body))))
    for place, found in versions.items():
        kept = dice.choice(found)
        body[place : place + unit] = kept.ljust(unit, b"\0")
    return bytes(body[:size])


def _units(entry: Entry, unit: int) -> range:
    end = entry.offset + entry.wanted if entry.wanted else entry.size
    return range(entry.offset // unit * unit, end, unit)


def _take_back(body: bytearray, entry: Entry) -> None:
    body[entry.offset : entry.offset + len(entry.replaced)] = entry.replaced
    del body[entry.size :]
