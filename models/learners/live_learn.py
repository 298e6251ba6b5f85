"""What has been learnt so far, and how good were the answers? The fold over ``examples`` that every model goes through.

Each example is learnt once: its position, what it changed in the model, and the ids seen lately are written in one transaction.
Tested before it is learnt: the answer that was given when the question was asked is judged by what became of it. Beside each
model its floor learns the same lessons; over the last labels, the better of the two answers.
"""

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import orjson
from xxhash import xxh3_64_intdigest

from models.calendar import iso
from models.faults import Faults
from models.fold import Changes, Output, Record, Row
from models.learners import examples, quality
from models.learners.baseline import Baseline
from models.learners.deal_model import HORIZON, DealModel, Snapshot
from models.learners.examples import Command, Example
from models.learners.features import DAY_MS
from models.learners.live_kinds import KINDS, LearnedKind
from models.learners.live_model import FORMAT, PROVEN, UNPROVEN, Champion, ModelRelease, checked, checked_floor
from models.learners.snapshot import SnapshotRefused, dump
from models.learners.stretches import Lesson

#: Judged answers that the running measures look at, and how many share a row.
JUDGED, JUDGED_ROW = 2_000, 100
#: Ids of examples that are remembered, and how many share a row.
IDS, IDS_ROW = 100_000, 1_000
#: Over how many labels model and floor are compared, and the least for which they are.
COMPARED, ENOUGH = 500, 100
#: The floor answers when its mean log loss is lower by this much; the model again when its own is the lower.
MARGIN = 0.01
#: A bulletin goes out early when there are so many times more lessons than in the last, but never within a second.
_GROWN, _SOONEST = 1.5, 1_000
#: Labels between two points of the measures over time; past the most, every second point goes.
_POINT, _POINTS = 200, 96
_DRIFTS = 50
_HELD = 1_000  # lessons that are taken before they are settled, at most
_SAID = 6  # win, within, low, median, high, expected


class JudgedAnswer(msgspec.Struct, array_like=True):
    """One answer and what became of it."""

    entity: str
    number: int
    when: int  # closed, or known to be open (ms)
    won: int  # 1, 0; −1: still open after HORIZON; −2: taken back
    days: float  # from the question to ``when``
    said: list[float]
    floor: list[float]


_read_judged = msgspec.json.Decoder(list[tuple[int, JudgedAnswer]]).decode


