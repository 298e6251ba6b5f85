"""The demonstration has something to show at whatever hour it is started."""

from datetime import datetime

import pytest

from models.calendar import epoch_ms
from models.panes.windows import Window
from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings
from tests.stream.demo import OWNERS, Company, company
from vigie.simulate import with_quotas

#: A night at a month's end, the first minutes of a year, a leap day, the nights in which the clocks change.
INSTANTS = (
    "2026-11-28T01:40:00+00:00",
    "2027-01-01T00:05:00+01:00",
    "2028-02-29T12:00:00+01:00",
    "2027-03-28T03:10:00+02:00",
    "2027-10-31T02:30:00+01:00",
)
#: Of targets there are readings in calendar periods only, and people begin seldom.
WINDOWS: dict[str, tuple[str, ...]] = dict.fromkeys(("pipeline_coverage", "prospects_needed"), ("month", "quarter"))
WINDOWS |= dict.fromkeys(("quota_attainment", "quota_pace", "quota_pace_workdays"), ("month", "quarter"))
WINDOWS["time_to_first_sale"] = ("90d",)
#: A minute into a year nobody has sold anything.
OF_SALES = {"quota_attainment", "quota_pace", "quota_pace_workdays"}
#: Answered by the models, which this company does not run.
PREDICTED = {"weighted_pipeline_model", "customers_by_segment", "clv_predicted", "clv_predicted_to_cac"}


def test_its_owners_are_known_by_name() -> None:
    assert tuple(sorted(company().view.segments("owner", frozenset(("deals",))))) == OWNERS


@pytest.mark.parametrize("instant", INSTANTS)
def test_every_kpi_has_a_value(instant: str) -> None:
    now = epoch_ms(datetime.fromisoformat(instant))
    acme, catalogue = Company(now), load_catalogue()
    acme.view.targets = with_quotas(Settings()).quotas()
    readings = [
        catalogue.reading(kpi, acme.view, Window.parse(window), "total", now)
        for kpi in catalogue.kpis.values()
        if kpi.id not in PREDICTED and not (kpi.id in OF_SALES and instant.startswith("2027-01-01"))
        for window in WINDOWS.get(kpi.id, ("7d", "30d"))
    ]
    assert [(reading.kpi, reading.window, reading.why) for reading in readings if reading.value is None] == []
