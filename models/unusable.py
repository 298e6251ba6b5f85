"""What is wrong with something that was asked: where, what was found, what is accepted?"""

_SHOWN = 80


class Unusable(ValueError):
    """A question that cannot be answered: ``where`` in it (empty: all of it), what was ``found``, what is ``accepted``."""

    def __init__(self, where: str, found: object, accepted: str) -> None:
        shown = found if isinstance(found, str) and not where else repr(found)
        self.where, self.found, self.accepted = where, shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…", accepted
        super().__init__(f"{where}: found {self.found} (accepted: {accepted})".removeprefix(": "))
