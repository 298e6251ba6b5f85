"""A view as a running instance would hold it: the simulated company's last weeks, through the real folds."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from typing import Any

import orjson

from models.business import Business
from models.events.catalogue import TOPIC_OF
from models.fold import Output, Record
from models.folds.partition import TOPICS, EntityPartition
from models.panes.view import View
from models.simulator.live import LiveCompany
from tests.shared import once

#: Thursday, 19 November 2026, 14:00:30 UTC.
NOW = 1_795_096_830_000
ZONE = "Europe/Paris"


class Company:
    """The simulated company, its folds (one partition each) and the view they fill."""

    def __init__(self, now: int = NOW, seed: int = 7, zone: str = ZONE) -> None:
        self.now = now
        self.business = Business(timezone=zone)
        self.view = View(self.business)
        self.folds = {name: EntityPartition(name, 0, self.business) for name in TOPICS}
        self._fold_of = {topic: name for name, topics in TOPICS.items() for topic in topics}
        self._offsets = itertools.count()
        self._live = LiveCompany(seed, now)
        self.feed(self._live.history())
        self.view.live = True

    def step(self, milliseconds: int) -> int:
        """Let so much time pass; return how many events that brought."""
        self.now += milliseconds
        return self.feed(self._live.step(self.now))

    def feed(self, events: Any) -> int:
        """Fold events and merge what the folds then say into the view."""
        records: dict[str, list[Record]] = defaultdict(list)
        for event in events:
            topic = TOPIC_OF[event["type"]]
            body = orjson.dumps(event)
            record = Record(topic, 0, next(self._offsets), self.now, event["subject"].encode(), body, ())
            records[self._fold_of[topic]].append(record)
        for name, batch in records.items():
            self.folds[name].fold(batch)
        for fold in self.folds.values():
            self._merge(fold.changes().outputs)
        self.view.advance(self.now)
        return sum(map(len, records.values()))

    def _merge(self, outputs: list[Output]) -> None:
        for output in outputs:
            if output.topic == "panes":
                self.view.put(output.key, output.value)


#: Whose deals they are.
OWNERS = (
    "adrien.simon", "amelie.bernard", "clara.dubois", "eva.lindgren", "hugo.petit", "ines.garcia", "karim.benali", "lea.robert",
    "lucie.moreau", "marie.fontaine", "mehdi.haddad", "nadia.cohen", "paul.lefevre", "peter.novak", "sofia.rossi", "tom.janssen",
    "victor.leroy", "yann.le-goff",
)  # fmt: skip


@functools.cache
def company(seed: int = 7) -> Company:
    """Return the company all tests may share: look, don't touch."""
    return fresh(seed)


def fresh(seed: int = 7) -> Company:
    """Return a company of a test's own."""
    return once(f"company-{seed}", lambda: Company(seed=seed))
