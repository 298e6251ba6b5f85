"""Where do a bench's tables go? Into their place on a page: between two comments, and nothing else of the page is touched."""

from collections.abc import Sequence
from pathlib import Path


def into(page: Path, name: str, lines: Sequence[str]) -> None:
    """Put ``lines`` between ``<!-- name: begin -->`` and ``<!-- name: end -->``.

    Raises:
        ValueError: where the page has no such place.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.read_text("utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page}: found no {begin} … {end}; tables of {name} go between them")
    page.write_text("\n".join([before + begin, *lines, end]) + after, "utf-8")
