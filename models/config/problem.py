"""What is wrong with what an operator wrote: in which file, on which line, under which key, and what would be right?"""

from typing import NamedTuple


class FileProblem(NamedTuple):
    """One thing that is wrong: in which file, under which key, what was found and what is accepted."""

    file: str
    key: str
    text: str
    line: int | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.text) if part)
