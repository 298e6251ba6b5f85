"""How do tests, objectives and challenges stand, for those who do not hold the numbers? The topic ``standings``.

Keys are ``experiment|id``, ``objective|id``, ``challenge|id``, values what the API answers of each, without what is only for some
to see: a challenge's places are those that everybody may see. What time alone moves (how much of a period is over) is left to
the hour, so that a record means news.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from models.calendar import HOUR_MS
from models.goals.challenges import Held
from models.goals.kept import Kept
from models.goals.objectives import objective_document
from models.goals.plan import Challenge, Objective, slug
from models.kpis.catalogue import Catalogue
from models.panes.view import View
from models.targets import Target

if TYPE_CHECKING:  # numpy comes with them
    from models.experiments.plan import Plan

EXPERIMENT, OBJECTIVE, CHALLENGE = "experiment", "objective", "challenge"


@dataclass(frozen=True)
class Standings:
    """What was declared. ``shown`` places of a challenge are for everybody, ``least`` cases a rate takes for one.

    ``name`` gives what people call an owner. ``left_out``: who is on no board.
    """

    catalogue: Catalogue
    experiments: Sequence["Plan"] = ()
    objectives: Sequence[Objective] = ()
    challenges: Sequence[Challenge] = ()
    shown: int = 5
    least: int = 10
    left_out: frozenset[str] = frozenset()
    name: Callable[[str], str] = str
    kept: Kept = field(default_factory=Kept)

    def anew(self) -> "Standings":
        """Return the same, with nothing set over the API yet."""
        return replace(self, kept=Kept())

    def put(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the topic ``objectives``; raise ``ValueError`` where it is none."""
        self.kept.put(key, value)

    def targets(self) -> list[Target]:
        """Return the quotas that objectives set which were set over the API."""
        return self.kept.targets()

    def names(self) -> list[str]:
        """Return the keys of all there are."""
        return [
            *(f"{EXPERIMENT}|{slug(one.name)}" for one in self.experiments),
            *(f"{OBJECTIVE}|{one.id}" for one in self.kept.all(self.objectives)),
            *(f"{CHALLENGE}|{one.id}" for one in self.challenges),
        ]

    def say(self, key: str, view: View, at: int) -> bytes | None:
        """Return how one stands (JSON), None where there is no such one any more."""
        kind, _, name = key.partition("|")
        found: dict[str, Any] | None = None
        match kind:
            case "experiment":
                found = self._experiment(name, view, at)
            case "objective":
                found = self._objective(name, view, at)
            case "challenge":
                found = self._challenge(name, view, at)
        return None if found is None else orjson.dumps(found)

    def _experiment(self, name: str, view: View, at: int) -> dict[str, Any] | None:
        plan = next((one for one in self.experiments if slug(one.name) == name), None)
        if plan is None:
            return None
        from models.experiments.document import experiment_document

        return {**experiment_document(view, self.catalogue, plan, at), "segments": []}

    def _objective(self, name: str, view: View, at: int) -> dict[str, Any] | None:
        objective = next((one for one in self.kept.all(self.objectives) if one.id == name), None)
        if objective is None:
            return None
        who = self.name(objective.owner) if objective.owner else objective.team
        return {**objective_document(view, self.catalogue, objective, _hourly(at), self.kept.said.get(name), past=1), "who": who}

    def _challenge(self, name: str, view: View, at: int) -> dict[str, Any] | None:
        plan = next((one for one in self.challenges if one.id == name), None)
        if plan is None:
            return None
        held = Held(view, self.catalogue, plan, _hourly(at), least=self.least, left_out=self.left_out)
        currency = view.business.currency if held.kpi.unit == "money" else None
        return {**held.as_json(held.board.public(self.shown), self.name), "currency": currency}


def _hourly(at: int) -> int:
    return at // HOUR_MS * HOUR_MS
