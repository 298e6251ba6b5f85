"""What has been learnt so far? The fold over ``examples`` that every model goes through.

Each example is learnt once: its position, what it changed in the model, and the ids seen lately are written in one transaction.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import orjson
from xxhash import xxh3_64_intdigest

from models.faults import Faults
from models.fold import Changes, Output, Record, Row
from models.learners import examples
from models.learners.examples import Command, Example
from models.learners.live_kinds import KINDS
from models.learners.trainer import Trainer

#: Ids of examples that are remembered, and how many share a row.
IDS, IDS_ROW = 100_000, 1_000
_HELD = 1_000  # lessons that are taken before they are settled, at most


class LearnModels:
    """The one partition of ``examples`` (a :class:`models.fold.PartitionFold`).

    Rows: ``M:<model>`` and ``F:<model>`` the documents, ``C:<model>`` the counts, ``J:<model>:<n>`` judged answers,
    ``I:<n>`` ids.
    """

    def __init__(self, partitions: int, interval: int = 60_000, start: Mapping[str, bytes] | None = None) -> None:
        """``partitions`` is to how many a release goes, ``interval`` (ms) the least time between two of one model."""
        self._start = start or {}
        self.trainers = {name: Trainer(kind, self._start.get(name)) for name, kind in KINDS.items()}
        # The rows of each as they were last settled, what was learnt since, and those that no checkpoint has written yet.
        self._kept: dict[str, dict[str, bytes]] = {name: {} for name in KINDS}
        self._since: dict[str, list[Example | Command]] = {name: [] for name in KINDS}
        self._rows: dict[bytes, Row] = {}
        self.outcomes: Counter[tuple[str, str]] = Counter()  # (model, learnt | duplicate | why not)
        self.faults = Faults()
        self._partitions = partitions
        self._interval = interval
        self._ids: dict[int, int] = {}  # digest -> number, oldest first
        self._next_id = 0
        self._fresh_ids: set[int] = set()
        self._outputs: list[Output] = []

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back."""
        found = {key.decode(): value for key, value in rows}
        for name, trainer in self.trainers.items():
            trainer.restore(found)
            self._kept[name] = {key: value for key, value in found.items() if key[:2] != "I:" and key.split(":")[1] == name}
        ids: list[tuple[int, int]] = []
        for key, value in found.items():
            if key.startswith("I:"):
                ids += [(number, digest) for number, digest in orjson.loads(value)]
        self._ids = {digest: number for number, digest in sorted(ids)}
        self._next_id = max((number for number, _ in ids), default=-1) + 1

    def fold(self, records: Sequence[Record]) -> None:
        """Learn the records in order, those that come together together. One that cannot be used is counted by its reason."""
        for name in self.trainers:
            self._together(name, len(records) > 1)
        for record in records:
            try:
                found = examples.decode(record.value)
            except (msgspec.DecodeError, ValueError):
                self.outcomes["", "damaged"] += 1
                continue
            trainer = self.trainers.get(found.model)
            if trainer is None:
                self.outcomes["", "unknown_model"] += 1
                continue
            if self._known(found):
                outcome = "duplicate"
            else:
                try:
                    outcome = trainer.take(found)
                    self._since[found.model].append(found)
                except Exception as error:  # a fault of ours must not stop the worker
                    self.faults.add(record, error)
                    outcome = "internal"
                    self._back(found.model)
            self.outcomes[found.model, outcome] += 1
            if len(self._since[found.model]) > _HELD:
                self._settle(found.model)
        for name in self.trainers:
            try:
                self._together(name, False)
            except Exception as error:
                self.faults.add(f"lessons of {name}", error)
                self._back(name)

    def _together(self, name: str, together: bool) -> None:
        trainer = self.trainers[name]
        trainer.model.together = trainer.floor.together = together
        trainer.model.settle()
        trainer.floor.settle()

    def _back(self, name: str) -> None:
        """Have a trainer be what it was before a lesson that failed in the middle: as restored, with the lessons since then."""
        together = self.trainers[name].model.together
        try:
            trainer = self._again(name, together)
        except Exception:  # what cannot be learnt together can be one by one: each was once
            trainer = self._again(name, False)
        trainer.model.together = trainer.floor.together = together
        trainer.refused["internal"] += 1
        trainer.changed = True
        self._settle(name)

    def _again(self, name: str, together: bool) -> Trainer:
        """Return the trainer, which is made anew, with the lessons since the last rows."""
        trainer = self.trainers[name] = Trainer(KINDS[name], self._start.get(name))
        trainer.restore(self._kept[name])
        trainer.model.together = trainer.floor.together = together
        for known in self._since[name]:
            trainer.take(known)
        trainer.model.settle()
        trainer.floor.settle()
        return trainer

    def _settle(self, name: str) -> None:
        """Bring what was learnt into rows: from here on it stays."""
        rows = self.trainers[name].rows()
        self._rows.update((row.key, row) for row in rows)
        self._kept[name].update((row.key.decode(), row.value) for row in rows if row.value is not None)
        self._since[name].clear()

    def _known(self, found: Example | Command) -> bool:
        """Whether this example has been learnt already; remember it."""
        digest = xxh3_64_intdigest(f"{found.model}:{found.id}".encode())
        if digest in self._ids:
            return True
        self._ids[digest] = self._next_id
        self._fresh_ids.add(self._next_id // IDS_ROW)
        self._next_id += 1
        if len(self._ids) > IDS:
            del self._ids[next(iter(self._ids))]
        return False

    def tick(self, now: int) -> None:
        """Tell those who predict what has been learnt, where it is time."""
        for trainer in self.trainers.values():
            value = trainer.release(now, self._interval)
            if value is not None:
                key = trainer.kind.model.encode()
                self._outputs += [Output("model-snapshots", key, value, partition) for partition in range(self._partitions)]

    def changes(self) -> Changes:
        """Encode what has changed since the last call."""
        for name in self.trainers:
            self._settle(name)
        rows, self._rows = list(self._rows.values()), {}
        slots = IDS // IDS_ROW + 1
        if self._fresh_ids:
            blocks: dict[int, list[tuple[int, int]]] = {block: [] for block in self._fresh_ids}
            for digest, number in reversed(self._ids.items()):
                block = number // IDS_ROW
                if block in blocks:
                    blocks[block].append((number, digest))
                elif block < min(blocks):
                    break
            rows += [Row(f"I:{block % slots}".encode(), orjson.dumps(pairs)) for block, pairs in blocks.items()]
            self._fresh_ids.clear()
        outputs, self._outputs = self._outputs, []
        return Changes(rows, outputs)

    def status(self) -> list[dict[str, Any]]:
        """Return what is known of every model."""
        return [trainer.status() for trainer in self.trainers.values()]
