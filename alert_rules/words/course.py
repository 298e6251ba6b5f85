"""How is the course of a figure told where there is no picture, and what is drawn where there is one?"""

from typing import Any, NamedTuple

BARS = "▁▂▃▄▅▆▇█"


class Course(NamedTuple):
    """What a figure was at instants of even distance, oldest first, and the threshold it stands against, where it has one."""

    values: tuple[float | None, ...]
    start: str
    end: str
    threshold: float | None = None


def course_of(explanation: dict[str, Any] | None, threshold: float | None, unit: str, limit: str) -> Course | None:
    """Return the course that came with an explanation; the threshold where it is in the figure's own ``unit``."""
    found = (explanation or {}).get("course") or []
    if len(found) < 2:
        return None
    values = tuple(None if value is None else float(value) for _, value in found)
    return Course(values, str(found[0][0]), str(found[-1][0]), threshold if limit == unit else None)


def bars(course: Course) -> str:
    """Return the course as a row of bars, the highest value the tallest: ``▇▇▆▄▂▁``; a blank where there was none."""
    known = [value for value in course.values if value is not None]
    low, high = min(known), max(known)
    # From nothing on where it is near, so that 98 and 97 do not look like all and nothing.
    low = min(low, 0.0) if low >= 0 and low < 0.8 * high else low - 0.5 * (high - low or abs(high) or 1)
    size = (high - low) or 1

    def bar(value: float | None) -> str:
        return " " if value is None else BARS[min(7, int((value - low) / size * 7.999))]

    return "".join(map(bar, course.values))
