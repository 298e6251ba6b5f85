"""Which names of sources, campaigns and pages may strangers add to the figures?

Whoever knows a site's key can make up names, and each takes a place among a bounded number of segments. A name that the
settings list, that the figures have already or that came before is taken; a new one only from a page of the site itself, and
only so many an hour. What is beyond is told as ``other``: the visit counts, its name does not.
"""

from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from models.folds.sessions import page_name
from models.panes.segments import OTHER
from stream.config.tracker_settings import SiteSettings
from stream.ingest.token_bucket import Bucket

#: What visitors may name: dimensions of KPIs. The page comes last, for it says whose the others are.
DIMENSIONS = ("source", "campaign", "page")
#: NameBudget kept in mind for each site and dimension; the one that did not come for longest is forgotten first.
_KEPT = 2_000
_HOUR = 3_600


class NameBudget:
    """The names of one site. ``held(dimension, name)`` says whether the figures have a name already."""

    def __init__(self, settings: SiteSettings, held: Callable[[str, str], bool] = lambda dimension, name: False) -> None:
        self._settings = settings
        self._held = held
        most = settings.new_names
        self._new = {dimension: Bucket(most / _HOUR, float(most)) for dimension in DIMENSIONS}
        self._known: dict[str, OrderedDict[str, None]] = {dimension: OrderedDict() for dimension in DIMENSIONS}
        self._listed = {"source": settings.sources, "campaign": settings.campaigns, "page": frozenset()}

    def judge(self, data: MutableMapping[str, Any], now: int) -> int:
        """Replace names that may not be added (at ``now``, epoch ms) by ``other``; return how many were."""
        replaced = 0
        for dimension in DIMENSIONS:
            name = data.get(dimension)
            if name and dimension == "page":
                name = page_name(name)
            if name and not self._admits(dimension, name, data.get("page") or "", now):
                data[dimension] = OTHER
                replaced += 1
        return replaced

    def _admits(self, dimension: str, name: str, page: str, now: int) -> bool:
        if name == OTHER or name in self._listed[dimension] or self._held(dimension, name):
            return True
        known = self._known[dimension]
        if name in known:
            known.move_to_end(name)
            return True
        if not self._own(page) or not self._settings.new_names or not self._new[dimension].take(now):
            return False
        known[name] = None
        if len(known) > _KEPT:
            known.popitem(last=False)
        return True

    def _own(self, page: str) -> bool:
        """Whether the page is one of the site's; of one that has a name only, the request's origin has shown it."""
        parts = urlsplit(page)
        return not parts.netloc or self._settings.allows(f"{parts.scheme}://{parts.netloc}")
