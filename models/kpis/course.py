"""How has a figure come to where it is? Some instants up to a reading, for the picture beside an alert."""

from typing import Any

from models.calendar import iso
from models.kpis.catalogue import Catalogue
from models.kpis.entry import Kpi
from models.kpis.reading import Reading
from models.panes.view import View
from models.panes.windows import Window

#: So many readings before the one that is explained.
POINTS = 12


def course(catalogue: Catalogue, view: View, kpi: Kpi, window: Window, reading: Reading) -> list[list[Any]]:
    """Return times and values, oldest first, over the length of the window, the reading itself last; [] where there are few."""
    at = reading.at
    step = (at - window.bounds(at, view.calendar)[0]) // POINTS
    if step <= 0:
        return []
    found = []
    for back in range(POINTS, 0, -1):
        then = at - back * step
        value = catalogue.reading(kpi, view, window, reading.segment_name, then).whole().value
        found.append([iso(then // 1000 * 1000), value])
    found.append([iso(at // 1000 * 1000), reading.value])
    return found if sum(value is not None for _, value in found) >= POINTS // 2 else []
