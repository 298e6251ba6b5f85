"""How likely is it that an objective is reached, by the forecast of the month's revenue?"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from models.goals.objectives import Chance, nobody
from models.money import UNIT
from models.panes.store import TOTAL

if TYPE_CHECKING:  # numpy takes a while to import
    from models.foresight.foresee import Foresee

#: What is forecast.
KPI, PERIOD = "revenue", "month"


def chances_of(fold: Callable[[], "Foresee | None"], clock: Callable[[], int]) -> Callable[[set[str | None]], Chance]:
    """Return what gives the chances by some dimensions; ``fold`` keeps the forecasts, where they are here.

    Nothing is waited for: what nobody has asked for yet is made in the background, and is known when it is asked for again.
    """

    def chances(asked: set[str | None]) -> Chance:
        foresee = fold()
        if foresee is None:
            return nobody
        from models.foresight.foresee import Asked
        from models.foresight.kept import Slice

        known = {by: foresee.ask(Asked(Slice(PERIOD, by)), clock()) for by in asked if by in (None, "team", "owner")}

        def chance(kpi: str, period: str, segment: str, target: float, at: int) -> float | None:
            dimension, _, value = segment.partition("=")
            outlook = known.get(None if segment == TOTAL else dimension)
            if (kpi, period) != (KPI, PERIOD) or outlook is None:
                return None
            wanted = None if segment == TOTAL else value
            found = next((one for one in outlook.segments if one.value == wanted), None)
            return None if found is None else found.at_least(round(target * UNIT))

        return chance

    return chances
