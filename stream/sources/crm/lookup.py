"""What does a word of a CRM's list mean?"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from models.events.refused import Reason
from models.events.scalars import shown
from stream.sources.crm.base import Unusable
from stream.sources.crm.words import flag

T = TypeVar("T")


def is_set(value: Any, name: str) -> bool:
    """Whether a flag is set (:func:`stream.sources.crm.words.flag`); raise :class:`Unusable` for what is neither yes nor no."""
    said = flag(value)
    if said is None:
        raise Unusable(Reason.INVALID_DATA, f"{name}: found {shown(value)}, accepted is true or false")
    return said


def word(value: str) -> str:
    """Return a word of a list as it is compared: case, spaces, hyphens and underscores say nothing."""
    return re.sub(r"[\s_-]+", "", value.casefold())


def lookup(found: str, *tables: Mapping[str, T]) -> T | None:
    """Return what a word means, by the first table that has it to the letter, else by :func:`word`."""
    for table in tables:
        if found in table:
            return table[found]
    plain = word(found)
    return next((meaning for table in tables for key, meaning in table.items() if word(key) == plain), None)
