"""Which deals and leads are open, as a process that does not fold them can tell from the topics of their states?"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec
import orjson

from models.fold import Changes, Record
from models.folds.entity_snapshots import DEAL_STATES, LEAD_STATES, DealState, LeadState, decode_deal, decode_lead
from stream.engine.options import FoldSpec
from stream.web.entities import OpenDeal, Story
from stream.web.predictions import Elsewhere, Entity

_LIMITS = "limits"
#: Where the 90 % quantile stands among a stage's (``alert_rules/judge/entity_condition.py``).
_P90 = 2
S = TypeVar("S", DealState, LeadState)


class EntityBoard:
    """The deals and leads, from each assignment's own reading of the topics (a replayed fold, all partitions).

    ``win`` gives the probability of an open deal, None where nothing is expected of it. What happened to one is kept by the
    workers alone: a story has no facts here.
    """

    def __init__(self, running: Callable[[], bool], win: Callable[[str], float | None]) -> None:
        """``running`` says whether the topics have been read."""
        self._running = running
        self._win = win
        self._parts: dict[int, _Part] = {}

    def spec(self) -> FoldSpec:
        """Return the fold as the engine runs it; at each assignment it begins anew."""
        topics = (DEAL_STATES, LEAD_STATES, _LIMITS)
        return FoldSpec(name="show-entities", topics=topics, make=self._part, lane="show", replayed=True)

    def _part(self, partition: int) -> "_Part":
        return _Part(lambda part: self._parts.__setitem__(partition, part))

    def _whole(self) -> None:
        if not self._running():
            raise Elsewhere("the deals are still being read")

    def deals(self) -> Iterator[OpenDeal]:
        """Yield the deals that are open."""
        self._whole()
        for part in self._parts.values():
            for deal in part.deals.values():
                yield OpenDeal(deal, self._win(deal.id))

    def leads(self) -> Iterator[LeadState]:
        """Yield the leads that wait for a first contact."""
        self._whole()
        for part in self._parts.values():
            yield from part.leads.values()

    def usual(self) -> Mapping[str, int]:
        """Return how long (ms) nine of ten deals stay in each stage at most."""
        return next((part.usual for part in self._parts.values() if part.usual), {})

    def ids(self, entity: Entity) -> list[str]:
        """Return the ids of all deals or leads."""
        self._whole()
        return [key for part in self._parts.values() for key in part.ids(entity)]

    def state(self, entity: Entity, key: str) -> DealState | LeadState | None:
        """Return the present of one, ended or not."""
        self._whole()
        return next((state for part in self._parts.values() if (state := part.state(entity, key)) is not None), None)

    def win(self, deal: str) -> float | None:
        """Return how probable it is that an open deal is won."""
        return self._win(deal)

    def story(self, entity: Entity, key: str) -> Story | None:
        """Return the present of one."""
        state = self.state(entity, key)
        return None if state is None else Story(state, ())


class _Part:
    """One partition of the topics; ``show`` is given it once they have been read to their end."""

    def __init__(self, show: Callable[["_Part"], None]) -> None:
        self._show = show
        self.deals: dict[str, DealState] = {}
        self.leads: dict[str, LeadState] = {}
        # What is in no list of the page, as it came: some 300 bytes each.
        self._others: dict[Entity, dict[str, bytes]] = {"deal": {}, "lead": {}}
        self.usual: dict[str, int] = {}

    def ids(self, entity: Entity) -> list[str]:
        """Return the ids of all deals or leads."""
        return [*(self.deals if entity == "deal" else self.leads), *self._others[entity]]

    def state(self, entity: Entity, key: str) -> DealState | LeadState | None:
        """Return the present of one."""
        found = self.deals.get(key) if entity == "deal" else self.leads.get(key)
        if found is not None or (body := self._others[entity].get(key)) is None:
            return found
        return decode_deal(body) if entity == "deal" else decode_lead(body)

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """There are no rows: the topics themselves are read."""

    def live(self) -> None:
        """What is known is whole: it may be shown."""
        self._show(self)

    def fold(self, records: Sequence[Record]) -> None:
        """Take the records; what is damaged is passed over."""
        for record in records:
            try:
                self._take(record, (record.key or b"").decode())
            except (ValueError, KeyError, TypeError, IndexError, AttributeError, msgspec.MsgspecError):
                continue

    def _take(self, record: Record, key: str) -> None:
        if record.topic == _LIMITS:
            stages = {} if record.value is None else orjson.loads(record.value)["stages"]
            self.usual = {stage: int(values[_P90]) for stage, values in stages.items() if values[_P90] is not None}
        elif record.topic == DEAL_STATES:
            deal = None if record.value is None else decode_deal(record.value)
            self._put("deal", self.deals, key, record.value, deal, deal is not None and deal.status == "open")
        else:
            lead = None if record.value is None else decode_lead(record.value)
            waits = lead is not None and lead.status == "open" and lead.contacted is None
            self._put("lead", self.leads, key, record.value, lead, waits)

    def _put(self, entity: Entity, listed: dict[str, S], key: str, body: bytes | None, state: S | None, is_listed: bool) -> None:
        """Keep what is in a list of the page as an object, and the rest as it came."""
        listed.pop(key, None)
        self._others[entity].pop(key, None)
        if state is not None and is_listed:
            listed[key] = state
        elif body is not None:
            self._others[entity][key] = body

    def tick(self, now: int) -> None:
        """Nothing here depends on the clock."""

    def changes(self) -> Changes:
        """Nothing is written."""
        return Changes([], [])
