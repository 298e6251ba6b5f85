"""What has one kind's model learnt so far, and how good were its answers? Tested before it is learnt, beside its floor.

The answer that was given when the question was asked is judged by what became of it. The floor learns the same lessons; over the
last labels, the better of the two answers.
"""

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from models.calendar import iso
from models.fold import Row
from models.kpis.reading import UNPROVEN
from models.learners import examples, quality
from models.learners.baseline import Baseline
from models.learners.deal_model import DealModel, Snapshot
from models.learners.examples import Command, Example
from models.learners.features import DAY_MS
from models.learners.giveaways import Giveaways
from models.learners.judged_answers import JudgedAnswer, running_measures
from models.learners.live_kinds import LearnedKind
from models.learners.live_model import FORMAT, PROVEN, Champion, ModelRelease, checked, checked_floor
from models.learners.snapshot import SnapshotRefused, dump
from models.learners.stretches import Lesson

#: Judged answers that the running measures look at, and how many share a row.
JUDGED, JUDGED_ROW = 2_000, 100
#: Over how many labels model and floor are compared, and the least for which they are.
COMPARED, ENOUGH = 500, 100
#: The floor answers when its mean log loss is lower by this much; the model again when its own is the lower.
MARGIN = 0.01
#: A release goes out early when there are so many times more lessons than in the last, but never within a second.
_GROWN, _SOONEST = 1.5, 1_000
#: Labels between two points of the measures over time; past the most, every second point goes.
_POINT, _POINTS = 200, 96
_DRIFTS = 50

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
        self.giveaways = Giveaways()
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
        self.giveaways = Giveaways()
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
        names = self.kind.names_of(example.features)
        if names is None:
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
        if example.number == 0:
            self.giveaways.learn_one(asked.x, won)
            if self.model.watch_one(asked, "won" if won else "lost"):
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
        return running_measures(self.judged)

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
            "giveaways": self.giveaways.found(),
            "measures": measures,
            "over_time": [{**point, "at": iso(point["at"])} for point in self.points],
        }

    # -- rows and releases --------------------------------------------------------------------------------------------

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
            "giveaways": self.giveaways.dump(),
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
        self.giveaways = Giveaways(found.get("giveaways"))  # none in rows of before
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

    def release(self, now: int, interval: int) -> bytes | None:
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
