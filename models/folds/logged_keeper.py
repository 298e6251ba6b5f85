"""How are entities kept that have a log and can be merged: deals and leads?"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from models.business import Business
from models.calendar import iso
from models.entities.entity_log import ERASED, EntityLog, Entry, LogFolder, TooLate
from models.entities.store import Entities
from models.fold import Output
from models.folds import deals, leads
from models.folds.entity_snapshots import DealState, LeadState
from models.folds.entity_snapshots import encode as encode_state
from models.folds.evolve import Raise, SeparateBook, Standing
from models.folds.keeper import Keeper
from models.measures import MEASURES
from models.panes.segments import Segments
from models.panes.store import Panes

_DIMENSIONS = (*deals.DESCRIBING, *deals.CREDITING, "stage", "reason")
_PART = 768 * 1024  # bytes of facts that one record hands over: below Kafka's default limit for a record


class LoggedKeeper(Keeper):
    """Deals and leads: entities with a log, which can be merged."""

    fold: str
    present: type
    steps: type[deals.DealSteps] | type[leads.LeadSteps]

    def __init__(
        self, business: Business, panes: Panes, segments: Segments, topic: str, states: str, absorbed: str, keep: int
    ) -> None:
        self._business, self._panes, self._segments = business, panes, segments
        self.histories: LogFolder[Any] = LogFolder(self.steps(business, panes, segments), self.present)
        histories = self.histories
        self.entities: Entities[EntityLog[Any]] = Entities(histories.decode, histories.encode)
        self._topic = topic
        self._states = states
        self._absorbed = absorbed
        self._keep = keep
        self._outputs: list[Output] = []
        self._revised: dict[str, EntityLog[Any]] = {}  # brought up, and not what they were

    def note(self, key: str, entry: Entry, sender: str) -> str:
        """Take one fact in; forward it where the entity has been merged away."""
        story = self.entities.get(key)
        if story is None:
            story = self.histories.new()
        was_merged = story.void and _into(story) is not None
        if not self.histories.add(story, entry):
            return "duplicate"
        story.sender = sender
        self.entities.put(key, story)
        if story.void:
            into = _into(story)
            if into is not None:
                self._forward(key, into, [entry] if was_merged else self._facts(key, story), entry)
        return "applied"

    def absorb(self, key: str, entries: Iterable[Entry]) -> str:
        """Take over the facts of an entity that was merged into this one."""
        story = self.entities.get(key)
        if story is None:
            story = self.histories.new()
        added = self.histories.union(story, entries)
        if added.late and not added.fresh:
            raise TooLate
        if not added.fresh:
            return "duplicate"
        self.entities.put(key, story)
        into = _into(story) if story.void else None
        # Only what is new here travels on, so that two entities merged into each other come to rest.
        if into is not None:
            self._forward(key, into, added.fresh, added.fresh[-1])
        return "applied"

    def _facts(self, key: str, story: EntityLog[Any]) -> list[Entry]:
        """Return all that is known of an entity; what was folded away, as two facts."""
        if story.base is None:
            return story.log
        base = story.base
        folded: list[Entry] = [(story.base_at, f"{key}#base", deals.UPDATED, base.attributes)]
        if base.created is not None:
            folded.insert(0, (base.created, f"{key}#created", deals.CREATED, {}))
        return folded + self.outcome(key, base) + story.log

    def outcome(self, key: str, base: Any) -> list[Entry]:
        """Return what was folded away and is neither an attribute nor the creation, as facts."""
        return []

    def _forward(self, key: str, into: str, entries: list[Entry], cause: Entry) -> None:
        # That this one is gone, merged or (as Close tells beside it) deleted, is not said of the survivor.
        facts = [entry for entry in entries if entry[2] not in (deals.MERGED, deals.DELETED)]
        if not facts:
            return
        for part in _parts(facts):
            event = {
                "specversion": "1.0",
                "id": f"{key}>{into}>{cause[1]}"[:200],
                "source": "vigie",
                "type": self._absorbed,
                "time": iso(cause[0]),
                "subject": into,
                "data": {"origin": key, "version": len(entries), "path": [key], "facts": part},
            }
            self._outputs.append(Output(self._topic, into.encode(), orjson.dumps(event)))

    def outputs(self) -> list[Output]:
        """Return the facts to be handed to survivors, once."""
        self._revised = {}
        out, self._outputs = self._outputs, []
        return out

    def states(self) -> list[Output]:
        """Return the present of each entity that was changed; None for one that counts for nothing."""
        topic, state = self._states, self.state
        return [
            Output(topic, key.encode(), None if story.void else encode_state(state(key, story)))
            for key, story in {**self._revised, **self.entities.dirty}.items()
            if story.log or story.base is not None  # of some only activities are known: they say nothing of its state
        ]

    def story(self, key: str) -> tuple[DealState | LeadState, list[Entry]] | None:
        """Return the present of an entity and its facts, oldest first; what was folded away is in the first of them."""
        story = self.entities.get(key)
        if story is None or story.void or not (story.log or story.base is not None):
            return None
        return self.state(key, story), self._facts(key, story)

    def glance(self, key: str) -> DealState | LeadState | None:
        """Return the present of an entity to look at; None where it is not known, or counts for nothing."""
        story = self.entities.peek(key)
        if story is None or story.void or not (story.log or story.base is not None):
            return None
        return self.state(key, story)

    def gone(self, key: str) -> Output | None:
        """Return what says that an entity was forgotten."""
        return Output(self._states, key.encode(), None)

    def evolve(self, standing: Standing) -> None:
        """Bring all entities up to other definitions: each before it is touched, the others in the background."""
        self.histories.version = standing.version
        if not standing.steps:
            return
        raises = Raise(self.fold, standing, self._book, self._panes)

        def bring_up(key: str, story: EntityLog[Any]) -> bool:
            if story.made >= standing.version:
                return False
            if raises(story):
                self._revised[key] = story
            return True

        self.entities.raise_all(bring_up)

    def _book(self, rules: int | None) -> SeparateBook:
        """Return what books apart from all others, by rules of before (None: those in force)."""
        panes = Panes(MEASURES[self.fold], self._business)
        steps = self.steps(self._business, panes, self._segments, rules)
        return SeparateBook(LogFolder(steps, self.present), steps, panes)

    @abstractmethod
    def state(self, key: str, story: EntityLog[Any]) -> DealState | LeadState:
        """Return the state of an entity."""

    def dead(self, state: EntityLog[Any], watermark: int) -> bool:
        """An entity goes when all it counted for has left the panes; one that is open stays, unless its person was erased.

        So do those of which only activities are known: for as long, a repeat of one must be known as such.
        """
        if max(latest(state), state.active) >= watermark - self._keep:
            return False
        return state.void or not state.log or state.sender == ERASED or self.finished(self.histories.present(state))

    def values(self, state: EntityLog[Any]) -> Iterator[tuple[str, Any]]:
        """Return all that its facts have said, and what was folded away."""
        facts = [entry[3] for entry in state.log]
        base = state.base
        if base is not None:
            # A deal's base also remembers who had the credit first and at the close, and its stage.
            then = ("owner_at_close", "first_owner"), ("team_at_close", "first_team")
            named = zip(deals.CREDITING, then, strict=True)
            yield from ((dimension, getattr(base, field, None)) for dimension, fields in named for field in fields)
            facts.append(base.attributes)
        for said in facts:
            for dimension in _DIMENSIONS:
                yield dimension, said.get(dimension)

    def finished(self, present: Any) -> bool:
        """Whether nothing more is expected of the entity."""
        return True


def _parts(facts: list[Entry]) -> Iterator[list[Entry]]:
    """Yield the facts in parts that a record holds, oldest first: 64 facts may have more than a megabyte of text."""
    part: list[Entry] = []
    room = _PART
    for fact in facts:
        size = len(orjson.dumps(fact))
        if part and size > room:
            yield part
            part, room = [], _PART
        part.append(fact)
        room -= size
    yield part


def _into(story: EntityLog[Any]) -> str | None:
    """Return the entity that the merged one went into: the earliest merge stands."""
    for entry in story.log:
        if entry[2] == deals.MERGED:
            into: str = entry[3]["into"]
            return into
    return None


def latest(story: EntityLog[Any]) -> int:
    """Return the time of an entity's latest fact."""
    return story.log[-1][0] if story.log else story.base_at
