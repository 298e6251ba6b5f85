"""How does a command answer questions on standard input, each a line of JSON, whatever else stands there?"""

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
import typer

from models.unusable import UnusableQuestion
from vigie.common import refuse


def answer_lines(command: str, stdin: bool, names: str, answer: Callable[[dict[str, Any]], Mapping[str, Any] | None]) -> None:
    """Answer each line of standard input as it comes; leave with 1 where one could not be used.

    ``names`` is the field that says which question it is: it is in the answers, too. None is no answer. A line that cannot be
    used is answered with what is wrong: ``error``, ``line``, ``where``, ``found``, ``accepted``; the rest goes on.
    """
    if not stdin:
        refuse(f"{command}: found no --stdin (accepted: vigie {command} --stdin < questions.jsonl)", 2)
    wrong = False
    out = sys.stdout.buffer
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        name: dict[str, Any] = {}
        try:
            question, endless = _parsed(line)
            name = {names: question[names]} if names in question else {}
            if endless is not None:
                raise endless
            found = answer(question)
        except UnusableQuestion as error:
            wrong = True
            found = {
                "error": f"line {number}: {error}", "line": number, "where": error.where, "found": error.found,
                "accepted": error.accepted,
            }  # fmt: skip
        if found is not None:
            out.write(orjson.dumps(name | dict(found), option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
            out.flush()
    if wrong:
        raise typer.Exit(1)


def _parsed(line: bytes) -> tuple[dict[str, Any], UnusableQuestion | None]:
    """Return a line's object, and what is wrong where a number in it is none (NaN, Infinity, 1e400): programs write such."""
    endless = None
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        try:
            where = _endless(found := json.loads(line))
        except (ValueError, RecursionError):
            where = None
        if where is None:
            raise UnusableQuestion("", line.decode(errors="replace").strip(), f"one JSON object a line ({error})") from None
        endless = UnusableQuestion(*where, "a finite number")
    if not isinstance(found, dict):
        raise UnusableQuestion("", line.decode(errors="replace").strip(), "one JSON object a line")
    return found, endless


def _endless(found: object, where: str = "") -> tuple[str, float] | None:
    """Return where the first number is that is not finite, and the number."""
    if isinstance(found, float):
        return None if math.isfinite(found) else (where, found)
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(found, dict | list):
        inner = found.items() if isinstance(found, dict) else enumerate(found)
    steps = ((f"{where}.{key}".lstrip(".") if isinstance(key, str) else f"{where}[{key}]", value) for key, value in inner)
    return next((odd for place, value in steps if (odd := _endless(value, place)) is not None), None)
