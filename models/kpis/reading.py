"""What was a KPI's value, when, over which window and segment, and how sure is it?"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from models.calendar import epoch_ms, iso
from models.panes.store import TOTAL

#: What is said of a model, and of what it has said, until it has turned out to be better.
UNPROVEN = "not yet better than the stage's average"
_iso = lru_cache(256)(iso)  # thousands of readings have the same few instants


@dataclass(slots=True)  # frozen, each of thousands would take five times as long to make
class Reading:
    """A KPI's value at an instant. It is shared: nobody changes it.

    Money is in the business currency's units (rounded to four decimals), times are in the unit named, ratios are from 0 to 1.
    ``against`` holds what a rule compares it with, by name (``models/kpis/earlier.py``), in readings made for such rules only.
    ``value`` None always comes with ``why``. ``sample`` is the number of cases behind the value, where there is such a number.
    """

    kpi: str
    window: str
    segment: Mapping[str, str]
    start: int  # epoch ms, inclusive
    at: int  # epoch ms, exclusive
    value: int | float | None
    numerator: int | float | None
    denominator: int | float | None
    low: float | None
    high: float | None
    unit: str
    why: str | None = None
    sample: int | None = None
    currency: str | None = None
    against: Mapping[str, Mapping[str, Any]] | None = None
    since: int | None = None  # epoch ms: what it is made of is whole from then on only, which is after `start`
    benchmarks: Mapping[str, float] | None = None  # by name, in the KPI's unit: what it is shown beside
    because: Mapping[str, Any] | None = None  # what explains it (``explain.py``), where somebody may have to be told
    proven: bool | None = None  # False: as a model says it that is not yet better than the average of the stage

    @property
    def segment_name(self) -> str:
        """``total``, or ``dimension=value``."""
        for dimension, value in self.segment.items():
            return f"{dimension}={value}"
        return TOTAL

    @property
    def key(self) -> str:
        """The key of the topic ``readings``: ``kpi|window|segment``."""
        return f"{self.kpi}|{self.window}|{self.segment_name}"

    def whole(self) -> "Reading":
        """Return the reading, without its numbers where they are of a part of the window only: not to be compared with."""
        if self.since is None or self.value is None:
            return self
        why = f"counted from {iso(self.since)[:10]} on, not in all of this period"
        return replace(self, value=None, numerator=None, denominator=None, low=None, high=None, sample=None, why=why)

    def as_json(self) -> dict[str, Any]:
        """Return the form of the API, the command line and files; the optional fields only where they have a value."""
        shown: dict[str, Any] = {
            "kpi": self.kpi,
            "window": self.window,
            "segment": dict(self.segment),
            "from": _iso(self.start),
            "at": _iso(self.at),
            "value": self.value,
            "numerator": self.numerator,
            "denominator": self.denominator,
            "low": self.low,
            "high": self.high,
            "unit": self.unit,
        }
        if self.why is not None:
            shown["why"] = self.why
        if self.sample is not None:
            shown["sample"] = self.sample
        if self.currency is not None:
            shown["currency"] = self.currency
        if self.since is not None:
            shown["since"] = iso(self.since)
        if self.benchmarks is not None:
            shown["benchmarks"] = dict(self.benchmarks)
        if self.proven is not None:
            shown |= {"proven": self.proven, "standing": UNPROVEN}
        if self.against is not None:
            shown["against"] = self.against
        if self.because is not None:
            shown["because"] = self.because
        return shown

    def encode(self) -> bytes:
        """Return :meth:`as_json` as UTF-8 bytes."""
        return b"%b" % orjson.dumps(self.as_json())  # copied: kept as it comes it would hold some 4 KB

    @classmethod
    def decode(cls, body: bytes) -> "Reading":
        """Return a reading from its JSON; raise ``ValueError`` where it is none."""
        try:
            found = orjson.loads(body)
            return cls(
                kpi=found["kpi"],
                window=found["window"],
                segment=dict(found["segment"]),
                start=epoch_ms(datetime.fromisoformat(found["from"])),
                at=epoch_ms(datetime.fromisoformat(found["at"])),
                value=found["value"],
                numerator=found.get("numerator"),
                denominator=found.get("denominator"),
                low=found.get("low"),
                high=found.get("high"),
                unit=found["unit"],
                why=found.get("why"),
                sample=found.get("sample"),
                currency=found.get("currency"),
                against=found.get("against"),
                since=epoch_ms(datetime.fromisoformat(since)) if (since := found.get("since")) else None,
                benchmarks=found.get("benchmarks"),
                because=found.get("because"),
                proven=found.get("proven"),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a reading: {error!r}") from error
