"""What is to be expected of each open entity of a partition now, and which of them wait to be answered anew?"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from models.calendar import iso
from models.faults import Faults
from models.fold import Output
from models.learners.deal_model import Prediction
from models.learners.expected_amounts import ExpectedAmounts
from models.learners.features import Features
from models.learners.live_outlooks import LiveOutlooks
from models.learners.live_questions import LiveQuestions
from models.learners.speaker import Speaker
from models.learners.tracked import Tracked, remember
from models.learners.tracked_entities import TrackedEntities

#: Entities that are answered together.
_TOGETHER = 64


class LiveAnswers:
    """The answers of one partition, which go to its ``outputs``; those on deals count in panes, too."""

    def __init__(
        self,
        tracked: TrackedEntities,
        questions: LiveQuestions,
        speaker: Speaker,
        amounts: ExpectedAmounts,
        outlooks: LiveOutlooks,
        faults: Faults,
        outputs: list[Output],
        asks: int | None,
    ) -> None:
        """``asks`` bounds the answers between two ticks; None: no bound."""
        self._kind, self._tracked, self._questions, self._speaker = tracked.kind, tracked, questions, speaker
        self._amounts, self._outlooks, self._faults, self._outputs = amounts, outlooks, faults, outputs
        self._asks = self._left = asks
        self._stale: dict[str, None] = {}  # to be answered anew and published at the next checkpoint
        self._refreshing: list[str] = []
        self.predicted = 0  # answers given

    # -- who waits -----------------------------------------------------------------------------------------------------

    def put(self, key: str) -> None:
        """Have an entity be answered anew, if it is open."""
        if key in self._tracked.agenda.open:
            self._stale[key] = None

    def drop_all(self) -> None:
        """Have nobody be answered who has changed."""
        self._stale.clear()

    def refresh_all(self) -> None:
        """Have all that is open be answered anew, some at each tick."""
        self._refreshing = list(self._tracked.agenda.open)

    def tick(self) -> None:
        """Give as many answers their turn as may be given until the next tick, a quarter of them to who has not changed."""
        self._left = self._asks
        if self._refreshing:
            count = len(self._refreshing) if self._left is None else max(self._left // 4, 1)
            for key in self._refreshing[-count:]:
                self.put(key)
            del self._refreshing[-count:]

    @property
    def waiting(self) -> int:
        """How many open entities wait to be answered anew."""
        return len(self._stale) + len(self._refreshing)

    # -- answering -----------------------------------------------------------------------------------------------------

    def answer_stale(self) -> bool:
        """Publish what is expected of the entities that have changed, as far as there is time; return whether anything was."""
        affords, before = True, self.predicted
        while affords and self._stale:
            asked: list[tuple[str, Tracked, int, Features]] = []
            for key in list(islice(self._stale, _TOGETHER)):
                if not (affords := self._afford()):
                    break
                del self._stale[key]
                tracked = self._tracked.entities.get(key)
                if tracked is not None and key in self._tracked.agenda.open:
                    try:
                        at = self._tracked.at(tracked)
                        asked.append((key, tracked, at, self._questions.features(tracked, at)))
                    except Exception as error:
                        self._not_answered(key, error)
            for (key, tracked, at, x), said in zip(asked, self._speaker.say([x for *_, x in asked]), strict=True):
                try:
                    self._answer(key, tracked, at, x, said or self._speaker.speaking.predict_one(x))
                except Exception as error:
                    self._not_answered(key, error)
        return self.predicted > before

    def _afford(self) -> bool:
        if self._left is None:
            return True
        self._left -= 1
        return self._left >= 0

    def _not_answered(self, key: str, error: Exception) -> None:
        """Note a fault of ours: what was last said of the entity stands."""
        self._faults.add(f"the answer on {self._kind.entity} {key}", error)

    def _answer(self, key: str, tracked: Tracked, at: int, x: Features, said: Prediction) -> None:
        document, win = self._document(key, tracked, at, x, said)
        body = b"%b" % orjson.dumps(document)  # copied: as it comes it would hold some 4 KB
        level = None
        if self._kind.model == "deal":
            level = self._amounts.level(self._tracked.present(tracked), at, win, proven=bool(document["proven"]))
        # From here on nothing fails.
        self._outputs.append(Output(self._kind.predictions, key.encode(), body))
        self._outlooks.tell(key, tracked, at, said.curve)
        tracked.said = at, win
        remember(tracked.points, at, win)
        self._amounts.book(tracked, level, at)
        self._tracked.schedule(key, tracked, at)
        self._tracked.entities.put(key, tracked)
        self.predicted += 1

    def _document(self, key: str, tracked: Tracked, at: int, x: Features, said: Prediction) -> tuple[dict[str, Any], float]:
        attributes = self._tracked.present(tracked).past.attributes
        whose = {name: attributes[name] for name in ("owner", "team") if attributes.get(name)}  # who may see it
        found = self._speaker.document(key, at, x, said, whose, tracked.points)
        return found, float(found["win"])

    def retract(self, key: str, tracked: Tracked, *, was_open: bool) -> None:
        """Nothing is expected of an entity any more: what was said of it is taken from the topic."""
        now = self._tracked.time.now
        self._stale.pop(key, None)
        if was_open or tracked.said is not None:
            self._outputs.append(Output(self._kind.predictions, key.encode(), None))
        tracked.said, tracked.points = None, []
        self._amounts.book(tracked, None, now)
        self._outlooks.tell(key, tracked, now)

    # -- what others may ask -------------------------------------------------------------------------------------------

    def answer(self, key: str) -> dict[str, Any] | None:
        """Return what is expected of an open entity now, explained; None where it is not open, or not known here."""
        if key not in self._tracked.agenda.open or (tracked := self._tracked.entities.get(key)) is None:
            return None
        at = self._tracked.at(tracked)
        x = self._questions.features(tracked, at)
        found, _ = self._document(key, tracked, at, x, self._speaker.speaking.predict_one(x))
        return {**found, "at": iso(found["at"])}

    def answers(self) -> Iterator[dict[str, Any]]:
        """Yield what is expected of each open entity now."""
        for key in sorted(self._tracked.agenda.open):
            found = self.answer(key)
            if found is not None:
                yield found
