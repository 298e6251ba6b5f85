"""In which cells is which of many people? One look at a cell, however many are looked for."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from models.events.dead_letter import DeadLetter, decode, decode_redrive
from models.privacy.subject import Cell, Scan, Subject, needles, same_person, tree_of

#: So many needles are looked for one by one.
_FEW = 12
#: Words, as what stands around an id or a name has none of their letters beside it. What JSON escapes is no part of one.
_WORDS = re.compile(rb"\\u[0-9a-fA-F]{4}|\\.|([0-9A-Za-z\x80-\xff]+)")


def parts_of(cell: Cell) -> list[bytes]:
    """Return the bytes of a cell in which somebody can be: of a dead letter, those that were sent."""
    if cell.where == "dead-letters" and cell.value is not None:
        try:
            letter = decode_redrive(cell.value) or decode(cell.value)
        except ValueError:
            return [cell.value]
        if isinstance(letter, DeadLetter):
            found = [letter.key, letter.value, letter.detail.encode(), *(body for _, body in letter.headers)]
            return [part for part in found if part]
    return [part for part in (cell.key, cell.value, *(body for _, body in cell.headers)) if part]


def _words(text: bytes) -> set[bytes]:
    return {word for word in _WORDS.findall(text) if word}


class Finder:
    """Knows who is meant by which bytes; ``needles`` gives for each what it stands for (people, by number)."""

    def __init__(self, needles: Mapping[bytes, Iterable[int]]) -> None:
        self._needles = {needle: tuple(of) for needle, of in needles.items() if needle}
        self._alone = list(self._needles) if len(self._needles) <= _FEW else []
        self._by_word: dict[bytes, list[bytes]] = {}
        if self._alone:
            return
        words = {needle: _words(needle) for needle in self._needles}
        common = Counter(word for found in words.values() for word in found)
        for needle, found in words.items():
            if found:  # of its words the one that says most
                self._by_word.setdefault(min(found, key=lambda word: (common[word], -len(word), word)), []).append(needle)
            else:
                self._alone.append(needle)

    def holds(self, *parts: bytes | None) -> bool:
        """Whether anybody is in these bytes."""
        return any(True for _ in self._found([part for part in parts if part]))

    def __call__(self, cell: Cell) -> list[int]:
        """Return who may be in a cell, in their order."""
        return sorted({one for needle in self._found(parts_of(cell)) for one in self._needles[needle]})

    def _found(self, parts: list[bytes]) -> Iterator[bytes]:
        for needle in self._alone:
            if any(needle in part for part in parts):
                yield needle
        if not self._by_word:
            return
        for part in parts:
            # A row's key is an id after one letter that says what it is.
            for word in _words(part) | _words(part[1:64]):
                for needle in self._by_word.get(word, ()):
                    if needle in part:
                        yield needle


def finder_of(people: Iterable[Iterable[str]]) -> Finder:
    """Return what finds people by texts, each person's in the order of their numbers."""
    found: dict[bytes, set[int]] = {}
    for number, texts in enumerate(people):
        for needle in needles(texts):
            found.setdefault(needle, set()).add(number)
    return Finder(found)


def everybody(subjects: Sequence[Subject], scan: Scan) -> list[tuple[set[Subject], list[Subject]]]:
    """Return for each person all that they are known as, and which of the subjects meant them.

    One person are those who were merged, a lead and the visitors that were identified as it, and all leads of an address.
    """
    known = [{subject} for subject in subjects]
    new = [{subject} for subject in subjects]
    while any(new):
        found: list[set[Subject]] = [set() for _ in known]
        finder = finder_of((one.id for one in some) for some in new)
        for cell in scan(needles(one.id for some in new for one in some)):
            people = finder(cell)
            tree = tree_of(cell.value) if people else None
            for number in people:
                found[number].update(same_person(cell, tree, known[number]))
        new = [more - before for more, before in zip(found, known, strict=True)]
        for more, before in zip(new, known, strict=True):
            before |= more
    return _together(subjects, known)


def _together(subjects: Sequence[Subject], known: list[set[Subject]]) -> list[tuple[set[Subject], list[Subject]]]:
    groups: list[tuple[set[Subject], list[Subject]]] = []
    of: dict[Subject, int] = {}
    for subject, names in zip(subjects, known, strict=True):
        # Where one of them was asked for too, what is known of both is the same.
        number = next((of[name] for name in names if name in of), len(groups))
        if number == len(groups):
            groups.append((set(), []))
        groups[number][0].update(names)
        groups[number][1].append(subject)
        of.update(dict.fromkeys(names, number))
    return groups


def whole(subject: Subject, scan: Scan) -> set[Subject]:
    """Return all that one person is known as; itself too."""
    [(known, _)] = everybody([subject], scan)
    return known
