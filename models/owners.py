"""Who is behind an owner's id? What people read says a name; figures, segments and metrics keep the id."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Owner(NamedTuple):
    """Somebody who owns deals and leads. ``email_hash`` is the SHA-256 of the address in lower case; ``slack`` a member's id."""

    id: str
    name: str
    team: str | None = None
    email_hash: str | None = None
    slack: str | None = None


class Owners:
    """All that are known, by the id that events have as ``owner``."""

    __slots__ = ("_by_id",)

    def __init__(self, owners: Iterable[Owner] = ()) -> None:
        """Take the owners; of two with one id the last one stands."""
        self._by_id = {owner.id: owner for owner in owners}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Owner]:
        return iter(self._by_id.values())

    def get(self, id: str | None) -> Owner | None:
        """Return the owner with an id, None where nobody is known by it."""
        return None if id is None else self._by_id.get(id)

    def name(self, id: str) -> str:
        """Return what people call an owner: the name, else the id itself."""
        found = self._by_id.get(id)
        return id if found is None else found.name

    def mention(self, id: str) -> str:
        """Return how Slack calls an owner so that it reaches them, else as :meth:`name`."""
        found = self._by_id.get(id)
        return self.name(id) if found is None or found.slack is None else f"<@{found.slack}>"
