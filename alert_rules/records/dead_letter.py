"""How does a record that the alerts cannot use become a dead letter?"""

from models.events.dead_letter import dead_letter
from models.events.refused import Reason, Refused
from models.fold import Output, Record


def dead_output(record: Record, reason: Reason, detail: str, now: int) -> Output:
    """Return the record on its way to ``dead-letters``; ``now`` is when it was refused, milliseconds since the epoch."""
    letter = dead_letter(record, Refused(reason, detail), now)
    return Output("dead-letters", record.key or b"", letter.encode())
