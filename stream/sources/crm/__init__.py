"""Which senders of webhooks are understood? One adapter a file; here is the line that each needs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from stream.config.problems import near
from stream.sources.crm import attio, close, hubspot, pipedrive, salesforce, standard, tracks
from stream.sources.crm.base import (
    BODY_LIMIT,
    Adapter,
    Doubt,
    Ignored,
    Item,
    NotAuthentic,
    Refusal,
    Request,
    Unusable,
    Verdict,
    doubted,
    read,
    receive,
)
from stream.sources.crm.settings import SourceProblem, SourceSettings, overridden, parse_settings

#: Every adapter by the name that ``sources.<name>`` or ``sources.<name>.adapter`` takes.
ADAPTERS: Mapping[str, Adapter] = MappingProxyType(
    {
        adapter.name: adapter
        for adapter in (
            hubspot.ADAPTER,
            pipedrive.ADAPTER,
            salesforce.ADAPTER,
            tracks.SEGMENT,
            tracks.RUDDERSTACK,
            close.ADAPTER,
            attio.ADAPTER,
            standard.ADAPTER,
        )
    }
)


def adapter_of(name: str, tree: Mapping[str, Any]) -> Adapter:
    """Return the adapter of the source ``name`` with the settings ``tree``; raise :class:`SourceProblem`."""
    wanted = tree.get("adapter") or name
    found = ADAPTERS.get(wanted) if isinstance(wanted, str) else None
    if found is None:
        raise SourceProblem([f"sources.{name}: no such adapter{near(wanted, ADAPTERS)} (accepted: {', '.join(ADAPTERS)})"])
    return found


__all__ = [
    "ADAPTERS",
    "BODY_LIMIT",
    "Adapter",
    "Doubt",
    "Ignored",
    "Item",
    "NotAuthentic",
    "Refusal",
    "Request",
    "SourceProblem",
    "SourceSettings",
    "Unusable",
    "Verdict",
    "adapter_of",
    "doubted",
    "overridden",
    "parse_settings",
    "read",
    "receive",
]
