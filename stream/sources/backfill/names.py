"""Which of the CRM's ids does a name in an export mean?

Webhooks have ids of stages, owners and pipelines, which the settings' tables name; exports have the names that people see. The
tables are therefore read from both sides.
"""

from stream.sources.crm.settings import SourceSettings, Stage


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


def stage_ids(settings: SourceSettings) -> dict[str, str]:
    """Return the ids of stages by their names, where a name has one id only."""
    ids: dict[str, list[str]] = {}
    for id, stage in settings.stages.items():
        if stage.name is not None and stage.name != id:
            ids.setdefault(stage.name, []).append(id)
    return {name: found[0] for name, found in ids.items() if len(found) == 1}
