"""Which objectives were set over the API, and how far do people say that qualitative ones are? The topic ``objectives``.

Compacted, two keys of each: ``o|id`` has the objective as it was set last, ``p|id`` what was said of its progress last. A record
without a value takes it back.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from models.goals.plan import Objective, SaidProgress, read
from models.targets import Target

TOPIC = "objectives"
#: So many are kept: who sets more is refused, and what others have written beyond is passed over.
MOST = 500


class Kept:
    """What the topic says, by the objectives' ids."""

    def __init__(self) -> None:
        self.objectives: dict[str, Objective] = {}
        self.by: dict[str, str] = {}
        self.said: dict[str, SaidProgress] = {}

    def put(self, key: bytes, value: bytes | None) -> None:
        """Take a record; raise ``ValueError`` where it is none."""
        kind, _, name = key.decode().partition("|")
        tree: Any = None if value is None else orjson.loads(value)
        match kind:
            case "o" if tree is None:
                self.objectives.pop(name, None)
                self.by.pop(name, None)
            case "o":
                if name in self.objectives or len(self.objectives) < MOST:
                    self.objectives[name] = read(tree["objective"])
                    self.by[name] = str(tree.get("by", ""))
            case "p" if tree is None:
                self.said.pop(name, None)
            case "p":
                progress = float(tree["progress"])
                if not 0 <= progress <= 1:
                    raise ValueError(f"progress: found {progress:g} (accepted: 0 to 1)")
                if name in self.said or len(self.said) < 2 * MOST:
                    self.said[name] = SaidProgress(
                        progress, str(tree.get("note", "")), str(tree.get("at", "")), str(tree.get("by", ""))
                    )
            case _:
                raise ValueError(f"objectives: found the key {key!r:.80} (accepted: o|… and p|…)")

    def all(self, declared: Iterable[Objective]) -> list[Objective]:
        """Return the objectives of the settings and those set over the API; of one id that of the settings."""
        found = {one.id: one for one in declared}
        return [*found.values(), *(one for name, one in sorted(self.objectives.items()) if name not in found)]

    def targets(self) -> list[Target]:
        """Return the targets that they set."""
        return targets_of(self.objectives.values())


def targets_of(objectives: Iterable[Objective]) -> list[Target]:
    """Return the targets that objectives set, as quotas."""
    return [
        Target(goal.kpi, one.period, one.segment, goal.target, one.since.toordinal(), one.until.toordinal())
        for one in objectives
        for goal in (one.main, *one.indicators)
        if goal.kpi and goal.target is not None
    ]
