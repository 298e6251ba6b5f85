"""What does a rule on a KPI hold against its thresholds: the value itself, its change, how unusual it is, …?

A kind is one class in a file of this folder, and its line in ``__init__.py``: what it is called, how it is written, what it
measures of a reading, what its tests give, and how it is said. Whatever it measures is one number: the ladder's steps, ``for``,
clearing levels and life cycle are the same for all kinds. What the number is made of comes with the reading, exact, from the
panes (``models/kpis/earlier.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from alert_rules.kinds.form import an_object
from alert_rules.kinds.known import Direction, Known, KpiFacts, Statistic
from alert_rules.kinds.say import Say
from alert_rules.records.facts import AlertFacts
from models.config.reader import TreeReader
from models.kpis.reading import Reading
from models.panes.windows import Window


@dataclass(frozen=True, slots=True)
class Condition:
    """What is measured, beside the ladder. Everything has a default, except the name and what is measured."""

    KEY: ClassVar[str] = ""
    """its name in a rule's file, and on the topics"""
    EXAMPLE: ClassVar[str] = ""
    """what may stand behind the name in a rule's file"""
    FORM: ClassVar[Mapping[str, Any]] = {}
    """the keys of the mapping behind the name, each with its JSON Schema"""
    SHORT: ClassVar[Mapping[str, str]] = {}
    """a step that may stand in that mapping itself: below, above, clear_above, clear_below, and the key that each has there"""
    SIDE: ClassVar[Direction | None] = None
    """the only side on which the trouble can lie"""
    MOMENT: ClassVar[Mapping[str, str]] = {}
    """what a test's moments give beside the value, each with its unit ("": the KPI's); the first one must be there"""

    @classmethod
    def read(cls, reader: TreeReader, tree: Mapping[str, Any], facts: KpiFacts, window: Window | None, known: Known) -> Self:
        """Read it from a rule file (all of it), and note what is wrong."""
        reader.mapping(tree[cls.KEY], cls.KEY, tuple(cls.FORM), cls.EXAMPLE)
        return cls()

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of what may stand behind its name."""
        return an_object(cls.FORM)

    # ── what is measured ──

    @property
    def against(self) -> frozenset[str]:
        """What the readings must be compared with."""
        return frozenset()

    @property
    def versus(self) -> str | None:
        """Which earlier period a change is told against."""
        return None

    @property
    def waits(self) -> int | None:
        """How long (ms) it must hold before it speaks, where the kind says so: its rules wait for nothing to be counted."""
        return None

    def unit(self, kpi_unit: str) -> str:
        """Return the unit of what is measured, and of the thresholds."""
        return kpi_unit

    def measured(self, reading: Reading, min_samples: float) -> float | None:
        """Return the number that the thresholds are for, None where the reading says nothing."""
        if reading.since is not None:
            return None  # counted in part: what is missing is no fall, and nobody's absence
        return self._measured(reading, min_samples)

    def _measured(self, reading: Reading, min_samples: float) -> float | None:
        if reading.value is None or (min_samples and (sample(reading) or 0) < min_samples):
            return None
        return self._of_value(reading.value, reading, min_samples)

    def _of_value(self, value: float, reading: Reading, min_samples: float) -> float | None:
        """Return what is measured of a value with enough cases."""
        raise NotImplementedError

    # ── which thresholds make sense ──

    def is_share(self, facts: KpiFacts) -> bool:
        """Whether the thresholds are shares of a whole, from 0 to 1."""
        return False

    def bounds(self, facts: KpiFacts) -> tuple[float | None, float | None, str]:
        """Return the least and the largest that can be measured, and what that is; None: no bound."""
        return None, None, ""

    def statistic(self, facts: KpiFacts) -> Statistic | None:
        """Return the test that tells how sure a breach is, None where there is none."""
        return None

    # ── the rule's own tests ──

    def at_moment(
        self, given: Mapping[str, float | None], value: float | None, cases: float | None
    ) -> Mapping[str, Mapping[str, Any]] | None:
        """Return what the reading of a test's moment is compared with, of what :attr:`MOMENT` gives."""
        return None

    # ── how it is said ──

    @classmethod
    def said(cls, facts: AlertFacts, words: Say, measured: str, value: str) -> str:
        """Return what was measured within a sentence; ``measured`` and the KPI's ``value`` are told already."""
        return measured

    @classmethod
    def headline(cls, facts: AlertFacts, words: Say, value: str) -> str:
        """Return what was measured at the end of a title."""
        if facts.measured is None:
            return value
        return words.measured(facts, facts.measured, facts.unit or "", facts.threshold_unit or facts.unit or "")

    @classmethod
    def limit(cls, facts: AlertFacts, words: Say, grade: str) -> str | None:
        """Return where the alert's severity begins, None where a threshold and a clearing level say it."""
        return None

    @classmethod
    def fields(cls, facts: AlertFacts, unit: str) -> Mapping[str, tuple[float | None, str]]:
        """Return what a summary may name beside the value, each with its unit; ``unit`` is the KPI's."""
        return {}


def sample(reading: Reading) -> float | None:
    """Return how many cases are behind the value, None where there is no such number."""
    return reading.denominator if reading.sample is None else reading.sample


def against(reading: Reading, name: str | None) -> Mapping[str, Any]:
    """Return one of the things a reading is compared with, empty where it has none."""
    return (reading.against or {}).get(name or "") or {}


def part(facts: AlertFacts, name: str | None, key: str) -> float | None:
    """Return a number of what an alert's reading was compared with."""
    found: float | None = ((facts.against or {}).get(name or "") or {}).get(key)
    return found


def cases_of(past: Mapping[str, Any]) -> float | None:
    """Return how many cases are behind an earlier value."""
    found: float | None = past.get("sample", past.get("denominator"))
    return found
