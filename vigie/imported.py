"""What became of the deals and leads that an import tells of?"""

from collections import Counter
from typing import Any

#: How a deal or lead stands after an event of a type; events of other types change nothing of it.
_AFTER = {
    "deal.created": "open",
    "deal.stage_changed": "open",
    "deal.reopened": "open",
    "deal.won": "won",
    "deal.lost": "lost",
    "deal.deleted": "gone",
    "deal.merged": "gone",
    "lead.created": "waiting",
    "lead.contacted": "contacted",
    "lead.qualified": "qualified",
    "lead.converted": "converted",
    "lead.disqualified": "disqualified",
    "lead.deleted": "gone",
    "lead.merged": "gone",
}
_SHOWN = {"deal": ("won", "lost", "open"), "lead": ("waiting", "contacted", "qualified", "converted", "disqualified")}


class Imported:
    """Counts deals and leads by how they stand after the last event, in the order of the events."""

    def __init__(self) -> None:
        self._stands: dict[tuple[str, str], str] = {}
        self.created: Counter[str] = Counter()
        self.closes = 0

    def take(self, event: dict[str, Any]) -> None:
        """Count one more event."""
        kind = event["type"]
        after = _AFTER.get(kind)
        if after is None:
            return
        room = kind.partition(".")[0]
        self.created[room] += kind.endswith(".created")
        self.closes += after in ("won", "lost")
        key = room, event["subject"]
        if kind == "lead.created" and key in self._stands:  # by some exports a step comes in the millisecond of the creation
            return
        self._stands[key] = after

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the counts of deals and of leads, each where there are any."""
        found = Counter((room, after) for (room, _), after in self._stands.items())
        return {
            f"{room}s": {"created": self.created[room], **{after: found[room, after] for after in shown}}
            for room, shown in _SHOWN.items()
            if self.created[room] or any(key[0] == room for key in found)
        }
