"""What is in a language's file: the words of messages, of the page and of the command line?

A language is one file in ``languages/``, named by its code. Everything that people read is in it, or is told in the language's
own way of writing numbers and times (``numbers.py``).
"""

import re
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import yaml

#: The language in which everything is written first, and what is told where another one has no words.
SOURCE = "en"
_HOLE = re.compile(r"\{(\w+)\}")


class Language:
    """The words of one language. ``code`` is its name by CLDR, such as ``fr`` or ``pt-BR``."""

    def __init__(self, code: str, tree: Mapping[str, Any]) -> None:
        self.code = code
        self.tree = tree
        self._messages: Mapping[str, Any] = tree["messages"]

    def find(self, key: str, of: str = "messages") -> Any:
        """Return what stands under a dotted key, None where nothing does."""
        found: Any = self.tree.get(of, {})
        for part in key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def say(self, key: str, *, of: str = "messages", otherwise: str = "", **values: Any) -> str:
        """Return the words under a key, filled in; of words with plurals those for the count ``n``.

        Raise ``KeyError`` where the language has no such words, and there are no others (``otherwise``).
        """
        found = self.find(key, of) or otherwise or None
        if isinstance(found, Mapping):
            found = found.get(self.plural(values["n"])) or found["other"]
        if found is None:
            raise KeyError(f"{self.code}: {key}")
        return _HOLE.sub(lambda hole: str(values[hole[1]]), found) if values else str(found)

    @cached_property
    def _plural(self) -> Any:
        from babel import Locale  # a tenth of a second

        return Locale.parse(self.code, sep="-").plural_form

    def plural(self, count: float) -> str:
        """Return which of the language's plurals a count takes: ``one``, ``few``, ``other``, …"""
        if self.code == SOURCE:
            return "one" if abs(count) == 1 else "other"
        return str(self._plural(abs(count)))

    @cached_property
    def _sentences(self) -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
        whole: dict[str, str] = {}
        holed = []
        for source, translation in self.tree.get("sentences", {}).items():
            whole[source] = translation
            holes = _HOLE.findall(source)
            # A rule's summary is known as it is written in the rule, before its numbers are in it.
            if holes and ":" not in "".join(re.findall(r"\{[^}]*\}", source)) and len(set(holes)) == len(holes):
                holed.append((re.compile(_pattern(source), re.DOTALL), translation))
        return whole, holed

    def sentence(self, english: str, part: Callable[[str, str], str] | None = None) -> str:
        """Return a sentence that is written in English somewhere else in this language; itself where that is not known.

        ``part(name, text)`` says what varies in this language; it is a sentence, too, where nothing is said.
        """
        whole, holed = self._sentences
        if (translation := whole.get(english)) is not None:
            return translation
        for pattern, translation in holed:
            if (found := pattern.fullmatch(english)) is not None:
                known = {name: part(name, text) if part else self.sentence(text) for name, text in found.groupdict().items()}
                return _HOLE.sub(lambda hole, known=known: known[hole[1]], translation)  # type: ignore[misc]
        return english

    def window(self, name: str) -> str:
        """Return what people call a window: ``30d`` is ``30 j`` in French."""
        known = self.find("windows", "page") or {}
        return str(known.get(name, name))

    def dimension(self, name: str) -> str:
        """Return what people call a dimension, within a sentence."""
        return str(self._messages["dimensions"].get(name) or name.replace("_", " "))


def _pattern(source: str) -> str:
    """Return a pattern of a sentence, in which a group stands for each hole."""
    parts = re.split(r"(\{\w+\})", source)
    return "".join(f"(?P<{part[1:-1]}>.+?)" if _HOLE.fullmatch(part) else re.escape(part) for part in parts)


@cache
def languages() -> Mapping[str, Language]:
    """Return the languages there are, by their code, the first of them the one that everything is written in."""
    folder = files(__package__) / "languages"
    found = {
        one.name.removesuffix(".yaml"): yaml.load(one.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for one in folder.iterdir()
        if one.name.endswith(".yaml")
    }
    return {code: Language(code, found[code]) for code in sorted(found, key=lambda code: (code != SOURCE, code))}
