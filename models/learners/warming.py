"""What would the models have learnt from this history? The live loop in one hand, each lesson in the next question."""

from collections.abc import Mapping

from models.business import Business
from models.fold import Record
from models.learners.acquaintance import read_told
from models.learners.live_kinds import KINDS
from models.learners.live_learn import LearnModels
from models.learners.live_predict import PredictPartition
from models.learners.snapshot import dump

#: The topics whose events teach, and the model they teach.
TEACHING = {topic: name for name, kind in KINDS.items() for topic in (kind.topics[0], *kind.beside)}


class Warming:
    """Takes a history in the order of its events. Merges between entities are not followed: each keeps its own facts."""

    def __init__(self, business: Business, start: Mapping[str, bytes] | None = None) -> None:
        self._learner = LearnModels(0, 0, start)
        self._predictors = {name: PredictPartition(kind, 0, business) for name, kind in KINDS.items()}
        for name, predictor in self._predictors.items():
            trainer = self._learner.trainers[name]
            predictor.follow(trainer.model, trainer.floor)

    def take(self, topic: str, value: bytes, at: int) -> None:
        """Take one event of a topic that teaches; ``at`` is its time (ms)."""
        self._fold(TEACHING[topic], topic, None, value, at)

    def _fold(self, name: str, topic: str, key: bytes | None, value: bytes | None, at: int) -> None:
        self._predictors[name].fold([Record(topic, 0, 0, at, key, value, ())])
        self._pass_on(name, at)

    def _pass_on(self, name: str, at: int) -> None:
        """Let those hear and learn whom one predictor has something to say."""
        predictor = self._predictors[name]
        for told in predictor.tellings():
            to = "lead" if read_told(told.value or b"").to == "lead" else "deal"
            self._fold(to, told.topic, told.key, told.value, at)
        for example in predictor.lessons():
            self._learner.fold([Record("examples", 0, 0, at, None, example, ())])

    def refused(self) -> dict[str, int]:
        """Return how many events could not be used, by reason."""
        found: dict[str, int] = {}
        for predictor in self._predictors.values():
            for outcome, count in predictor.outcomes.items():
                if outcome not in ("applied", "duplicate"):
                    found[outcome] = found.get(outcome, 0) + count
        return found

    def document(self, model: str) -> bytes:
        """Return a model as JSON."""
        return dump(self._learner.trainers[model].model)

    def status(self) -> dict[str, dict[str, object]]:
        """Return what is known of each model: lessons, labels, measures over the last answers."""
        return {name: trainer.status() for name, trainer in self._learner.trainers.items()}
