"""What does a rule on single deals, leads or senders watch, and what does it measure of one of them at an instant?

A kind is one class in a file of this folder, and its line in ``__init__.py``. The measured is held against the rule's ladder;
``due`` is when it may next change by the passing of time alone, so that whoever watches thousands of deals need not look at them
in between.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from alert_rules.kinds.form import an_object
from alert_rules.kinds.known import Known
from alert_rules.kinds.say import Say
from models.config.reader import TreeReader
from models.folds.entity_snapshots import DealState, LeadState

QUANTILES = ("p50", "p75", "p90", "p95")

EntityState = DealState | LeadState
#: By stage: the quantiles of its stays (ms), in the order of QUANTILES; None where not so many ever leave.
Limits = Mapping[str, Sequence[int | None]]
#: The probabilities of one deal: (since when, what), in the order of time.
Odds = Sequence[tuple[int, float]]
#: ``where``: the attributes that are asked for, each with the values that are accepted.
Where = tuple[tuple[str, frozenset[str]], ...]


class MeasuredEntity(NamedTuple):
    """What is measured now (None: nothing to be said), and when time alone may next take it over a threshold, or back."""

    value: float | None
    due: int | None
    numbers: Mapping[str, float | None]


NOTHING = MeasuredEntity(None, None, {})


@dataclass(frozen=True, slots=True)
class EntityCondition:
    """What is watched, and of which deals, leads or senders. Times are milliseconds."""

    where: Where = ()

    KEY: ClassVar[str] = ""
    """its name in a rule's file, and on the topics"""
    ENTITY: ClassVar[str] = "deal"
    """what it is of, such as ``deal``"""
    UNIT: ClassVar[str] = "count"
    """of what is measured, and of the thresholds"""
    TITLE: ClassVar[str] = ""
    """what its alerts are called where the rule has no title"""
    EXAMPLE: ClassVar[str] = ""
    """what may stand behind the name in a rule's file"""
    FORM: ClassVar[Mapping[str, Any]] = {}
    """the keys of the mapping behind the name, each with its JSON Schema"""
    THRESHOLD: ClassVar[str] = ""
    """the key in that mapping that may hold the threshold; without one, it is ``DEFAULT``"""
    DEFAULT: ClassVar[float] = 1.0
    NUMBERS: ClassVar[Mapping[str, str]] = {}
    """numbers beside the value that it measures and summaries may name, each with its unit"""
    TESTED: ClassVar[frozenset[str]] = frozenset()
    """what its tests may give beside moments: ``limits`` (usual stays), ``usual`` (when a sender sends)"""

    @classmethod
    def read(cls, reader: TreeReader, found: Mapping[str, Any], where: Where, known: Known) -> Self:
        """Read it from the mapping behind its name, and note what is wrong."""
        return cls(where)

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of what may stand behind its name."""
        return an_object(cls.FORM)

    @classmethod
    def impossible(cls, threshold: float) -> str | None:
        """Return what is wrong with a threshold, None where it makes sense."""
        return None if threshold > 0 else f"found {threshold:g}: true of every {cls.ENTITY} (accepted: above 0)"

    @property
    def remembers(self) -> int:
        """For how long it needs to know which probabilities a deal had."""
        return 0

    @property
    def spoken(self) -> str:
        """The unit in which value and thresholds are told."""
        return self.UNIT

    def concerns(self, state: EntityState) -> bool:
        """Whether the rule is about this deal or lead at all."""
        return state.status == "open" and all(str(getattr(state, name) or "") in accepted for name, accepted in self.where)

    def measure(self, thresholds: Sequence[float], state: EntityState, limits: Limits, odds: Odds, now: int) -> MeasuredEntity:
        """Return what is measured of one deal or lead; ``thresholds`` are its rule's ladder's."""
        return self._measure(thresholds, state, limits, odds, now) if self.concerns(state) else NOTHING

    def _measure(self, thresholds: Sequence[float], state: EntityState, limits: Limits, odds: Odds, now: int) -> MeasuredEntity:
        raise NotImplementedError

    def crossed(self, threshold: float, state: EntityState, limits: Limits, now: int) -> int:
        """Return since when what is measured of one deal or lead has been beyond a threshold, as far as its state says."""
        return now

    @classmethod
    def headline(cls, entity: Mapping[str, Any], words: Say) -> str | None:
        """Return what was measured at the end of a title, of what is known of the entity; None: the value says it."""
        return None


class HeardSender(Protocol):
    """What is kept of a sender: its first and last event, and the hours (their beginnings) in which it has sent."""

    first: int
    last: int
    hours: dict[int, int]


@dataclass(frozen=True, slots=True)
class SenderCondition(EntityCondition):
    """A kind on senders of events: they are looked at once a minute."""

    ENTITY = "sender"

    def of_sender(self, sender: HeardSender, least: float, now: int, hour_of_week: Callable[[int], int]) -> float:
        """Return what is measured of a sender; what is at most ``least`` is of no interest to any rule."""
        raise NotImplementedError
