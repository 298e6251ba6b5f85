"""What was said in an evaluation, and what became of it: in columns, as there may be millions of answers."""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np

from models.learners import quality


class EvaluatedAnswer(NamedTuple):
    """What was said of a deal, in numbers only."""

    at: int
    deal: str
    aged: bool  # asked because of its age, not at an event
    win: float
    within: float
    low: float
    median: float
    high: float
    expected: float


class Answers(Sequence[EvaluatedAnswer]):
    """Answers in the order in which they were given, some 60 bytes each."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}  # of the deals, in the order in which they were first asked about
        self._names: list[str] = []
        self._at, self._deal, self._aged, self._said = array("q"), array("q"), array("b"), array("d")

    def append(self, answer: EvaluatedAnswer) -> None:
        """Take one more."""
        at, deal, aged, *said = answer
        number = self._numbers.get(deal)
        if number is None:
            number = self._numbers[deal] = len(self._names)
            self._names.append(deal)
        self._at.append(at)
        self._deal.append(number)
        self._aged.append(aged)
        self._said.extend(said)

    def __eq__(self, other: object) -> bool:
        """Whether the same was said."""
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._at)

    @overload
    def __getitem__(self, place: int) -> EvaluatedAnswer: ...
    @overload
    def __getitem__(self, place: slice) -> list[EvaluatedAnswer]: ...
    def __getitem__(self, place: int | slice) -> EvaluatedAnswer | list[EvaluatedAnswer]:
        """Return an answer, or a list of those of a stretch."""
        if isinstance(place, slice):
            return [self[number] for number in range(len(self))[place]]
        number = range(len(self))[place]
        said = self._said[6 * number : 6 * number + 6]
        return EvaluatedAnswer(self._at[number], self._names[self._deal[number]], bool(self._aged[number]), *said)

    def __iter__(self) -> Iterator[EvaluatedAnswer]:
        """Yield them one by one."""
        return map(self.__getitem__, range(len(self)))

    @property
    def deals(self) -> Sequence[str]:
        """The deals that were asked about; ``deal`` says by its place there of which each answer is."""
        return self._names

    def columns(self) -> tuple[quality.Array, Any, Any, Any]:
        """Return copies: what was said (answer × number), when (ms), of which deal, and whether because of its age."""
        said = np.array(self._said, float).reshape(-1, 6)
        return said, np.array(self._at), np.array(self._deal, np.intp), np.array(self._aged, bool)
