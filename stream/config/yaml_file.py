"""What stands in a YAML file that an operator wrote?"""

from pathlib import Path

from models.config.problem import FileProblem
from models.config.yaml_text import TWICE, NotYaml, YamlText
from stream.config.problems import path_of


def open_yaml(path: Path, problems: list[FileProblem]) -> YamlText:
    """Return what a file holds, and note what is wrong with it: it cannot be read, it is no YAML, a key is there twice.

    Of a file that cannot be used the tree is None.
    """
    try:
        found = YamlText(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(FileProblem(str(path), "", f"cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"))
    except NotYaml as error:
        problems.append(FileProblem(str(path), "", str(error)))
    else:
        problems += [FileProblem(str(path), path_of(place), TWICE, line) for place, line in found.repeated]
        return found
    return YamlText()
