"""What does a YAML text hold, on which line is what, and which keys are there twice?

YAML itself takes the last of two equal keys, and says nothing.
"""

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import yaml

#: Where something is: names of keys and numbers of entries.
Place: TypeAlias = tuple[int | str, ...]

_QUOTED = re.compile(r"'.*'|\".*\"", re.DOTALL)
_PARTS = re.compile(r"[^.\[\]]+")
#: What is said of a key that is there twice.
TWICE = "given twice (accepted: each key once)"


class NotYaml(ValueError):
    """A text is no YAML; the message says where and why, without any of it: a line may hold a secret."""


class YamlText:
    """A YAML text: what it holds (:attr:`tree`), and where. Raise :class:`NotYaml`."""

    def __init__(self, text: str = "") -> None:
        self.repeated: list[tuple[Place, int]] = []
        """the keys that a mapping has twice, each with the line of the second one"""
        self.tree: Any = None
        try:
            loader = yaml.SafeLoader(text)
            try:
                self._root = loader.get_single_node()
                if self._root is not None:
                    self._look((), self._root, set())
                    self.tree = loader.construct_document(self._root)
            finally:
                loader.dispose()
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise NotYaml(not_yaml(error)) from None

    def _look(self, place: Place, node: yaml.Node, above: set[int]) -> None:
        if id(node) in above:
            return  # an alias of what it is in
        if isinstance(node, yaml.MappingNode):
            seen: set[tuple[str, str]] = set()
            for key, value in node.value:
                name = (key.tag, str(key.value))
                if isinstance(key, yaml.ScalarNode) and name in seen:
                    self.repeated.append(((*place, name[1]), key.start_mark.line + 1))
                seen.add(name)
                self._look((*place, name[1]), value, above | {id(node)})
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                self._look((*place, number), value, above | {id(node)})

    def line(self, place: Sequence[int | str] | str) -> int | None:
        """Return the line (from 1) of what is at a place, or of the last part of it that there is; None for nothing.

        A place may be written as in messages: ``tests[1].timeline[0].at``.
        """
        node, line = self._root, None
        for part in _PARTS.findall(place) if isinstance(place, str) else place:
            if isinstance(node, yaml.MappingNode):
                # What is merged in (``<<``) stands before the mapping's own keys.
                found = next(((key, value) for key, value in reversed(node.value) if key.value == part), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and str(part).isdecimal() and int(part) < len(node.value):
                node = node.value[int(part)]
                line = node.start_mark.line + 1
            else:
                break
        return line


def not_yaml(error: yaml.YAMLError | ValueError | RecursionError) -> str:
    """Return where a text stops being YAML and why, without any of it: YAML's own message quotes the line."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        place = getattr(error, "position", None)
        return "not YAML" if place is None else f"not YAML: at character {place + 1}: a character that is not allowed"
    why = _QUOTED.sub("…", str(getattr(error, "problem", "") or ""))
    return f"not YAML: line {mark.line + 1}, column {mark.column + 1}: {why}".rstrip(": ")
