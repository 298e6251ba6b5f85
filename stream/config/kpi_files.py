"""Which KPI definitions are in force: the shipped ones and the files named in the settings?"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import yaml

from models.kpis.catalogue import SHIPPED, Catalogue, CatalogueError
from stream.config.problems import not_yaml


def load_catalogue(extra: Sequence[Path] = (), pairs: Sequence[tuple[str, str]] = ()) -> Catalogue:
    """Return the shipped catalogue with the files' entries added or overriding; raise ``CatalogueError`` with every problem.

    ``pairs`` of dimensions are those by which deals and leads are counted together (``business.pairs``).
    """
    shipped = files("models.kpis")
    sources: list[tuple[str, object]] = [
        (f"models/kpis/{name}", yaml.safe_load(shipped.joinpath(name).read_text("utf-8"))) for name in SHIPPED
    ]
    problems: list[str] = []
    for file in extra:
        try:
            text = file.read_text("utf-8")
            problems += [f"{file}: line {line}: {key}: given twice (accepted: each key once)" for line, key in _repeated(text)]
            sources.append((str(file), yaml.safe_load(text)))
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
    return catalogue.paired(pairs)


def _repeated(text: str) -> list[tuple[int, str]]:
    """Return line and key of each key that a mapping has twice: of which YAML takes the last, and says nothing."""
    found: list[tuple[int, str]] = []
    waiting = [node] if (node := yaml.compose(text, Loader=yaml.SafeLoader)) is not None else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    found.append((key.start_mark.line + 1, str(key.value)))
                seen.add(str(key.value))
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
    return sorted(found)
