"""How did an attempt to tell someone end, and when is the next one?"""

import zlib
from dataclasses import dataclass
from typing import TypeAlias

#: The first wait and the longest one, milliseconds.
FIRST_WAIT = 1_000
LONGEST_WAIT = 600_000


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver has taken the message. ``memo`` is what the next message of the incident will need of its answer."""

    memo: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now. ``after`` is the wait that the receiver itself asked for, in milliseconds: it then holds for all of its
    messages; None leaves the wait to :func:`backoff`. ``reason`` never holds a URL or a secret.
    """

    reason: str
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Never: the same message would be refused again. ``reason`` never holds a URL or a secret."""

    reason: str


Outcome: TypeAlias = Sent | Retry | Rejected


def backoff(key: str, attempts: int) -> int:
    """Return how many milliseconds to wait after so many failed attempts: exponential, with ±50 % of jitter.

    The jitter comes from the message's key, not from chance: messages spread out, and a test can say when.
    """
    wait = min(LONGEST_WAIT, FIRST_WAIT << min(max(attempts, 1) - 1, 30))
    spread = zlib.crc32(f"{key}#{attempts}".encode()) / 0xFFFFFFFF
    return round(wait * (0.5 + spread))
