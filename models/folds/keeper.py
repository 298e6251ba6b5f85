"""What differs between the kinds of entities: how an event of each is applied, and when an entity can be forgotten?"""

from collections.abc import Iterable
from typing import Any, Protocol

from models.entities.entity_log import Entry
from models.entities.store import Entities
from models.fold import Output
from models.folds.entity_snapshots import DealState, LeadState
from models.folds.evolve import Standing


class Keeper(Protocol):
    """What differs between the kinds of entities. What most of them have nothing to do for does nothing here."""

    entities: Entities[Any]

    def take(self, event: Any, at: int, arrival: int) -> str:
        """Apply one event; return its outcome: ``applied``, ``duplicate``. Raise :class:`TooLate`."""

    def outputs(self) -> list[Output]:
        """Return what is to be sent to other partitions, once."""
        return []

    def states(self) -> list[Output]:
        """Return the present of each entity that was changed since the last checkpoint. Called before the rows are taken."""
        return []

    def gone(self, key: str) -> Output | None:
        """Return what says that an entity was forgotten, None where nobody asks for them one by one."""
        return None

    def dead(self, state: Any, watermark: int) -> bool:
        """Whether an entity can be forgotten."""

    def evolve(self, standing: Standing) -> None:
        """Take note of other definitions: entities that keep their facts are to be brought up to them.

        Of what is not kept one by one there is nothing to book again.
        """

    def story(self, key: str) -> tuple[DealState | LeadState, list[Entry]] | None:
        """Return the present of an entity and its facts, oldest first; None where it is not known or keeps none."""
        return None

    def glance(self, key: str) -> DealState | LeadState | None:
        """Return the present of an entity to look at; None where it is not known, or counts for nothing."""
        return None

    def shrink(self, state: Any, watermark: int) -> bool:
        """Forget of an entity what is of no use any more; return whether there was anything."""
        return False

    def values(self, state: Any) -> Iterable[tuple[str, Any]]:
        """Return the dimensions and values under which an entity may book, or take back; a value may be None."""
        return ()

    def let_go(self, state: Any, at: int) -> None:
        """Take out of the levels, from ``at`` (ms) on, what an entity that is being forgotten still counts for."""
