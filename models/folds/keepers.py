"""What differs between the kinds of entities: how an event of each is applied, and when an entity can be forgotten?"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import msgspec
import orjson
from msgspec import UNSET

from models.business import Business
from models.calendar import HOUR_MS, MINUTE_MS, iso
from models.entities.entity_log import ERASED, EntityLog, Entry, LogFolder, TooLate
from models.entities.store import Entities
from models.events import deals as deal_events
from models.events import leads as lead_events
from models.events.merges import DealAbsorbed, LeadAbsorbed
from models.fold import Output
from models.folds import deals, engagement, leads, tallies
from models.folds.entity_snapshots import DEAL_STATES, LEAD_STATES, DealState, LeadState, deal_state, lead_state
from models.folds.entity_snapshots import encode as encode_state
from models.folds.evolve import Book, Raise, Standing
from models.measures import MEASURES
from models.panes.segments import Segments
from models.panes.store import TOTAL, Cells, Panes


class Keeper(Protocol):
    """What differs between the kinds of entities. What most of them have nothing to do for does nothing here."""

    entities: Entities[Any]

    def take(self, event: Any, at: int, arrival: int) -> str:
        """Apply one event; return its outcome: ``applied``, ``duplicate``. Raise :class:`TooLate`."""

    def outputs(self) -> list[Output]:
        """Return what is to be sent to other partitions, once."""

    def states(self) -> list[Output]:
        """Return the present of each entity that was changed since the last checkpoint. Called before the rows are taken."""

    def gone(self, key: str) -> Output | None:
        """Return what says that an entity was forgotten."""

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


_DEAL_KINDS: dict[type, str] = {
    deal_events.DealCreated: deals.CREATED,
    deal_events.DealUpdated: deals.UPDATED,
    deal_events.DealStageChanged: deals.STAGE,
    deal_events.DealWon: deals.WON,
    deal_events.DealLost: deals.LOST,
    deal_events.DealReopened: deals.REOPENED,
    deal_events.DealMerged: deals.MERGED,
    deal_events.DealDeleted: deals.DELETED,
}
_LEAD_KINDS: dict[type, str] = {
    lead_events.LeadCreated: deals.CREATED,
    lead_events.LeadUpdated: deals.UPDATED,
    lead_events.LeadContacted: leads.CONTACTED,
    lead_events.LeadContactAttempted: leads.ATTEMPTED,
    lead_events.LeadDisqualified: leads.DISQUALIFIED,
    lead_events.LeadConverted: leads.CONVERTED,
    lead_events.LeadMerged: deals.MERGED,
    lead_events.LeadDeleted: deals.DELETED,
}
_to_dict = msgspec.to_builtins
_DEALS = {m.name: slot for slot, m in enumerate(MEASURES["deals"])}
_ACTIVITY: Cells = ((_DEALS["deal_activities"], 1),)
#: What an activity counts for, by its kind; any other is one.
_ACTIVITIES: dict[str, Cells] = {
    **dict.fromkeys(("meeting", "demo"), (*_ACTIVITY, (_DEALS["meetings"], 1))),
    "signature": (*_ACTIVITY, (_DEALS["signatures"], 1)),
}
_DIMENSIONS = (*deals.DESCRIBING, *deals.CREDITING, "stage", "reason")
_FAR = 1 << 62
_PART = 768 * 1024  # bytes of facts that one record hands over: below Kafka's default limit for a record


class _Logged(Keeper):
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

    def _book(self, rules: int | None) -> Book:
        """Return what books apart from all others, by rules of before (None: those in force)."""
        panes = Panes(MEASURES[self.fold], self._business)
        steps = self.steps(self._business, panes, self._segments, rules)
        return Book(LogFolder(steps, self.present), steps, panes)

    @abstractmethod
    def state(self, key: str, story: EntityLog[Any]) -> DealState | LeadState:
        """Return the state of an entity."""

    def dead(self, state: EntityLog[Any], watermark: int) -> bool:
        """An entity goes when all it counted for has left the panes; one that is open stays, unless its person was erased.

        So do those of which only activities are known: for as long, a repeat of one must be known as such.
        """
        if max(_latest(state), state.active) >= watermark - self._keep:
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


class _Deals(_Logged):
    fold, present, steps = "deals", deals.Deal, deals.DealSteps

    def __init__(self, business: Business, panes: Panes, segments: Segments) -> None:
        super().__init__(business, panes, segments, "deal-merges", DEAL_STATES, "deal.absorbed", business.keep_days)

    def take(self, event: Any, at: int, arrival: int) -> str:
        """Apply one deal event."""
        cls = event.__class__
        kind = _DEAL_KINDS.get(cls)
        if kind is not None:
            return self.note(event.subject, (at, event.id, kind, _to_dict(event.data)), event.source)
        if cls is DealAbsorbed:
            return self.absorb(event.subject, event.data.facts)
        return self._activity(event, at, arrival)

    def _activity(self, event: Any, at: int, arrival: int) -> str:
        story = self.entities.get(event.subject) or self.histories.new()
        # For as long as there is the deal, not for the dedup horizon: a backfill may repeat what was delivered long ago.
        if not story.seen.add(event.id, arrival, _FAR):
            return "duplicate"
        story.active = max(story.active, at)
        self.entities.put(event.subject, story)
        owner = event.data.owner
        names = (TOTAL,) if owner is UNSET or not owner else (TOTAL, self._segments.name("owner", owner))
        self._panes.add(at // MINUTE_MS, names, _ACTIVITIES.get(event.data.kind, _ACTIVITY))
        return "applied"

    def state(self, key: str, story: EntityLog[Any]) -> DealState:
        """Return the state of a deal."""
        return deal_state(key, self.histories.present(story), _latest(story), story.active, story.sender)

    def finished(self, present: deals.Deal) -> bool:
        """An open deal is in the pipeline, however old; one of unknown status is none that anybody still speaks of."""
        return present.status != deals.OPEN

    def outcome(self, key: str, base: deals.Deal) -> list[Entry]:
        """Return the close that was folded away, with who had the credit then."""
        if base.status == deals.WON or base.status == deals.LOST:
            credit = {"owner": base.owner_at_close, "team": base.team_at_close}
            return [(base.closed, f"{key}#closed", base.status, {k: v for k, v in credit.items() if v is not None})]
        return []

    def let_go(self, state: EntityLog[deals.Deal], at: int) -> None:
        """A deal of unknown status is counted as such until it is forgotten, and an open one of somebody who was erased."""
        if state.log and not state.void:
            level = self.histories.present(state).level
            if level is not None:
                names, cells = level
                self._panes.add(at // MINUTE_MS, names, cells, -1)


class _Leads(_Logged):
    fold, present, steps = "leads", leads.Lead, leads.LeadSteps

    def __init__(self, business: Business, panes: Panes, segments: Segments) -> None:
        keep = business.keep_days + business.maturity
        super().__init__(business, panes, segments, "lead-merges", LEAD_STATES, "lead.absorbed", keep)

    def take(self, event: Any, at: int, arrival: int) -> str:
        """Apply one lead event."""
        cls = event.__class__
        kind = _LEAD_KINDS.get(cls)
        if kind is not None:
            return self.note(event.subject, (at, event.id, kind, _to_dict(event.data)), event.source)
        if cls is LeadAbsorbed:
            return self.absorb(event.subject, event.data.facts)
        return self.note(event.subject, (at, event.id, event.data.level, {}), event.source)  # lead.qualified: mql or sql

    def state(self, key: str, story: EntityLog[Any]) -> LeadState:
        """Return the state of a lead."""
        return lead_state(key, self.histories.present(story), _latest(story), story.sender)


def _latest(story: EntityLog[Any]) -> int:
    """Return the time of an entity's latest fact."""
    return story.log[-1][0] if story.log else story.base_at


