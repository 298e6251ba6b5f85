"""Is a record or a row what was written? SQLite notices damage to its own structure, and none to what lies in it.

CRC-32 finds every burst of up to 32 flipped bits, and misses one in 2^32 of the others. It guards against disks, not against
people.
"""

from zlib import crc32

#: SQL of the column. NULL is of a line that an earlier Vigie wrote: it is taken as it is.
COLUMN = "crc INTEGER"


def checksum(number: int, at: int, key: bytes | None, value: bytes | None, headers: bytes | None = None) -> int:
    """Return the checksum of a line: its place (or log), arrival (ms, 0 for a row of state), and bytes.

    A value that is not there has another one than an empty one.
    """
    start = (number ^ at << 1 ^ (value is None)) & 0xFFFFFFFF
    return crc32(headers or b"", crc32(value or b"", crc32(key or b"", start)))
