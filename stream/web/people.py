"""Who may read figures of single people (``docs/people.md``)?"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import orjson
from fastapi import Request

from stream.config.goal_settings import PeopleSettings
from stream.web.context import context

REFUSED = "figures of single people are for those in people.readers (accepted: by team, or the total)"
#: Under this name Prometheus reads (``web.metrics_token``): in ``people.readers`` it is given figures by owner, too.
METRICS = "metrics"


def sees_people(request: Request) -> bool:
    """Whether the asking one may see figures of single people; of a token that is limited, what it may see is cut elsewhere."""
    said = context(request).figures
    if said.figures == "everybody" or getattr(request.state, "reach", None) is not None:
        return True
    return (getattr(request.state, "reader", "") or "") in said.readers


def of_people(dimension: str) -> bool:
    """Whether what is told by this dimension, or pair of them, is told of single people."""
    return "owner" in dimension.split(".")


def dimensions_shown(dimensions: Iterable[str], people: PeopleSettings) -> list[str]:
    """Return by which of these metrics are told, which anybody reads who has Prometheus."""
    shown = people.figures == "everybody" or METRICS in people.readers
    return [one for one in dimensions if shown or not of_people(one)]


def without_people(alerts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the alerts, or records of them, without those on one owner's figures; of the others nobody is named."""
    return [_one(one) for one in alerts if not any(map(of_people, one.get("segment") or ()))]


def _one(alert: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in alert.items() if name != "owner"}
    return found | ({"explanation": unnamed(why)} if isinstance(why := found.get("explanation"), Mapping) else {})


def unnamed(why: Mapping[str, Any]) -> dict[str, Any]:
    """Return what explains a figure without what owners have moved, and whose the deals behind it are."""
    found = dict(why)
    if "moved_by" in found:
        found["moved_by"] = [one for one in found["moved_by"] or () if not of_people(str(one.get("dimension")))]
    if "behind" in found:
        hidden = ("owner", "owner_name")
        found["behind"] = [{name: value for name, value in one.items() if name not in hidden} for one in found["behind"] or ()]
    return found


async def events_without_people(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the events of a page with alerts as :func:`without_people` has them."""
    async for frame in events:
        head, sign, data = frame.partition(b"\ndata: ")
        if sign and b'"alerts"' in data:
            told = orjson.loads(data)
            if told.get("alerts"):
                told["alerts"] = without_people(told["alerts"])
                frame = b"%s\ndata: %s\n\n" % (head, orjson.dumps(told))
        yield frame