class _Engagement(Keeper):
    def __init__(self, business: Business, panes: Panes, segments: Segments) -> None:
        self._visits = engagement.Visits(business, panes, segments)
        self._horizon, self._keep = business.visit_horizon, business.keep_days
        self.entities: Entities[engagement.Visitor] = Entities(engagement.decode, engagement.encode)

    def take(self, event: Any, at: int, arrival: int) -> str:
        """Apply one engagement event."""
        key = event.subject
        visitor = self.entities.get(key)
        if visitor is None:
            visitor = self._visits.new()
        if not self._visits.add(visitor, event, at, arrival):
            return "duplicate"
        self.entities.put(key, visitor)
        return "applied"

    def outputs(self) -> list[Output]:
        """Visitors send nothing to other partitions."""
        return []

    def states(self) -> list[Output]:
        """Nobody asks for them one by one."""
        return []

    def gone(self, key: str) -> None:
        """Nobody asks for them one by one."""

    def dead(self, state: engagement.Visitor, watermark: int) -> bool:
        """A visitor is forgotten when no window reaches back to the last visit, and no id is remembered."""
        return state.last < watermark - self._keep and self._quiet(state, watermark)

    def shrink(self, state: engagement.Visitor, watermark: int) -> bool:
        """Beyond the horizon only where visits began is remembered, for distinct visitors in longer windows."""
        if not (state.sessions or state.seen.hours or state.mails or state.trail) or not self._quiet(state, watermark):
            return False
        self._visits.shrink(state)
        return True

    def values(self, state: engagement.Visitor) -> Iterator[tuple[str, Any]]:
        """Return what its sessions came from."""
        for session in state.sessions:
            yield "source", session.source
            yield "campaign", session.campaign
            yield "page", session.exit_page
        for mail in state.mails.values():
            yield "source", mail.channel
            yield "campaign", mail.campaign
        for name in {*state.visits, *[name for past in state.past.values() for name in past]}:
            dimension, _, value = name.partition("=")
            yield dimension, value

    def _quiet(self, state: engagement.Visitor, watermark: int) -> bool:
        """Whether nothing has been seen, or has come, for as long as the horizon."""
        recent = (watermark - self._horizon) // HOUR_MS
        return state.last < watermark - self._horizon and all(hour < recent for hour in state.seen.hours.values())


class _Tallies(Keeper):
    def __init__(self, business: Business, panes: Panes, segments: Segments) -> None:
        self._tallies = tallies.Tallies(business, panes, segments)
        self.entities: Entities[tallies.Tally] = Entities(tallies.decode, tallies.encode)

    def take(self, event: Any, at: int, arrival: int) -> str:
        """Apply one customers' or spend event."""
        key = event.subject
        tally = self.entities.get(key)
        if tally is None:
            tally = self._tallies.new()
        if not self._tallies.add(tally, event, at, arrival):
            return "duplicate"
        self.entities.put(key, tally)
        return "applied"

    def outputs(self) -> list[Output]:
        """Accounts and channels send nothing to other partitions."""
        return []

    def states(self) -> list[Output]:
        """Nobody asks for them one by one."""
        return []

    def gone(self, key: str) -> None:
        """Nobody asks for them one by one."""

    def dead(self, state: tallies.Tally, watermark: int) -> bool:
        """An account stays a customer; a channel is one of few."""
        return False


#: The keeper of each entity fold.
KEEPERS: dict[str, Callable[[Business, Panes, Segments], Keeper]] = {
    "deals": _Deals,
    "leads": _Leads,
    "engagement": _Engagement,
    "customers": _Tallies,
    "spend": _Tallies,
}
