"""What is wrong with something that was asked: where, what was found, what is accepted?"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from models.config.suggest import meant

_SHOWN = 80
_SHORT = 2


class UnusableQuestion(ValueError):
    """A question that cannot be answered: ``where`` in it (empty: all of it), what was ``found``, what is ``accepted``.

    What was found is told as JSON, in which it was asked.
    """

    def __init__(self, where: str, found: object, accepted: str) -> None:
        text = "nothing" if found is None else msgspec.json.encode(found).decode()
        if isinstance(found, float) and not math.isfinite(found):  # JSON has no word for it
            text = json.dumps(found)
        self.where, self.accepted = where, accepted
        self.found = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
        super().__init__(f"{where}: found {self.found} (accepted: {accepted})".removeprefix(": "))


def no_slip(document: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse a key near to a known one; what is far from all of them, or near to two letters only, is let be.

    Raises:
        Unusable: at the first slip.
    """
    for name in document.keys() - set(known):
        if hint := meant(name, [key for key in known if len(key) > _SHORT]):
            raise UnusableQuestion(name, document[name], f"the keys {', '.join(known)}{hint}")
