"""Which senders of webhooks are understood? One adapter a file; here is the line that each needs."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from models.config.suggest import meant
from stream.config import plugins
from stream.config.problems import path_of, problems_of
from stream.sources.crm import attio, close, hubspot, pipedrive, salesforce, standard, tracks
from stream.sources.crm.base import (
    BODY_LIMIT,
    Adapter,
    Doubt,
    Erase,
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
from stream.sources.crm.settings import SourceProblem, SourceSettings, overridden

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


def _wrong(name: str, part: Any) -> str:
    if not isinstance(part, Adapter):
        return "it is no stream.sources.crm.Adapter"
    return "" if part.name == name else f"its name is {part.name!r}"


@cache
def outside() -> plugins.Plugins:
    """Return the adapters that packages outside add (entry points ``vigie.sources``), and those that cannot be used."""
    return plugins.plugins(plugins.SOURCES, ADAPTERS, _wrong)


def adapters() -> Mapping[str, Adapter]:
    """Return all adapters by name, those of packages outside among them."""
    return {**ADAPTERS, **outside().parts}


def adapter_of(name: str, tree: Mapping[str, Any]) -> Adapter:
    """Return the adapter of the source ``name`` with the settings ``tree``; raise :class:`SourceProblem`."""
    wanted = tree.get("adapter") or name
    found = adapters().get(wanted) if isinstance(wanted, str) else None
    if found is None:
        why = outside().broken.get(wanted) if isinstance(wanted, str) else None
        known = f"no such adapter{meant(wanted, adapters())} (accepted: {', '.join(adapters())})"
        raise SourceProblem([f"sources.{name}: {f'its package cannot be used: {why}' if why else known}"])
    return found


def parse_settings(name: str, tree: Mapping[str, Any]) -> SourceSettings:
    """Return the settings of the source ``name``, as its adapter has them; raise :class:`SourceProblem`."""
    wanted = tree.get("adapter") or name
    adapter = adapters().get(wanted) if isinstance(wanted, str) else None
    model = SourceSettings if adapter is None else adapter.settings
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        problems = [f"{path_of(('sources', name, *loc))}: {text}" for loc, text in problems_of(error, model)]
    raise SourceProblem(problems)


__all__ = [
    "ADAPTERS",
    "BODY_LIMIT",
    "Adapter",
    "Doubt",
    "Erase",
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
    "adapters",
    "doubted",
    "outside",
    "overridden",
    "parse_settings",
    "read",
    "receive",
]
