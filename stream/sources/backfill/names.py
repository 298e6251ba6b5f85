"""Which of the CRM's ids does a name in an export mean?

Webhooks have ids of stages, owners and pipelines, which the settings' tables name; exports have the names that people see. The
tables are therefore read from both sides, and so are the CRM's own lists of them, where they are given. Case, accents and the
pipeline in parentheses say nothing of their own.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from stream.sources.backfill.documents import is_json, records
from stream.sources.crm.settings import SourceSettings, Stage
from stream.sources.crm.words import flag, outcome, plain, without_suffix
from stream.sources.files.text import SourceFileError, encoding_of, open_bytes

Kind = Literal["open", "won", "lost"]


class ListedStage(NamedTuple):
    """A stage of the CRM's own list; ``pipeline`` is the name of its pipeline."""

    id: str
    name: str
    pipeline: str
    kind: Kind | None


@dataclass(slots=True)
class Lists:
    """What the CRM's own lists say: stages, pipelines (id to name), and people (id to names and addresses)."""

    stages: list[ListedStage] = field(default_factory=list)
    pipelines: dict[str, str] = field(default_factory=dict)
    people: dict[str, list[str]] = field(default_factory=dict)


def load(files: Iterable[Path]) -> Lists:
    """Read the CRM's own lists.

    HubSpot's ``/crm/v3/pipelines/deals`` and ``/crm/v3/owners``, Pipedrive's ``/v1/pipelines``, ``/v1/stages`` and ``/v1/users``
    (JSON), Salesforce's OpportunityStage and User (CSV of the data export).

    Raises:
        SourceFileError: for a file that is none of these.
    """
    lists = Lists()
    for path in files:
        rows = records(path, ("results", "data")) if is_json(path) else enumerate(_csv(path), 2)
        for line, row in rows:
            if not isinstance(row, dict) or not _listed(row, lists):
                raise SourceFileError(
                    f"{path}:{line}: found no pipeline, stage, owner or user; accepted are HubSpot's /crm/v3/pipelines/deals and "
                    "/crm/v3/owners, Pipedrive's /v1/pipelines, /v1/stages and /v1/users, Salesforce's OpportunityStage and User"
                )
    return lists


def _csv(path: Path) -> Iterable[dict[str, Any]]:
    with open_bytes(path) as raw, io.TextIOWrapper(raw, encoding=encoding_of(path), newline="") as text:
        yield from csv.DictReader(text)


def _listed(row: Mapping[str, Any], lists: Lists) -> bool:
    id = str(row.get("id", row.get("Id")) or "")
    name = str(row.get("label") or row.get("MasterLabel") or row.get("name") or row.get("Name") or "")
    if isinstance(row.get("stages"), list):  # HubSpot: a pipeline with its stages
        lists.pipelines[id] = name
        for stage in row["stages"]:
            more = stage.get("metadata") if isinstance(stage, dict) else None
            if not isinstance(more, dict):
                return False
            kind = _kind(more.get("isClosed"), str(more.get("probability")) in ("1", "1.0"))
            lists.stages.append(ListedStage(str(stage.get("id")), str(stage.get("label")), name, kind))
    elif "IsWon" in row and name:  # Salesforce
        api = str(row.get("ApiName") or name)
        kind = _kind(row.get("IsClosed"), flag(row["IsWon"]) is True)
        lists.stages.append(ListedStage(api, name, "", kind))
    elif "pipeline_id" in row and id:  # Pipedrive: a stage, in which every deal is open
        lists.stages.append(ListedStage(id, name, str(row.get("pipeline_name") or row["pipeline_id"]), None))
    elif {"email", "Email", "Username", "firstName", "FirstName"} & row.keys() and id:
        first, last = row.get("firstName", row.get("FirstName")), row.get("lastName", row.get("LastName"))
        names = [name, " ".join(str(part) for part in (first, last) if part), str(row.get("email", row.get("Email")) or "")]
        lists.people[id] = list(dict.fromkeys(one for one in names if one))
    elif id and name:
        lists.pipelines[id] = name
    else:
        return False
    return True


