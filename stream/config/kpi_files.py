"""Which KPI definitions are in force: the shipped ones and the files named in the settings?"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import yaml

from models.kpis.catalogue import Catalogue, CatalogueError
from stream.config.problems import not_yaml


def load_catalogue(extra: Sequence[Path] = ()) -> Catalogue:
    """Return the shipped catalogue with the files' entries added or overriding; raise ``CatalogueError`` with every problem."""
    shipped = files("models.kpis").joinpath("catalogue.yaml")
    sources: list[tuple[str, object]] = [("models/kpis/catalogue.yaml", yaml.safe_load(shipped.read_text("utf-8")))]
    problems: list[str] = []
    for file in extra:
        try:
            sources.append((str(file), yaml.safe_load(file.read_text("utf-8"))))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{file}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}")
        except yaml.YAMLError as error:
            problems.append(f"{file}: {not_yaml(error)}")
    try:
        catalogue = Catalogue.load(*sources)
    except CatalogueError as error:
        raise CatalogueError(problems + error.problems) from error
    if problems:
        raise CatalogueError(problems)
    return catalogue
