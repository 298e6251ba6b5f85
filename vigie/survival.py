"""``vigie kpis survival``: after how long have so many left, when some are still there? Of anybody's data."""

from typing import Annotated, Any

import typer

from models.kpis.survival import Stay, curve, first
from models.unusable import UnusableQuestion, no_slip
from vigie.json_lines import answer_lines

_ASKED = {"median": 0.5, "p25": 0.25, "p75": 0.75}


def survival(
    stdin: Annotated[bool, typer.Option("--stdin", help="Read questions from standard input, a JSON object a line.")] = False,
) -> None:
    """After how long have a quarter, half, three quarters left, those counted in that are still there?

    {"id", "times": […], "events": [1 left, 0 still there], "entries": [seen from … on]} → {"id", "median", "p25", "p75"}: the
    first time at which at most a half (three quarters, a quarter) stay longer by Kaplan and Meier; null where the curve never
    falls so far, and then "why".
    """
    answer_lines("kpis survival", stdin, "id", answer)


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Return the quantiles of a question's times, and ``why`` where one has no value; raise ``UnusableQuestion``.

    Who leaves at a time was there with those censored at it. Who is seen from a time on was not yet there at it, but at 0.
    """
    no_slip(question, ("id", "times", "events", "entries"))
    times = _numbers(question, "times", None)
    events = question.get("events")
    if not isinstance(events, list) or len(events) != len(times) or any(event not in (0, 1) for event in events):
        raise UnusableQuestion("events", events, f"{len(times)} of 1 (left) or 0 (still there), one for each time")
    entries = [0.0] * len(times) if question.get("entries") is None else _numbers(question, "entries", len(times))
    late = next((place for place, (entry, time) in enumerate(zip(entries, times, strict=True)) if entry > time), None)
    if late is not None:
        raise UnusableQuestion(f"entries[{late}]", entries[late], f"at most the time, which is {times[late]}")
    # Only the order of times is of interest: whole numbers in their place. 0 is 'from the beginning'.
    ordered = sorted({*times, *entries})
    place = {time: number + (ordered[0] > 0) for number, time in enumerate(ordered)}
    stays = (Stay(place[entry], place[time], bool(event)) for entry, time, event in zip(entries, times, events, strict=True))
    given = {place[time]: time for time in times}
    points = curve(stays)
    found = {name: None if (at := first(points, share)) is None else given[at] for name, share in _ASKED.items()}
    return found | ({"why": [_why(points, len(times))]} if None in found.values() else {})


def _why(points: list[tuple[int, float]], number: int) -> str:
    """Say why the curve does not fall as far as is asked."""
    if not points:
        return f"none of {number} was seen to leave" if number else "no times"
    return f"the curve ends at {points[-1][1]:.3g}: the rest are still there"


def _numbers(question: dict[str, Any], name: str, number: int | None) -> list[float]:
    found = question.get(name)
    accepted = f"{'' if number is None else f'{number} '}numbers of 0 or more"
    if not isinstance(found, list) or (number is not None and len(found) != number):
        raise UnusableQuestion(name, found, f"a list of {accepted}")
    for place, value in enumerate(found):
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise UnusableQuestion(f"{name}[{place}]", value, accepted)
    return found