def _kind(closed: Any, won: bool) -> Kind:
    if flag(closed) is not True:
        return "open"
    return "won" if won else "lost"


def named(settings: SourceSettings) -> SourceSettings:
    """Return the settings with the names of their stages as keys too, so that a name means what its id does."""
    names: dict[str, Stage] = {}
    for stage in settings.stages.values():
        if stage.name is not None and stage.name not in settings.stages:
            # Two pipelines may each have a stage of a name: what they agree on stands.
            same = names.get(stage.name)
            kind = stage.kind if same is None or same.kind == stage.kind else None
            names[stage.name] = Stage(name=stage.name, kind=kind)
    return settings.model_copy(update={"stages": {**settings.stages, **names}})


class ExportNames:
    """The ids that an export's names mean, by the settings and the CRM's lists; a name that neither has is itself."""

    def __init__(
        self,
        settings: SourceSettings,
        lists: Lists,
        own: Mapping[str, str] = MappingProxyType({}),
        kinds: Mapping[str, Kind] = MappingProxyType({}),
        pipelines: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``own``, ``pipelines``: the ids of what every account has from the beginning, by labels; ``kinds``: of those stages."""
        stages = dict(settings.stages)
        for one in lists.stages:
            said = stages.get(one.id)
            if said is None or said.kind is None:
                stages[one.id] = Stage(name=None if said is None else said.name, kind=one.kind)
        #: As they are given to the adapter: with the names of stages, and what the CRM's list says of stages.
        self.settings = named(settings.model_copy(update={"stages": stages}))
        self._kinds = kinds
        self._known = set(self.settings.stages) | set(own.values())
        in_pipelines = [(f"{one.pipeline}\n{one.name}", one.id) for one in lists.stages]
        self._in_pipeline = _index(in_pipelines)
        ids = [(stage.name, id) for id, stage in settings.stages.items() if stage.name is not None]
        keys = [(key, key) for key in settings.stages]
        self._stages = _index([(one.name, one.id) for one in lists.stages]) | _index(keys) | _index(ids)
        self._own = _index(own.items())
        self._same = {plain(name): name for name in self.settings.stages}
        people = [(name, id) for id, names in lists.people.items() for name in names]
        self._owners = _index(people) | _index((key, key) for key in settings.owners)
        self._pipelines = (
            _index(pipelines.items())
            | _index((name, id) for id, name in lists.pipelines.items())
            | _index((name, id) for id, name in settings.pipelines.items())
            | _index((key, key) for key in settings.pipelines)
        )

    def owner(self, name: str) -> str:
        """Return the id of an owner (or the key of the settings' table)."""
        return self._owners.get(plain(name)) or name

    def pipeline(self, name: str) -> str:
        """Return the id of a pipeline."""
        return self._pipelines.get(plain(name)) or name

    def stage(self, label: str, pipeline: str = "") -> str:
        """Return the id of a stage: in the pipeline where that is known, else where one stage only has this label."""
        bare, suffix = without_suffix(label)
        for name, where in ((label, pipeline), (bare, suffix or pipeline)):
            found = (
                self._in_pipeline.get(plain(f"{where}\n{name}"))
                or self._stages.get(plain(name))
                or self._own.get(plain(name))
                or self._same.get(plain(name))
            )
            if found is not None:
                return found
        return label

    def kind(self, stage: str) -> Kind | None:
        """Return what is known of a stage (an id or a label); None where nothing is."""
        known = self.settings.stages.get(stage)
        if known is not None and known.kind is not None:
            return known.kind
        said = self._kinds.get(stage)
        if said is not None:
            return said
        if stage in self._known:
            return "open"
        by_words = outcome(stage) or outcome(without_suffix(stage)[0])
        return None if by_words == "deleted" else by_words


def _index(pairs: Iterable[tuple[str, str]]) -> dict[str, str | None]:
    """Return ids by plain names; None for a name that several ids have."""
    found: dict[str, str | None] = {}
    for name, id in pairs:
        key = plain(name)
        found[key] = id if found.get(key, id) == id else None
    return found
