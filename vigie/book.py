"""What does this worker know of single deals and leads, for the page? From the folds that are in its hands."""

from collections.abc import Awaitable, Callable, Iterator, Mapping

from models.folds.entity_snapshots import DealState, LeadState
from stream.engine.topics import partition_for
from stream.web.entities import OpenDeal, Story
from stream.web.predictions import Asked, Elsewhere, Entity
from vigie.instance import Instance

_FOLDS: dict[Entity, str] = {"deal": "fold-deals", "lead": "fold-leads"}
_AWAY = "the deals are with another worker, or being read back"


class OpenBook:
    """The open deals and leads as ``watch-entities`` follows them, and the story of any that ``fold-deals`` keeps."""

    def __init__(self, instance: Instance, elsewhere: Callable[[Entity, str], Awaitable[Story | None]] | None = None) -> None:
        """``elsewhere`` asks the processes that fold, where this one does not."""
        self._instance = instance
        self._elsewhere = elsewhere
        self._entities = {owned.name: owned for owned in instance.entities}

    def _whole(self) -> None:
        found = sum(1 for _ in self._instance.watcher.owned)
        if found < self._instance.options.partitions:
            raise Elsewhere(_AWAY)

    def deals(self) -> Iterator[OpenDeal]:
        """Yield the deals that are open."""
        self._whole()
        for fold in self._instance.watcher.owned:
            for entry in fold.open():
                if entry.deal is not None:
                    yield OpenDeal(entry.deal, entry.odds[-1][1] if entry.odds else None)

    def leads(self) -> Iterator[LeadState]:
        """Yield the leads that wait for a first contact."""
        self._whole()
        for fold in self._instance.watcher.owned:
            yield from (entry.lead for entry in fold.open() if entry.lead is not None)

    def usual(self) -> Mapping[str, int]:
        """Return how long (ms) nine of ten deals stay in each stage at most."""
        return next((found for fold in self._instance.watcher.owned if (found := fold.usual())), {})

    def ids(self, entity: Entity) -> list[str]:
        """Return the ids of all deals or leads that are kept."""
        if self._elsewhere is not None:
            raise Elsewhere("all deals and leads are with the processes that fold (accepted: ask `vigie web`)")
        found = list(self._entities[_FOLDS[entity]])
        if len(found) < self._instance.options.partitions:
            raise Elsewhere(_AWAY)
        return [key for fold in found for key in fold.entities.ids()]

    def state(self, entity: Entity, key: str) -> DealState | LeadState | None:
        """Return the present of one."""
        fold = self._entities[_FOLDS[entity]](partition_for(key.encode(), self._instance.options.partitions))
        if fold is None:
            raise Elsewhere(_AWAY)
        return fold.glance(key)

    def win(self, deal: str) -> float | None:
        """Return how probable it is that an open deal is won."""
        try:
            found = self._instance.answer("deal", deal)
        except Elsewhere:
            return None
        return None if found is None else float(found["win"])

    def story(self, entity: Entity, key: str) -> Asked[Story | None]:
        """Return what is known of one; where this process does not fold, what those of this worker know that do."""
        return self.held(entity, key) if self._elsewhere is None else self._elsewhere(entity, key)

    def held(self, entity: Entity, key: str) -> Story | None:
        """Return what is known of one whose partition is in this process's hands; raise :class:`Elsewhere` for others."""
        fold = self._entities[_FOLDS[entity]](partition_for(key.encode(), self._instance.options.partitions))
        if fold is None:
            raise Elsewhere(_AWAY)
        found = fold.story(key)
        if found is None:
            return None
        state, log = found
        return Story(state, [(at, kind, said) for at, _, kind, said in log])
