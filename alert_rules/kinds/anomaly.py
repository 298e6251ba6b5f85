"""How far does the last complete period lie from what was to be expected of it, in spreads?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from alert_rules.kinds.condition import Condition, against, part
from alert_rules.kinds.known import Direction, Known, KpiFacts
from alert_rules.kinds.say import Say
from alert_rules.records.facts import AlertFacts
from models.config.reader import TreeReader
from models.kpis.earlier import SEASONAL
from models.kpis.reading import Reading
from models.kpis.seasonal import SEASONS
from models.panes.windows import Window

_SIDES = ("both", "below", "above")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
#: Four in five lie within so many spreads, where a test of a rule says no band.
_BAND = 1.2816


@dataclass(frozen=True, slots=True)
class Anomaly(Condition):
    """``side``: both, below or above what is usual."""

    side: str = "both"

    KEY = "anomaly"
    EXAMPLE = "{mad: 4}"
    FORM = {
        "mad": {"description": "so many deviations from what is usual", "type": "number", "exclusiveMinimum": 0},
        "clear": {"type": "number"},
        "side": {"enum": list(_SIDES)},
    }
    SHORT = {"above": "mad", "clear_below": "clear"}
    SIDE = Direction.ABOVE
    MOMENT = {"expected": "", "spread": ""}

    @classmethod
    def read(cls, reader: TreeReader, tree: Mapping[str, Any], facts: KpiFacts, window: Window | None, known: Known) -> Self:
        """Read the side; the window must be one of which complete periods are compared."""
        found = reader.mapping(tree["anomaly"], "anomaly", tuple(cls.FORM), cls.EXAMPLE) or {}
        if window is not None and window.name not in SEASONS:
            reader.bad(
                "window", f"found {window.name}: what is usual is known of complete periods (accepted: {', '.join(SEASONS)})"
            )
        return cls(side=reader.choice(found, "side", "anomaly.", _SIDES, "both"))

    @property
    def against(self) -> frozenset[str]:
        """What is usual."""
        return frozenset((SEASONAL,))

    def unit(self, kpi_unit: str) -> str:
        """Return ``deviations``."""
        return "deviations"

    def _measured(self, reading: Reading, min_samples: float) -> float | None:
        period = against(reading, SEASONAL)
        found = period.get("deviations")
        if found is None or (min_samples and (period.get("sample") or 0) < min_samples):
            return None
        return abs(found) if self.side == "both" else -found if self.side == "below" else float(found)

    def bounds(self, facts: KpiFacts) -> tuple[float | None, float | None, str]:
        """Return that a distance is never below 0."""
        return 0.0, None, "how far a value lies from what is usual"

    def at_moment(
        self, given: Mapping[str, float | None], value: float | None, cases: float | None
    ) -> Mapping[str, Mapping[str, Any]] | None:
        """Return the period and what was to be expected of it."""
        expected, spread = given["expected"], given["spread"]
        off = (value - expected) / spread if value is not None and expected is not None and spread else None
        band = {} if expected is None else {"low": expected - _BAND * (spread or 0), "high": expected + _BAND * (spread or 0)}
        said = {"value": value, "sample": cases, "expected": expected, "spread": spread, "deviations": off}
        return {SEASONAL: said | band}

    @classmethod
    def said(cls, facts: AlertFacts, words: Say, measured: str, value: str) -> str:
        """Return ``4.2 deviations from what is usual (21, usually 40 to 55 on Mondays)``."""
        usual = (facts.against or {}).get(SEASONAL) or {}
        got, expected, low, high = (
            words.number(usual.get(name), facts.unit or "", facts.currency) for name in ("value", "expected", "low", "high")
        )
        if usual.get("low") is None:
            return words.phrase("anomaly", measured=measured, value=got, expected=expected)
        if (holiday := usual.get("holiday")) is not None:
            when = words.phrase("usual_holiday", name=holiday)
        elif (weekday := usual.get("weekday")) is not None:
            when = words.phrase(f"usual_days.{_DAYS[weekday]}")
        else:
            when = words.phrase("usual_hour" if facts.window == "1h" else "usual_week")
        return words.phrase("unusual", measured=measured, value=got, low=low, high=high, when=when)

    @classmethod
    def fields(cls, facts: AlertFacts, unit: str) -> Mapping[str, tuple[float | None, str]]:
        """Return the complete period's value and sample, what was expected, and how far off it is."""
        return {
            "value": (part(facts, SEASONAL, "value"), unit),
            "sample": (part(facts, SEASONAL, "sample"), "count"),
            "expected": (part(facts, SEASONAL, "expected"), unit),
            "low": (part(facts, SEASONAL, "low"), unit),
            "high": (part(facts, SEASONAL, "high"), unit),
            "deviations": (part(facts, SEASONAL, "deviations"), "deviations"),
        }
