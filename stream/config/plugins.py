"""What do packages outside add? A part of theirs is an entry point, and is found where the package is installed.

One that cannot be imported, or is no such part, is named in the log and by ``vigie doctor``; the others are there.
"""

import logging
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

log = logging.getLogger(__name__)

#: The groups of entry points: kinds of receivers, and senders of webhooks.
NOTIFIERS, SOURCES = "vigie.notifiers", "vigie.sources"


class Plugins(NamedTuple):
    """The parts that were found, and why others cannot be used; both by the entry point's name."""

    parts: Mapping[str, Any]
    broken: Mapping[str, str]


def plugins(group: str, taken: Mapping[str, object], wrong: Callable[[str, Any], str]) -> Plugins:
    """Return what the packages installed here add to a group, imported now. Names that are ``taken`` stay ours; ``wrong(name,
    part)`` says what is not as it must be of a part, empty where all is."""
    parts: dict[str, Any] = {}
    broken: dict[str, str] = {}
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        part, why = _loaded(point)
        if point.name in taken:
            why = "the name is that of a part of Vigie's own"
        elif point.name in parts or point.name in broken:
            why = "the name is that of another package's part"
        why = why or wrong(point.name, part)
        if why:
            origin = f" of {point.dist.name} {point.dist.version}" if point.dist is not None else ""
            broken.setdefault(point.name, f"{point.value}{origin}: {why}")
            log.warning("%s: %s cannot be used: %s%s: %s", group, point.name, point.value, origin, why)
        else:
            parts[point.name] = part
    return Plugins(parts, broken)


def _loaded(point: EntryPoint) -> tuple[Any, str]:
    """Return what an entry point names, or why it cannot be had: any error at all, as it is not ours."""
    try:
        return point.load(), ""
    except (Exception, SystemExit) as error:
        return None, f"{type(error).__name__}: {error}"
