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
        """``partitions`` is to how many a bulletin goes, ``interval`` (ms) the least time between two of one model."""
        self._start = start or {}
        self.pupils = {name: Trainer(kind, self._start.get(name)) for name, kind in KINDS.items()}
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
        for name, pupil in self.pupils.items():
            pupil.restore(found)
            self._kept[name] = {key: value for key, value in found.items() if key[:2] != "I:" and key.split(":")[1] == name}
        ids: list[tuple[int, int]] = []
        for key, value in found.items():
            if key.startswith("I:"):
                ids += [(number, digest) for number, digest in orjson.loads(value)]
        self._ids = {digest: number for number, digest in sorted(ids)}
        self._next_id = max((number for number, _ in ids), default=-1) + 1

    def fold(self, records: Sequence[Record]) -> None:
        """Learn the records in order, those that come together together. One that cannot be used is counted by its reason."""
        for name in self.pupils:
            self._together(name, len(records) > 1)
        for record in records:
            try:
                found = examples.decode(record.value)
            except (msgspec.DecodeError, ValueError):
                self.outcomes["", "damaged"] += 1
                continue
            pupil = self.pupils.get(found.model)
            if pupil is None:
                self.outcomes["", "unknown_model"] += 1
                continue
            if self._known(found):
                outcome = "duplicate"
            else:
                try:
                    outcome = pupil.take(found)
                    self._since[found.model].append(found)
                except Exception as error:  # a fault of ours must not stop the worker
                    self.faults.add(record, error)
                    outcome = "internal"
                    self._back(found.model)
            self.outcomes[found.model, outcome] += 1
            if len(self._since[found.model]) > _HELD:
                self._settle(found.model)
        for name in self.pupils:
            try:
                self._together(name, False)
            except Exception as error:
                self.faults.add(f"lessons of {name}", error)
                self._back(name)

    def _together(self, name: str, together: bool) -> None:
        pupil = self.pupils[name]
        pupil.model.together = pupil.floor.together = together
        pupil.model.settle()
        pupil.floor.settle()

    def _back(self, name: str) -> None:
        """Have a pupil be what it was before a lesson that failed in the middle: as restored, and with the lessons since then."""
        together = self.pupils[name].model.together
        try:
            pupil = self._again(name, together)
        except Exception:  # what cannot be learnt together can be one by one: each was once
            pupil = self._again(name, False)
        pupil.model.together = pupil.floor.together = together
        pupil.refused["internal"] += 1
        pupil.changed = True
        self._settle(name)

    def _again(self, name: str, together: bool) -> Trainer:
        """Return the pupil, which is made anew, with the lessons since the last rows."""
        pupil = self.pupils[name] = Trainer(KINDS[name], self._start.get(name))
        pupil.restore(self._kept[name])
        pupil.model.together = pupil.floor.together = together
        for known in self._since[name]:
            pupil.take(known)
        pupil.model.settle()
        pupil.floor.settle()
        return pupil

    def _settle(self, name: str) -> None:
        """Bring what was learnt into rows: from here on it stays."""
        rows = self.pupils[name].rows()
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
        for pupil in self.pupils.values():
            value = pupil.bulletin(now, self._interval)
            if value is not None:
                key = pupil.kind.model.encode()
                self._outputs += [Output("model-snapshots", key, value, partition) for partition in range(self._partitions)]

    def changes(self) -> Changes:
        """Encode what has changed since the last call."""
        for name in self.pupils:
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
        return [pupil.status() for pupil in self.pupils.values()]
