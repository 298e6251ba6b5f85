"""What do the open deals of a partition count for: each its amount times P(won) as last said, in panes by segment?"""

from typing import Any

import orjson

from models.business import Business
from models.calendar import MINUTE_MS
from models.fold import Output, Row
from models.learners.tracked import Level, Tracked
from models.measures import MEASURES
from models.money import UnknownRate
from models.panes.segments import Segments
from models.panes.store import Panes

#: By what an open deal's expected amount is kept, beside its stage.
DIMENSIONS = ("owner", "team", "source", "product", "region", "segment")
_SLOT = {measure.name: slot for slot, measure in enumerate(MEASURES["predictions"])}
_EXPECTED, _DEALS, _UNPROVEN = (_SLOT[f"expected_{of}"] for of in ("amount", "deals", "unproven"))


class ExpectedAmounts:
    """The panes, and the segments that they are kept by. Rows: ``P<grain>:<pane>:<segment>`` and ``S``."""

    def __init__(self, business: Business) -> None:
        self._rates = business.rates
        self._panes = Panes(MEASURES["predictions"], business)
        self._segments = Segments(business.segment_limit)

    def restore(self, kind: bytes, key: bytes, value: bytes) -> None:
        """Take a row of ``kind`` ``P`` or ``S`` back."""
        if kind == b"P":
            self._panes.restore(key[1:].decode(), value)
        elif kind == b"S":
            self._segments.load(orjson.loads(value))

    def level(self, present: Any, at: int, win: float, *, proven: bool) -> Level | None:
        """Return what an open deal counts for: its amount in the business currency times P(won), by its segments.

        ``proven``: whether who says P(won) has turned out to be better than the average of the stage.
        """
        attributes = present.past.attributes
        amount = attributes.get("amount")
        if amount is None:
            return None
        try:
            worth = self._rates.convert(amount, present.currency or present.default_currency, at)
        except UnknownRate:
            return None
        pairs = [(name, attributes.get(name)) for name in DIMENSIONS]
        names = self._segments.of([("stage", present.past.stage or None), *pairs])
        unproven = () if proven else ((_UNPROVEN, 1),)
        return names, ((_EXPECTED, round(worth * win)), (_DEALS, 1), *unproven)

    def book(self, tracked: Tracked, level: Level | None, at: int) -> None:
        """Move the panes' stocks from what the deal counted for to what it counts for now."""
        if level == tracked.level:
            return
        for part, sign in ((tracked.level, -1), (level, 1)):
            if part is not None:
                self._panes.add(at // MINUTE_MS, *part, sign)
        tracked.level = level

    def begin_sweep(self) -> None:
        """Start looking for segments that nothing is booked under any more."""
        self._segments.begin_marks()

    def changes(self, time: int, partition: int) -> tuple[list[Row], list[Output]]:
        """Return the rows that have changed since the last call, and what readers of the panes are told."""
        self._panes.roll(time)
        rows, outputs = [], []
        for name, body in self._panes.changes():
            rows.append(Row(b"P" + name.encode(), body))
            outputs.append(Output("panes", f"predictions:{partition}:{name}".encode(), body))
        if self._segments.marking:
            # What a level was booked under is kept beside it: all that is in use is in the panes.
            self._segments.release(self._panes.segments())
        if self._segments.changed:
            rows.append(Row(b"S", orjson.dumps(self._segments.dump())))
        return rows, outputs
