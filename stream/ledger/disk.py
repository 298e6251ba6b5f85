"""Is the ledger on a disk of this machine? SQLite's log is shared through memory, which no network shares."""

import os
from pathlib import Path

#: File systems that come over a network, or from outside of a virtual machine.
_REMOTE = (
    "nfs",
    "cifs",
    "smb",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.gcsfuse",
    "fuse.rclone",
    "9p",
    "ceph",
    "glusterfs",
    "afs",
    "ocfs2",
)
_MOUNTS = Path("/proc/self/mounts")


def remote(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return which file system from elsewhere a path is on, such as ``nfs4``; None for a disk of this machine, or unknown."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None  # no Linux
    found, kind = Path("/"), ""
    for line in lines:
        _, where, of, *_ = line.split(" ")
        place = Path(where.replace("\\040", " "))
        if path.absolute().is_relative_to(place) and len(place.parts) >= len(found.parts):
            found, kind = place, of
    return kind if kind.startswith(_REMOTE) else None


def synced(path: Path) -> None:
    """Return once the disk has a file, or what a folder says is in it."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
