"""How does a command answer questions on standard input, each a line of JSON, whatever else stands there?"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import typer

from models.unusable import Unusable
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
            question = _parsed(line)
            name = {names: question[names]} if names in question else {}
            found = answer(question)
        except Unusable as error:
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


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Unusable("", line.decode(errors="replace").strip(), f"one JSON object a line ({error})") from None
    if not isinstance(found, dict):
        raise Unusable("", line.decode(errors="replace").strip(), "one JSON object a line")
    return found
