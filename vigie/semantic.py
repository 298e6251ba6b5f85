"""``vigie kpis export``: the catalogue in the words of other semantic layers, and the SQL over the exported tables."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer
import yaml

from models.feeds.semantic import metricflow, osi, sql
from models.kpis.catalogue import CatalogueError
from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings, SettingsError
from vigie.common import Config, refuse
from vigie.settings import load


def command(
    format: Annotated[
        Literal["metricflow", "osi", "sql"], typer.Option(help="metricflow (YAML of dbt), osi (Apache Ossie), sql.")
    ],
    config: Config = None,
) -> None:
    """Write the catalogue for other semantic layers, or as SQL that gives the same numbers over the exported tables."""
    settings = _settings(config)
    try:
        kpis = list(load_catalogue(settings.kpi_files, settings.business.pairs).kpis.values())
    except CatalogueError as error:
        refuse(error)
    if format == "sql":
        sys.stdout.write("\n".join(map(sql, kpis)))
        return
    tree = osi(kpis) if format == "osi" else metricflow(kpis)
    sys.stdout.write(yaml.safe_dump(orjson.loads(orjson.dumps(tree)), allow_unicode=True, sort_keys=False, width=1000))


def _settings(config: Path | None) -> Settings:
    try:
        return load(config)
    except SettingsError as error:
        refuse(error)
