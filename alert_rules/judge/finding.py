"""What goes from those who watch single deals, leads and senders to the evaluation: one finding per rule and entity.

Absolute: it says that the measured lies beyond a step, and what is known of the entity; a repeat overwrites. When it is over, a
last one says why (``over``), and the topic's record is taken back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from models.calendar import epoch_ms, iso
from models.panes.store import TOTAL

TOPIC = "findings"


@dataclass(frozen=True, slots=True)
class EntityFinding:
    """One rule's finding about one entity; ``segment`` is ``{"deal": id}``, times are milliseconds since the epoch."""

    rule: str
    segment: Mapping[str, str]
    at: int
    value: float | None
    unit: str
    currency: str | None
    facts: Mapping[str, Any]
    over: str | None = None

    @property
    def segment_name(self) -> str:
        """``dimension=value``, as of readings."""
        return next((f"{name}={value}" for name, value in self.segment.items()), TOTAL)

    @property
    def key(self) -> bytes:
        """The key on the topic."""
        return "|".join((self.rule, *(f"{name}={value}" for name, value in self.segment.items()))).encode()

    def encode(self) -> bytes:
        """Return its JSON."""
        return orjson.dumps(
            {
                "rule": self.rule,
                "segment": self.segment,
                "at": iso(self.at),
                "value": self.value,
                "unit": self.unit,
                "currency": self.currency,
                "facts": self.facts,
                **({"over": self.over} if self.over is not None else {}),
            }
        )

    @classmethod
    def decode(cls, body: bytes) -> "EntityFinding":
        """Return a finding from its JSON; raise ``ValueError`` where it is none."""
        try:
            found = orjson.loads(body)
            return cls(
                str(found["rule"]), dict(found["segment"]), epoch_ms(datetime.fromisoformat(found["at"])), found["value"],
                str(found["unit"]), found["currency"], dict(found["facts"]), found.get("over"),
            )  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a finding: {error!r}") from error
