"""What is wrong with something that was asked: where, what was found, what is accepted?"""

import msgspec

_SHOWN = 80


class Unusable(ValueError):
    """A question that cannot be answered: ``where`` in it (empty: all of it), what was ``found``, what is ``accepted``.

    What was found is told as JSON, in which it was asked.
    """

    def __init__(self, where: str, found: object, accepted: str) -> None:
        text = "nothing" if found is None else msgspec.json.encode(found).decode()
        self.where, self.accepted = where, accepted
        self.found = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
        super().__init__(f"{where}: found {self.found} (accepted: {accepted})".removeprefix(": "))
