"""Events of a small company into a view, so that figures can be worked out by hand."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from models.business import Business
from models.calendar import epoch_ms, iso
from models.events.catalogue import TOPIC_OF
from models.fold import Record
from models.folds.partition import EntityPartition
from models.kpis.catalogue import Catalogue
from models.kpis.reading import Reading
from models.panes.view import View
from models.targets import Targets
from stream.config.kpi_files import load_catalogue

CATALOGUE = load_catalogue()


def at(text: str, zone: str = "UTC") -> int:
    """An instant (epoch ms) from ``2026-03-01`` or ``2026-03-01T09:30``, by the clock of a zone."""
    return epoch_ms(datetime.fromisoformat(text).replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone)))


class Company:
    """Takes events as they come and reads KPIs; each event is written ``type subject time`` with its data."""

    def __init__(
        self, business: Business | None = None, targets: Targets | None = None, catalogue: Catalogue = CATALOGUE
    ) -> None:
        self.business = business or Business()
        self.catalogue = catalogue
        self.view = View(self.business)
        self.view.targets = Targets() if targets is None else targets
        self.partitions = {name: EntityPartition(name, 0, self.business) for name in ("deals", "leads", "customers", "spend")}
        self.letters: list[dict[str, Any]] = []
        self.number = 0

    def tell(self, line: str, /, **data: Any) -> "Company":
        """Take one event, as ``deal.created D1 2026-03-01``."""
        kind, subject, when = line.split()
        self.number += 1
        moment = when if when.endswith("Z") else iso(at(when, self.business.timezone))
        event = {
            "specversion": "1.0",
            "id": f"e{self.number:05d}",
            "source": "t",
            "type": kind,
            "time": moment,
            "subject": subject,
        }
        fold = TOPIC_OF[kind]
        value = orjson.dumps({**event, "data": data})
        arrival = epoch_ms(datetime.fromisoformat(moment))
        partition = self.partitions[fold]
        partition.fold([Record(fold, 0, self.number, max(arrival, partition.watermark), b"", value, ())])
        self.checkpoint(partition)
        return self

    def checkpoint(self, partition: EntityPartition) -> None:
        for output in partition.changes().outputs:
            if output.topic == "panes":
                self.view.put(output.key, output.value)
            elif output.topic == "dead-letters":
                self.letters.append(orjson.loads(output.value or b""))

    def read(self, kpi: str, when: str, window: str = "month", segment: str = "total") -> Reading:
        """Read a KPI at an instant."""
        moment = at(when, self.business.timezone)
        self.view.advance(moment)
        by = None if segment == "total" else segment.partition("=")[0]
        readings: Iterable[Reading] = self.catalogue.readings(self.view, moment, [kpi], [window], by)
        return next(reading for reading in readings if reading.segment_name == segment)

    def value(self, kpi: str, when: str, window: str = "month", segment: str = "total") -> Any:
        """Read a KPI's value."""
        return self.read(kpi, when, window, segment).value
