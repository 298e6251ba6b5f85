"""The small job that engines are compared on: 12 measures for 4 dimensions in minute panes, and each deal's state."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from models.fold import Changes, Output, Record, Row

MEASURES = 12


class SmallFold:
    """One partition. Rows: ``P<minute>`` → {dimension: vector}, ``D<deal>`` → [stage, amount]."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.panes: dict[int, dict[str, list[int]]] = {}
        self.deals: dict[str, tuple[str, int]] = {}
        self.bad = 0
        self.events = 0
        self._changed_panes: set[int] = set()
        self._changed_deals: set[str] = set()

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Panes and deals from their rows."""
        for key, value in rows:
            if key[:1] == b"P":
                self.panes[int(key[1:])] = orjson.loads(value)
            else:
                stage, amount = orjson.loads(value)
                self.deals[key[1:].decode()] = stage, amount

    def fold(self, records: Sequence[Record]) -> None:
        """Add the events to their panes."""
        panes = self.panes
        deals = self.deals
        changed_panes = self._changed_panes
        changed_deals = self._changed_deals
        loads = orjson.loads
        self.events += len(records)
        for record in records:
            try:
                event = loads(record.value or b"")
                kind = event["type"]
                minute = event["ts"] // 60_000
                channel, region, owner = event["channel"], event["region"], event["owner"]
            except (ValueError, KeyError, TypeError):
                self.bad += 1
                continue
            pane = panes.get(minute)
            if pane is None:
                pane = panes[minute] = {}
            changed_panes.add(minute)
            vectors = []
            for dimension in ("a", "c" + channel, "r" + region, "o" + owner):
                vector = pane.get(dimension)
                if vector is None:
                    vector = pane[dimension] = [0] * MEASURES
                vectors.append(vector)
            if kind == "deal":
                deal, amount, stage = event["deal_id"], event["amount"], event["stage"]
                old = deals.get(deal)
                was_open = 0
                moved = 0
                if old is not None:
                    if old[0] not in ("won", "lost"):
                        was_open = old[1]
                    moved = 1 if old[0] != stage else 0
                opened = (amount if stage not in ("won", "lost") else 0) - was_open
                deals[deal] = (stage, amount)
                changed_deals.add(deal)
                won = 1 if stage == "won" else 0
                lost = 1 if stage == "lost" else 0
                for v in vectors:
                    v[0] += 1
                    v[1] += amount
                    v[2] += won
                    v[3] += amount if won else 0
                    v[4] += lost
                    v[5] += opened
                    v[6] += moved
            elif kind == "lead":
                converted = 1 if event["status"] == "converted" else 0
                score = event["score"]
                for v in vectors:
                    v[7] += 1
                    v[8] += converted
                    v[9] += score
            else:
                duration = event["duration_s"]
                for v in vectors:
                    v[10] += 1
                    v[11] += duration

    def tick(self, now: int) -> None:
        """Time changes nothing here."""

    def changes(self) -> Changes:
        """Rows of the changed panes and deals."""
        dumps = orjson.dumps
        rows = [Row(b"P%d" % minute, dumps(self.panes[minute])) for minute in self._changed_panes]
        rows += [Row(b"D" + deal.encode(), dumps(self.deals[deal])) for deal in self._changed_deals]
        self._changed_panes.clear()
        self._changed_deals.clear()
        return Changes(rows, list[Output]())

    def totals(self) -> list[int]:
        """The twelve measures over all panes."""
        total = [0] * MEASURES
        for pane in self.panes.values():
            for i, value in enumerate(pane.get("a", ())):
                total[i] += value
        return total


def totals_of(folds: Iterable[Any]) -> list[int]:
    """The sum over partitions."""
    total = [0] * MEASURES
    for fold in folds:
        for i, value in enumerate(fold.totals()):
            total[i] += value
    return total
