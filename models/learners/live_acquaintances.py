"""Who knows whom: what do the keepers of deals, leads and visitors tell each other, each in the partition of its own key?

A visitor's keeper tells the lead's what was done on the site; a deal's asks the lead's, and is told anew when
something has changed. All of it is absolute (what came of it so far), so what is told twice or late does no harm.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from models.business import Business
from models.calendar import DAY_MS
from models.entities.recent_ids import RecentIds
from models.entities.store import Entities
from models.events.catalogue import TYPE_OF
from models.fold import Output, Row
from models.learners.acquaintance import DEALS, VISITORS, Beside, Doings, EngagedVisitor, LeadKnown, Told, total
from models.learners.live_questions import LiveQuestions
from models.learners.tracked import Tracked
from models.learners.tracked_entities import TrackedEntities

TOPIC = "acquaintances"
#: A visitor of whom nothing is heard is let go of after so long (ms).
KEPT = 400 * DAY_MS
_SWEPT = 64

_encode = msgspec.json.Encoder().encode


class LiveAcquaintances:
    """One partition's visitors (of leads), what its entities hear of others, and what is to be told. Rows: ``V<id>``."""

    def __init__(self, business: Business, tracked: TrackedEntities, questions: LiveQuestions) -> None:
        self._gap, self._horizon = business.session_gap, business.dedup_horizon
        self._tracked, self._entities, self._questions = tracked, tracked.entities, questions
        self._of_leads = bool(tracked.kind.beside)
        self.visitors: Entities[EngagedVisitor] = Entities(msgspec.json.Decoder(EngagedVisitor).decode, _encode)
        self._moved: dict[str, set[str]] = {}  # visitors that have done something, and the leads that they were before
        self._news: dict[str, None] = {}  # leads of which a deal is to hear
        self._outputs: list[Output] = []

    def restore(self, kind: bytes, key: str, row: bytes) -> bool:
        """Take a row back; return whether it is one of these."""
        if kind == b"V":
            self.visitors.restore(key, row)
        return kind == b"V"

    def outputs(self) -> list[Output]:
        """Return what is to be told since the last call."""
        for key, former in self._moved.items():
            visitor = self.visitors.get(key)
            if visitor is None:
                continue
            for lead in sorted({*former, visitor.lead} - {""}):
                doings = visitor.doings if lead == visitor.lead else None
                self._say(lead, Told(to="lead", at=max(visitor.doings.heard, visitor.named), visitor_id=key, doings=doings))
        self._moved.clear()
        for key in self._news:
            tracked = self._entities.get(key)
            beside = None if tracked is None else tracked.beside
            if tracked is not None and beside is not None and beside.deals:
                known = LeadKnown.of(self._tracked.past(tracked), total(beside.doings.values()))
                for deal in beside.deals:
                    self._say(deal, Told(to="deal", at=known.heard, lead_id=key, lead=known))
        self._news.clear()
        found, self._outputs = self._outputs, []
        return found

    def rows(self) -> list[Row]:
        """Return the rows that have changed."""
        return [Row(b"V" + key.encode(), row) for key, row in self.visitors.changes()]

    def begin_sweep(self) -> None:
        """Look over all from now on."""
        self.visitors.begin_sweep()

    def sweep(self, now: int) -> Iterable[Row]:
        """Let go of some that nothing was heard of for long; ``now`` in ms."""
        floor = now - KEPT
        visitors = self.visitors.sweep(lambda one: max(one.doings.heard, one.named) < floor, _SWEPT)
        return [Row(b"V" + key.encode(), None) for key, _ in visitors]

    # -- what is heard -------------------------------------------------------------------------------------------------

    def changed(self, key: str, tracked: Tracked, status: str, at: int, *, fresh: bool) -> None:
        """Tell an entity's acquaintances of it, and ask them; ``fresh`` where nothing was known of it before."""
        if self._of_leads:
            if fresh:
                self.own(key)
            self.lead_changed(key)
        elif status == "open":
            self.deal_open(key, tracked, self._tracked.present(tracked).past.attributes, at)

    def is_mine(self, told: Told) -> bool:
        """Whether it is for entities of this kind."""
        return (told.to == "lead") == self._of_leads

    def hear(self, key: str, told: Told) -> str:
        """Have an entity know what it was told; return what became of it."""
        tracked = self._entities.get(key)
        if self._of_leads:
            tracked = tracked or self._tracked.new()
            self.told_lead(tracked, key, told)
        elif tracked is None or not self.told_deal(tracked, told):
            return "not_asked"
        elif tracked.asks is not None and tracked.beside is not None and not tracked.beside.waits:
            self._questions.ask_waiting(key, tracked)
            self._tracked.schedule(key, tracked, self._tracked.at(tracked))
        self._entities.put(key, tracked)
        return "applied"

    # -- leads and their visitors --------------------------------------------------------------------------------------

    def visit(self, key: str, event: Any, at: int, arrival: int) -> tuple[str, bool]:
        """Take what a visitor has done; return what became of it, and whether the lead of the same name has changed by it."""
        visitor = self.visitors.get(key)
        found = EngagedVisitor(Doings()) if visitor is None else visitor
        if not RecentIds(found.seen).add(event.id, arrival, self._horizon):
            return "duplicate", False
        before = found.take(TYPE_OF[event.__class__], at, msgspec.to_builtins(event.data), self._gap)
        if before is None:  # an ad, a report: nobody's doing
            return "applied", False
        self.visitors.put(key, found)
        if found.lead or before:
            self._moved.setdefault(key, set()).add(before)
        return "applied", self.own(key)

    def own(self, key: str) -> bool:
        """Have a lead know what was done under its own name; return whether it is there."""
        visitor, tracked = self.visitors.get(key), self._entities.get(key)
        if visitor is None or tracked is None:
            return False
        beside = tracked.beside = tracked.beside or Beside()
        if visitor.lead:
            beside.doings.pop("", None)
        else:
            beside.doings[""] = visitor.doings
        self._entities.put(key, tracked)
        self._news[key] = None
        return True

    def told_lead(self, tracked: Tracked, key: str, told: Told) -> None:
        """Have a lead know what it was told of a visitor, or which deal it is behind."""
        beside = tracked.beside = tracked.beside or Beside()
        if told.visitor_id and told.doings is None:
            beside.doings.pop(told.visitor_id, None)
        elif told.visitor_id and told.doings is not None and (told.visitor_id in beside.doings or len(beside.doings) < VISITORS):
            beside.doings[told.visitor_id] = told.doings
        if told.deal_id and told.deal_id not in beside.deals:
            beside.deals = [*beside.deals, told.deal_id][-DEALS:]
        self.lead_changed(key)

    def lead_changed(self, key: str) -> None:
        """The deals that a lead is behind are to hear of it."""
        self._news[key] = None

    # -- deals ---------------------------------------------------------------------------------------------------------

    def deal_open(self, key: str, tracked: Tracked, attributes: dict[str, Any], at: int) -> None:
        """Ask the lead of an open deal to tell of itself."""
        lead, beside = str(attributes.get("lead_id") or ""), tracked.beside
        if beside is None:
            if not lead:
                return
            beside = tracked.beside = Beside()
        if lead != beside.lead_id:
            beside.lead_id, beside.lead = lead, None
            if lead:
                self._say(lead, Told(to="lead", at=at, deal_id=key))

    @staticmethod
    def told_deal(tracked: Tracked, told: Told) -> bool:
        """Have a deal know what it was told of its lead; return whether it had asked."""
        beside = tracked.beside
        if beside is None or told.lead is None or told.lead_id != beside.lead_id:
            return False
        beside.lead = told.lead
        return True

    def _say(self, key: str, told: Told) -> None:
        self._outputs.append(Output(TOPIC, key.encode(), _encode(told)))
