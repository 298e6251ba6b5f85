"""Why does a figure differ from the one that a CRM's export gives: which deals and leads count otherwise, and why?

Both sides are the same code over other facts: here those that came by webhooks, there those of the export. So what differs is a
fact, and this says which.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

#: What is compared, in the order in which it explains: the name of the fact, and what it is called.
_FACTS = (
    ("status", "status"),
    ("closed", "closed"),
    ("created", "created"),
    ("amount", "amount"),
    ("owner", "owner"),
    ("team", "team"),
    ("source", "source"),
    ("product", "product"),
    ("region", "region"),
    ("stage", "stage"),
)
_TIMES = frozenset({"closed", "created"})
#: A row as the API tells a deal or lead, with ``counts``; ``gone`` where it was deleted or merged.
Row = Mapping[str, Any]


class Difference(NamedTuple):
    """A deal or lead that counts otherwise: by measure what it counts for here and in the export, and why."""

    id: str
    name: str | None
    here: Mapping[str, float]
    export: Mapping[str, float]
    why: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        """Return it as the command prints it."""
        return {"id": self.id, "name": self.name, "here": dict(self.here), "export": dict(self.export), "why": list(self.why)}


def compared(here: Mapping[str, Row], export: Mapping[str, Row]) -> list[str]:
    """Return the ids of those that count otherwise, those by which most differs first."""
    ids = [id for id in here.keys() | export.keys() if _counts(here.get(id)) != _counts(export.get(id))]
    return sorted(ids, key=lambda id: (-_apart(_counts(here.get(id)), _counts(export.get(id))), id))


def difference(id: str, here: Row | None, export: Row | None) -> Difference:
    """Return what differs of one that is known here, in the export, or in both; counted or not."""
    name = (here or export or {}).get("name")
    return Difference(id, name, _counts(here), _counts(export), tuple(_why(here, export)))


def _counts(row: Row | None) -> Mapping[str, float]:
    return {} if row is None else row["counts"]


def _apart(one: Mapping[str, float], two: Mapping[str, float]) -> float:
    return sum(abs(one.get(name, 0) - two.get(name, 0)) for name in one.keys() | two.keys())


def _why(here: Row | None, export: Row | None) -> Iterable[str]:
    if export is None:
        yield "the export does not have it"
        return
    if here is None:
        yield "nothing is known of it here: no event of it has come, or it is no longer kept"
        return
    if here.get("gone"):
        yield f"here it was {here['gone']}"
        return
    if export.get("gone"):
        yield f"in the export it was {export['gone']}"
        return
    found = list(_other_facts(here, export))
    yield from found
    if not found:
        yield "the facts of now are the same: what was said at its close, or the order of what was said, is another"


def _other_facts(here: Row, export: Row) -> Iterable[str]:
    for fact, called in _FACTS:
        one, two = here.get(fact), export.get(fact)
        if one == two:
            continue
        if fact in _TIMES and one is not None and two is not None and one[:10] == two[:10]:
            yield f"{called} at {one[11:16]} here, at {two[11:16]} in the export"
        else:
            yield f"{called}: {_said(fact, one)} here, {_said(fact, two)} in the export"


def _said(fact: str, value: Any) -> str:
    if value is None:
        return "none"
    if fact in _TIMES:
        return str(value)[:10]
    return f"{value:,.2f}" if isinstance(value, float | int) else str(value)