class Trainer:
    """One kind's model, its floor, and their school report."""

    def __init__(self, kind: LearnedKind, start: bytes | None = None) -> None:
        """``start`` is the document of a model to begin with, where nothing has been learnt; refused ones are said."""
        self.kind = kind
        self.model: DealModel = kind.fresh_model()
        self.floor = Baseline()
        self.learnt: Counter[str] = Counter()  # examples by kind
        self.refused: Counter[str] = Counter()  # examples that could not be learnt, by reason
        self.version = 0
        self.champion: Champion = "model"
        self.drifts: list[int] = []
        self.alarms = 0
        self.began = "new"
        self.judged: deque[JudgedAnswer] = deque(maxlen=JUDGED)
        self.judgements = 0  # so many were ever judged
        self.labels = 0
        self.points: list[dict[str, Any]] = []
        self.changed = True
        self.published_at = self.published_lessons = -1
        self.published_version = -1
        self.fresh_rows: set[int] = set()
        self._written: tuple[int, bytes, bytes] = (-1, b"", b"")
        if start is not None:
            self.begin(start, "the model of the settings")

    def begin(self, document: bytes | None, why: str) -> None:
        """Begin anew, or from a document; one that cannot be used begins anew and says so."""
        self.model, self.floor = self.kind.fresh_model(), Baseline()
        self.judged.clear()
        self.fresh_rows |= set(range(JUDGED // JUDGED_ROW))
        self.points, self.drifts, self.labels, self.champion = [], [], 0, "model"
        self.began = why
        if document is not None:
            try:
                self.model = checked(document, self.kind.known)
            except SnapshotRefused as refused:
                self.began = f"new: {refused}"
        self.version += 1
        self.changed = True

    # -- lessons -------------------------------------------------------------------------------------------------------

    def take(self, found: Example | Command) -> str:
        """Learn an example, or do what an operator says; return what became of it."""
        if isinstance(found, Command):
            document = bytes(found.document)
            self.begin(None if document == b"null" else document, found.why)
            return "replaced"
        outcome = self.learn_one(found)
        if outcome != "learnt":
            self.refused[outcome] += 1
        return outcome

    def learn_one(self, example: Example) -> str:
        """Judge, then learn, one example; return what became of it: ``learnt``, or why not."""
        former, names = self.kind.former
        if example.features == self.kind.fingerprint:
            names = self.kind.names
        elif example.features != former:
            return "other_features"
        try:
            asked = examples.snapshot(example, names)
        except (ValueError, TypeError) as error:
            self.began = self.began or str(error)
            return "damaged"
        kind = example.kind
        if kind == "asked":
            self.model.snapshot_one(asked.at, asked.x, asked.prediction)
        elif kind == "withdrawn":
            self._withdraw(example, asked)
        elif kind == "open":
            self._survive(example, asked)
        else:
            self._close(example, asked, won=kind == "won")
        self.learnt[kind] += 1
        self.version += 1
        self.changed = True
        return "learnt"

    def _survive(self, example: Example, asked: Snapshot) -> None:
        if asked.due is None:
            return
        before, judged = len(asked.history), asked.judged
        self.model.survive_one(asked)
        self._floor_learns(asked, before)
        if asked.judged and not judged and example.curve:
            self._judge(example, -1)

    def _close(self, example: Example, asked: Snapshot, *, won: bool) -> None:
        if asked.due is not None:
            before = len(asked.history)
            self.model.learn_one(asked, example.when, "won" if won else "lost")
            self._floor_learns(asked, before)
        if example.number == 0 and self.model.watch_one(asked, "won" if won else "lost"):
            self.alarms += 1
            self.drifts = [*self.drifts, example.when][-_DRIFTS:]
        self._judge(example, int(won))

    def _floor_learns(self, asked: Snapshot, before: int) -> None:
        for lesson in asked.history[before:]:
            self.floor.learn_one(asked.x, lesson)

    def _withdraw(self, example: Example, asked: Snapshot) -> None:
        lessons: list[Lesson] = list(asked.history)
        if lessons:
            self.model.withdraw_one(asked)
            self.floor.withdraw_one(asked.x, lessons[-1])
        for place, entry in enumerate(self.judged):
            if entry.won >= 0 and entry.entity == example.entity and entry.number == example.number:
                entry.won = -2  # stays where it is: to remove it would shift the rows of all that follow
                self._mark(self.judgements - len(self.judged) + place)

    def _judge(self, example: Example, won: int) -> None:
        days = (example.when - example.at) / DAY_MS
        self._mark(self.judgements)
        self.judged.append(
            JudgedAnswer(example.entity, example.number, example.when, won, days, example.said[:6], example.floor[:6])
        )
        self.judgements += 1
        if won >= 0:
            self.labels += 1
            if self.labels % _POINT == 0:
                self._compare()
                self.points.append({"at": example.when, "labels": self.labels, **self.measures()["model"]})
                if len(self.points) > _POINTS:
                    del self.points[1::2]
            elif self.labels % 20 == 0:
                self._compare()

    def _mark(self, number: int) -> None:
        self.fresh_rows.add(number // JUDGED_ROW % (JUDGED // JUDGED_ROW))

    # -- how good ------------------------------------------------------------------------------------------------------

    def _compare(self) -> None:
        """Let the better one answer, over the last labels."""
        closed = [entry for entry in self.judged if entry.won >= 0][-COMPARED:]
        if len(closed) < ENOUGH:
            return
        won = [entry.won for entry in closed]
        model = quality.log_loss([entry.said[0] for entry in closed], won)
        floor = quality.log_loss([entry.floor[0] for entry in closed], won)
        if model is None or floor is None:
            return
        if self.champion == "model" and model > floor + MARGIN:
            self.champion = "floor"
        elif self.champion == "floor" and model < floor:
            self.champion = "model"

    def measures(self) -> dict[str, dict[str, Any]]:
        """Return the running measures of model and floor over the last judged answers; None where nothing can be said."""
        known = [entry for entry in self.judged if entry.won >= -1]
        return {
            "model": _measures([(entry.won, entry.days, entry.said) for entry in known]),
            "floor": _measures([(entry.won, entry.days, entry.floor) for entry in known]),
        }

    def status(self) -> dict[str, Any]:
        """Return what ``GET /api/models`` tells of it."""
        measures = self.measures()
        losses = [measures[speaker].get("log_loss") for speaker in ("model", "floor")]
        judged = min(self.labels, measures["model"].get("closed", 0))
        proven = judged >= PROVEN and losses[0] is not None and losses[1] is not None and losses[0] < losses[1]
        return {
            "model": self.kind.model,
            "proven": proven,
            "standing": "better than the stage's average" if proven else UNPROVEN,
            "version": self.version,
            "lessons": self.model.hazard.lessons,
            "labels": self.labels,
            "champion": self.champion,
            "began": self.began,
            "examples": dict(self.learnt),
            "refused": dict(self.refused),
            "alarms": self.alarms,
            "drifts": [iso(at) for at in self.drifts],
            "measures": measures,
            "over_time": [{**point, "at": iso(point["at"])} for point in self.points],
        }

    # -- rows and bulletins --------------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """Return the rows that have changed."""
        name = self.kind.model
        found = []
        if self.changed:
            self.changed = False
            found = [
                Row(f"M:{name}".encode(), self._documents()[0]),
                Row(f"F:{name}".encode(), self._documents()[1]),
                Row(f"C:{name}".encode(), orjson.dumps(self._counts())),
            ]
        first = self.judgements - len(self.judged)
        for slot in sorted(self.fresh_rows):
            part = [
                (number, entry)
                for number, entry in enumerate(self.judged, first)
                if number // JUDGED_ROW % (JUDGED // JUDGED_ROW) == slot
            ]
            found.append(Row(f"J:{name}:{slot}".encode(), msgspec.json.encode(part)))
        self.fresh_rows.clear()
        return found

    def _documents(self) -> tuple[bytes, bytes]:
        if self._written[0] != self.version:
            self._written = self.version, dump(self.model), self.floor.dump()
        return self._written[1:]

    def _counts(self) -> dict[str, Any]:
        return {
            "learnt": self.learnt,
            "refused": self.refused,
            "version": self.version,
            "champion": self.champion,
            "drifts": self.drifts,
            "alarms": self.alarms,
            "began": self.began,
            "judgements": self.judgements,
            "labels": self.labels,
            "points": self.points,
            "published": [self.published_at, self.published_lessons, self.published_version],
        }

    def restore(self, rows: Mapping[str, bytes]) -> None:
        """Take the rows back; a model of another release begins anew and says so."""
        name = self.kind.model
        counts = rows.get(f"C:{name}")
        if counts is None:
            return
        found = orjson.loads(counts)
        self.learnt, self.refused = Counter(found["learnt"]), Counter(found["refused"])
        self.version, self.champion, self.drifts = found["version"], found["champion"], found["drifts"]
        self.alarms, self.began, self.judgements = found["alarms"], found["began"], found["judgements"]
        self.labels, self.points = found["labels"], found["points"]
        self.published_at, self.published_lessons, self.published_version = found["published"]
        judged: list[tuple[int, JudgedAnswer]] = []
        for slot in range(JUDGED // JUDGED_ROW):
            judged += _read_judged(rows.get(f"J:{name}:{slot}", b"[]"))
        judged.sort(key=lambda item: item[0])
        self.judged = deque((entry for _, entry in judged), maxlen=JUDGED)
        self.changed = False
        try:
            self.model = checked(rows[f"M:{name}"], self.kind.known)
            self.floor = checked_floor(rows[f"F:{name}"])
        except (SnapshotRefused, KeyError) as refused:
            self.begin(None, f"new: {refused}")
            return
        # The watch is no part of a document: it goes on from the answers that are still here.
        for entry in self.judged:
            if entry.won >= 0 and entry.number == 0:
                self.model.watch.update(entry.said[0], bool(entry.won))

    def bulletin(self, now: int, interval: int) -> bytes | None:
        """Return what is to be told to those who predict, if it is time."""
        if self.version == self.published_version:
            return None
        lessons = self.model.hazard.lessons
        since = now - self.published_at
        early = lessons > self.published_lessons * _GROWN or lessons < self.published_lessons
        if self.published_at >= 0 and since < (min(_SOONEST, interval) if early else interval):
            return None
        self.published_at, self.published_lessons, self.published_version = now, lessons, self.version
        self.changed = True
        found = ModelRelease(
            format=FORMAT,
            model=self.kind.model,
            version=self.version,
            at=now,
            lessons=lessons,
            champion=self.champion,
            status=self.status(),
            document=msgspec.Raw(self._documents()[0]),
            floor=msgspec.Raw(self._documents()[1]),
        )
        return msgspec.json.encode(found)


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
        model = self.pupils[name].model
        model.together = together
        model.settle()

    def _back(self, name: str) -> None:
        """Have a pupil be what it was before a lesson that failed in the middle: as restored, and with the lessons since then."""
        together = self.pupils[name].model.together
        try:
            pupil = self._again(name, together)
        except Exception:  # what cannot be learnt together can be one by one: each was once
            pupil = self._again(name, False)
        pupil.model.together = together
        pupil.refused["internal"] += 1
        pupil.changed = True
        self._settle(name)

    def _again(self, name: str, together: bool) -> Trainer:
        """Return the pupil, which is made anew, with the lessons since the last rows."""
        pupil = self.pupils[name] = Trainer(KINDS[name], self._start.get(name))
        pupil.restore(self._kept[name])
        pupil.model.together = together
        for known in self._since[name]:
            pupil.take(known)
        pupil.model.settle()
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


def _measures(judged: list[tuple[int, float, list[float]]]) -> dict[str, Any]:
    """Return the measures of answers: won (−1: open after HORIZON), days, what was said."""
    if not judged:
        return {"answers": 0}
    said = np.array([entry[2] for entry in judged], float).reshape(len(judged), _SAID)
    won = np.array([entry[0] for entry in judged])
    days = np.array([entry[1] for entry in judged], float)
    closed = won >= 0
    soon = (closed & (days <= HORIZON)).astype(float)
    mae, bias = quality.errors(said[closed, 5], days[closed])
    found: dict[str, Any] = {
        "answers": len(judged),
        "closed": int(closed.sum()),
        "auc": quality.auc(said[closed, 0], won[closed]),
        "log_loss": quality.log_loss(said[closed, 0], won[closed]),
        "ece": quality.ece(said[closed, 0], won[closed]),
        "brier": quality.brier(said[closed, 0], won[closed]),
        "mae_days": mae,
        "bias_days": bias,
        "coverage": quality.coverage(said[closed, 2], said[closed, 4], days[closed]),
        # Open after 30 days, or closed sooner or later: what closed later was judged twice, as open first. Once is enough.
        "auc30": quality.auc(said[_once(won, days), 1], soon[_once(won, days)]),
        "brier30": quality.brier(said[_once(won, days), 1], soon[_once(won, days)]),
    }
    return {
        name: round(value, 6) if isinstance(value, float) and math.isfinite(value) else value for name, value in found.items()
    }


def _once(won: Any, days: Any) -> Any:
    """Return which judgements say for the first time whether an entity closed within HORIZON."""
    return (won < 0) | (days <= HORIZON)
