"""Has nothing been counted for so long?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from alert_rules.kinds.condition import Condition, against, cases_of, sample
from alert_rules.kinds.form import DURATION
from alert_rules.kinds.known import Direction, Known, KpiFacts
from alert_rules.kinds.say import Say
from alert_rules.records.facts import AlertFacts
from models.config.reader import TreeReader
from models.kpis.earlier import LATELY
from models.kpis.reading import Reading
from models.panes.windows import Window


@dataclass(frozen=True, slots=True)
class Absent(Condition):
    """``lasts``: for how long (ms). Rules that differ in that alone watch the same."""

    lasts: int = field(default=0, compare=False)

    KEY = "absent"
    EXAMPLE = "2h"
    SIDE = Direction.ABOVE

    @classmethod
    def read(cls, reader: TreeReader, tree: Mapping[str, Any], facts: KpiFacts, window: Window | None, known: Known) -> Self:
        """Read how long."""
        before = len(reader.problems)
        lasts = reader.duration(tree["absent"], "absent")
        if lasts == 0 and len(reader.problems) == before:
            reader.bad("absent", "found 0: every quiet moment would speak (accepted: a duration, such as 2h)")
        return cls(lasts)

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """Return that it is a duration."""
        return DURATION | {"description": "nothing was counted for so long"}

    @property
    def against(self) -> frozenset[str]:
        """The weeks before: what has not been there for so long is not missed."""
        return frozenset((LATELY,))

    @property
    def waits(self) -> int | None:
        """How long nothing must be counted."""
        return self.lasts

    def _measured(self, reading: Reading, min_samples: float) -> float | None:
        lately = against(reading, LATELY)
        if lately and not (lately.get("value") or cases_of(lately)):
            return None  # a company without leads does not miss any
        # Nothing counted is what such a rule waits for: a reading without a value says so too.
        return float(not (reading.value if (cases := sample(reading)) is None else cases))

    @classmethod
    def headline(cls, facts: AlertFacts, words: Say, value: str) -> str:
        """Return that there is nothing, or what there is again."""
        return words.NOTHING if facts.measured else value

    @classmethod
    def limit(cls, facts: AlertFacts, words: Say, grade: str) -> str | None:
        """Return ``warn after nothing for 2 h``."""
        return words.phrase("absent", severity=grade, span=words.human(facts.wait or 0))
