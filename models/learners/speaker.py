"""Who answers about a partition's entities: the model of the latest release, or the life table that it has to beat?"""

from collections.abc import Mapping, Sequence
from typing import Any

from models.learners import words
from models.learners.answer_document import SaidBy, answer_document
from models.learners.baseline import Baseline
from models.learners.deal_model import DealModel, Prediction
from models.learners.features import Features
from models.learners.live_kinds import LearnedKind
from models.learners.live_model import ModelRelease, answering, read_release

#: A model that has learnt so many times more than the one before makes all open entities to be asked about again.
_GROWN = 1.3


class Speaker:
    """The ``model`` and its ``floor`` as of the latest ``release`` (None: as they are at first)."""

    def __init__(self, kind: LearnedKind) -> None:
        self._kind = kind
        self._features = (*kind.categories, *kind.numbers)
        self.model: DealModel = kind.fresh_model()
        self.floor = Baseline()
        self.release: ModelRelease | None = None
        self._lessons = 0  # of the model by which all were last asked

    def take(self, value: bytes, *, restored: bool = False) -> bool:
        """Answer as a release says; return whether it has learnt so much that all that is open is to be asked about anew.

        Raises:
            SnapshotRefused: for one that cannot be used; the one before goes on.
        """
        release = read_release(value)
        self.model, self.floor = answering(bytes(release.document), bytes(release.floor), self._kind.known)
        self.release = release
        more = not restored and not self._lessons <= release.lessons <= self._lessons * _GROWN
        if restored or more:
            self._lessons = release.lessons
        return more

    @property
    def speaking(self) -> DealModel | Baseline:
        """Whichever of the two is the better one."""
        return self.floor if self.release is not None and self.release.champion == "floor" else self.model

    def say(self, questions: list[Features]) -> Sequence[Prediction | None]:
        """Return the answers, asked together; none where one of them fails, so that each is asked by itself."""
        try:
            return self.speaking.predict_many(questions) if questions else ()
        except Exception:  # told by the one that fails by itself
            return [None] * len(questions)

    def document(
        self, key: str, at: int, x: Features, said: Prediction, whose: Mapping[str, Any], points: Sequence[Any]
    ) -> dict[str, Any]:
        """Return an answer as others read it, with what speaks for and against it."""
        speaking = self.speaking
        terms = words.explain(speaking.terms(x, said), x, self._features)
        source = SaidBy(f"{self._kind.model}-floor" if speaking is self.floor else self._kind.model, self.release)
        return answer_document(self._kind, key, at, said, whose, terms, points, source)
