"""Which stages has a deal been in, and how did it leave each: for a later one, for an earlier one, lost?

A stay is booked when it begins and when it ends, and once more at its beginning when it has ended: so of those that entered in a
window one can tell what has become of them, and how many are still there.

*Later* is as the settings have the pipeline's stages in order. Where they do not name both, a stage in which the deal has not
been is a later one. What lies between is skipped. A win is later than all of them.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from models.business import Business
from models.calendar import MINUTE_MS
from models.measures import DEALS, rough
from models.panes.segments import Segments
from models.panes.store import TOTAL, Cells, Panes

_SLOT = {m.name: slot for slot, m in enumerate(DEALS)}
_ENTERED, _LEFT, _MILLIS, _STAYS = (_SLOT[f"stage_{name}"] for name in ("entered", "left", "millis", "stays"))
_LENGTHS, _REPEATED, _CLOCK = _SLOT["stage_lengths"], _SLOT["stage_repeated"], _SLOT["open_clock"]
_ENDED, _ADVANCED, _BACK = _SLOT["stage_ended"], _SLOT["stage_advanced"], _SLOT["stage_back"]
_SKIPPED: Cells = ((_SLOT["stage_skipped"], 1),)
_LATER: Cells = ((_ENDED, 1), (_ADVANCED, 1))
_EARLIER: Cells = ((_ENDED, 1), (_BACK, 1))
_NOWHERE: Cells = ((_ENDED, 1),)
#: So many stages are remembered of a deal: which it has been in.
_REMEMBERED = 64


class Staged(Protocol):
    """What is known of a deal's stages (:class:`models.folds.deals.Deal`)."""

    attributes: dict[str, Any]
    stage: str | None
    stage_since: int
    placed: int
    been: tuple[str, ...]
    visited: tuple[str, ...]


class Stages:
    """Books the stays of deals into one partition's panes."""

    __slots__ = ("_kinds", "_orders", "_panes", "_segments")

    def __init__(self, business: Business, panes: Panes, segments: Segments) -> None:
        self._panes = panes
        self._segments = segments
        self._kinds = business.stage_kinds
        #: Pipeline -> stage -> its place.
        self._orders: Mapping[str, Mapping[str, int]] = {
            pipeline: {stage: place for place, stage in enumerate(stages)} for pipeline, stages in business.stage_orders.items()
        }

    def enter(self, deal: Staged, stage: str | None, at: int, sign: int) -> None:
        """Let an open deal be in a stage from an instant (epoch ms) on; None: in none that is known."""
        deal.stage, deal.stage_since, deal.placed = stage, 0 if stage is None else at, at
        if stage is None:
            if sign:
                self._panes.add(at // MINUTE_MS, (TOTAL,), ((_CLOCK, -at),), sign)
            return
        name = self._segments.name("stage", stage)
        if name not in deal.visited:
            deal.visited = (*deal.visited, name)
        cells: Cells = ((_ENTERED, 1), (_CLOCK, -at))
        if stage in deal.been:
            cells = (*cells, (_REPEATED, 1))
        elif len(deal.been) < _REMEMBERED:
            deal.been = (*deal.been, stage)
        if sign:
            self._panes.add(at // MINUTE_MS, (TOTAL, name), cells, sign)

    def leave(self, deal: Staged, at: int, sign: int, to: str | None = None, *, won: bool = False) -> None:
        """End its stay: it goes on ``to`` another stage, or is ``won``, or (neither) lost."""
        if not sign:
            return
        minute = at // MINUTE_MS
        stage = deal.stage
        if stage is None:
            self._panes.add(minute, (TOTAL,), ((_CLOCK, at),), sign)
            return
        stay, begun = at - deal.stage_since, deal.stage_since // MINUTE_MS
        segment = self._segments.name("stage", stage)
        book = self._panes.book
        cells: Cells = ((_LEFT, 1), (_MILLIS, stay), (_CLOCK, at))
        book((minute, (TOTAL, segment), cells, ((_STAYS, rough(stay)),)), sign)
        # Beside the entries of that time it says how many are still there, and since when.
        book((begun, (segment,), (), ((_LENGTHS, rough(stay)),)), sign)
        ended = _NOWHERE
        if won or to is not None:
            later, skipped = self._passed(deal, stage, to)
            ended = _LATER if later else _EARLIER
            for other in skipped:
                self._panes.add(minute, (TOTAL, self._segments.name("stage", other)), _SKIPPED, sign)
        self._panes.add(begun, (TOTAL, segment), ended, sign)

    def let_go(self, deal: Staged, at: int, sign: int) -> None:
        """Stop the clock of an open deal that counts for nothing any more (sign −1: let it go on)."""
        names = (TOTAL,) if deal.stage is None else (TOTAL, self._segments.name("stage", deal.stage))
        self._panes.add(at // MINUTE_MS, names, ((_CLOCK, at),), sign)

    def _passed(self, deal: Staged, stage: str, to: str | None) -> tuple[bool, list[str]]:
        """Return whether a stage (None: the win) is a later one, and the open stages in between."""
        order = self._orders.get(deal.attributes.get("pipeline") or "")
        if order is None or stage not in order:
            order = next((o for o in self._orders.values() if stage in o and (to is None or to in o)), {})
        if stage not in order or (to is not None and to not in order):
            return to not in deal.been, []
        last = len(order) if to is None else order[to]
        between = [name for name, place in order.items() if order[stage] < place < last]
        return last > order[stage], [name for name in between if self._kinds.get(name, "open") == "open"]
