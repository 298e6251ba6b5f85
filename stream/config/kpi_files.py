"""Which KPI definitions are in force: the shipped ones and the files named in the settings?"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import yaml

from models.kpis.catalogue import SHIPPED, Catalogue, CatalogueError
from stream.config.problems import not_yaml
from stream.config.unique_keys import TwiceError, load_unique


def load_catalogue(extra: Sequence[Path] = ()) -> Catalogue:
    """Return the shipped catalogue with the files' entries added or overriding; raise ``CatalogueError`` with every problem."""
    shipped = files("models.kpis")
    sources: list[tuple[str, object]] = [
        (f"models/kpis/{name}", load_unique(shipped.joinpath(name).read_text("utf-8"))) for name in SHIPPED
    ]
    problems: list[str] = []
    for file in extra:
        try:
            sources.append((str(file), load_unique(file.read_text("utf-8"))))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{file}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}")
        except TwiceError as error:
            problems.append(f"{file}: {error}")
        except yaml.YAMLError as error:
            problems.append(f"{file}: {not_yaml(error)}")
    try:
        catalogue = Catalogue.load(*sources)
    except CatalogueError as error:
        raise CatalogueError(problems + error.problems) from error
    if problems:
        raise CatalogueError(problems)
    return catalogue
