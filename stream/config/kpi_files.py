"""Which KPI definitions are in force: the shipped ones and the files named in the settings?"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from models.config.problem import FileProblem
from models.config.yaml_text import YamlText
from models.kpis.catalogue import SHIPPED, Catalogue, CatalogueError
from stream.config.yaml_file import open_yaml


@cache
def _shipped() -> tuple[tuple[str, Any], ...]:
    folder, loader = files("models.kpis"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple((f"models/kpis/{name}", yaml.load(folder.joinpath(name).read_text("utf-8"), loader)) for name in SHIPPED)


@cache
def _of_shipped() -> Catalogue:
    return Catalogue.load(*_shipped())


def load_catalogue(extra: Sequence[Path] = (), pairs: Sequence[tuple[str, str]] = ()) -> Catalogue:
    """Return the shipped catalogue with the files' entries added or overriding; raise ``CatalogueError`` with every problem.

    ``pairs`` of dimensions are those by which deals and leads are counted together (``business.pairs``).
    """
    problems: list[FileProblem] = []
    own: dict[str, YamlText] = {str(file): open_yaml(file, problems) for file in extra}
    try:
        catalogue = Catalogue.load(*_shipped(), *((file, text.tree) for file, text in own.items())) if own else _of_shipped()
    except CatalogueError as error:
        raise CatalogueError(problems + [_placed(problem, own) for problem in error.problems]) from error
    if problems:
        raise CatalogueError(problems)
    return catalogue.paired(pairs)


def _placed(problem: FileProblem, texts: dict[str, YamlText]) -> FileProblem:
    """Return a problem of a KPI with the line of its key, or of the KPI."""
    text = texts.get(problem.file)
    if text is None:
        return problem
    return problem._replace(line=text.line((problem.key, problem.text.partition(":")[0])))
