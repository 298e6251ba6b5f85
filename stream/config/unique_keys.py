"""What does a YAML text say, if it says nothing twice?

YAML's own reader takes the last of two entries of one name, so that a KPI would be gone without a word.
"""

from typing import Any

import yaml


class TwiceError(ValueError):
    """A mapping has a key twice; the message says which, and where."""


class _Unique(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name in seen and key.tag != "tag:yaml.org,2002:merge":
                raise TwiceError(f"line {line}: found the key {name!r} again, which is on line {seen[name]} (accepted: once)")
            if name is not None:
                seen[name] = line
        return super().construct_mapping(node, deep)


def load_unique(text: str) -> Any:
    """Return what a text says; raise ``yaml.YAMLError``, or :class:`TwiceError` where a mapping has a key twice."""
    return yaml.load(text, _Unique)
